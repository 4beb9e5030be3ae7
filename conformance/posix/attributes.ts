/** chmod, chown and utimens; and which call moves whose mtime and ctime. */
import * as c from 'stratafs/internal/sys/constants';
import * as e from 'stratafs/internal/sys/errno';
import type { Stat } from 'stratafs/internal/sys/stat';
import {
  atime,
  ctime,
  fstat,
  later,
  lstat,
  mtime,
  names,
  open,
  readAll,
  readFile,
  stat,
  tick,
  writeAll,
  writeFile,
} from '../calls.ts';
import { bytesAre, equal, fails, modeIs, ok, truly } from '../expect.ts';
import { fewPositions, type Position } from '../positions.ts';
import type { Case, Cases, Scene, Time } from '../target.ts';
import { dir, fifo, file, hardlink, OLD, symlink, type Tree } from '../tree.ts';

const moments: readonly (readonly [what: string, time: readonly [number, number]])[] = [
  ['1970', [0, 0]],
  ['1970 and a nanosecond', [0, 1]],
  ['a nanosecond before 1970', [-1, 999_999_999]],
  ['1915', [-1_735_689_600, 123_456_789]],
  ['a second before 2038 wraps', [2_147_483_647, 999_999_999]],
  ['2038', [2_147_483_648, 0]],
  ['2106', [4_294_967_296, 5]],
  ['2400', [13_569_465_600, 999_999_999]],
];

function times(): Cases {
  const cases: Record<string, Case> = {};
  for (const [what, time] of moments) {
    cases[`times of ${what} are kept to the nanosecond`] = {
      tree: { f: file('f'), d: dir({ g: file() }), l: symlink('nowhere') },
      run(t) {
        const other: Time = [OLD[0] + 1, 7];
        ok(t.utimens('f', other, time));
        equal([atime(lstat(t, 'f')), mtime(lstat(t, 'f'))], [other, time]);
        ok(t.utimens('d', time, other));
        equal([atime(lstat(t, 'd')), mtime(lstat(t, 'd'))], [time, other]);
        ok(t.lutimens('l', other, time));
        equal([atime(lstat(t, 'l')), mtime(lstat(t, 'l'))], [other, time]);
      },
    };
    cases[`a file dated ${what} keeps its date when its mode changes`] = {
      tree: { f: file('f', { mtime: time, atime: [time[0], 3] }), d: dir({}, { mtime: time }) },
      run(t) {
        equal(mtime(lstat(t, 'f')), time);
        ok(t.chmod('f', 0o640));
        ok(t.chmod('d', 0o750));
        equal([atime(lstat(t, 'f')), mtime(lstat(t, 'f'))], [[time[0], 3], time]);
        equal(mtime(lstat(t, 'd')), time);
      },
    };
  }
  return cases;
}

/**
 * What an operation does to the times of the objects it touches: `mc` moves both, `c` the ctime
 * alone, `m-` leaves the mtime where it was and says nothing of the ctime, '' moves nothing.
 */
type Effect = 'mc' | 'c' | 'm-' | '';

const base: Tree = {
  d: dir({ f: file('content'), g: file('g'), sub: dir(), e: dir() }),
  l: symlink('d/f'),
  f2: file('content', { xattrs: { 'user.a': 'v' } }),
};

