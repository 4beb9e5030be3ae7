/** The overlay cases as vitest tests: one mount for each group of options, or for each case that asks for its own. */
import type { ByteString } from 'stratafs/internal/sys/bytes';
import { ENOENT } from 'stratafs/internal/sys/errno';
import type { Sys } from 'stratafs/internal/sys/sys';
import { afterAll, beforeAll, describe, it } from 'vitest';
import type { Backend, OpenDoor } from './backend.ts';
import type { BaseDir } from './base-dir.ts';
import { check, judged, judgements } from './expect.ts';
import { lacking } from './needs.ts';
import { type OverlayCase, type OverlayGroup, stored, type Union } from './overlay-case.ts';
import { orSkip } from './posix-suite.ts';
import { slugs } from './slugs.ts';
import { type LayerSet, Stage } from './stage.ts';
import type { Door } from './target.ts';
import { SysDoor } from './targets/sys-door.ts';
import { dir, placed, type Tree } from './tree.ts';

/** The directory of all cases of a group, in every layer. */
const GROUP: ByteString = 'cases';

class PlayedUnion implements Union {
  readonly target: Backend['name'];
  readonly ours: boolean;
  readonly handles: boolean;
  readonly at: ByteString;
  readonly #sys: Sys;
  readonly #stage: Stage;
  readonly #path: ByteString;
  readonly #lowers: number;
  readonly #doors: OpenDoor[] = [];

  constructor(sys: Sys, stage: Stage, backend: Backend, path: ByteString, lowers: number) {
    this.#sys = sys;
    this.#stage = stage;
    this.#path = path;
    this.#lowers = lowers;
    this.target = backend.name;
    this.ours = backend.name !== 'kernel';
    this.handles = stage.handles;
    this.at = `/${path}`;
  }

  /** A door on the case's merged directory. */
  merged(): Door {
    const door = this.#open(this.#stage.door(this.#path));
    door.umask(0);
    return door;
  }

  #open(door: OpenDoor): OpenDoor {
    this.#doors.push(door);
    return door;
  }

  end(): void {
    for (const door of this.#doors.splice(0)) {
      door.end();
    }
  }

  upper(): Door {
    return this.#open(this.#stage.upperDoor(this.#path));
  }

  lower(n: number): Door {
    const paths = this.#stage.lowerPaths(this.#path);
    return this.#open(new SysDoor(this.#sys, paths[paths.length - this.#lowers + n]));
  }

  work(): Door {
    return this.#open(this.#stage.workDoor());
  }

  inUpper(path: ByteString): boolean {
    const root = this.#open(this.#stage.upperDoor(''));
    const found = root.lstat(`${this.#path}/${path}`);
    if (typeof found === 'number' && found !== -ENOENT) {
      check(found, path);
    }
    return typeof found !== 'number';
  }

  mark(name: string): ByteString {
    return this.#stage.prefix + name;
  }

  marked(path: ByteString, name: string): ByteString | null {
    return stored(this.upper(), path, this.mark(name));
  }

  async unmount(): Promise<void> {
    await this.#stage.close();
  }

  async remount(): Promise<Door> {
    await this.#stage.close();
    await this.#stage.mount();
    return this.merged();
  }

  async refused(): Promise<number> {
    await this.#stage.close();
    return this.#stage.tryMount();
  }
}

function layersOf(test: OverlayCase, name: ByteString): LayerSet {
  const layer = (tree: Tree | null | undefined): Tree =>
    tree ? { [name]: dir(placed(tree, `/${GROUP}/${name}`), test.dir) } : {};
  return { upper: layer(test.upper), lowers: test.lowers.map(layer) };
}

/** Plays one case on a mounted stage. */
export async function playOverlay(
  sys: Sys,
  stage: Stage,
  backend: Backend,
  slug: ByteString,
  test: OverlayCase,
): Promise<void> {
  const path = `${GROUP}/${slug}`;
  const union = new PlayedUnion(sys, stage, backend, path, test.lowers.length);
  try {
    await stage.guarded([path], async () => {
      const merged = union.merged();
      const umask = merged.umask(0);
      const before = judgements();
      try {
        await test.run(merged, union);
        judged(before);
      } finally {
        sys.umask(umask);
      }
    });
  } finally {
    union.end();
  }
}

/** A group whose cases are planted on one stage; `own` groups have one for each case. */
export class OverlayPlay {
  readonly group: OverlayGroup;
  readonly slugOf: (name: string) => ByteString;
  readonly #stages = new Map<string, Stage>();
  readonly #make: (name: string) => Stage;

  constructor(sys: Sys, base: BaseDir, backend: Backend, name: string, group: OverlayGroup) {
    this.group = group;
    this.slugOf = slugs(Object.keys(group.cases));
    const plan = {
      lowers: group.lowers ?? 3,
      dataLayers: group.dataLayers ?? 0,
      writable: group.writable ?? true,
      options: group.options,
    };
    this.#make = (part) => new Stage(sys, base, backend, `${backend.name}-${name}${part}`.replaceAll(' ', '-'), plan);
  }

  /** Puts the cases on disk and mounts. */
  async begin(names: readonly string[]): Promise<void> {
    const shared = this.group.own ? null : this.#make('');
    for (const name of names) {
      this.#stages.set(name, shared ?? this.#make(`-${this.slugOf(name)}`));
    }
    const sets = (of: readonly string[]): LayerSet[] =>
      of.map((name) => layersOf(this.group.cases[name], this.slugOf(name)));
    if (shared !== null) {
      shared.plant(GROUP, sets(names));
      await shared.settle();
      await shared.mount();
      return;
    }
    for (const name of names) {
      this.stage(name).plant(GROUP, sets([name]));
      await this.stage(name).mount();
    }
  }

  stage(name: string): Stage {
    const stage = this.#stages.get(name);
    if (stage === undefined) {
      throw new Error(`${name} is not planted`);
    }
    return stage;
  }

  async end(): Promise<void> {
    for (const stage of new Set(this.#stages.values())) {
      await stage.close();
    }
  }

  upperPath(name: string): ByteString {
    return this.stage(name).upperPath(`${GROUP}/${this.slugOf(name)}`);
  }
}

function lacks(test: OverlayCase, backend: Backend, base: BaseDir): string | null {
  return lacking(test, [test.upper ?? null, ...test.lowers], backend.name, base);
}

/** The names of the cases that have here what they need. */
export function playableCases(group: OverlayGroup, backend: Backend, base: BaseDir): string[] {
  return Object.keys(group.cases).filter((name) => lacks(group.cases[name], backend, base) === null);
}

/** Registers every case of `groups`. @returns the plays by group, whose layers stay until `base` closes. */
export function describeOverlay(
  sys: Sys,
  base: BaseDir,
  backend: Backend,
  groups: Readonly<Record<string, OverlayGroup>>,
): Map<string, OverlayPlay> {
  const plays = new Map<string, OverlayPlay>();
  for (const [groupName, group] of Object.entries(groups)) {
    const play = new OverlayPlay(sys, base, backend, groupName, group);
    plays.set(groupName, play);
    describe(groupName, () => {
      beforeAll(() => play.begin(playableCases(group, backend, base)), 60_000);
      afterAll(() => play.end(), 60_000);
      for (const [name, test] of Object.entries(group.cases)) {
        it(name, async (context) => {
          const reason = lacks(test, backend, base);
          if (reason !== null) {
            context.skip(reason);
          }
          await orSkip(context, () => playOverlay(sys, play.stage(name), backend, play.slugOf(name), test));
        });
      }
    });
  }
  return plays;
}
