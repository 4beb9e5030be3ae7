/** index=on: hard links of a lower stay one file, and what the index in the work directory holds. */
import type { ByteString } from 'stratafs/internal/sys/bytes';
import * as c from 'stratafs/internal/sys/constants';
import * as e from 'stratafs/internal/sys/errno';
import { appendFile, exists, fstat, list, lstat, names, open, readAll, readFile, writeFile } from '../calls.ts';
import { bytesAre, equal, fails, modeIs, ok, truly } from '../expect.ts';
import { isWhiteout, type OverlayCases, type Union } from '../overlay-case.ts';
import type { Door } from '../target.ts';
import { dir, fifo, file, hardlink, symlink, type Tree } from '../tree.ts';

const three: Tree = { a: file('lower'), b: hardlink('a'), d: dir({}), c: hardlink('a') };

/** The entries of the index, but for what is being built there. */
function entries(t: Union): ByteString[] {
  return names(t.work(), 'index').filter((name) => !name.startsWith('#'));
}

function hex(value: ByteString | null): ByteString {
  return Buffer.from(value ?? '', 'latin1').toString('hex');
}

function sameFile(m: Door, paths: readonly ByteString[], nlink: number): void {
  const { ino } = lstat(m, paths[0]);
  for (const path of paths) {
    equal([path, lstat(m, path).ino, lstat(m, path).nlink], [path, ino, nlink]);
  }
}

/** The case's directory in the upper, on disk: hard links that a crash left without their names are made so. */
function forget(t: Union, name: ByteString): void {
  ok(t.upper().unlink(name));
  ok(t.upper().mknod(name, c.S_IFCHR, 0));
}

/** They share a mount, which the kernel and ours then change over. */
export const indexCases: OverlayCases = {
  'what is written to one name of a lower hard link is read by all, and after a remount': {
    lowers: [three],
    async run(m, t) {
      const before = lstat(m, 'a').ino;
      appendFile(m, 'a', ' changed');
      const shared = (): void => {
        sameFile(m, ['a', 'b', 'c'], 3);
        equal(lstat(m, 'b').ino, before);
        bytesAre(readFile(m, 'b'), 'lower changed');
        bytesAre(readFile(m, 'c'), 'lower changed');
      };
      shared();
      m = await t.remount();
      shared();
      appendFile(m, 'c', ' again');
      bytesAre(readFile(m, 'a'), 'lower changed again');
    },
  },
  'further links count with those of the lower': {
    lowers: [three],
    async run(m, t) {
      ok(m.link('a', 'new'));
      sameFile(m, ['a', 'new'], 4);
      equal(t.marked('new', 'nlink'), 'U+1');
      ok(m.link('new', 'd/newer'));
      sameFile(m, ['a', 'd/newer', 'b', 'c'], 5);
      m = await t.remount();
      sameFile(m, ['a', 'new', 'd/newer', 'b', 'c'], 5);
      ok(m.unlink('new'));
      sameFile(m, ['a', 'd/newer', 'b', 'c'], 4);
    },
  },
  'a name can be renamed, and replaces another file': {
    lowers: [{ ...three, other: file('other') }],
    async run(m, t) {
      ok(m.rename('b', 'd/moved'));
      sameFile(m, ['d/moved', 'a', 'c'], 3);
      ok(m.rename('c', 'other'));
      sameFile(m, ['other', 'd/moved', 'a'], 3);
      bytesAre(readFile(m, 'other'), 'lower');
      fails(e.ENOENT, m.lstat('b'));
      fails(e.ENOENT, m.lstat('c'));
      m = await t.remount();
      sameFile(m, ['a', 'd/moved', 'other'], 3);
      equal(names(m, '.'), ['a', 'd', 'other']);
    },
  },
  'a rename over a name takes one from the link count': {
    lowers: [{ ...three, other: file('other') }],
    async run(m, t) {
      ok(m.rename('other', 'b'));
      bytesAre(readFile(m, 'b'), 'other');
      equal(lstat(m, 'b').nlink, 1);
      sameFile(m, ['a', 'c'], 2);
      m = await t.remount();
      sameFile(m, ['a', 'c'], 2);
      equal(lstat(m, 'b').nlink, 1);
    },
  },
  'a rename of one name onto another does nothing': {
    lowers: [three],
    run(m) {
      ok(m.rename('a', 'b'));
      sameFile(m, ['a', 'b', 'c'], 3);
    },
  },
  'a name exchanges with another file': {
    lowers: [{ ...three, other: file('other') }],
    async run(m, t) {
      ok(m.rename('a', 'other', c.RENAME_EXCHANGE));
      bytesAre(readFile(m, 'a'), 'other');
      sameFile(m, ['other', 'b', 'c'], 3);
      m = await t.remount();
      bytesAre(readFile(m, 'a'), 'other');
      sameFile(m, ['other', 'b', 'c'], 3);
    },
  },
  'an open descriptor of one name reads what is written by another': {
    lowers: [three],
    run(m) {
      const fd = open(m, 'a', c.O_RDONLY);
      bytesAre(readAll(m, fd), 'lower');
      writeFile(m, 'b', 'through b');
      bytesAre(readAll(m, fd), 'through b');
      equal(fstat(m, fd).ino, lstat(m, 'b').ino);
      ok(m.close(fd));
    },
  },
  'symlinks and FIFOs with several names stay one, too': {
    lowers: [{ l: symlink('x'), l2: hardlink('l'), p: fifo(), p2: hardlink('p') }],
    async run(m, t) {
      ok(m.lutimens('l', [1, 1], [2, 2]));
      ok(m.chmod('p', 0o600));
      equal(lstat(m, 'l2').mtime, 2);
      equal(lstat(m, 'p2').mode & 0o777, 0o600);
      m = await t.remount();
      sameFile(m, ['l', 'l2'], 2);
      sameFile(m, ['p', 'p2'], 2);
      equal(lstat(m, 'l2').mtime, 2);
    },
  },
  'd_ino and st_ino agree for every name': {
    lowers: [three],
    async run(m, t) {
      const agree = (): void => {
        for (const entry of list(m, '.')) {
          if (entry.name !== '..') equal([entry.name, entry.ino], [entry.name, lstat(m, entry.name).ino]);
        }
      };
      ok(m.chmod('b', 0o600));
      agree();
      m = await t.remount();
      agree();
    },
  },
  'a name in a directory that only the lower has': {
    lowers: [{ a: file('lower'), d: dir({ e: dir({ x: file('x') }) }), b: hardlink('a') }],
    run(m, t) {
      ok(m.link('a', 'd/e/new'));
      equal(names(m, 'd/e'), ['new', 'x']);
      sameFile(m, ['a', 'b', 'd/e/new'], 3);
      equal(t.marked('d/e', 'impure'), 'y');
    },
  },
};

