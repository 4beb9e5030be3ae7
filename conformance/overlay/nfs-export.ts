/** nfs_export=on: everything that is copied up has an entry in the index, and a deletion leaves a whiteout there. */
import type { ByteString } from 'stratafs/internal/sys/bytes';
import * as c from 'stratafs/internal/sys/constants';
import * as e from 'stratafs/internal/sys/errno';
import { appendFile, list, lstat, names, readFile } from '../calls.ts';
import { bytesAre, equal, fails, ok, truly } from '../expect.ts';
import { isWhiteout, type OverlayCases, type Union } from '../overlay-case.ts';
import { dir, fifo, file, hardlink, symlink, type Tree } from '../tree.ts';

const things: Tree = {
  f: file('file'),
  g: hardlink('f'),
  one: file('one'),
  l: symlink('f'),
  p: fifo(),
  d: dir({ x: file('x'), sub: dir({}) }),
  e: dir({}),
};

/** What the index holds, by the upper's names: `whiteout`, a directory's entry, or a link of the file. */
function entries(t: Union): ByteString[] {
  return names(t.work(), 'index').filter((name) => !name.startsWith('#'));
}

function entryOf(t: Union, path: ByteString): ByteString {
  return Buffer.from(t.marked(path, 'origin') ?? '', 'latin1').toString('hex');
}

function kinds(t: Union): ByteString[] {
  const work = t.work();
  return entries(t)
    .map((name) => (isWhiteout(work, `index/${name}`) ? 'whiteout' : String(lstat(work, `index/${name}`).type)))
    .sort();
}

export const nfsExportCases: OverlayCases = {
  'whatever is copied up has an entry': {
    lowers: [things],
    run(m, t) {
      for (const path of ['one', 'l', 'p', 'd/sub']) ok(m.lutimens(path, [1, 1], [2, 2]));
      // … and `d`, and the directory of the case with its parent.
      equal(entries(t).length, 7);
      for (const path of ['one', 'l', 'p', 'd', 'd/sub']) {
        truly(entries(t).includes(entryOf(t, path)), `an entry for ${path}`);
        truly((t.marked(path, 'nlink') === 'U-1') === !path.startsWith('d'), `overlay.nlink of ${path}`);
      }
      const entry = `index/${entryOf(t, 'd')}`;
      equal(names(t.work(), entry), []);
      equal(lstat(t.work(), entry).mode & 0o7777, 0);
      truly(t.work().lgetxattr(entry, t.mark('upper')) instanceof Buffer, 'overlay.upper on it');
      truly(t.marked('d/sub', 'upper') === null, 'not on the upper itself');
    },
  },
  'what is new has none': {
    lowers: [things],
    run(m, t) {
      ok(m.mkdir('new'));
      ok(m.symlink('x', 'new/l'));
      equal(entries(t).length, 2);
    },
  },
  'a deletion leaves a whiteout in the place of the entry': {
    lowers: [things],
    async run(m, t) {
      ok(m.unlink('one'));
      ok(m.rmdir('e'));
      ok(m.rmdir('d/sub'));
      const wanted = ['whiteout', 'whiteout', 'whiteout', ...Array(3).fill(String(c.S_IFDIR))].sort();
      equal(kinds(t), wanted);
      m = await t.remount();
      equal(kinds(t), wanted);
      equal(names(m, '.'), ['d', 'f', 'g', 'l', 'p']);
    },
  },
  'a rename over something lower leaves one, too': {
    lowers: [things],
    run(m, t) {
      ok(m.mkdir('new'));
      ok(m.rename('new', 'e'));
      ok(m.rename('l', 'one'));
      equal(kinds(t).filter((kind) => kind === 'whiteout').length, 2);
    },
  },
  'numbers, links and content stay over remounts': {
    lowers: [things],
    async run(m, t) {
      const paths = ['g', 'f', 'one', 'l', 'p', 'd', 'd/x', 'd/sub', 'e'];
      const numbers = (): bigint[] => paths.map((path) => lstat(m, path).ino);
      const before = numbers();
      appendFile(m, 'f', '!');
      appendFile(m, 'd/x', '!');
      ok(m.chmod('e', 0o700));
      equal(numbers(), before);
      m = await t.remount();
      equal(numbers(), before);
      bytesAre(readFile(m, 'g'), 'file!');
      equal(lstat(m, 'g').nlink, 2);
      for (const { name, ino } of list(m, '.')) if (name !== '..') equal(ino, lstat(m, name).ino);
      ok(m.rename('d', 'moved'));
      m = await t.remount();
      equal(lstat(m, 'moved').ino, before[5]);
      equal(names(m, 'moved'), ['sub', 'x']);
    },
  },
  'a file with one name shows one link, over remounts too': {
    lowers: [things],
    async run(m, t) {
      appendFile(m, 'one', '!');
      equal(lstat(m, 'one').nlink, 1);
      m = await t.remount();
      // The kernel counts the entry.
      equal(lstat(m, 'one').nlink, t.ours ? 1 : 2);
    },
  },
  'an entry of a directory that is gone becomes a whiteout': {
    lowers: [things],
    async run(m, t) {
      ok(m.chmod('e', 0o700));
      const entry = entryOf(t, 'e');
      await t.unmount();
      ok(t.upper().rmdir('e'));
      ok(t.upper().mknod('e', c.S_IFCHR, 0));
      await t.remount();
      truly(isWhiteout(t.work(), `index/${entry}`), 'a whiteout');
    },
  },
  'an entry of a directory without a handle is removed': {
    lowers: [things],
    async run(m, t) {
      ok(m.chmod('e', 0o700));
      const entry = entryOf(t, 'e');
      await t.unmount();
      ok(t.work().lremovexattr(`index/${entry}`, t.mark('upper')));
      await t.remount();
      truly(!entries(t).includes(entry), 'removed');
    },
  },
  'an upper directory merges with its origin only': {
    lowers: [things],
    async run(m, t) {
      ok(m.chmod('d', 0o700));
      ok(m.chmod('e', 0o700));
      await t.unmount();
      const value = ok<Buffer>(t.upper().lgetxattr('e', t.mark('origin')) as Buffer);
      ok(t.upper().lsetxattr('d', t.mark('origin'), value));
      m = await t.remount();
      equal(names(m, 'd'), []);
    },
  },
  'two upper directories of one lower are EIO': {
    lowers: [things],
    async run(m, t) {
      ok(m.rename('d', 'moved'));
      await t.unmount();
      ok(t.upper().mkdir('twin'));
      for (const mark of ['origin', 'redirect']) {
        const value = ok<Buffer>(t.upper().lgetxattr('moved', t.mark(mark)) as Buffer);
        ok(t.upper().lsetxattr('twin', t.mark(mark), value));
      }
      m = await t.remount();
      equal(names(m, 'moved'), ['sub', 'x']);
      fails(e.EIO, m.lstat('twin'));
    },
  },
  'a lower directory whose copy was moved is EIO where its whiteout is missing': {
    lowers: [things],
    async run(m, t) {
      ok(m.rename('d', 'moved'));
      await t.unmount();
      ok(t.upper().unlink('d'));
      m = await t.remount();
      equal(names(m, 'moved'), ['sub', 'x']);
      fails(e.EIO, m.lstat('d'));
    },
  },
};