const operations: readonly (readonly [string, (t: Scene) => void, Readonly<Record<string, Effect>>])[] = [
  ['creating a file', (t) => writeFile(t, 'd/new', ''), { d: 'mc', 'd/f': '' }],
  ['mkdir', (t) => ok(t.mkdir('d/new')), { d: 'mc', 'd/f': '' }],
  ['mknod', (t) => ok(t.mknod('d/new', c.S_IFIFO | 0o600)), { d: 'mc' }],
  ['symlink', (t) => ok(t.symlink('x', 'd/new')), { d: 'mc' }],
  ['link', (t) => ok(t.link('d/f', 'd/new')), { d: 'mc', 'd/f': 'c' }],
  ['link into another directory', (t) => ok(t.link('d/f', 'd/e/new')), { 'd/e': 'mc', d: 'm-', 'd/f': 'c' }],
  ['unlink', (t) => ok(t.unlink('d/f')), { d: 'mc', 'd/g': '' }],
  ['rmdir', (t) => ok(t.rmdir('d/e')), { d: 'mc', 'd/sub': '' }],
  ['rename in one directory', (t) => ok(t.rename('d/f', 'd/new')), { d: 'mc', 'd/g': '' }],
  ['rename into another directory', (t) => ok(t.rename('d/f', 'd/e/new')), { d: 'mc', 'd/e': 'mc', 'd/g': '' }],
  ['rename over a file', (t) => ok(t.rename('d/f', 'd/g')), { d: 'mc' }],
  ['a failed mkdir', (t) => fails(e.EEXIST, t.mkdir('d/f')), { d: '', 'd/f': '' }],
  ['a failed rmdir', (t) => fails(e.ENOTEMPTY, t.rmdir('d')), { d: '', 'd/f': '', 'd/sub': '' }],
  ['write', (t) => writeAll(t, open(t, 'd/f', c.O_WRONLY), 'x'), { 'd/f': 'mc', d: 'm-' }],
  ['append', (t) => writeAll(t, open(t, 'd/f', c.O_WRONLY | c.O_APPEND), 'x'), { 'd/f': 'mc', d: 'm-' }],
  ['opening for writing', (t) => open(t, 'd/f', c.O_RDWR), { 'd/f': 'm-', d: 'm-' }],
  ['a write of nothing', (t) => equal(t.write(open(t, 'd/f', c.O_WRONLY), ''), 0), { 'd/f': 'm-', d: 'm-' }],
  ['reading', (t) => readFile(t, 'd/f'), { 'd/f': '', d: '' }],
  ['listing', (t) => names(t, 'd'), { d: '', 'd/f': '' }],
  ['following a symlink', (t) => readFile(t, 'l'), { l: '', 'd/f': '' }],
  ['readlink', (t) => ok(t.readlink('l')), { l: '', 'd/f': '' }],
  ['truncate', (t) => ok(t.truncate('d/f', 2)), { 'd/f': 'mc', d: 'm-' }],
  ['truncate to more', (t) => ok(t.truncate('d/f', 200)), { 'd/f': 'mc', d: 'm-' }],
  ['ftruncate', (t) => ok(t.ftruncate(open(t, 'd/f', c.O_WRONLY), 2)), { 'd/f': 'mc', d: 'm-' }],
  ['O_TRUNC', (t) => open(t, 'd/f', c.O_WRONLY | c.O_TRUNC), { 'd/f': 'mc', d: 'm-' }],
  ['O_CREAT of what is there', (t) => open(t, 'd/f', c.O_RDONLY | c.O_CREAT), { 'd/f': '', d: '' }],
  ['chmod', (t) => ok(t.chmod('d/f', 0o600)), { 'd/f': 'c', d: 'm-' }],
  ['chmod of a directory', (t) => ok(t.chmod('d', 0o700)), { d: 'c', 'd/f': '' }],
  ['chown to nobody else', (t) => ok(t.chown('d/f', -1, -1)), { 'd/f': 'c', d: 'm-' }],
  ['chown of a symlink', (t) => ok(t.lchown('l', -1, -1)), { l: 'c', 'd/f': '' }],
  ['setxattr', (t) => ok(t.setxattr('f2', 'user.b', '1')), { f2: 'c' }],
  ['removexattr', (t) => ok(t.removexattr('f2', 'user.a')), { f2: 'c' }],
  ['removing an xattr that is not there', (t) => fails(e.ENODATA, t.removexattr('f2', 'user.b')), { f2: '' }],
  ['utimens of the atime', (t) => ok(t.utimens('d/f', [5, 5], 'omit')), { 'd/f': 'c', d: 'm-' }],
  ['utimens of now', (t) => ok(t.utimens('d/f', 'now', 'now')), { 'd/f': 'mc', d: 'm-' }],
  ['utimens of nothing', (t) => ok(t.utimens('d/f', 'omit', 'omit')), { 'd/f': '', d: '' }],
  ['fallocate to more', (t) => ok(t.fallocate(open(t, 'd/f', c.O_RDWR), 0, 0, 9000)), { 'd/f': 'mc', d: 'm-' }],
  [
    'copy_file_range',
    (t) => equal(t.copyFileRange(open(t, 'f2', c.O_RDONLY), 0, open(t, 'd/f', c.O_RDWR), 0, 4), 4),
    { 'd/f': 'mc', f2: '' },
  ],
];

/** A copy-up makes a new inode, whose ctime is now, so that only elsewhere can a ctime stand still. */
const still: readonly Position[] = ['plain', 'upper', 'opaque', 'whiteouts'];