/** They look at the index as a whole. */
export const indexMountCases: OverlayCases = {
  'the entry is a link of the upper file, named by its origin': {
    lowers: [three],
    run(m, t) {
      equal(entries(t), []);
      ok(m.chmod('a', 0o600));
      equal(entries(t), [hex(t.marked('a', 'origin'))]);
      equal(lstat(t.work(), `index/${entries(t)[0]}`).ino, lstat(t.upper(), 'a').ino);
      equal(lstat(t.upper(), 'a').nlink, 2);
      equal(t.marked('a', 'nlink'), 'U+1');
      truly(!t.inUpper('b'), 'the other names are not in the upper');
    },
  },
  'a file with one link in the lower has no entry': {
    lowers: [{ f: file('one'), d: dir({}) }],
    run(m, t) {
      appendFile(m, 'f', '!');
      ok(m.chmod('d', 0o700));
      equal(entries(t), []);
      equal(t.marked('f', 'nlink'), null);
    },
  },
  'a name that goes takes one from the link count, and the last one the entry': {
    lowers: [three],
    async run(m, t) {
      ok(m.unlink('a'));
      truly(isWhiteout(t.upper(), 'a'), 'a whiteout in its place');
      equal(entries(t).length, 1);
      sameFile(m, ['b', 'c'], 2);
      m = await t.remount();
      sameFile(m, ['b', 'c'], 2);
      ok(m.unlink('b'));
      sameFile(m, ['c'], 1);
      bytesAre(readFile(m, 'c'), 'lower');
      const fd = open(m, 'c', c.O_RDWR);
      ok(m.unlink('c'));
      equal(entries(t), []);
      equal(fstat(m, fd).nlink, 0);
      ok(m.pwrite(fd, 'still', 0));
      bytesAre(readAll(m, fd), 'still');
      ok(m.close(fd));
      m = await t.remount();
      equal(names(m, '.'), ['d']);
    },
  },
  'each lower has inodes of its own': {
    lowers: [
      { a: file('top'), b: hardlink('a') },
      { c: file('low'), e: hardlink('c'), a: file('hidden') },
    ],
    async run(m, t) {
      writeFile(m, 'b', 'TOP');
      writeFile(m, 'c', 'LOW');
      equal(entries(t).length, 2);
      m = await t.remount();
      bytesAre(readFile(m, 'a'), 'TOP');
      bytesAre(readFile(m, 'e'), 'LOW');
    },
  },
  'the index and the upper say whose they are': {
    lowers: [three],
    run(m, t) {
      ok(m.mkdir('new'));
      truly(t.work().lgetxattr('index', t.mark('upper')) instanceof Buffer, 'overlay.upper on index/');
      truly(t.upper().lgetxattr('../..', t.mark('origin')) instanceof Buffer, "overlay.origin on the upper's root");
      equal(lstat(t.work(), 'index').mode & 0o7777, 0);
      equal(names(t.work(), 'work'), []);
    },
  },
  'what unfinished work left in the index is removed': {
    lowers: [three],
    async run(_m, t) {
      await t.unmount();
      writeFile(t.work(), 'index/#1', 'data');
      ok(t.work().mkdir('index/#2'));
      ok(t.work().mkdir('index/#2/in'));
      await t.remount();
      equal(names(t.work(), 'index'), []);
    },
  },
  'what in the index is too deep to be removed is left, and the mount goes on': {
    lowers: [three],
    async run(m, t) {
      await t.unmount();
      for (const path of ['index/#2', 'index/#2/a', 'index/#2/a/b', 'index/#2/a/b/c', 'index/#2/a/b/c/d']) {
        ok(t.work().mkdir(path));
      }
      m = await t.remount();
      appendFile(m, 'a', ' changed');
      sameFile(m, ['a', 'b', 'c'], 3);
      ok(t.work().rmdir('index/#2/a/b/c/d'));
    },
  },
  'what in work/ is too deep to be removed refuses the mount': {
    lowers: [three],
    async run(m, t) {
      await t.unmount();
      for (const path of ['work/#2', 'work/#2/a', 'work/#2/a/b', 'work/#2/a/b/c', 'work/#2/a/b/c/d']) {
        ok(t.work().mkdir(path));
      }
      if (t.ours) {
        equal(await t.refused(), -e.ENOTEMPTY);
        return;
      }
      m = await t.remount();
      fails(e.EROFS, m.mkdir('new'));
    },
  },
  "what lies deeper in work/ than an overlay leaves things is nobody else's to remove": {
    lowers: [three],
    async run(m, t) {
      await t.unmount();
      for (const path of ['work/a', 'work/a/b']) ok(t.work().mkdir(path));
      writeFile(t.work(), 'work/a/b/somebodys', 'data');
      if (t.ours) equal(await t.refused(), -e.ENOTEMPTY);
      else {
        m = await t.remount();
        fails(e.EROFS, m.mkdir('new'));
        await t.unmount();
      }
      bytesAre(readFile(t.work(), 'work/a/b/somebodys'), 'data');
      ok(t.work().unlink('work/a/b/somebodys'));
      m = await t.remount();
      ok(m.mkdir('new'));
    },
  },
  'what stands in the place of work/ is replaced': {
    lowers: [three],
    async run(m, t) {
      await t.unmount();
      ok(t.work().rmdir('work'));
      writeFile(t.work(), 'work', '');
      m = await t.remount();
      ok(m.mkdir('new'));
      equal(lstat(t.work(), 'work').type, c.S_IFDIR);
    },
  },
  'a copy that is not linked into the index is served, whatever stands in its place there': {
    lowers: [{ a: file('lower'), b: hardlink('a') }],
    async run(m, t) {
      writeFile(m, 'a', 'copied');
      const [entry] = entries(t);
      await t.unmount();
      ok(t.work().unlink(`index/${entry}`));
      ok(t.work().mknod(`index/${entry}`, c.S_IFCHR, 0));
      m = await t.remount();
      fails(e.EIO, m.lstat('b'));
      if (t.ours) bytesAre(readFile(m, 'a'), 'copied');
      else fails(e.EIO, m.lstat('a'));
    },
  },
  'an entry whose last name has gone is removed': {
    lowers: [{ a: file('lower'), b: hardlink('a') }],
    async run(m, t) {
      ok(m.chmod('a', 0o600));
      const [entry] = entries(t);
      await t.unmount();
      forget(t, 'a');
      ok(t.upper().mknod('b', c.S_IFCHR, 0));
      ok(t.work().lsetxattr(`index/${entry}`, t.mark('nlink'), 'U-1'));
      await t.remount();
      equal(entries(t), []);
    },
  },
  ...Object.fromEntries(
    ['nonsense', 'L-3', 'L-7', 'U-2'].map((count) => [
      `the link count ${count} says nothing, and the links of the copy count`,
      {
        lowers: [three],
        async run(m: Door, t: Union) {
          writeFile(m, 'a', 'copied');
          await t.unmount();
          ok(t.upper().lsetxattr('a', t.mark('nlink'), count));
          m = await t.remount();
          sameFile(m, ['a', 'b', 'c'], 2);
          ok(m.unlink('a'));
          m = await t.remount();
          for (const name of ['b', 'c']) bytesAre(readFile(m, name), 'copied');
        },
      },
    ]),
  ),
  'a link count that is too low ends at the names that are known': {
    lowers: [three],
    // Names that the VFS knows.
    needs: ['vfs'],
    async run(m, t) {
      writeFile(m, 'a', 'copied');
      await t.unmount();
      ok(t.upper().lsetxattr('a', t.mark('nlink'), 'U-1'));
      m = await t.remount();
      sameFile(m, ['a', 'b', 'c'], 1);
      ok(m.unlink('a'));
      sameFile(m, ['b', 'c'], 1);
      ok(m.link('b', 'new'));
      bytesAre(readFile(m, 'c'), 'copied');
      m = await t.remount();
      bytesAre(readFile(m, 'new'), 'copied');
    },
  },
  "half a byte at the end of an entry's name does not count": {
    lowers: [three],
    async run(m, t) {
      writeFile(m, 'a', 'copied');
      const [entry] = entries(t);
      await t.unmount();
      ok(t.work().rename(`index/${entry}`, `index/${entry}a`));
      m = await t.remount();
      equal(entries(t), [`${entry}a`]);
      bytesAre(readFile(m, 'a'), 'copied');
      bytesAre(readFile(m, 'b'), 'lower');
    },
  },
  'an entry that has lost its name, but not its last one, is found by the others': {
    lowers: [{ a: file('lower'), b: hardlink('a') }],
    async run(m, t) {
      writeFile(m, 'a', 'copied');
      const [entry] = entries(t);
      await t.unmount();
      ok(t.upper().unlink('a'));
      ok(t.work().lsetxattr(`index/${entry}`, t.mark('nlink'), 'L+0'));
      m = await t.remount();
      bytesAre(readFile(m, 'b'), 'copied');
      bytesAre(readFile(m, 'a'), 'copied');
      sameFile(m, ['a', 'b'], 2);
    },
  },
  'an entry that holds another origin than its name is removed': {
    lowers: [{ a: file('lower'), b: hardlink('a'), f: file('f'), g: hardlink('f') }],
    async run(m, t) {
      ok(m.chmod('a', 0o600));
      const [entry] = entries(t);
      ok(m.chmod('f', 0o600));
      const other = entries(t).filter((name) => name !== entry)[0];
      await t.unmount();
      ok(t.work().rename(`index/${entry}`, `index/${other}`));
      await t.remount();
      equal(entries(t), []);
    },
  },
  'a whiteout in the index is left alone': {
    lowers: [three],
    async run(m, t) {
      ok(m.chmod('a', 0o600));
      const [entry] = entries(t);
      await t.unmount();
      const gone = `${entry.slice(0, -2)}ff`;
      ok(t.work().mknod(`index/${gone}`, c.S_IFCHR, 0));
      await t.remount();
      equal(entries(t), [entry, gone].sort());
    },
  },
  'what is no entry of an index refuses the mount with EINVAL': {
    lowers: [three],
    async run(_m, t) {
      await t.unmount();
      writeFile(t.work(), 'index/somebodys', '');
      equal(await t.refused(), -e.EINVAL);
    },
  },
  'an entry without an origin refuses the mount with ENODATA': {
    lowers: [three],
    async run(m, t) {
      ok(m.chmod('a', 0o600));
      const [entry] = entries(t);
      await t.unmount();
      ok(t.work().lremovexattr(`index/${entry}`, t.mark('origin')));
      equal(await t.refused(), -e.ENODATA);
    },
  },
  ...Object.fromEntries(
    ['01fb1d0001', '00fb1d0801', '00fb1d0101'].map((header) => [
      `an entry with the header ${header}, of a later kernel or another machine, refuses the mount with ENODATA`,
      {
        lowers: [three],
        async run(_m: Door, t: Union) {
          await t.unmount();
          writeFile(t.work(), `index/${header}${'00'.repeat(24)}`, '');
          equal(await t.refused(), -e.ENODATA);
        },
      },
    ]),
  ),
  'an index that is a file refuses the mount with ENOTDIR': {
    lowers: [three],
    async run(_m, t) {
      await t.unmount();
      ok(t.work().rmdir('index'));
      writeFile(t.work(), 'index', '');
      equal(await t.refused(), -e.ENOTDIR);
    },
  },
  'a broken origin of the upper is written anew': {
    lowers: [three],
    async run(m, t) {
      ok(m.mkdir('new'));
      const value = ok<Buffer>(t.upper().lgetxattr('../..', t.mark('origin')) as Buffer);
      await t.unmount();
      const broken = Buffer.from(value);
      broken[2]++;
      ok(t.upper().lsetxattr('../..', t.mark('origin'), broken));
      m = await t.remount();
      equal(hex(t.marked('../..', 'origin')), value.toString('hex'));
      truly(exists(m, 'new'), 'mounted');
    },
  },
  'what follows the handle in an origin does not count': {
    lowers: [three],
    async run(m, t) {
      ok(m.mkdir('new'));
      const value = ok<Buffer>(t.upper().lgetxattr('../..', t.mark('origin')) as Buffer);
      await t.unmount();
      ok(t.upper().lsetxattr('../..', t.mark('origin'), Buffer.concat([value, Buffer.alloc(3)])));
      m = await t.remount();
      truly(exists(m, 'new'), 'mounted');
    },
  },
  'an index of another upper refuses the mount with ESTALE': {
    lowers: [three],
    async run(_m, t) {
      const value = ok<Buffer>(t.work().lgetxattr('index', t.mark('upper')) as Buffer);
      await t.unmount();
      value[value.length - 1] ^= 1;
      ok(t.work().lsetxattr('index', t.mark('upper'), value));
      equal(await t.refused(), -e.ESTALE);
    },
  },
  'an upper of another lower refuses the mount with ESTALE': {
    lowers: [three],
    async run(m, t) {
      ok(m.mkdir('new'));
      const value = ok<Buffer>(t.upper().lgetxattr('../..', t.mark('origin')) as Buffer);
      await t.unmount();
      value[value.length - 1] ^= 1;
      ok(t.upper().lsetxattr('../..', t.mark('origin'), value));
      equal(await t.refused(), -e.ESTALE);
    },
  },
  'an upper that broke a hard link keeps its copies apart': {
    lowers: [{ a: file('lower'), b: hardlink('a') }],
    async run(m, t) {
      writeFile(m, 'a', 'copied');
      const [entry] = entries(t);
      await t.unmount();
      ok(t.work().unlink(`index/${entry}`));
      ok(t.upper().lremovexattr('a', t.mark('nlink')));
      m = await t.remount();
      bytesAre(readFile(m, 'a'), 'copied');
      bytesAre(readFile(m, 'b'), 'lower');
      equal(lstat(m, 'a').nlink, 1);
      equal(lstat(m, 'b').nlink, 2);
      truly(lstat(m, 'a').ino !== lstat(m, 'b').ino, 'two files');
      truly(exists(m, 'a'), 'still there');
    },
  },
};

/** `userxattr,index=on`: marks that not every file can take. */
export const userxattrIndexCases: OverlayCases = {
  'a hard-linked FIFO, which takes no mark, is not copied up, and leaves an upper that ours mounts again': {
    lowers: [{ d: dir({ p: fifo({ mode: 0o644 }), q: hardlink('p') }) }],
    needs: ['root', 'handles'],
    async run(m, t) {
      fails(e.EPERM, m.chmod('d/p', 0o600));
      modeIs(lstat(m, 'd/q').mode, 0o644);
      if (!t.ours) {
        // An entry of the index without a mark of what it is.
        equal(await t.refused(), -e.ENODATA);
        equal(names(t.work(), 'index').length, 1);
        return;
      }
      m = await t.remount();
      equal(names(t.work(), 'index'), []);
      equal([lstat(m, 'd/p').nlink, lstat(m, 'd/q').ino === lstat(m, 'd/p').ino], [2, true]);
      modeIs(lstat(m, 'd/p').mode, 0o644);
    },
  },
};
