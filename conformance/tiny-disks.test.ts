/**
 * An upper on a filesystem that is full, out of inodes, over its quota, or read-only all of a sudden:
 * every change fails with the errno that the kernel's overlay answers, leaves upper and workdir as the
 * kernel does, and the merged tree as it was; when there is room again everything goes on.
 */
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  ftruncateSync,
  openSync as openFile,
  readdirSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { type ByteString, toText } from 'stratafs/internal/sys/bytes';
import * as c from 'stratafs/internal/sys/constants';
import { errnoName } from 'stratafs/internal/sys/errno';
import { openSys } from 'stratafs/internal/sys/sys-koffi';
import { afterAll, describe, expect, it } from 'vitest';
import type { Backend, OpenDoor } from './backend.ts';
import { openBaseDir } from './base-dir.ts';
import { readFile } from './calls.ts';
import { check } from './expect.ts';
import { loopUnavailable, mountLoop } from './power-cut/image.ts';
import { differences, sealed, snapshotTree } from './snapshot.ts';
import { fuse } from './targets/fuse.ts';
import { inProcess } from './targets/in-process.ts';
import { kernel } from './targets/kernel.ts';
import { dir, file, plant } from './tree.ts';
import { runBegan, upperDifferences } from './uppers.ts';

const sys = openSys();
const base = openBaseDir(sys);
afterAll(() => base.close(), 60_000);

const MiB = 1 << 20;
const big = Buffer.alloc(4 * MiB, 'more than there is room for; ');

interface Disk {
  /** What a copy-up answers then. */
  errno: string;
  /** Mounts it at `at`. */
  make(at: string): void;
  /** Takes away what there is. */
  fill(at: string): void;
  /** And gives it back. */
  free(at: string): void;
  loop: boolean;
}

function formatted(at: string, fstype: string, size: number, ...mkfs: string[]): void {
  const image = `${at}.image`;
  const fd = openFile(image, 'w');
  ftruncateSync(fd, size);
  closeSync(fd);
  execFileSync(`mkfs.${fstype}`, [...mkfs, image], { stdio: 'ignore' });
  check(mountLoop(sys, image, at, fstype, ''), `mount ${fstype}`);
}

const tmpfs = (options: string) => (at: string) =>
  check(sys.mount('tiny', at, 'tmpfs', 0, `mode=0755,${options}`), 'mount tmpfs');

/** Writes until no byte more is taken. */
function fillBytes(at: string): void {
  const fd = openFile(`${at}/ballast`, 'w');
  for (let size = MiB; size >= 1024; ) {
    try {
      writeSync(fd, Buffer.alloc(size, 'ballast'));
    } catch {
      size >>= 1;
    }
  }
  sys.fsync(fd);
  closeSync(fd);
}

function fillInodes(at: string): void {
  for (let i = 0; ; i++) {
    try {
      writeFileSync(`${at}/ballast-${i}`, '');
    } catch {
      return;
    }
  }
}

function removeBallast(at: string): void {
  for (const name of readdirSync(at)) if (name.startsWith('ballast')) unlinkSync(`${at}/${name}`);
}

const remount = (at: string, flags: number): void => {
  check(sys.mount('none', at, '', c.MS_REMOUNT | flags, null), 'remount');
};

const disks: Readonly<Record<string, Disk>> = {
  'tmpfs without room': { errno: 'ENOSPC', make: tmpfs('size=6m'), fill: fillBytes, free: removeBallast, loop: false },
  'tmpfs without inodes': {
    errno: 'ENOSPC',
    make: tmpfs('nr_inodes=40'),
    fill: fillInodes,
    free: removeBallast,
    loop: false,
  },
  'ext4 without room': {
    errno: 'ENOSPC',
    make: (at) => formatted(at, 'ext4', 8 * MiB, '-q', '-m', '0'),
    fill: fillBytes,
    free: removeBallast,
    loop: true,
  },
  'ext4 without inodes': {
    errno: 'ENOSPC',
    make: (at) => formatted(at, 'ext4', 16 * MiB, '-q', '-m', '0', '-N', '64'),
    fill: fillInodes,
    free: removeBallast,
    loop: true,
  },
  'btrfs over its quota': {
    errno: 'EDQUOT',
    make(at) {
      formatted(at, 'btrfs', 128 * MiB, '-q');
      execFileSync('btrfs', ['quota', 'enable', at], { stdio: 'ignore' });
    },
    fill: (at) => limit(at, '1M'),
    free: (at) => limit(at, 'none'),
    loop: true,
  },
  'ext4 that became read-only': {
    errno: 'EROFS',
    make: (at) => formatted(at, 'ext4', 16 * MiB, '-q'),
    fill: (at) => remount(at, c.MS_RDONLY),
    free: (at) => remount(at, 0),
    loop: true,
  },
};

function limit(at: string, bytes: string): void {
  execFileSync('btrfs', ['qgroup', 'limit', bytes, at], { stdio: 'ignore' });
  execFileSync('btrfs', ['filesystem', 'sync', at], { stdio: 'ignore' });
}

type Change = (t: OpenDoor) => number;

