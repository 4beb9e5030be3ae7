/**
 * Inode numbers over several filesystems, number for number as the kernel's overlay shows them:
 * the same layers are mounted by turns by the kernel and by ours, and each changes what the other
 * then has to number. Only st_dev is left out (docs/differences.md).
 */
import { spawnSync } from 'node:child_process';
import { linkSync, mkdirSync, writeFileSync } from 'node:fs';
import { type ByteString, toText } from 'stratafs/internal/sys/bytes';
import * as c from 'stratafs/internal/sys/constants';
import { ENODATA } from 'stratafs/internal/sys/errno';
import { openSys } from 'stratafs/internal/sys/sys-koffi';
import { afterAll, describe, expect, it } from 'vitest';
import type { Backend, OpenDoor, View } from './backend.ts';
import { openBaseDir } from './base-dir.ts';
import { appendFile, list, lstat, readFile, writeFile } from './calls.ts';
import { bytesAre, check, ok } from './expect.ts';
import { type ImageType, mountImage } from './image.ts';
import { fuse } from './targets/fuse.ts';
import { inProcess } from './targets/in-process.ts';
import { kernel } from './targets/kernel.ts';
import { dir, fifo, file, hardlink, plant, symlink, type Tree } from './tree.ts';

const sys = openSys();
const base = openBaseDir(sys);
afterAll(() => base.close(), 60_000);

type Place = ImageType | 'tmpfs';

/** Where each filesystem is, made when it is first asked for. */
const places = new Map<Place, { path: ByteString } | { reason: string }>();
function place(type: Place): { path: ByteString } | { reason: string } {
  const known = places.get(type);
  if (known !== undefined) {
    return known;
  }
  const made = type === 'tmpfs' ? { path: base.make('tmpfs') } : mountImage(base, type, type);
  places.set(type, made);
  return made;
}

interface Layout {
  upper: Place | null;
  lowers: readonly Place[];
}

const layouts: Readonly<Record<string, Layout>> = {
  'all on one filesystem': { upper: 'ext4', lowers: ['ext4', 'ext4'] },
  'upper on ext4, lower on tmpfs': { upper: 'ext4', lowers: ['tmpfs'] },
  'upper on tmpfs, lower on ext4': { upper: 'tmpfs', lowers: ['ext4'] },
  'upper on ext4, lowers on xfs, btrfs and ext4': { upper: 'ext4', lowers: ['xfs', 'btrfs', 'ext4'] },
  'upper on xfs, lowers on btrfs, tmpfs and ext4': { upper: 'xfs', lowers: ['btrfs', 'tmpfs', 'ext4'] },
  'no upper, lowers on xfs and btrfs': { upper: null, lowers: ['xfs', 'btrfs'] },
  'no upper, lowers on one filesystem': { upper: null, lowers: ['xfs', 'xfs'] },
};

/** What lies in lower `i`: some names of its own, some that others have too. */
function layer(i: number): Tree {
  const own = (name: string): string => `${name}${i}`;
  return {
    [own('file')]: file('text'),
    [own('dir')]: dir({ file: file(), sub: dir({ x: file() }) }),
    [own('link')]: symlink('target'),
    [own('fifo')]: fifo(),
    [own('hard')]: file('hard'),
    [own('hard-too')]: hardlink(own('hard')),
    [own('still')]: file(),
    both: dir({ [own('in')]: file(), shared: file(own('')), sub: dir({ [own('deep')]: file() }) }),
  };
}

/** st_ino, st_nlink and d_ino of everything, by path. */
function numbers(door: OpenDoor): Record<string, string> {
  const out: Record<string, string> = {};
  const visit = (path: string): void => {
    for (const entry of list(door, path).sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const at = `${path}/${entry.name}`;
      // The kernel's listing of a merged directory has the number that `..` has in the lower.
      if (entry.name === '..') {
        continue;
      }
      const st = lstat(door, at);
      out[at] = `ino ${st.ino.toString(16)}, d_ino ${entry.ino.toString(16)}, ${st.nlink} links`;
      if (st.type === c.S_IFDIR && entry.name !== '.') {
        visit(at);
      }
    }
  };
  visit('.');
  return out;
}

