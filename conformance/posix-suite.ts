/** The POSIX cases as vitest tests: on a plain filesystem once, on a union in every position. */
import type { ByteString } from 'stratafs/internal/sys/bytes';
import * as c from 'stratafs/internal/sys/constants';
import type { Sys } from 'stratafs/internal/sys/sys';
import { afterAll, beforeAll, describe, it, type TestContext } from 'vitest';
import type { Backend, OpenDoor } from './backend.ts';
import type { BaseDir } from './base-dir.ts';
import { check, judged, judgements, Skip } from './expect.ts';
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
function play(door: OpenDoor, target: TargetName, position: Position, redirects: boolean, test: Case): void {
  const umask = door.umask(0);
  const before = judgements();
  try {
    test.run(Object.assign(door, { target, position, redirects }) as Scene);
    judged(before);
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

/** The cases in the positions of one union, planted on one stage. */
export class PosixPlay {
  readonly backend: Backend;
  readonly options: readonly string[];
  readonly positions: readonly Position[];
  readonly stage: Stage;
  readonly #base: BaseDir;
  readonly #redirects: boolean;

  constructor(
    sys: Sys,
    base: BaseDir,
    backend: Backend,
    name: string,
    options: readonly string[],
    positions: readonly Position[] = overlayPositions,
  ) {
    this.backend = backend;
    this.options = options;
    this.positions = positions.filter((position) => this.names(position).length > 0);
    this.#base = base;
    this.#redirects = options.includes('redirect_dir=on');
    this.stage = new Stage(sys, base, backend, name, { lowers: LOWERS, writable: true, options });
  }

  lacks(name: string): string | null {
    const test = posixCases[name];
    return lacking(test, [test.tree ?? null], this.backend.name, this.#base);
  }

  /** The names of the cases that mean something in `position`. */
  names(position: Position): string[] {
    return Object.keys(posixCases).filter((name) => plays(posixCases[name], position));
  }

  /** Those of them that have here what they need. */
  playable(position: Position): string[] {
    return this.names(position).filter((name) => this.lacks(name) === null);
  }

  async begin(): Promise<void> {
    for (const position of this.positions) {
      const sets = this.playable(position).map((name) => {
        const { tree, dir } = posixCases[name];
        return place(position, slugOf(name), tree ?? {}, dir ?? {});
      });
      this.stage.plant(position, sets);
    }
    await this.stage.settle();
    await this.stage.mount();
  }

  path(position: Position, name: string): ByteString {
    return `${position}/${slugOf(name)}`;
  }

  upperPath(position: Position, name: string): ByteString {
    return this.stage.upperPath(this.path(position, name));
  }

  async play(position: Position, name: string): Promise<void> {
    const path = this.path(position, name);
    await this.stage.guarded([path, `${path}.below`], () =>
      play(this.stage.door(path), this.backend.name, position, this.#redirects, posixCases[name]),
    );
  }
}

/** Registers every case in every position of `backend`. */
export function describePosix(sys: Sys, base: BaseDir, backend: Backend, options: readonly string[]): PosixPlay {
  const playing = new PosixPlay(sys, base, backend, `posix-${backend.name}`, options);
  beforeAll(() => playing.begin(), 60_000);
  afterAll(() => playing.stage.close(), 60_000);
  for (const position of playing.positions) {
    describe(position, () => {
      for (const name of playing.names(position)) {
        it(name, async (context) => {
          const reason = playing.lacks(name);
          if (reason !== null) {
            context.skip(reason);
          }
          await orSkip(context, () => playing.play(position, name));
        });
      }
    });
  }
  return playing;
}
