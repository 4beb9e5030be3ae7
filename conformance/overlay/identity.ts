/** Inode and link numbers of a union, and the order of its listings. */
import * as c from 'stratafs/internal/sys/constants';
import { list, lstat, names, open, stat, writeFile } from '../calls.ts';
import { equal, ok, truly } from '../expect.ts';
import type { OverlayCases } from '../overlay-case.ts';
import type { Door } from '../target.ts';
import { dir, fifo, file, symlink, type Tree, whiteout } from '../tree.ts';

/** A way to change each of `d/*` that copies it up. */
const touch: Readonly<Record<string, (m: Door) => void>> = {
  'd/f': (m) => writeFile(m, 'd/f', 'changed'),
  'd/sub': (m) => ok(m.chmod('d/sub', 0o700)),
  'd/l': (m) => ok(m.lutimens('d/l', [1, 1], [2, 2])),
  'd/p': (m) => ok(m.chmod('d/p', 0o600)),
  d: (m) => ok(m.chmod('d', 0o700)),
};

const things: Tree = { d: dir({ f: file('f'), sub: dir({ x: file() }), l: symlink('f'), p: fifo() }) };

function inodes(m: Door): Record<string, bigint> {
  return Object.fromEntries(Object.keys(touch).map((path) => [path, lstat(m, path).ino]));
}

function fileCount(prefix: string, count: number): Tree {
  return Object.fromEntries(Array.from({ length: count }, (_, i) => [`${prefix}${i}`, file()]));
}

export const identityCases: OverlayCases = {
  'inode numbers survive copy-up, rename and remount': {
    lowers: [things],
    needs: ['handles'],
    async run(m, t) {
      const before = inodes(m);
      equal(new Set(Object.values(before)).size, 5, 'different numbers');
      for (const act of Object.values(touch)) {
        act(m);
      }
      equal(inodes(m), before);
      m = await t.remount();
      equal(inodes(m), before);
      ok(m.rename('d/f', 'd/moved'));
      equal(lstat(m, 'd/moved').ino, before['d/f']);
      m = await t.remount();
      equal(lstat(m, 'd/moved').ino, before['d/f']);
    },
  },
  'd_ino and st_ino agree before and after copy-up, and after a remount': {
    lowers: [things],
    async run(m, t) {
      const agree = (): void => {
        for (const entry of list(m, 'd')) {
          const expected = entry.name === '..' ? stat(m, 'd/..') : lstat(m, `d/${entry.name}`);
          equal(entry.ino, expected.ino, `inode number of ${entry.name}`);
        }
      };
      agree();
      for (const act of Object.values(touch)) {
        act(m);
      }
      writeFile(m, 'd/new', '');
      agree();
      m = await t.remount();
      agree();
    },
  },
  'all of the tree is one device': {
    lowers: [{ a: file(), d: dir() }, { b: file() }],
    upper: { c: file() },
    run(m) {
      const devs = ['.', 'a', 'b', 'c', 'd'].map((path) => lstat(m, path).dev);
      equal(new Set(devs).size, 1, 'devices');
    },
  },
  'a merged directory has one link, a pure one counts its subdirectories': {
    lowers: [{ merged: dir({ a: dir() }), lower: dir({ a: dir(), b: dir() }) }],
    upper: { merged: dir({ b: dir() }), pure: dir({ a: dir(), b: dir() }) },
    run(m) {
      equal(lstat(m, 'merged').nlink, 1);
      equal(lstat(m, 'pure').nlink, 4);
      equal(lstat(m, 'lower').nlink, 4);
      ok(m.chmod('lower', 0o700));
      equal(lstat(m, 'lower').nlink, 1);
    },
  },
  'a listing has each name once, of the type of the topmost': {
    lowers: [
      { both: file(), x: dir(), only1: file() },
      { both: dir(), x: file(), only2: fifo() },
      { both: symlink('x'), x: symlink('y'), only3: symlink('z') },
    ],
    upper: { both: fifo(), own: dir() },
    run(m) {
      const found = list(m, '.');
      equal(
        found
          .filter((entry) => !entry.name.startsWith('.'))
          .map((entry) => [entry.name, entry.type])
          .sort(),
        [
          ['both', c.DT_FIFO],
          ['only1', c.DT_REG],
          ['only2', c.DT_FIFO],
          ['only3', c.DT_LNK],
          ['own', c.DT_DIR],
          ['x', c.DT_DIR],
        ],
      );
      equal(found.filter((entry) => entry.name === '.' || entry.name === '..').length, 2);
    },
  },
  'a listing names the lower first and the upper last, so that new names come at the end': {
    lowers: [{ d: dir(fileCount('lower', 5)) }],
    upper: { d: dir(fileCount('upper', 5)) },
    run(m) {
      const order = list(m, 'd')
        .map((entry) => entry.name.replace(/\d+$/, ''))
        .filter((name) => !name.startsWith('.'));
      equal(order, [...Array(5).fill('lower'), ...Array(5).fill('upper')]);
    },
  },
  'a listing of a merged directory gives positions that a second one can use': {
    lowers: [{ d: dir(fileCount('lower', 30)) }],
    upper: { d: dir({ ...fileCount('upper', 30), lower3: whiteout }) },
    run(m) {
      const all = list(m, 'd');
      equal(all.length, 61);
      const fd = open(m, 'd', c.O_RDONLY | c.O_DIRECTORY);
      for (const at of [3, 20, 59]) {
        ok(m.seekdir(fd, all[at].off));
        const rest = ok(m.getdents(fd)) as typeof all;
        equal(rest[0].name, all[at + 1].name, `after entry ${at}`);
      }
    },
  },
  'listings of 3 layers with 700 names each, half of them shared': {
    lowers: [{ d: dir(fileCount('n', 700)) }, { d: dir({ ...fileCount('n', 350), ...fileCount('m', 350) }) }],
    upper: { d: dir({ ...fileCount('m', 200), ...fileCount('o', 500), n0: whiteout, m349: whiteout }) },
    run(m) {
      const found = names(m, 'd');
      equal(found.length, 700 + 350 + 500 - 2);
      equal(new Set(found).size, found.length);
      truly(!found.includes('n0') && !found.includes('m349'), 'whiteouts are hidden');
    },
  },
};

