/** getdents64: completeness, types, inode numbers, positions, and listings during changes. */

import type { ByteString } from 'stratafs/internal/sys/bytes';
import * as c from 'stratafs/internal/sys/constants';
import * as e from 'stratafs/internal/sys/errno';
import { dirents, list, lstat, names, open, stat, writeFile } from '../calls.ts';
import { equal, fails, ok, truly } from '../expect.ts';
import type { Cases, Dirent, Scene } from '../target.ts';
import { chr, dir, fifo, file, type Node, socket, symlink, type Tree } from '../tree.ts';

function many(count: number, node: Node = file()): Tree {
  return Object.fromEntries(Array.from({ length: count }, (_, i) => [`entry-${String(i).padStart(5, '0')}`, node]));
}

function without(entries: readonly Dirent[]): string[] {
  return entries.map((entry) => entry.name).filter((name) => name !== '.' && name !== '..');
}

function openDir(t: Scene, path: string): number {
  return open(t, path, c.O_RDONLY | c.O_DIRECTORY);
}

/** One of `.` and `..`, each name once. */
function complete(entries: readonly Dirent[], expected: readonly string[]): void {
  equal(entries.map((entry) => entry.name).sort(), ['.', '..', ...expected].sort(), 'names');
}

export const readdirCases: Cases = {
  'readdir of an empty directory gives . and ..': {
    tree: { d: dir() },
    run(t) {
      complete(list(t, 'd'), []);
    },
  },
  'readdir gives every type without a stat': {
    tree: { f: file('f'), d: dir(), l: symlink('f'), p: fifo(), s: socket() },
    run(t) {
      const types = Object.fromEntries(list(t, '.').map((entry) => [entry.name, entry.type]));
      equal(types, {
        '.': c.DT_DIR,
        '..': c.DT_DIR,
        f: c.DT_REG,
        d: c.DT_DIR,
        l: c.DT_LNK,
        p: c.DT_FIFO,
        s: c.DT_SOCK,
      });
    },
  },
  'readdir shows devices as such': {
    tree: { dev: chr(0x103) },
    needs: ['root'],
    run(t) {
      equal(list(t, '.').find((entry) => entry.name === 'dev')?.type, c.DT_CHR);
      ok(t.mknod('new', c.S_IFBLK | 0o600, 0x103));
      equal(list(t, '.').find((entry) => entry.name === 'new')?.type, c.DT_BLK);
    },
  },
  'readdir and lstat agree on inode numbers': {
    tree: { f: file('f'), d: dir({ sub: dir(), g: file('g') }), l: symlink('f'), p: fifo() },
    run(t) {
      const agree = (path: string): void => {
        for (const entry of list(t, path)) {
          const expected = entry.name === '..' ? stat(t, `${path}/..`) : lstat(t, `${path}/${entry.name}`);
          equal(entry.ino, expected.ino, `inode number of ${entry.name} in ${path}`);
        }
      };
      // Hand-made layers have no origins: the kernel finds an upper directory's number at its first lookup.
      ok(t.lstat('d/sub'));
      agree('.');
      agree('d');
      ok(t.chmod('f', 0o600));
      ok(t.chmod('d/g', 0o600));
      ok(t.lchown('l', -1, -1));
      writeFile(t, 'd/new', 'x');
      ok(t.rename('f', 'd/moved'));
      agree('.');
      agree('d');
    },
  },
  'readdir of 5000 entries is complete, whatever the buffer': {
    tree: { d: dir(many(5000)) },
    positions: ['plain', 'upper', 'lower', 'merged'],
    run(t) {
      const expected = Object.keys(many(5000));
      complete(list(t, 'd'), expected);
      complete(list(t, 'd', 1024), expected);
      complete(list(t, 'd', 1 << 20), expected);
    },
  },
  'readdir with a buffer that no entry fits in gives EINVAL': {
    tree: { d: dir({ ['x'.repeat(100)]: file() }) },
    needs: ['vfs'],
    run(t) {
      equal(t.getdents(openDir(t, 'd'), 16), -e.EINVAL);
    },
  },
  'readdir with a buffer for one entry at a time': {
    tree: { d: dir(many(40)) },
    run(t) {
      complete(list(t, 'd', 48), Object.keys(many(40)));
    },
  },
  'readdir after the end goes on giving nothing': {
    tree: { d: dir(many(3)) },
    run(t) {
      const fd = openDir(t, 'd');
      dirents(t, fd);
      equal(t.getdents(fd), []);
      equal(t.getdents(fd), []);
    },
  },
  'readdir: positions are unique and none is 0': {
    tree: { d: dir(many(300)) },
    run(t) {
      const offs = list(t, 'd').map((entry) => entry.off);
      equal(new Set(offs).size, 302, 'different positions');
      truly(!offs.includes(0n), 'no entry ends at 0');
    },
  },
  'seekdir to 0 starts anew': {
    tree: { d: dir(many(50)) },
    run(t) {
      const fd = openDir(t, 'd');
      ok(t.getdents(fd, 512));
      ok(t.seekdir(fd, 0n));
      complete(dirents(t, fd), Object.keys(many(50)));
      ok(t.seekdir(fd, 0n));
      complete(dirents(t, fd, 300), Object.keys(many(50)));
    },
  },
  'seekdir to any position gives the entries after it': {
    tree: { d: dir(many(60)) },
    run(t) {
      const fd = openDir(t, 'd');
      const all = dirents(t, fd);
      for (const at of [0, 1, 2, 17, 40, 60, 61]) {
        ok(t.seekdir(fd, all[at].off));
        equal(without(dirents(t, fd, 256)), without(all.slice(at + 1)), `after entry ${at}`);
      }
    },
  },
  'a listing taken in turns by two descriptors': {
    tree: { d: dir(many(100)) },
    run(t) {
      const a = openDir(t, 'd');
      const b = openDir(t, 'd');
      const fromA = ok<Dirent[]>(t.getdents(a, 1024) as Dirent[]);
      const fromB = dirents(t, b, 512);
      fromA.push(...dirents(t, a, 2048));
      complete(fromA, Object.keys(many(100)));
      complete(fromB, Object.keys(many(100)));
    },
  },
  'a listing while entries are removed has all others, once': {
    tree: { d: dir(many(400)) },
    run(t) {
      const fd = openDir(t, 'd');
      const seen = ok<Dirent[]>(t.getdents(fd, 2048) as Dirent[]);
      const removed = new Set<string>();
      for (let i = 0; i < 400; i += 3) {
        const name = `entry-${String(i).padStart(5, '0')}`;
        ok(t.unlink(`d/${name}`));
        removed.add(name);
      }
      seen.push(...dirents(t, fd, 2048));
      const found = without(seen);
      equal(new Set(found).size, found.length, 'no name twice');
      equal(
        found.filter((name) => !removed.has(name)).sort(),
        Object.keys(many(400)).filter((name) => !removed.has(name)),
      );
      equal(
        names(t, 'd'),
        Object.keys(many(400)).filter((name) => !removed.has(name)),
      );
    },
  },
  'a listing while entries are made has all that were there, once': {
    tree: { d: dir(many(300)) },
    run(t) {
      const fd = openDir(t, 'd');
      const seen = ok<Dirent[]>(t.getdents(fd, 2048) as Dirent[]);
      for (let i = 0; i < 100; i++) {
        writeFile(t, `d/made-${i}`, '');
      }
      seen.push(...dirents(t, fd, 2048));
      const found = without(seen);
      equal(new Set(found).size, found.length, 'no name twice');
      equal(found.filter((name) => name.startsWith('entry')).sort(), Object.keys(many(300)));
      equal(names(t, 'd').length, 400);
    },
  },
  'a listing in parts, with changes and whole listings by others between, has all that stayed, once': {
    tree: { d: dir(many(300)) },
    run(t) {
      equal(names(t, 'd').length, 300);
      const fd = openDir(t, 'd');
      const seen = ok<Dirent[]>(t.getdents(fd, 2048) as Dirent[]);
      const removed = new Set<string>();
      for (let i = 0; i < 300; i += 5) {
        const name = `entry-${String(i).padStart(5, '0')}`;
        ok(t.unlink(`d/${name}`));
        removed.add(name);
        writeFile(t, `d/made-${i}`, '');
      }
      equal(names(t, 'd').length, 300);
      seen.push(...dirents(t, fd, 2048));
      const found = without(seen);
      equal(new Set(found).size, found.length, 'no name twice');
      equal(
        found.filter((name) => name.startsWith('entry') && !removed.has(name)).sort(),
        Object.keys(many(300)).filter((name) => !removed.has(name)),
      );
    },
  },
  'rm -r by a listing that goes on while its entries go': {
    tree: { d: dir(many(500)) },
    run(t) {
      const fd = openDir(t, 'd');
      let gone = 0;
      for (;;) {
        const batch = ok<Dirent[]>(t.getdents(fd, 1024) as Dirent[]);
        if (batch.length === 0) {
          break;
        }
        for (const name of without(batch)) {
          ok(t.unlink(`d/${name}`));
          gone++;
        }
      }
      equal(gone, 500);
      ok(t.rmdir('d'));
      fails(e.ENOENT, t.lstat('d'));
    },
  },
  'a rewound listing shows what was made and removed meanwhile': {
    tree: { d: dir({ a: file(), b: file(), z: dir({ q: file() }) }) },
    run(t) {
      const fd = openDir(t, 'd');
      complete(dirents(t, fd), ['a', 'b', 'z']);
      writeFile(t, 'd/new', '');
      ok(t.unlink('d/a'));
      ok(t.rename('d/b', 'd/moved'));
      ok(t.mkdir('d/new2'));
      ok(t.seekdir(fd, 0n));
      complete(dirents(t, fd), ['moved', 'new', 'new2', 'z']);
    },
  },
  '.. is the parent after a directory has moved, by rename and by exchange': {
    tree: { g: dir() },
    run(t) {
      const parent = (path: ByteString): bigint => list(t, path).find(({ name }) => name === '..')!.ino;
      for (const path of ['a', 'b', 'a/s', 'a/x', 'b/y']) ok(t.mkdir(path));
      equal(parent('a/s'), lstat(t, 'a').ino);
      ok(t.rename('a/s', 'b/s'));
      equal(parent('b/s'), lstat(t, 'b').ino);
      equal([parent('a/x'), parent('b/y')], [lstat(t, 'a').ino, lstat(t, 'b').ino]);
      ok(t.rename('a/x', 'b/y', c.RENAME_EXCHANGE));
      equal([parent('a/x'), parent('b/y')], [lstat(t, 'a').ino, lstat(t, 'b').ino]);
    },
  },
  'a listing opened after each change shows it': {
    tree: { d: dir({ a: file() }) },
    run(t) {
      for (const name of ['new', 'new2', 'new3']) {
        writeFile(t, `d/${name}`, '');
        truly(names(t, 'd').includes(name), `${name} is listed`);
      }
      ok(t.link('d/a', 'd/moved'));
      ok(t.symlink('a', 'd/moved2'));
      equal(names(t, 'd'), ['a', 'moved', 'moved2', 'new', 'new2', 'new3']);
      ok(t.unlink('d/new2'));
      equal(names(t, 'd'), ['a', 'moved', 'moved2', 'new', 'new3']);
    },
  },
  'a directory that is listed keeps its listing through chmod and chown': {
    tree: { d: dir(many(20)) },
    run(t) {
      ok(t.chmod('d', 0o700));
      ok(t.lchown('d', -1, -1));
      complete(list(t, 'd'), Object.keys(many(20)));
    },
  },
  'lseek tells the position that the last entry carried': {
    tree: { d: dir(many(10)) },
    run(t) {
      const fd = openDir(t, 'd');
      const all = dirents(t, fd);
      equal(t.telldir(fd), all[all.length - 1].off);
    },
  },
};