function effects(): Cases {
  const cases: Record<string, Case> = {};
  for (const [what, run, expected] of operations) {
    cases[`${what} moves the right times`] = {
      tree: base,
      run(t) {
        // Hand-made layers have no origins: the kernel writes those of directories at the first lookup.
        ok(t.lstat('d/sub'));
        ok(t.lstat('d/e'));
        const before = new Map(Object.keys(expected).map((path) => [path, lstat(t, path)]));
        tick();
        run(t);
        for (const [path, effect] of Object.entries(expected)) {
          const was = before.get(path) as Stat;
          const is = lstat(t, path);
          equal(later(mtime(is), mtime(was)), effect === 'mc', `mtime of ${path} moved`);
          if (effect !== 'mc') {
            equal(mtime(is), mtime(was), `mtime of ${path}`);
          }
          if (effect === 'mc' || effect === 'c') {
            truly(later(ctime(is), ctime(was)), `ctime of ${path} did not move`);
          } else if (effect === '' || still.includes(t.position)) {
            equal(ctime(is), ctime(was), `ctime of ${path}`);
          }
        }
      },
    };
  }
  return cases;
}

export const attributeCases: Cases = {
  ...times(),
  ...effects(),
  'chmod sets each permission bit of files and directories': {
    tree: { f: file('f'), d: dir(), p: fifo() },
    run(t) {
      for (const mode of [0, 0o777, 0o1, 0o20, 0o400, 0o654, 0o1777, 0o600]) {
        for (const path of ['f', 'd', 'p']) {
          ok(t.chmod(path, mode));
          modeIs(lstat(t, path).mode, mode);
        }
      }
      ok(t.chmod('d', 0o2755));
      modeIs(lstat(t, 'd').mode, 0o2755);
      ok(t.chmod('f', 0o6755));
      modeIs(lstat(t, 'f').mode, 0o6755);
      equal(lstat(t, 'd').type, c.S_IFDIR);
    },
  },
  'chmod keeps content, owner, times, size and xattrs': {
    tree: { f: file('content', { xattrs: { 'user.a': 'v' }, mode: 0o604 }) },
    run(t) {
      const before = lstat(t, 'f');
      ok(t.chmod('f', 0o755));
      const after = lstat(t, 'f');
      equal(
        [after.ino, after.uid, after.gid, after.size, mtime(after), atime(after), after.nlink, after.type],
        [before.ino, before.uid, before.gid, before.size, mtime(before), atime(before), 1, c.S_IFREG],
      );
      bytesAre(readFile(t, 'f'), 'content');
      bytesAre(t.getxattr('f', 'user.a'), 'v');
    },
  },
  'chmod follows symlinks': {
    tree: { f: file('f'), l: symlink('f'), gone: symlink('nowhere') },
    run(t) {
      ok(t.chmod('l', 0o611));
      modeIs(lstat(t, 'f').mode, 0o611);
      modeIs(lstat(t, 'l').mode, 0o777);
      fails(e.ENOENT, t.chmod('gone', 0o600));
    },
  },
  'fchmod on files and directories': {
    tree: { f: file('f'), d: dir() },
    run(t) {
      ok(t.fchmod(open(t, 'f', c.O_RDONLY), 0o751));
      ok(t.fchmod(open(t, 'd', c.O_RDONLY | c.O_DIRECTORY), 0o700));
      modeIs(lstat(t, 'f').mode, 0o751);
      modeIs(lstat(t, 'd').mode, 0o700);
    },
  },
  'chown changes what is asked and leaves the rest': {
    tree: { f: file('f', { mode: 0o644 }), d: dir(), l: symlink('f'), p: fifo() },
    needs: ['root'],
    run(t) {
      for (const path of ['f', 'd', 'p']) {
        ok(t.chown(path, 11, 22));
        equal([lstat(t, path).uid, lstat(t, path).gid], [11, 22]);
        ok(t.chown(path, 33, -1));
        equal([lstat(t, path).uid, lstat(t, path).gid], [33, 22]);
        ok(t.chown(path, -1, 44));
        equal([lstat(t, path).uid, lstat(t, path).gid], [33, 44]);
      }
      ok(t.lchown('l', 55, 66));
      equal([lstat(t, 'l').uid, lstat(t, 'l').gid], [55, 66]);
      ok(t.chown('l', 77, 88));
      equal([lstat(t, 'f').uid, lstat(t, 'f').gid], [77, 88]);
      equal([lstat(t, 'l').uid, lstat(t, 'l').gid], [55, 66]);
      bytesAre(readFile(t, 'f'), 'f');
      equal(mtime(lstat(t, 'f')), OLD);
    },
  },
  'fchown on files and directories, also with ids beyond 2^31': {
    tree: { f: file('f'), d: dir() },
    needs: ['root'],
    run(t) {
      ok(t.fchown(open(t, 'f', c.O_RDONLY), 4294967294, 2147483648));
      equal([lstat(t, 'f').uid, lstat(t, 'f').gid], [4294967294, 2147483648]);
      ok(t.fchown(open(t, 'd', c.O_RDONLY | c.O_DIRECTORY), 65534, 65534));
      equal([lstat(t, 'd').uid, lstat(t, 'd').gid], [65534, 65534]);
    },
  },
  'new objects belong to who makes them': {
    dir: { mode: 0o777 },
    needs: ['root'],
    run(t) {
      t.as({ uid: 1234, gid: 5678 }, () => {
        writeFile(t, 'new', 'x');
        ok(t.mkdir('new2'));
        ok(t.symlink('x', 'new3'));
        ok(t.mknod('moved', c.S_IFIFO | 0o600));
      });
      for (const path of ['new', 'new2', 'new3', 'moved']) {
        equal([lstat(t, path).uid, lstat(t, path).gid], [1234, 5678], `owner of ${path}`);
      }
    },
  },
  'utimens: now is now, omit keeps': {
    tree: { f: file('f') },
    run(t) {
      ok(t.utimens('f', [5, 6], 'omit'));
      equal([atime(lstat(t, 'f')), mtime(lstat(t, 'f'))], [[5, 6], OLD]);
      ok(t.utimens('f', 'omit', 'now'));
      equal(atime(lstat(t, 'f')), [5, 6]);
      truly(lstat(t, 'f').mtime > 1_700_000_000, 'mtime is now');
      ok(t.utimens('f', 'now', [7, 8]));
      equal(mtime(lstat(t, 'f')), [7, 8]);
      truly(lstat(t, 'f').atime > 1_700_000_000, 'atime is now');
    },
  },
  'utimens through descriptors and symlinks': {
    tree: { f: file('f'), d: dir(), l: symlink('f') },
    run(t) {
      ok(t.futimens(open(t, 'f', c.O_RDONLY), [1, 2], [3, 4]));
      equal(mtime(lstat(t, 'f')), [3, 4]);
      ok(t.futimens(open(t, 'd', c.O_RDONLY | c.O_DIRECTORY), [1, 2], [5, 6]));
      equal(mtime(lstat(t, 'd')), [5, 6]);
      ok(t.utimens('l', [1, 2], [7, 8]));
      equal(mtime(lstat(t, 'f')), [7, 8]);
      equal(mtime(lstat(t, 'l')), OLD);
    },
  },
  'utimens with a nanosecond too many gives EINVAL': {
    tree: { f: file('f') },
    needs: ['vfs'],
    run(t) {
      fails(e.EINVAL, t.utimens('f', [1, 1_000_000_000], [1, 1]));
      equal(mtime(lstat(t, 'f')), OLD);
    },
  },
  'stat, lstat and fstat tell the same of a file': {
    tree: { f: file('content', { mode: 0o640 }), l: symlink('f') },
    run(t) {
      const fd = open(t, 'f', c.O_RDONLY);
      equal(stat(t, 'l'), lstat(t, 'f'));
      equal(fstat(t, fd), lstat(t, 'f'));
      equal(lstat(t, 'l').type, c.S_IFLNK);
      equal(lstat(t, 'l').size, 1);
    },
  },
  'fstat shows what happens to the file after it was opened': {
    tree: { f: file('content') },
    run(t) {
      const fd = open(t, 'f', c.O_RDONLY);
      ok(t.chmod('f', 0o604));
      ok(t.utimens('f', [9, 9], [8, 8]));
      ok(t.truncate('f', 3));
      ok(t.link('f', 'new'));
      const st = fstat(t, fd);
      equal([st.size, st.nlink, st.mode & 0o777, st.ino], [3, 2, 0o604, lstat(t, 'f').ino]);
      bytesAre(readAll(t, fd), 'con');
    },
  },
  'inode numbers stay the same through every change': {
    tree: { f: file('f'), d: dir({ g: file('g') }), l: symlink('x'), p: fifo() },
    run(t) {
      const paths = ['f', 'd', 'd/g', 'l', 'p', '.'];
      const before = paths.map((path) => lstat(t, path).ino);
      ok(t.chmod('f', 0o600));
      writeFile(t, 'd/g', 'changed');
      ok(t.chmod('d', 0o700));
      ok(t.lutimens('l', [1, 1], [1, 1]));
      ok(t.chmod('p', 0o600));
      writeFile(t, 'new', '');
      equal(
        paths.map((path) => lstat(t, path).ino),
        before,
      );
      equal(new Set(before).size, before.length, 'different numbers');
    },
  },
  'objects with two names keep one inode number and one set of attributes': {
    tree: { f: file('f'), g: hardlink('f') },
    positions: ['plain', 'upper', 'merged', 'opaque', 'whiteouts', 'redirect'],
    run(t) {
      ok(t.chmod('f', 0o711));
      ok(t.utimens('g', [1, 2], [3, 4]));
      equal(lstat(t, 'f'), lstat(t, 'g'));
      modeIs(lstat(t, 'g').mode, 0o711);
    },
  },
  'the umask takes bits from every new object': {
    run(t) {
      t.umask(0o027);
      ok(t.close(open(t, 'new', c.O_CREAT | c.O_WRONLY, 0o777)));
      ok(t.mkdir('new2', 0o777));
      ok(t.mknod('new3', c.S_IFIFO | 0o666));
      t.umask(0o077);
      ok(t.mkdir('moved', 0o777));
      t.umask(0);
      ok(t.mkdir('moved2', 0o777));
      modeIs(lstat(t, 'new').mode, 0o750);
      modeIs(lstat(t, 'new2').mode, 0o750);
      modeIs(lstat(t, 'new3').mode, 0o640);
      modeIs(lstat(t, 'moved').mode, 0o700);
      modeIs(lstat(t, 'moved2').mode, 0o777);
    },
  },
  'the birth time of a new object is when it was made, whatever happens to it': {
    tree: { d: dir() },
    run(t) {
      const began = Math.floor(Date.now() / 1000) - 1;
      writeFile(t, 'new', 'x');
      ok(t.mkdir('new2'));
      ok(t.symlink('x', 'new3'));
      const paths = ['new', 'new2', 'new3'];
      const births = (): unknown => paths.map((path) => [lstat(t, path).btime, lstat(t, path).btimeNsec]);
      const first = births();
      for (const path of paths) {
        const st = lstat(t, path);
        truly((st.mask & c.STATX_BTIME) !== 0, `${path} has a birth time`);
        truly(st.btime >= began && st.btime <= began + 60, `${path} was born now`);
        truly(!later([st.btime, st.btimeNsec], ctime(st)), `${path} was born before its last change`);
      }
      tick();
      writeFile(t, 'new', 'changed');
      ok(t.chmod('new2', 0o700));
      for (const path of paths) {
        ok(t.lutimens(path, [5, 6], [7, 8]));
        ok(t.lchown(path, -1, -1));
        ok(t.rename(path, `d/${path}`));
        ok(t.rename(`d/${path}`, path));
      }
      equal(births(), first);
      const fd = open(t, 'new', c.O_RDONLY);
      equal([fstat(t, fd).btime, fstat(t, fd).btimeNsec], [lstat(t, 'new').btime, lstat(t, 'new').btimeNsec]);
    },
  },
  'times of descriptors, FIFOs and files without a name are kept to the nanosecond': {
    tree: { f: file('f'), p: fifo() },
    positions: fewPositions,
    run(t) {
      const fd = open(t, 'f', c.O_RDWR);
      for (const [, time] of moments) {
        ok(t.futimens(fd, time, [time[0], 7]));
        equal([atime(fstat(t, fd)), mtime(lstat(t, 'f'))], [time, [time[0], 7]]);
        ok(t.lutimens('p', time, time));
        equal([atime(lstat(t, 'p')), mtime(lstat(t, 'p'))], [time, time]);
      }
      ok(t.unlink('f'));
      ok(t.futimens(fd, moments[3][1], moments[7][1]));
      equal([atime(fstat(t, fd)), mtime(fstat(t, fd))], [moments[3][1], moments[7][1]]);
    },
  },
};
