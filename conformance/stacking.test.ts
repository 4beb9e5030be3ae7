/**
 * Overlays whose every layer lies in a strata mount: the kernel's, ours as a mount and in process,
 * and one level further up. Each has to do there what it does on a plain filesystem, and to leave the upper that the
 * kernel leaves on a plain filesystem.
 */
import { openSys } from 'stratafs/internal/sys/sys-koffi';
import { afterAll, beforeAll, describe, it } from 'vitest';
import type { Backend } from './backend.ts';
import { openBaseDir } from './base-dir.ts';
import { allGroups, chosenGroups } from './overlay/all.ts';
import { copyUpCases } from './overlay/copy-up.ts';
import { escapeCases } from './overlay/escape.ts';
import { identityCases } from './overlay/identity.ts';
import { userxattrCases, userxattrNoRedirectCases } from './overlay/mounts.ts';
import { opaqueCases } from './overlay/opaque.ts';
import { overlayRenameCases } from './overlay/rename.ts';
import { walkCases } from './overlay/walk.ts';
import { whiteoutCases } from './overlay/whiteouts.ts';
import type { OverlayCases, OverlayGroup } from './overlay-case.ts';
import { describeOverlay } from './overlay-suite.ts';
import { describeOverlayUppers } from './parity-suite.ts';
import { type StackedBase, stackedBase } from './stacked-base.ts';
import { fuse } from './targets/fuse.ts';
import { inProcess } from './targets/in-process.ts';
import { kernel } from './targets/kernel.ts';
import { runBegan } from './uppers.ts';

const sys = openSys();
// The server that stands between reads with the atimes of any other program.
const base = openBaseDir(sys, true);
const reason = fuse.unavailable(base);
const since = runBegan();
afterAll(() => base.close(), 60_000);

/** The mount below escapes once more, so that a name is too long sooner. */
function oneLevelDown(cases: OverlayCases): OverlayCases {
  return Object.fromEntries(Object.entries(cases).filter(([name]) => !name.endsWith('longer than a name can be')));
}

/**
 * What a FUSE mount lacks for an overlay on top is left out: file handles that last (index, nfs_export,
 * origins that are found again), and chattr's flags on its inodes, though it heeds them itself.
 */
const structure: OverlayCases = { ...walkCases, ...whiteoutCases, ...opaqueCases, ...overlayRenameCases };
const groups = chosenGroups({
  defaults: {
    options: ['redirect_dir=on'],
    cases: { ...structure, ...copyUpCases, ...identityCases, ...oneLevelDown(escapeCases('trusted', 'user')) },
  },
  'read-only': allGroups['read-only'],
  userxattr: {
    options: ['userxattr'],
    cases: { ...userxattrCases, ...userxattrNoRedirectCases, ...oneLevelDown(escapeCases('user', 'trusted')) },
  },
  'redirect off': allGroups['redirect off'],
  'redirect nofollow': allGroups['redirect nofollow'],
  unmounted: allGroups.unmounted,
  volatile: allGroups.volatile,
});
const threeLevels = chosenGroups({ defaults: { options: ['redirect_dir=on'], cases: structure } });

function describeOn(inside: StackedBase, top: Backend, groups: Readonly<Record<string, OverlayGroup>>): void {
  if (Object.keys(groups).length === 0) {
    it('no case', (context) => context.skip('STRATA_CASES has chosen none of these'));
    return;
  }
  const plays = describeOverlay(sys, inside, top, groups);
  describe('uppers', () => {
    describeOverlayUppers(sys, base, top, groups, plays, since, inside);
  });
}

describe('stacks', () => {
  if (reason !== null) {
    it('of mounts', (context) => context.skip(reason));
    return;
  }
  for (const top of [kernel, fuse, inProcess]) {
    describe(`${top.name} on a strata mount`, () => {
      const inside = stackedBase(sys, base, fuse, `below-${top.name}`);
      beforeAll(() => inside.open(), 60_000);
      afterAll(() => inside.end(), 60_000);
      describeOn(inside, top, groups);
    });
  }

  for (const top of [kernel, fuse]) {
    describe(`${top.name} on a strata mount on a strata mount`, () => {
      const first = stackedBase(sys, base, fuse, `first-below-${top.name}`);
      const second = stackedBase(sys, first, fuse, 'second');
      beforeAll(async () => {
        await first.open();
        await second.open();
      }, 60_000);
      afterAll(async () => {
        await second.end();
        await first.end();
      }, 60_000);
      describeOn(second, top, threeLevels);
    });
  }
});
