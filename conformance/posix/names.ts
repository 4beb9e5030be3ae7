/** mkdir, rmdir, unlink, link and symlink: names come, names go, what is open stays. */
import * as c from 'stratafs/internal/sys/constants';
import * as e from 'stratafs/internal/sys/errno';
import { exists, fstat, lstat, names, open, readAll, readFile, stat, writeAll, writeFile } from '../calls.ts';
import { bytesAre, equal, fails, modeIs, ok } from '../expect.ts';
import { mergedPositions, type Position } from '../positions.ts';
import type { Case, Cases } from '../target.ts';
import { chr, dir, fifo, file, hardlink, type Node, socket, symlink } from '../tree.ts';

const kinds: Readonly<Record<string, Node>> = {
  file: file('content'),
  'empty directory': dir(),
  'full directory': dir({ f: file('f') }),
  symlink: symlink('nowhere'),
  'symlink to a directory': symlink('beside'),
  fifo: fifo(),
  socket: socket(),
};

/** Positions in which a file with two names keeps both through a copy-up even without an index. */
const linkPositions: readonly Position[] = ['plain', 'upper', 'merged', 'opaque', 'whiteouts', 'redirect'];

/** mkdir, mknod, symlink, link and open O_EXCL over each kind of thing that is there already. */
function existing(): Cases {
  const cases: Record<string, Case> = {};
  for (const [kind, node] of Object.entries(kinds)) {
    cases[`creating over a ${kind} gives EEXIST`] = {
      tree: { there: node, beside: dir(), other: file('o') },
      run(t) {
        fails(e.EEXIST, t.mkdir('there'));
        fails(e.EEXIST, t.mknod('there', c.S_IFIFO | 0o600));
        fails(e.EEXIST, t.symlink('x', 'there'));
        fails(e.EEXIST, t.link('other', 'there'));
        fails(e.EEXIST, t.open('there', c.O_CREAT | c.O_EXCL | c.O_WRONLY, 0o600));
        equal(names(t, '.'), ['beside', 'other', 'there']);
        equal(lstat(t, 'other').nlink, 1);
      },
    };
    const isDir = kind.endsWith(' directory') && !kind.startsWith('symlink');
    cases[`unlink of a ${kind}`] = {
      tree: { there: node, beside: dir({ g: file('g') }) },
      run(t) {
        if (isDir) {
          fails(e.EISDIR, t.unlink('there'));
          equal(exists(t, 'there'), true);
          return;
        }
        ok(t.unlink('there'));
        fails(e.ENOENT, t.lstat('there'));
        fails(e.ENOENT, t.unlink('there'));
        equal(names(t, '.'), ['beside']);
        equal(names(t, 'beside'), ['g']);
      },
    };
    cases[`rmdir of a ${kind}`] = {
      tree: { there: node, beside: dir({ g: file('g') }) },
      run(t) {
        if (kind === 'empty directory') {
          ok(t.rmdir('there'));
          equal(names(t, '.'), ['beside']);
          fails(e.ENOENT, t.rmdir('there'));
          return;
        }
        fails(isDir ? e.ENOTEMPTY : e.ENOTDIR, t.rmdir('there'));
        equal(names(t, '.'), ['beside', 'there']);
      },
    };
    if (isDir) {
      continue;
    }
    cases[`a ${kind} that was removed can be made anew as anything`] = {
      tree: { there: node, beside: dir() },
      run(t) {
        ok(t.unlink('there'));
        ok(t.mkdir('there'));
        equal(names(t, 'there'), []);
        ok(t.rmdir('there'));
        ok(t.symlink('beside', 'there'));
        equal(t.readlink('there'), 'beside');
        ok(t.unlink('there'));
        writeFile(t, 'there', 'anew');
        bytesAre(readFile(t, 'there'), 'anew');
        ok(t.unlink('there'));
        ok(t.mknod('there', c.S_IFIFO | 0o600));
        equal(lstat(t, 'there').type, c.S_IFIFO);
        equal(names(t, '.'), ['beside', 'there']);
      },
    };
  }
  return cases;
}