/** By ours, `..` is listed with the number that stat gives it, in whatever layers the directory is. */
function parentsAgree(door: OpenDoor): void {
  let parents = 0;
  const visit = (path: string): void => {
    for (const entry of list(door, path)) {
      if (entry.name === '..') {
        parents++;
        expect([path, entry.ino]).toEqual([path, lstat(door, `${path}/..`).ino]);
      } else if (entry.type === c.DT_DIR && entry.name !== '.') {
        visit(`${path}/${entry.name}`);
      }
    }
  };
  for (const { name, type } of list(door, '.')) {
    if (type === c.DT_DIR && !name.startsWith('.')) {
      visit(name);
    }
  }
  expect(parents).toBeGreaterThan(2);
}

/** Copies things up, and makes some. */
function change(door: OpenDoor, i: number): void {
  writeFile(door, `file${i}`, 'longer text');
  ok(door.chmod(`dir${i}`, 0o700));
  ok(door.chmod(`dir${i}/sub/x`, 0o600));
  ok(door.lutimens(`link${i}`, [1, 1], [2, 2]));
  ok(door.chmod(`fifo${i}`, 0o640));
  ok(door.chmod(`hard${i}`, 0o640));
  ok(door.chmod('both/shared', 0o640));
  ok(door.mkdir(`new${i}`));
  writeFile(door, `new${i}/file`, 'new');
}

/** Moves things to other names, with and without a copy-up before. */
function move(door: OpenDoor, i: number): void {
  ok(door.rename(`file${i}`, `dir${i}/moved`));
  ok(door.rename(`still${i}`, `still-moved${i}`));
  ok(door.rename(`dir${i}`, `both/dir${i}`));
  ok(door.link(`fifo${i}`, `fifo-too${i}`));
  ok(door.link(`both/in${i}`, `in-too${i}`));
  ok(door.unlink(`hard-too${i}`));
}

interface Layers {
  upper: ByteString | null;
  work: ByteString;
  lowers: readonly ByteString[];
  merged: ByteString;
}

let count = 0;

/** @returns the layers, or why there are none. */
function prepare(layout: Layout): Layers | string {
  const set = `set${count++}`;
  const make = (type: Place, name: string): ByteString => {
    const at = place(type);
    if ('reason' in at) {
      throw new Error(at.reason);
    }
    check(Math.max(0, sys.mkdirat(c.AT_FDCWD, `${at.path}/${set}`, 0o755)), set);
    const path = `${at.path}/${set}/${name}`;
    check(sys.mkdirat(c.AT_FDCWD, path, 0o755), path);
    return path;
  };
  try {
    const lowers = layout.lowers.map((type, i) => {
      const path = make(type, `lower${i}`);
      const fd = check(sys.openat(c.AT_FDCWD, path, c.O_RDONLY | c.O_DIRECTORY, 0), path);
      plant(sys, fd, layer(i), 'trusted.overlay.');
      sys.close(fd);
      return path;
    });
    const upper = layout.upper && make(layout.upper, 'upper');
    return { upper, work: layout.upper ? make(layout.upper, 'work') : '', lowers, merged: base.make(`merged${set}`) };
  } catch (error) {
    return (error as Error).message;
  }
}

async function view<T>(
  by: Backend,
  layers: Layers,
  options: readonly string[],
  look: (door: OpenDoor) => T,
): Promise<T> {
  const mounted = await by.mount(sys, { ...layers, options });
  if (typeof mounted === 'number') {
    check(mounted, `mount by ${by.name} over ${toText(layers.lowers.join(':'))}`);
  }
  const door = (mounted as View).door('');
  try {
    return look(door);
  } finally {
    door.end();
    await (mounted as View).close();
  }
}

