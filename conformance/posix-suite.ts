/** The POSIX cases as vitest tests: on a plain filesystem once, on a union in every position. */
import type { ByteString } from 'stratafs/internal/sys/bytes';
import * as c from 'stratafs/internal/sys/constants';
import type { Sys } from 'stratafs/internal/sys/sys';
import { afterAll, beforeAll, describe, it, type TestContext } from 'vitest';
import type { Backend, OpenDoor } from './backend.ts';
import type { BaseDir } from './base-dir.ts';
import { check, Skip } from './expect.ts';
import { LOWERS, overlayPositions, type Position, place } from './positions.ts';
import { posixCases } from './posix/all.ts';
import { slugs } from './slugs.ts';
import { Stage } from './stage.ts';
import type { Case, Need, Scene, TargetName } from './target.ts';
import { SysDoor } from './targets/sys-door.ts';
import { needsRoot, plant } from './tree.ts';

const slugOf = slugs(Object.keys(posixCases));

/** What of the needs of a case is not there, in words, or null. */
function lacking(test: Case, target: TargetName, privileged: boolean, reason: string): string | null {
  const needs: readonly Need[] = test.needs ?? [];
  const asksRoot = needs.includes('root') || needsRoot({ dir: { type: 'dir', entries: test.tree ?? {}, ...test.dir } });
  if (asksRoot && !privileged) {
    return reason;
  }
  return needs.includes('vfs') && target === 'in-process'
    ? 'the VFS, which answers this call, is not part of it'
    : null;
}

/** Runs one case through a door, which it closes. */
export function play(door: OpenDoor, target: TargetName, position: Position, redirects: boolean, test: Case): void {
  const umask = door.umask(0);
  try {
    test.run(Object.assign(door, { target, position, redirects }) as Scene);
  } finally {
    door.umask(umask);
    door.end();
  }
}

/** A case that finds out that its target cannot tell is skipped with its reason. */
export function orSkip(context: TestContext, run: () => void): void {
  try {
    run();
  } catch (error) {
    if (error instanceof Skip) {
      context.skip(error.message);
    }
    throw error;
  }
}

export function describePlain(sys: Sys, base: BaseDir, root: ByteString): void {
  const cases = Object.entries(posixCases).filter(([, test]) => plays(test, 'plain'));
  beforeAll(() => {
    const trees = cases.map(([name, test]) => {
      const placed = place('plain', slugOf(name), test.tree ?? {}, test.dir ?? {});
      return lacking(test, 'plain', base.privileged, base.reason) === null ? placed.upper : {};
    });
    const fd = check(sys.openat(c.AT_FDCWD, root, c.O_RDONLY | c.O_DIRECTORY, 0), root);
    plant(sys, fd, Object.assign({}, ...trees), '');
    sys.close(fd);
  });
  for (const [name, test] of cases) {
    it(name, (context) => {
      const lacks = lacking(test, 'plain', base.privileged, base.reason);
      if (lacks !== null) {
        context.skip(lacks);
      }
      orSkip(context, () => play(new SysDoor(sys, `${root}/${slugOf(name)}`), 'plain', 'plain', true, test));
    });
  }
}

function plays(test: Case, position: Position): boolean {
  return test.positions === undefined || test.positions.includes(position);
}

/** Registers every case in every position of `backend`. The stage is for what comes after the cases. */
export function describePosix(
  sys: Sys,
  base: BaseDir,
  backend: Backend,
  options: readonly string[],
  positions: readonly Position[] = overlayPositions,
): Stage {
  const cases = Object.entries(posixCases);
  const redirects = options.includes('redirect_dir=on');
  const stage = new Stage(sys, base, backend, `posix-${backend.name}`, { lowers: LOWERS, writable: true, options });
  const can = (test: Case): boolean => lacking(test, backend.name, base.privileged, base.reason) === null;
  beforeAll(() => {
    for (const position of positions) {
      const playing = cases.filter(([, test]) => plays(test, position) && can(test));
      stage.plant(
        position,
        playing.map(([name, test]) => place(position, slugOf(name), test.tree ?? {}, test.dir ?? {})),
      );
    }
    stage.mount();
  });
  afterAll(() => stage.close(), 60_000);
  for (const position of positions) {
    describe(position, () => {
      for (const [name, test] of cases.filter(([, test]) => plays(test, position))) {
        it(name, (context) => {
          const lacks = lacking(test, backend.name, base.privileged, base.reason);
          if (lacks !== null) {
            context.skip(lacks);
          }
          const path = `${position}/${slugOf(name)}`;
          orSkip(context, () => {
            stage.guarded([path, `${path}.below`], () =>
              play(stage.door(path), backend.name, position, redirects, test),
            );
          });
        });
      }
    });
  }
  return stage;
}
