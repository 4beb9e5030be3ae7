/** The kernel's overlay: the oracle, which has to pass all that is asked of ours. */
import { openSys } from 'stratafs/internal/sys/sys-koffi';
import { afterAll, describe, it } from 'vitest';
import { openBaseDir } from './base-dir.ts';
import { overlayGroups } from './overlay/all.ts';
import { describeOverlay } from './overlay-suite.ts';
import { describePosix } from './posix-suite.ts';
import { kernel } from './targets/kernel.ts';

const sys = openSys();
const base = openBaseDir(sys);
afterAll(() => base.close(), 60_000);

const reason = kernel.unavailable(base);
if (reason === null) {
  describe('posix', () => {
    describePosix(sys, base, kernel, ['redirect_dir=on']);
  });
  describe('overlay', () => {
    describeOverlay(sys, base, kernel, overlayGroups);
  });
} else {
  it('the kernel overlay', (context) => context.skip(reason));
}