/** The directory that a file of a lower has gone through: what a listing leaves of its mark in the upper. */
async function impureAfterListing(by: Backend, layers: Layers, xino: string): Promise<number> {
  return view(by, layers, ['redirect_dir=on', 'index=off', 'metacopy=off', `xino=${xino}`], (door) => {
    const through = `through-${by.name}-${xino}`;
    ok(door.mkdir(through));
    ok(door.rename('file0', `${through}/file0`));
    ok(door.rename(`${through}/file0`, 'file0'));
    list(door, through);
    const value = Buffer.alloc(8);
    return sys.getxattrat(c.AT_FDCWD, `${layers.upper}/${through}`, 'trusted.overlay.impure', value);
  });
}

for (const ours of [inProcess, fuse]) {
  describe(ours.name, () => {
    for (const [name, layout] of Object.entries(layouts)) {
      it(name, { timeout: 120_000 }, async (context) => {
        const layers = ours.unavailable(base) ?? kernel.unavailable(base) ?? prepare(layout);
        if (typeof layers === 'string') {
          context.skip(layers);
          return;
        }
        const options = ['redirect_dir=on', 'index=off', 'metacopy=off', 'xino=on'];
        const look = (by: Backend): Promise<Record<string, string>> => view(by, layers, options, numbers);
        const after = (by: Backend, act: (door: OpenDoor, i: number) => void): Promise<Record<string, string>> =>
          view(by, layers, options, (door) => {
            for (const i of layers.lowers.keys()) {
              act(door, i);
            }
            if (by === ours) {
              parentsAgree(door);
            }
            return numbers(door);
          });
        await view(ours, layers, options, parentsAgree);
        expect(await look(ours)).toEqual(await look(kernel));
        if (layout.upper === null) {
          return;
        }
        // By turns, so that each meets what the other has left.
        for (const [by, act] of [
          [ours, change],
          [kernel, move],
        ] as const) {
          const live = await after(by, act);
          expect(await look(by)).toEqual(live);
          expect(await look(by === ours ? kernel : ours)).toEqual(live);
        }
      });
    }

    it('takes the impure mark away where numbers depend on it', { timeout: 120_000 }, async (context) => {
      for (const lowers of [['ext4'], ['tmpfs']] as const) {
        const layers =
          ours.unavailable(base) ?? kernel.unavailable(base) ?? prepare({ upper: 'ext4', lowers: [...lowers] });
        if (typeof layers === 'string') {
          context.skip(layers);
          return;
        }
        for (const xino of ['off', 'auto', 'on']) {
          const kept = await impureAfterListing(kernel, layers, xino);
          expect(kept).toBe(xino === 'off' && lowers[0] === 'tmpfs' ? 1 : -ENODATA);
          expect([xino, await impureAfterListing(ours, layers, xino)]).toEqual([xino, kept]);
        }
      }
    });
  });
}

function makeSubvolumes(paths: readonly string[]): string | null {
  for (const path of paths) {
    const { status, error, stderr } = spawnSync('btrfs', ['-q', 'subvolume', 'create', path], { encoding: 'utf8' });
    if (status !== 0) return `btrfs: ${error?.message ?? stderr.trim()}`;
  }
  return null;
}

/** A lower of which the subvolumes `a` and `b` begin to number their inodes anew, as its own directory does. */
function subvolumes(at: ByteString): Layers | string {
  const path = toText(at);
  const reason = makeSubvolumes(['layered', 'layered/a', 'layered/b'].map((name) => `${path}/${name}`));
  if (reason !== null) return reason;
  for (const name of ['f', 'a/f', 'b/f']) writeFileSync(`${path}/layered/${name}`, name);
  for (const name of ['upper', 'work']) mkdirSync(`${path}/${name}`);
  const merged = base.make(`merged-subvolumes${count++}`);
  return { upper: `${at}/upper`, work: `${at}/work`, lowers: [`${at}/layered`], merged };
}

