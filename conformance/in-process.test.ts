/** Our engine in this process: without a mount, and without privileges too. */
import { openSys } from 'stratafs/internal/sys/sys-koffi';
import { afterAll, describe } from 'vitest';
import { openBaseDir } from './base-dir.ts';
import { overlayGroups, unprivilegedGroups } from './overlay/all.ts';
import { describeOverlay } from './overlay-suite.ts';
import { describePosix } from './posix-suite.ts';
import { inProcess } from './targets/in-process.ts';

const sys = openSys();
const base = openBaseDir(sys);
afterAll(() => base.close(), 60_000);

const options = base.privileged ? ['redirect_dir=on'] : ['userxattr', 'redirect_dir=on'];

describe('posix', () => {
  describePosix(sys, base, inProcess, options);
});

describe('overlay', () => {
  describeOverlay(sys, base, inProcess, base.privileged ? overlayGroups : unprivilegedGroups);
});
