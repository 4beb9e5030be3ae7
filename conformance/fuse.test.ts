/** Our FUSE mount, served by a process of its own. */
import { openSys } from 'stratafs/internal/sys/sys-koffi';
import { afterAll, describe, it } from 'vitest';
import { openBaseDir } from './base-dir.ts';
import { overlayGroups } from './overlay/all.ts';
import { describeOverlay } from './overlay-suite.ts';
import { describePosix } from './posix-suite.ts';
import { fuse } from './targets/fuse.ts';

const sys = openSys();
const base = openBaseDir(sys);
afterAll(() => base.close(), 60_000);

const reason = fuse.unavailable(base);
if (reason === null) {
  describe('posix', () => {
    describePosix(sys, base, fuse, ['redirect_dir=on']);
  });
  describe('overlay', () => {
    describeOverlay(sys, base, fuse, overlayGroups);
  });
} else {
  it('the FUSE mount', (context) => context.skip(reason));
}