/** Lowers and upper on a subvolume each. */
function layersApart(at: ByteString): Layers | string {
  const path = toText(at);
  const reason = makeSubvolumes(['lower0', 'lower1', 'over'].map((name) => `${path}/${name}`));
  if (reason !== null) return reason;
  for (const i of [0, 1]) {
    writeFileSync(`${path}/lower${i}/f${i}`, `${i}`);
    linkSync(`${path}/lower${i}/f${i}`, `${path}/lower${i}/g${i}`);
    mkdirSync(`${path}/lower${i}/d`);
    writeFileSync(`${path}/lower${i}/d/in${i}`, '');
  }
  for (const name of ['over/upper', 'over/work']) mkdirSync(`${path}/${name}`);
  const merged = base.make(`merged-subvolumes${count++}`);
  return {
    upper: `${at}/over/upper`,
    work: `${at}/over/work`,
    lowers: [`${at}/lower0`, `${at}/lower1`],
    merged,
  };
}

/** @returns the layers that `plan` makes on a btrfs of its own, or why there are none. */
function onBtrfs(ours: Backend, plan: (at: ByteString) => Layers | string): Layers | string {
  const reason = ours.unavailable(base) ?? kernel.unavailable(base);
  if (reason !== null) return reason;
  const image = mountImage(base, `btrfs${count++}`, 'btrfs');
  return 'reason' in image ? image.reason : plan(image.path);
}

for (const ours of [inProcess, fuse]) {
  it(`${ours.name}: files of several subvolumes in a layer are several files`, { timeout: 60_000 }, async (context) => {
    const layers = onBtrfs(ours, subvolumes);
    if (typeof layers === 'string') {
      context.skip(layers);
      return;
    }
    const options = ['redirect_dir=on', 'index=off', 'metacopy=off', 'xino=on'];
    const names = ['f', 'a/f', 'b/f'];
    const apart = (door: OpenDoor): void => {
      const numbers = names.map((name) => lstat(door, name).ino);
      expect(new Set(numbers).size).toBe(3);
      for (const name of ['a', 'b']) {
        expect(list(door, name).find((entry) => entry.name === 'f')?.ino).toBe(lstat(door, `${name}/f`).ino);
      }
    };
    await view(ours, layers, options, (door) => {
      for (const name of names) bytesAre(readFile(door, name), name);
      apart(door);
      appendFile(door, 'a/f', '!');
      ok(door.unlink('f'));
      ok(door.rename('b/f', 'f'));
      ok(door.link('f', 'b/f'));
    });
    for (const by of [kernel, ours]) {
      await view(by, layers, options, (door) => {
        bytesAre(readFile(door, 'a/f'), 'a/f!');
        for (const name of ['f', 'b/f']) bytesAre(readFile(door, name), 'b/f');
        expect(lstat(door, 'f').nlink).toBe(2);
      });
    }
  });

  it(`${ours.name}: layers on subvolumes of one btrfs are on one filesystem`, { timeout: 60_000 }, async (context) => {
    const layers = onBtrfs(ours, layersApart);
    if (typeof layers === 'string') {
      context.skip(layers);
      return;
    }
    const options = ['redirect_dir=on', 'index=on', 'metacopy=off', 'uuid=off'];
    await view(ours, layers, options, (door) => {
      for (const i of [0, 1]) appendFile(door, `f${i}`, '!');
      expect(lstat(door, 'f0').ino).not.toBe(lstat(door, 'f1').ino);
      ok(door.rename('d', 'moved'));
    });
    for (const by of [kernel, ours]) {
      await view(by, layers, options, (door) => {
        for (const i of [0, 1]) {
          bytesAre(readFile(door, `g${i}`), `${i}!`);
          expect(lstat(door, `f${i}`).ino).toBe(lstat(door, `g${i}`).ino);
          expect(lstat(door, `moved/in${i}`).nlink).toBe(1);
        }
      });
    }
  });
}
