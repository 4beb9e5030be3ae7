/** The POSIX cases as vitest tests: on a plain filesystem once, on a union in every position. */
import type { ByteString } from 'stratafs/internal/sys/bytes';
import * as c from 'stratafs/internal/sys/constants';
import type { Sys } from 'stratafs/internal/sys/sys';
import { afterAll, beforeAll, describe, it, type TestContext } from 'vitest';
import type { Backend, OpenDoor } from './backend.ts';
import type { BaseDir } from './base-dir.ts';
import { check, Skip } from './expect.ts';
import { lacking } from './needs.ts';
import { LOWERS, overlayPositions, type Position, place } from './positions.ts';
import { posixCases } from './posix/all.ts';
import { slugs } from './slugs.ts';
import { Stage } from './stage.ts';
import type { Case, Scene, TargetName } from './target.ts';
import { SysDoor } from './targets/sys-door.ts';
import { plant } from './tree.ts';

const slugOf = slugs(Object.keys(posixCases));

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
export async function orSkip(context: TestContext, run: () => void | Promise<void>): Promise<void> {
  try {
    await run();
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
      return lacking(test, [test.tree ?? null], 'plain', base) === null ? placed.upper : {};
    });
    const fd = check(sys.openat(c.AT_FDCWD, root, c.O_RDONLY | c.O_DIRECTORY, 0), root);
    plant(sys, fd, Object.assign({}, ...trees), '');
    sys.close(fd);
  });
  for (const [name, test] of cases) {
    it(name, async (context) => {
      const lacks = lacking(test, [test.tree ?? null], 'plain', base);
      if (lacks !== null) {
        context.skip(lacks);
      }
      await orSkip(context, () => play(new SysDoor(sys, `${root}/${slugOf(name)}`), 'plain', 'plain', true, test));
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
  const can = (test: Case): boolean => lacking(test, [test.tree ?? null], backend.name, base) === null;
  beforeAll(async () => {
    for (const position of positions) {
      const playing = cases.filter(([, test]) => plays(test, position) && can(test));
      stage.plant(
        position,
        playing.map(([name, test]) => place(position, slugOf(name), test.tree ?? {}, test.dir ?? {})),
      );
    }
    await stage.mount();
  }, 60_000);
  afterAll(() => stage.close(), 60_000);
  for (const position of positions) {
    describe(position, () => {
      for (const [name, test] of cases.filter(([, test]) => plays(test, position))) {
        it(name, async (context) => {
          const lacks = lacking(test, [test.tree ?? null], backend.name, base);
          if (lacks !== null) {
            context.skip(lacks);
          }
          const path = `${position}/${slugOf(name)}`;
          await orSkip(context, () =>
            stage.guarded([path, `${path}.below`], () =>
              play(stage.door(path), backend.name, position, redirects, test),
            ),
          );
        });
      }
    });
  }
  return stage;
}
