/**
 * Faults and crashes (faults.test.ts) of lazy copy-ups: whichever call fails, an incomplete file shows what it
 * showed or what was written, and can be completed; behind that the kernel's overlay shows the same.
 */
import { expect } from 'vitest';
import { lazyOperations } from '../../test/support/faults/lazy-operations.ts';
import { faultSuite } from '../../test/support/faults/suite.ts';
import { hydrate } from '../overlay/lazy-complete.ts';
import { holdsStubs } from '../overlay/lazy-stub.ts';

faultSuite(
  {
    params: { redirectDir: 'on', index: false, metacopy: false },
    text: ',redirect_dir=on,copyup=lazy',
    kernelText: ',redirect_dir=on',
    open: { copyup: 'lazy', copyupThreshold: 1 },
    onExt4: true,
    settle(o) {
      expect(holdsStubs(o.sb)).toBe(true);
      const failed = new Map<string, number>();
      while (!hydrate(o.sb, Number.POSITIVE_INFINITY, failed).done);
      expect([...failed]).toEqual([]);
    },
  },
  lazyOperations,
);
