/**
 * Faults and crashes (faults.test.ts) of lazy copy-ups: whichever call fails, an incomplete file shows what it
 * showed or what was written, and can be completed; behind that the kernel's overlay shows the same.
 */
import { expect, test } from 'vitest';
import { lazyOperations } from '../../test/support/faults/lazy-operations.ts';
import { faultSuite } from '../../test/support/faults/suite.ts';
import { isRoot } from '../../test/support/temp-dir.ts';
import { Union } from '../../test/support/union.ts';
import { hydrate } from '../overlay/lazy-complete.ts';
import { wantsLazy } from '../overlay/lazy-stub.ts';

const open = { copyup: 'lazy', copyupThreshold: 1 } as const;

function holdsIncomplete(): boolean {
  const union = new Union();
  union.create();
  try {
    return isRoot && wantsLazy(union.mount(undefined, {}, open).sb, 1);
  } finally {
    union.remove();
  }
}

if (holdsIncomplete()) {
  faultSuite(
    {
      params: { redirectDir: 'on', index: false, metacopy: false },
      text: ',redirect_dir=on',
      open,
      onDisk: true,
      settle(o) {
        const failed = new Map<string, number>();
        while (!hydrate(o.sb, Number.POSITIVE_INFINITY, failed).done);
        expect([...failed]).toEqual([]);
      },
    },
    lazyOperations,
  );
} else {
  test('lazy copy-ups', (ctx) => ctx.skip('this filesystem cannot hold incomplete files'));
}