const changes: Readonly<Record<string, Change>> = {
  'open for writing'(t) {
    const fd = t.open('big', c.O_WRONLY);
    if (fd >= 0) t.close(fd);
    return Math.min(0, fd);
  },
  chmod: (t) => t.chmod('dir/big', 0o600),
  truncate: (t) => t.truncate('big2', 3 * MiB),
  mkdir: (t) => t.mkdir('made', 0o755),
  create(t) {
    const fd = t.open('created', c.O_CREAT | c.O_EXCL | c.O_WRONLY, 0o644);
    if (fd >= 0) t.close(fd);
    return Math.min(0, fd);
  },
  unlink: (t) => t.unlink('small'),
  rename: (t) => t.rename('big', 'dir/big-elsewhere'),
  'rename a directory': (t) => t.rename('other', 'renamed'),
  rmdir: (t) => t.rmdir('empty'),
  link: (t) => t.link('big2', 'linked'),
  setxattr: (t) => t.setxattr('big2', 'user.some', 'value'),
};

interface Played {
  /** What each change answered: without room, and then with. */
  answers: string[];
  upperFull: ByteString;
}

const OPTIONS = ['uuid=null', 'redirect_dir=on', 'index=off', 'metacopy=off'];

async function play(backend: Backend, disk: Disk, name: string): Promise<Played & { at: string }> {
  const at = toText(base.make(name));
  const place = (part: string): string => {
    check(sys.mkdirat(c.AT_FDCWD, `${at}/${part}`, 0o755), part);
    return `${at}/${part}`;
  };
  const [lower, merged, tiny] = ['lower', 'merged', 'tiny'].map(place);
  const fd = check(sys.openat(c.AT_FDCWD, lower, c.O_RDONLY, 0), lower);
  const tree = { big: file(big), big2: file(big), small: file('small'), empty: dir(), other: dir({ a: file('a') }) };
  plant(sys, fd, { ...tree, dir: dir({ big: file(big) }) }, 'trusted.overlay.');
  sys.close(fd);
  disk.make(tiny);
  place('tiny/upper');
  place('tiny/work');
  const [upper, work] = [`${tiny}/upper`, `${tiny}/work`];
  const before = sealed(sys, lower, true);
  const view = await backend.mount(sys, { lowers: [lower], upper, work, merged, options: OPTIONS });
  if (typeof view === 'number') throw new Error(`${backend.name}: ${errnoName(view)}`);
  const answers: string[] = [];
  const upperFull = `${at}/upper-full`;
  try {
    const door = view.door('');
    const take = (when: string): void => {
      for (const [change, act] of Object.entries(changes)) {
        const result = act(door);
        answers.push(`${when} ${change}: ${result < 0 ? errnoName(result) : 'done'}`);
      }
    };
    disk.fill(tiny);
    take('without room');
    // Where the copy-up failed, the file is the lower's; and nothing is left that would need the room.
    expect(answers[0]).toBe(`without room open for writing: ${disk.errno}`);
    expect(readFile(door, 'dir/big').equals(big)).toBe(true);
    expect(readFile(door, 'big2').equals(big)).toBe(true);
    execFileSync('cp', ['-a', upper, upperFull]);
    // The index of whiteouts and the like: what stays there is of no size.
    const left = execFileSync('find', [`${work}/work`, '-mindepth', '1', '!', '-type', 'c'], { encoding: 'utf8' });
    expect(left).toBe('');
    disk.free(tiny);
    take('with room');
    door.end();
  } finally {
    await view.close();
  }
  expect(differences(before, sealed(sys, lower, true), 'the lower before', 'the lower after')).toEqual([]);
  return { answers, upperFull, at };
}

describe('an upper that takes no more', () => {
  for (const [name, disk] of Object.entries(disks)) {
    it(name, { timeout: 120_000 }, async (context) => {
      const reason = kernel.unavailable(base) ?? (disk.loop ? loopUnavailable(sys) : null);
      if (reason !== null) context.skip(reason);
      const began = runBegan();
      const slug = name.replaceAll(' ', '-');
      const oracle = await play(kernel, disk, `${slug}-kernel`);
      for (const backend of [inProcess, fuse]) {
        const ours = await play(backend, disk, `${slug}-${backend.name}`);
        expect(ours.answers).toEqual(oracle.answers);
        expect(upperDifferences(sys, oracle.upperFull, ours.upperFull, began), 'the upper without room').toEqual([]);
        const uppers = [oracle, ours].map(({ at }) => `${at}/tiny/upper`);
        expect(upperDifferences(sys, uppers[0], uppers[1], began), 'the upper at the end').toEqual([]);
        // And the kernel sees in both the same.
        const seen = [];
        for (const { at } of [oracle, ours]) {
          const [lowers, upper, work, merged] = [
            [`${at}/lower`],
            `${at}/tiny/upper`,
            `${at}/tiny/work`,
            `${at}/merged`,
          ];
          const view = await kernel.mount(sys, { lowers, upper, work, merged, options: OPTIONS });
          if (typeof view === 'number') throw new Error(errnoName(view));
          seen.push(snapshotTree(sys, merged));
          await view.close();
        }
        expect([...seen[0].keys()]).toEqual([...seen[1].keys()]);
      }
    });
  }
});
