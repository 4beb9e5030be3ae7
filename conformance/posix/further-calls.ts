/** ENAMETOOLONG at the calls that the table of odd-names.ts does not make, and the other ends of EXDEV and ELOOP. */
import type { ByteString } from 'stratafs/internal/sys/bytes';
import * as c from 'stratafs/internal/sys/constants';
import * as e from 'stratafs/internal/sys/errno';
import { list, lstat, names, open, readFile, vfs } from '../calls.ts';
import { bytesAre, equal, fails, ok } from '../expect.ts';
import type { Position } from '../positions.ts';
import type { Case, Cases, Need, Scene } from '../target.ts';
import { dir, file, symlink, type Tree } from '../tree.ts';

const MOUNTED: readonly Need[] = ['vfs'];

/** Each on a path; what it is about besides is `f`. */
const calls: Readonly<
  Record<string, readonly [call: (t: Scene, path: ByteString) => unknown, needs?: readonly Need[]]>
> = {
  'open O_PATH': [(t, path) => t.open(path, c.O_PATH)],
  'open O_PATH|O_NOFOLLOW': [(t, path) => t.open(path, c.O_PATH | c.O_NOFOLLOW)],
  'open O_DIRECTORY': [(t, path) => t.open(path, c.O_RDONLY | c.O_DIRECTORY)],
  'open O_TRUNC': [(t, path) => t.open(path, c.O_WRONLY | c.O_TRUNC)],
  'open O_TMPFILE': [(t, path) => t.open(path, c.O_TMPFILE | c.O_RDWR, 0o600)],
  'rename NOREPLACE': [(t, path) => t.rename('f', path, c.RENAME_NOREPLACE)],
  'rename EXCHANGE': [(t, path) => t.rename('f', path, c.RENAME_EXCHANGE)],
  'link of an open file': [(t, path) => t.linkFd(open(t, '.', c.O_TMPFILE | c.O_RDWR, 0o600), path)],
  lsetxattr: [(t, path) => t.lsetxattr(path, 'user.a', '1')],
  llistxattr: [(t, path) => t.llistxattr(path)],
  lremovexattr: [(t, path) => t.lremovexattr(path, 'user.a')],
  name_to_handle_at: [(t, path) => vfs(t).nameToHandle(path, 0x200), MOUNTED],
  execve: [(t, path) => vfs(t).exec(path), MOUNTED],
};

const few: readonly Position[] = ['plain', 'upper', 'lower'];
const tree: Tree = { f: file('f'), d: dir() };

const tooLong: readonly (readonly [what: string, path: ByteString])[] = [
  ['a name of 256 bytes', 'x'.repeat(256)],
  ['a name of 256 bytes below a directory', `d/${'x'.repeat(256)}`],
  ['a name of 256 bytes on the way', `${'x'.repeat(256)}/y`],
  ['a path of 4096 bytes', `${'./'.repeat(2047)}zz`],
];

function table(): Cases {
  const cases: Record<string, Case> = {};
  for (const [call, [fn, needs]] of Object.entries(calls)) {
    cases[`${call} with a name or path that is too long gives ENAMETOOLONG`] = {
      tree,
      needs: needs ?? [],
      positions: few,
      run(t) {
        for (const [, path] of tooLong) {
          fails(e.ENAMETOOLONG, fn(t, path));
        }
        equal(names(t, '.'), ['d', 'f']);
      },
    };
  }
  return cases;
}

export const furtherCallCases: Cases = {
  ...table(),
  'a symlink holds 4095 bytes, not 4096, and a name in it at most 255': {
    positions: few,
    tree: { f: file('content'), d: dir() },
    run(t) {
      const longest = `${'./'.repeat(2047)}f`;
      equal(longest.length, 4095);
      ok(t.symlink(longest, 'new'));
      equal(t.readlink('new'), longest);
      equal(lstat(t, 'new').size, 4095);
      bytesAre(readFile(t, 'new'), 'content');
      ok(t.rename('new', 'moved'));
      bytesAre(readFile(t, 'moved'), 'content');
      fails(e.ENAMETOOLONG, t.symlink(`.${longest}`, 'new2'));
      ok(t.symlink('x'.repeat(256), 'new2'));
      fails(e.ENAMETOOLONG, t.stat('new2'));
      fails(e.ENAMETOOLONG, t.open('new2', c.O_CREAT | c.O_WRONLY, 0o600));
      ok(t.symlink(`d/${'x'.repeat(300)}/..`, 'new3'));
      fails(e.ENAMETOOLONG, t.stat('new3'));
      ok(t.lstat('new3'));
    },
  },
  'a path may grow beyond PATH_MAX by its symlinks': {
    positions: few,
    tree: { f: file('content') },
    run(t) {
      ok(t.symlink('./'.repeat(2000), 'new'));
      bytesAre(readFile(t, 'new/new/new/f'), 'content');
    },
  },
  'link and rename to another filesystem give EXDEV': {
    needs: MOUNTED,
    tree: { f: file('content'), d: dir({ g: file('g') }) },
    run(t) {
      for (const there of ['/proc/new', '/proc/self/new']) {
        fails(e.EXDEV, t.rename('f', there));
        fails(e.EXDEV, t.rename('d', there));
        fails(e.EXDEV, t.rename(there, 'f'));
        fails(e.EXDEV, t.rename('f', there, c.RENAME_EXCHANGE));
      }
      fails(e.EXDEV, t.link('/proc/version', 'new'));
      equal(names(t, '.'), ['d', 'f']);
      bytesAre(readFile(t, 'f'), 'content');
    },
  },
  'copy_file_range from a file of another kind of filesystem gives EXDEV, and nothing is written': {
    needs: MOUNTED,
    positions: ['upper', 'lower', 'merged'],
    tree: { f: file('content') },
    run(t) {
      const from = open(t, process.execPath, c.O_RDONLY);
      fails(e.EXDEV, t.copyFileRange(from, 0, open(t, 'f', c.O_RDWR), 0, 100));
      bytesAre(readFile(t, 'f'), 'content');
    },
  },
  'O_NOFOLLOW gives ELOOP for a symlink at the end, not on the way': {
    tree: {
      d: dir({ f: file('f') }),
      l: symlink('d'),
      m: symlink('d/f'),
      loop: symlink('loop2'),
      loop2: symlink('loop'),
    },
    run(t) {
      fails(e.ELOOP, t.open('m', c.O_RDONLY | c.O_NOFOLLOW));
      fails(e.ELOOP, t.open('m', c.O_WRONLY | c.O_NOFOLLOW | c.O_TRUNC));
      fails(e.ENOTDIR, t.open('l', c.O_RDONLY | c.O_NOFOLLOW | c.O_DIRECTORY));
      ok(t.open('l/f', c.O_RDONLY | c.O_NOFOLLOW));
      fails(e.ELOOP, t.open('loop', c.O_RDONLY));
      fails(e.ELOOP, t.stat('loop/x'));
      fails(e.ELOOP, t.chmod('loop', 0o600));
      ok(t.lstat('loop'));
    },
  },
  'positions of an unchanged listing are the same in every descriptor': {
    positions: ['plain', 'upper', 'lower', 'merged', 'layers'],
    tree: { d: dir(Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`entry-${i}`, file()]))) },
    run(t) {
      const places = (size?: number): unknown => list(t, 'd', size).map(({ name, off }) => [name, off]);
      const first = places();
      equal(places(512), first);
      equal(places(1 << 16), first);
      equal(new Set(list(t, 'd').map(({ off }) => off)).size, 502, 'different positions');
    },
  },
};