export const nameCases: Cases = {
  ...existing(),
  'mkdir makes an empty directory with the mode asked for': {
    run(t) {
      ok(t.mkdir('new', 0o751));
      const st = lstat(t, 'new');
      equal(st.type, c.S_IFDIR);
      modeIs(st.mode, 0o751);
      equal(names(t, 'new'), []);
      ok(t.mkdir('new/sub', 0o1777));
      modeIs(lstat(t, 'new/sub').mode, 0o1777);
    },
  },
  'mkdir with a trailing slash': {
    run(t) {
      ok(t.mkdir('new/'));
      fails(e.EEXIST, t.mkdir('new/'));
      equal(names(t, '.'), ['new']);
    },
  },
  'mkdir ignores the set-user-ID bit': {
    positions: ['plain', 'upper', 'lower', 'whiteouts'],
    run(t) {
      ok(t.mkdir('new', 0o4755));
      modeIs(lstat(t, 'new').mode, 0o755);
    },
  },
  'link counts of directories follow their subdirectories': {
    tree: { d: dir({ sub: dir() }) },
    positions: ['plain', 'upper', 'opaque'],
    run(t) {
      equal(lstat(t, 'd').nlink, 3);
      ok(t.mkdir('d/new'));
      equal(lstat(t, 'd').nlink, 4);
      writeFile(t, 'd/f', '');
      equal(lstat(t, 'd').nlink, 4);
      ok(t.rmdir('d/sub'));
      equal(lstat(t, 'd').nlink, 3);
      ok(t.rename('d/new', 'new'));
      equal(lstat(t, 'd').nlink, 2);
      equal(lstat(t, 'new').nlink, 2);
    },
  },
  'a merged directory has one link': {
    tree: { d: dir({ sub: dir() }) },
    positions: mergedPositions.filter((position) => position !== 'whiteouts'),
    run(t) {
      equal(lstat(t, 'd').nlink, 1);
      ok(t.mkdir('d/new'));
      equal(lstat(t, 'd').nlink, 1);
    },
  },
  'rmdir of a deep tree from below': {
    tree: { a: dir({ b: dir({ c: dir({ f: file('f') }) }) }) },
    run(t) {
      fails(e.ENOTEMPTY, t.rmdir('a/b/c'));
      fails(e.ENOTEMPTY, t.rmdir('a'));
      ok(t.unlink('a/b/c/f'));
      ok(t.rmdir('a/b/c'));
      ok(t.rmdir('a/b'));
      ok(t.rmdir('a'));
      equal(names(t, '.'), []);
      fails(e.ENOENT, t.lstat('a/b'));
    },
  },
  'rm -rf and mkdir leave an empty directory': {
    tree: { d: dir({ f: file('f'), sub: dir({ g: file('g') }), link: symlink('f') }) },
    run(t) {
      ok(t.unlink('d/f'));
      ok(t.unlink('d/link'));
      ok(t.unlink('d/sub/g'));
      ok(t.rmdir('d/sub'));
      ok(t.rmdir('d'));
      ok(t.mkdir('d'));
      equal(names(t, 'd'), []);
      fails(e.ENOENT, t.lstat('d/f'));
      ok(t.mkdir('d/sub'));
      equal(names(t, 'd/sub'), []);
    },
  },
  'rmdir of . gives EINVAL, of .. ENOTEMPTY': {
    tree: { d: dir({ sub: dir() }) },
    needs: ['vfs'],
    positions: ['plain', 'upper', 'lower', 'merged'],
    run(t) {
      fails(e.EINVAL, t.rmdir('d/.'));
      fails(e.ENOTEMPTY, t.rmdir('d/sub/..'));
    },
  },
  'a directory that was removed while open is empty and takes nothing': {
    tree: { d: dir() },
    run(t) {
      const fd = open(t, 'd', c.O_RDONLY | c.O_DIRECTORY);
      ok(t.rmdir('d'));
      const left = t.getdents(fd);
      // An empty listing and ENOENT are both how filesystems say it.
      equal(left === -e.ENOENT || (Array.isArray(left) && left.every((entry) => entry.name.startsWith('.'))), true);
    },
  },
  'an unlinked open file is there until it is closed': {
    tree: { f: file('content') },
    run(t) {
      const fd = open(t, 'f', c.O_RDWR);
      const ino = lstat(t, 'f').ino;
      ok(t.unlink('f'));
      equal(names(t, '.'), []);
      bytesAre(readAll(t, fd), 'content');
      writeAll(t, fd, 'CON');
      bytesAre(readAll(t, fd), 'CONtent');
      ok(t.ftruncate(fd, 3));
      ok(t.fchmod(fd, 0o604));
      ok(t.futimens(fd, [5, 6], [7, 8]));
      const st = fstat(t, fd);
      equal([st.nlink, st.size, st.mtime, st.mtimeNsec, st.ino], [0, 3, 7, 8, ino]);
      modeIs(st.mode, 0o604);
      ok(t.fsync(fd));
    },
  },
  'an unlinked file open for reading keeps its content beside a new file of its name': {
    tree: { f: file('content') },
    run(t) {
      const fd = open(t, 'f', c.O_RDONLY);
      ok(t.unlink('f'));
      writeFile(t, 'f', 'another');
      bytesAre(readAll(t, fd), 'content');
      bytesAre(readFile(t, 'f'), 'another');
    },
  },
  'an unlinked file takes and gives xattrs through its descriptor': {
    tree: { f: file('content', { xattrs: { 'user.a': '1' } }) },
    run(t) {
      const fd = open(t, 'f', c.O_RDWR);
      ok(t.unlink('f'));
      bytesAre(t.fgetxattr(fd, 'user.a'), '1');
      ok(t.fsetxattr(fd, 'user.b', '2'));
      bytesAre(t.fgetxattr(fd, 'user.b'), '2');
      ok(t.fremovexattr(fd, 'user.a'));
      fails(e.ENODATA, t.fgetxattr(fd, 'user.a'));
    },
  },
  'link makes a second name of one inode': {
    tree: { f: file('content') },
    run(t) {
      ok(t.link('f', 'new'));
      equal(names(t, '.'), ['f', 'new']);
      equal(lstat(t, 'f'), lstat(t, 'new'));
      equal(lstat(t, 'f').nlink, 2);
      writeFile(t, 'new', 'changed');
      bytesAre(readFile(t, 'f'), 'changed');
      ok(t.unlink('f'));
      equal(lstat(t, 'new').nlink, 1);
      bytesAre(readFile(t, 'new'), 'changed');
    },
  },
  'link then unlink of the old name: a rename in two steps': {
    tree: { f: file('content'), d: dir() },
    run(t) {
      ok(t.link('f', 'd/new'));
      ok(t.unlink('f'));
      equal(names(t, '.'), ['d']);
      bytesAre(readFile(t, 'd/new'), 'content');
      equal(lstat(t, 'd/new').nlink, 1);
    },
  },
  'link of a symlink links the symlink': {
    tree: { link: symlink('f'), f: file('f') },
    run(t) {
      ok(t.link('link', 'new'));
      equal(t.readlink('new'), 'f');
      equal(lstat(t, 'new').nlink, 2);
      equal(lstat(t, 'f').nlink, 1);
    },
  },
  'link of special files': {
    tree: { fifo: fifo(), socket: socket() },
    run(t) {
      ok(t.link('fifo', 'new'));
      ok(t.link('socket', 'new2'));
      equal([lstat(t, 'new').type, lstat(t, 'new').nlink], [c.S_IFIFO, 2]);
      equal([lstat(t, 'new2').type, lstat(t, 'new2').nlink], [c.S_IFSOCK, 2]);
    },
  },
  'link of a directory gives EPERM': {
    tree: { d: dir() },
    run(t) {
      fails(e.EPERM, t.link('d', 'new'));
      equal(names(t, '.'), ['d']);
    },
  },
  'links of one file: names come and go, the count follows': {
    tree: { f: file('content'), g: hardlink('f'), h: hardlink('f') },
    positions: linkPositions,
    run(t) {
      equal(lstat(t, 'f').nlink, 3);
      equal(lstat(t, 'f').ino, lstat(t, 'h').ino);
      ok(t.unlink('g'));
      equal(lstat(t, 'f').nlink, 2);
      const fd = open(t, 'h', c.O_RDWR);
      writeAll(t, fd, 'CON');
      bytesAre(readFile(t, 'f'), 'CONtent');
      ok(t.link('h', 'new'));
      equal(fstat(t, fd).nlink, 3);
      ok(t.unlink('f'));
      ok(t.unlink('h'));
      equal(fstat(t, fd).nlink, 1);
      ok(t.unlink('new'));
      equal(fstat(t, fd).nlink, 0);
    },
  },
  'symlinks hold any text': {
    run(t) {
      const texts = ['x', '/', '..', 'a/../b//c', ' ', '\xff\xfe\x80', 'new\nline', 'x'.repeat(4095)];
      texts.forEach((text, i) => {
        ok(t.symlink(text, `link${i}`));
        equal(t.readlink(`link${i}`), text);
        const st = lstat(t, `link${i}`);
        equal([st.type, st.size], [c.S_IFLNK, text.length]);
        modeIs(st.mode, 0o777);
      });
      fails(e.ENOENT, t.symlink('', 'new'));
      fails(e.ENAMETOOLONG, t.symlink('x'.repeat(4096), 'new'));
    },
  },
  'symlinks are followed on the way and at the end': {
    tree: {
      d: dir({ f: file('f'), up: symlink('..'), self: symlink('.') }),
      l1: symlink('d'),
      l2: symlink('l1/up/d/f'),
      l3: symlink('./l2'),
    },
    run(t) {
      bytesAre(readFile(t, 'l3'), 'f');
      bytesAre(readFile(t, 'l1/f'), 'f');
      bytesAre(readFile(t, 'd/self/self/up/l1/f'), 'f');
      equal(stat(t, 'l3').ino, lstat(t, 'd/f').ino);
      writeFile(t, 'l3', 'written');
      bytesAre(readFile(t, 'd/f'), 'written');
      equal(lstat(t, 'l2').type, c.S_IFLNK);
      writeFile(t, 'l1/new', 'made');
      equal(names(t, 'd'), ['f', 'new', 'self', 'up']);
    },
  },
  'forty symlinks are followed, one more is ELOOP': {
    tree: { f: file('f'), d: dir() },
    positions: ['plain', 'upper', 'lower', 'layers'],
    run(t) {
      ok(t.symlink('f', 'd0'));
      for (let i = 1; i <= 40; i++) {
        ok(t.symlink(`d${i - 1}`, `d${i}`));
      }
      bytesAre(readFile(t, 'd39'), 'f');
      fails(e.ELOOP, t.open('d40', c.O_RDONLY));
      fails(e.ELOOP, t.stat('d40'));
      ok(t.lstat('d40'));
    },
  },
  'a symlink through a file gives ENOTDIR, through nothing ENOENT': {
    tree: { f: file('f'), bad: symlink('f/x'), gone: symlink('nowhere/x'), slash: symlink('f/') },
    run(t) {
      fails(e.ENOTDIR, t.stat('bad'));
      fails(e.ENOENT, t.stat('gone'));
      fails(e.ENOTDIR, t.stat('slash'));
      fails(e.ENOENT, t.open('gone', c.O_CREAT | c.O_WRONLY, 0o600));
      ok(t.lstat('bad'));
    },
  },
  'readlink of what is no symlink gives EINVAL': {
    tree: { f: file('f'), d: dir(), p: fifo() },
    run(t) {
      fails(e.EINVAL, t.readlink('f'));
      fails(e.EINVAL, t.readlink('d'));
      fails(e.EINVAL, t.readlink('p'));
      fails(e.ENOENT, t.readlink('new'));
    },
  },
  'mknod makes FIFOs, sockets and regular files': {
    run(t) {
      ok(t.mknod('new', c.S_IFIFO | 0o640));
      ok(t.mknod('new2', c.S_IFSOCK | 0o604));
      ok(t.mknod('new3', c.S_IFREG | 0o600));
      equal(
        ['new', 'new2', 'new3'].map((name) => lstat(t, name).type),
        [c.S_IFIFO, c.S_IFSOCK, c.S_IFREG],
      );
      modeIs(lstat(t, 'new').mode, 0o640);
      modeIs(lstat(t, 'new2').mode, 0o604);
      writeFile(t, 'new3', 'x');
      bytesAre(readFile(t, 'new3'), 'x');
    },
  },
  'mknod makes devices with their numbers': {
    needs: ['root'],
    run(t) {
      ok(t.mknod('new', c.S_IFCHR | 0o640, 0x103));
      // minor 4097 does not fit into eight bits.
      ok(t.mknod('new2', c.S_IFBLK | 0o604, 0x1000801));
      const [chrStat, blkStat] = [lstat(t, 'new'), lstat(t, 'new2')];
      equal([chrStat.type, chrStat.rdev], [c.S_IFCHR, 0x103]);
      equal([blkStat.type, blkStat.rdev], [c.S_IFBLK, 0x1000801]);
      modeIs(chrStat.mode, 0o640);
    },
  },
  'mknod of a device by an ordinary user gives EPERM': {
    needs: ['root'],
    dir: { mode: 0o777 },
    run(t) {
      t.as({ uid: 1000, gid: 1000 }, () => {
        fails(e.EPERM, t.mknod('new', c.S_IFCHR | 0o600, 0x103));
        fails(e.EPERM, t.mknod('new', c.S_IFBLK | 0o600, 0x103));
        ok(t.mknod('new', c.S_IFIFO | 0o600));
      });
      equal([lstat(t, 'new').uid, lstat(t, 'new').gid], [1000, 1000]);
    },
  },
  'mknod of a directory gives EPERM, of no type at all EINVAL': {
    needs: ['vfs'],
    run(t) {
      fails(e.EPERM, t.mknod('new', c.S_IFDIR | 0o700));
      fails(e.EINVAL, t.mknod('new', c.S_IFLNK | 0o700));
      equal(exists(t, 'new'), false);
    },
  },
  'a device of a lower keeps its number through a change of mode': {
    tree: { dev: chr(0x105, { mode: 0o600 }) },
    needs: ['root'],
    run(t) {
      ok(t.chmod('dev', 0o666));
      const st = lstat(t, 'dev');
      equal([st.type, st.rdev], [c.S_IFCHR, 0x105]);
      modeIs(st.mode, 0o666);
    },
  },
  '300 files made and removed one by one': {
    tree: { keep: file('k') },
    run(t) {
      for (let i = 0; i < 300; i++) {
        ok(t.close(open(t, `n${i}`, c.O_CREAT | c.O_EXCL | c.O_WRONLY)));
      }
      equal(names(t, '.').length, 301);
      for (let i = 0; i < 300; i++) {
        ok(t.unlink(`n${i}`));
      }
      equal(names(t, '.'), ['keep']);
    },
  },
};