/** On layers that no overlay has mounted before. */
export const firstLookupCases: OverlayCases = {
  'the first lookup of a directory in both layers writes its origin, and its parent becomes impure': {
    lowers: [{ d: dir({ b: file(), sub: dir({ x: file() }) }) }],
    upper: { d: dir({ a: file(), sub: dir() }), pure: dir() },
    async run(m, t) {
      const ino = lstat(m, 'd').ino;
      equal(ino, lstat(t.lower(0), 'd').ino, 'the number is that of the lower');
      truly(t.marked('d', 'origin') !== null, 'the directory has an origin');
      equal(t.marked('.', 'impure'), 'y');
      equal(t.marked('pure', 'origin'), null);
      ok(m.lstat('d/sub'));
      truly(t.marked('d/sub', 'origin') !== null, 'the directory below has an origin');
      equal(t.marked('d', 'impure'), 'y');
      m = await t.remount();
      equal(lstat(m, 'd').ino, ino);
      equal(names(m, 'd'), ['a', 'b', 'sub']);
    },
  },
  'an origin of another type is none': {
    lowers: [{ f: file('f'), p: fifo(), q: fifo() }],
    needs: ['handles'],
    async run(m, t) {
      for (const name of ['f', 'p', 'q']) ok(m.chmod(name, 0o600));
      const { ino } = lstat(m, 'f');
      await t.unmount();
      const origin = Buffer.from(t.marked('f', 'origin') ?? '', 'latin1');
      ok(t.upper().lsetxattr('p', t.mark('origin'), origin));
      m = await t.remount();
      equal(lstat(m, 'f').ino, ino);
      equal(lstat(m, 'p').ino, lstat(t.upper(), 'p').ino);
      equal(lstat(m, 'q').ino, lstat(t.lower(0), 'q').ino);
    },
  },
};
