/** All that is asked of a union: POSIX in every position, the overlay's own cases, the kernel's uppers. */
import type { Sys } from 'stratafs/internal/sys/sys';
import { afterAll, describe, it } from 'vitest';
import type { Backend } from './backend.ts';
import { openBaseDir } from './base-dir.ts';
import { overlayGroups, unprivilegedGroups } from './overlay/all.ts';
import { describeOverlay, type OverlayPlay } from './overlay-suite.ts';
import { describeOverlayUppers, describePosixUppers } from './parity-suite.ts';
import { posixCases } from './posix/all.ts';
import { describePosix, type PosixPlay } from './posix-suite.ts';
import { kernel } from './targets/kernel.ts';
import { runBegan } from './uppers.ts';

export function describeUnion(sys: Sys, backend: Backend): void {
  const base = openBaseDir(sys);
  const since = runBegan();
  afterAll(() => base.close(), 60_000);
  const reason = backend.unavailable(base);
  if (reason !== null) {
    it(backend.name, (context) => context.skip(reason));
    return;
  }
  // Without privileges the marks are user xattrs, and redirects count as in a user namespace of our own.
  const privileged = ['redirect_dir=on', backend.name === 'fuse' ? 'metacopy=on' : 'metacopy=off'];
  const options = base.privileged ? privileged : ['userxattr', 'redirect_dir=on'];
  const groups = base.privileged ? overlayGroups : unprivilegedGroups;
  let posix: PosixPlay | undefined;
  let overlay: Map<string, OverlayPlay> | undefined;
  // STRATA_CASES may have chosen none of one kind.
  const hasPosix = Object.keys(posixCases).length > 0;
  const hasOverlay = Object.keys(groups).length > 0;
  describe.runIf(hasPosix)('posix', () => {
    posix = describePosix(sys, base, backend, options);
  });
  describe.runIf(hasOverlay)('overlay', () => {
    overlay = describeOverlay(sys, base, backend, groups);
  });
  if (backend === kernel || kernel.unavailable(base) !== null) {
    return;
  }
  describe.runIf(hasPosix)('posix uppers', () => {
    describePosixUppers(sys, base, posix as PosixPlay, since);
  });
  describe.runIf(hasOverlay)('overlay uppers', () => {
    describeOverlayUppers(sys, base, backend, groups, overlay as Map<string, OverlayPlay>, since);
  });
}
