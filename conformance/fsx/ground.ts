/**
 * Where a run plays: directories of the same few files, again and again, so that there is always
 * something that was never copied up. A round has eight directories on fresh layers.
 */
import { rmSync } from 'node:fs';
import type { ByteString } from 'stratafs/internal/sys/bytes';
import { toText } from 'stratafs/internal/sys/bytes';
import * as c from 'stratafs/internal/sys/constants';
import type { Sys } from 'stratafs/internal/sys/sys';
import type { Backend, OpenDoor } from '../backend.ts';
import type { BaseDir } from '../base-dir.ts';
import { check } from '../expect.ts';
import { differences, type Snapshot, sealed } from '../snapshot.ts';
import { Stage } from '../stage.ts';
import { kernel } from '../targets/kernel.ts';
import { SysDoor } from '../targets/sys-door.ts';
import { dir, type FileNode, hardlink, type Node, plant, sparse, type Tree } from '../tree.ts';
import { Content } from './content.ts';
import { FAR, type FileState } from './play.ts';

export const ROUND: readonly string[] = Array.from({ length: 8 }, (_, i) => `d${i}`);

export interface Ground {
  door(dir: ByteString): OpenDoor;
  /** Ends the mount and begins another on the same layers. Doors are gone before. */
  remount(): Promise<void>;
  /** The same layers as the kernel shows them; null where it has no part in this. */
  remountByKernel: (() => Promise<void>) | null;
  unmount(): Promise<void>;
  /** What of the lowers is not as it was; one sentence for each. */
  changes(): string[];
  remove(): void;
}

/** A text that says at each place where it is. */
function text(name: string, length: number, from = 0): Buffer {
  const out = Buffer.alloc(length);
  for (let pos = 0; pos < length; pos += 16) {
    out.write(`${name}@${(from + pos).toString(16)}`.padEnd(15, '-'), pos, 'latin1');
  }
  return out;
}

function whole(name: string, length: number): FileNode {
  return sparse(length, length === 0 ? [] : [[0, text(name, length)]]);
}

const huge: FileNode = sparse(FAR + 100_000, [
  [5000, text('huge', 9000)],
  [FAR - 10_000, text('huge', 20_000, FAR - 10_000)],
]);

const lower1: Tree = { big: whole('big', 200_001), blocks: whole('blocks', 65_536), meta: whole('meta', 70_000) };
const lower2: Tree = {
  small: whole('small', 100),
  empty: whole('empty', 0),
  hard1: whole('hard', 30_000),
  hard2: hardlink('hard1'),
  huge,
};
const upper: Tree = { own: whole('own', 5000) };

/** The files of one directory as they are before anything is done. `linked`: both names of a hard link are one file. */
export function beginning(linked: boolean): Map<string, FileState | null> {
  const names = new Map<string, FileState | null>([['new', null]]);
  for (const [tree, copied] of [
    [lower1, false],
    [lower2, false],
    [upper, true],
  ] as const) {
    for (const [name, node] of Object.entries(tree)) {
      if (node.type === 'hardlink' && linked) {
        names.set(name, names.get(node.to) ?? null);
      } else {
        const { extents, size } = (node.type === 'hardlink' ? tree[node.to] : node) as FileNode;
        const content = new Content(
          extents.map(([off, data]) => [off, data as Uint8Array]),
          size,
        );
        names.set(name, { label: name, content, copied });
      }
    }
  }
  return names;
}

/** A directory without an overlay: what the run itself is judged by. */
export function plainGround(sys: Sys, base: BaseDir, name: string): Ground {
  const path = base.make(name);
  const fd = check(sys.openat(c.AT_FDCWD, path, c.O_RDONLY | c.O_DIRECTORY, 0), path);
  const tree: Record<string, Node> = Object.fromEntries(
    ROUND.map((each) => [each, dir({ ...lower1, ...lower2, ...upper })]),
  );
  plant(sys, fd, tree, '');
  sys.close(fd);
  return {
    door: (each) => new SysDoor(sys, `${path}/${each}`),
    remount: async () => {},
    remountByKernel: null,
    unmount: async () => {},
    changes: () => [],
    remove: () => rmSync(toText(path), { recursive: true }),
  };
}

/** A union of two lowers and an upper; `meta` is a metacopy file of the kernel's where `options` ask for them. */
export async function unionGround(
  sys: Sys,
  base: BaseDir,
  backend: Backend,
  name: string,
  options: readonly string[],
): Promise<Ground> {
  const stage = new Stage(sys, base, backend, name, { lowers: 2, writable: true, options });
  for (const each of ROUND) {
    stage.plant(each, [{ upper, lowers: [lower1, lower2] }]);
  }
  const byKernel = kernel.unavailable(base) === null;
  if (byKernel && options.includes('metacopy=on')) {
    await stage.mount(kernel);
    for (const each of ROUND) {
      const door = stage.door(each);
      check(door.chmod('meta', 0o600), 'chmod');
      door.end();
    }
    await stage.close();
  }
  const lowers = (): Snapshot[] => stage.lowerPaths('').map((path) => sealed(sys, path, true));
  const before = lowers();
  await stage.mount();
  return {
    door: (each) => stage.door(each),
    async remount() {
      await stage.close();
      await stage.mount();
    },
    remountByKernel: byKernel
      ? async () => {
          await stage.close();
          await stage.mount(kernel);
        }
      : null,
    unmount: () => stage.close(),
    changes: () => lowers().flatMap((after, i) => differences(before[i], after, 'the lower before', 'the lower after')),
    remove: () => rmSync(toText(`${base.path}/${name}`), { recursive: true }),
  };
}
