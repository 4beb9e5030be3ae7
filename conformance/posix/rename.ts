/** renameat2(2): every type over every type with every flag, and the rules of directories. */
import * as c from 'stratafs/internal/sys/constants';
import * as e from 'stratafs/internal/sys/errno';
import { exists, lstat, names, open, readAll, readFile, stat, tick, writeAll, writeFile } from '../calls.ts';
import { bytesAre, equal, fails, gives, ok } from '../expect.ts';
import type { Position } from '../positions.ts';
import type { Case, Cases, Scene } from '../target.ts';
import { chr, dir, fifo, file, hardlink, type Node, symlink } from '../tree.ts';

const objects: Readonly<Record<string, Node>> = {
  file: file('a file'),
  'an empty directory': dir(),
  'a full directory': dir({ inside: file('inside'), sub: dir({ deep: file('deep') }) }),
  symlink: symlink('nowhere'),
  fifo: fifo(),
};

const isDir = (kind: string): boolean => kind.endsWith('directory');

const flagSets: readonly (readonly [string, number])[] = [
  ['', 0],
  [' with RENAME_NOREPLACE', c.RENAME_NOREPLACE],
  [' with RENAME_EXCHANGE', c.RENAME_EXCHANGE],
];

/** The positions in which directories of a case's tree lie in a lower. */
const lowerDirs: readonly Position[] = ['lower', 'merged', 'layers', 'redirect'];

/** EXDEV is the overlay's answer where it may not write redirects. */
function exdev(t: Scene): boolean {
  return !t.redirects && lowerDirs.includes(t.position);
}

function verdict(from: string, to: string, flags: number): number {
  if (to === 'nothing') {
    return flags === c.RENAME_EXCHANGE ? e.ENOENT : 0;
  }
  if (flags === c.RENAME_NOREPLACE) {
    return e.EEXIST;
  }
  if (flags === c.RENAME_EXCHANGE) {
    return 0;
  }
  if (isDir(from) !== isDir(to)) {
    return isDir(from) ? e.ENOTDIR : e.EISDIR;
  }
  return to === 'a full directory' ? e.ENOTEMPTY : 0;
}

/** The object at `path` is the one that was made as `kind`, content and all. */
function isThe(t: Scene, path: string, kind: string): void {
  const st = lstat(t, path);
  switch (kind) {
    case 'file':
      bytesAre(readFile(t, path), 'a file');
      break;
    case 'an empty directory':
      equal(names(t, path), []);
      break;
    case 'a full directory':
      equal(names(t, path), ['inside', 'sub']);
      bytesAre(readFile(t, `${path}/sub/deep`), 'deep');
      break;
    case 'symlink':
      equal(t.readlink(path), 'nowhere');
      break;
    default:
      equal(st.type, c.S_IFIFO, 'type');
  }
}

function matrix(): Cases {
  const cases: Record<string, Case> = {};
  for (const from of Object.keys(objects)) {
    for (const to of ['nothing', ...Object.keys(objects)]) {
      for (const [label, flags] of flagSets) {
        const errno = verdict(from, to, flags);
        const target = to === 'nothing' ? 'moved' : 'to';
        const involvesDir = isDir(from) || (isDir(to) && flags === c.RENAME_EXCHANGE);
        const says = errno === 0 ? 'succeeds' : `gives ${e.errnoName(errno)}`;
        cases[`rename ${from} over ${to}${label} ${says}`] = {
          tree: { from: objects[from], ...(to === 'nothing' ? {} : { to: objects[to] }), bystander: file('x') },
          run(t) {
            const ino = lstat(t, 'from').ino;
            const refused = involvesDir && exdev(t) && (errno === 0 || errno === e.ENOTEMPTY);
            gives(refused ? e.EXDEV : errno, t.rename('from', target, flags));
            if (errno !== 0 || refused) {
              isThe(t, 'from', from);
              equal(exists(t, target), to !== 'nothing', 'the target is there');
              if (to !== 'nothing') {
                isThe(t, 'to', to);
              }
              return;
            }
            isThe(t, target, from);
            equal(lstat(t, target).ino, ino, 'inode number');
            const exchanged = flags === c.RENAME_EXCHANGE;
            if (exchanged) {
              isThe(t, 'from', to);
            }
            equal(names(t, '.'), ['bystander', ...(exchanged ? ['from'] : []), target].sort());
          },
        };
      }
    }
  }
  return cases;
}

export const renameCases: Cases = {
  ...matrix(),
  'rename of what does not exist gives ENOENT': {
    tree: { to: file('to') },
    run(t) {
      for (const [, flags] of flagSets) {
        fails(e.ENOENT, t.rename('new', 'moved', flags));
      }
      fails(e.ENOENT, t.rename('new', 'to'));
      bytesAre(readFile(t, 'to'), 'to');
    },
  },
  'rename of a name to itself changes nothing': {
    tree: { f: file('f'), d: dir({ g: file('g') }) },
    run(t) {
      ok(t.rename('f', 'f'));
      ok(t.rename('d', 'd'));
      fails(e.EEXIST, t.rename('f', 'f', c.RENAME_NOREPLACE));
      ok(t.rename('f', 'f', c.RENAME_EXCHANGE));
      bytesAre(readFile(t, 'f'), 'f');
      bytesAre(readFile(t, 'd/g'), 'g');
    },
  },
  'rename between two names of one file changes nothing': {
    tree: { f: file('f'), g: hardlink('f') },
    positions: ['plain', 'upper', 'opaque', 'whiteouts'],
    run(t) {
      ok(t.rename('f', 'g'));
      equal(names(t, '.'), ['f', 'g']);
      equal(lstat(t, 'f').nlink, 2);
    },
  },
  'rename of a directory below itself gives EINVAL': {
    tree: { d: dir({ sub: dir({ deep: dir() }) }) },
    run(t) {
      fails(e.EINVAL, t.rename('d', 'd/new'));
      fails(e.EINVAL, t.rename('d', 'd/sub/deep/new'));
      fails(e.EINVAL, t.rename('d', 'd/sub', c.RENAME_EXCHANGE));
      equal(names(t, 'd/sub'), ['deep']);
    },
  },
  'rename over an ancestor gives ENOTEMPTY': {
    tree: { d: dir({ sub: dir({ deep: dir() }) }) },
    run(t) {
      fails(e.ENOTEMPTY, t.rename('d/sub/deep', 'd'));
      fails(e.ENOTEMPTY, t.rename('d/sub', 'd'));
      fails(e.EINVAL, t.rename('d/sub', 'd', c.RENAME_EXCHANGE));
    },
  },
  'rename of . and .. gives EBUSY': {
    tree: { d: dir() },
    needs: ['vfs'],
    run(t) {
      fails(e.EBUSY, t.rename('d/.', 'new'));
      fails(e.EBUSY, t.rename('d/..', 'new'));
      fails(e.EBUSY, t.rename('d', 'd/..'));
    },
  },
  'rename with flags that contradict gives EINVAL': {
    tree: { f: file('f'), g: file('g') },
    run(t) {
      fails(e.EINVAL, t.rename('f', 'g', c.RENAME_NOREPLACE | c.RENAME_EXCHANGE));
      fails(e.EINVAL, t.rename('f', 'g', c.RENAME_WHITEOUT | c.RENAME_EXCHANGE));
      fails(e.EINVAL, t.rename('f', 'g', 1 << 10));
      bytesAre(readFile(t, 'f'), 'f');
    },
  },
  'rename moves a file between directories': {
    tree: { a: dir({ f: file('f') }), b: dir({ g: file('g') }) },
    run(t) {
      const ino = lstat(t, 'a/f').ino;
      ok(t.rename('a/f', 'b/moved'));
      equal(names(t, 'a'), []);
      equal(names(t, 'b'), ['g', 'moved']);
      bytesAre(readFile(t, 'b/moved'), 'f');
      equal(lstat(t, 'b/moved').ino, ino, 'inode number');
      ok(t.rename('b/moved', 'b/g'));
      equal(names(t, 'b'), ['g']);
      bytesAre(readFile(t, 'b/g'), 'f');
    },
  },
  'rename moves a directory between directories, and .. follows': {
    tree: { a: dir({ d: dir({ f: file('f'), sub: dir({ g: file('g') }) }) }), b: dir({ h: file('h') }) },
    run(t) {
      if (exdev(t)) {
        fails(e.EXDEV, t.rename('a/d', 'b/moved'));
        return;
      }
      const fd = open(t, 'a/d/sub', c.O_RDONLY | c.O_DIRECTORY);
      const ino = lstat(t, 'a/d/sub').ino;
      ok(t.rename('a/d', 'b/moved'));
      equal(names(t, 'a'), []);
      equal(names(t, 'b'), ['h', 'moved']);
      equal(names(t, 'b/moved'), ['f', 'sub']);
      bytesAre(readFile(t, 'b/moved/sub/g'), 'g');
      equal(stat(t, 'b/moved/..').ino, stat(t, 'b').ino, '.. of the moved directory');
      equal(ok(t.fstat(fd)), lstat(t, 'b/moved/sub'));
      equal(lstat(t, 'b/moved/sub').ino, ino, 'inode number');
    },
  },
  'rename of a directory, then a new one of the old name': {
    tree: { d: dir({ f: file('f'), sub: dir({ g: file('g') }) }) },
    run(t) {
      if (exdev(t)) {
        fails(e.EXDEV, t.rename('d', 'moved'));
        return;
      }
      ok(t.rename('d', 'moved'));
      ok(t.mkdir('d'));
      equal(names(t, 'd'), []);
      ok(t.mkdir('d/sub'));
      equal(names(t, 'd/sub'), []);
      equal(names(t, 'moved'), ['f', 'sub']);
      bytesAre(readFile(t, 'moved/sub/g'), 'g');
    },
  },
  'rename of a directory twice and back again': {
    tree: { d: dir({ f: file('f'), sub: dir({ g: file('g') }) }) },
    run(t) {
      if (exdev(t)) {
        fails(e.EXDEV, t.rename('d', 'moved'));
        return;
      }
      ok(t.rename('d', 'moved'));
      ok(t.rename('moved/sub', 'moved2'));
      ok(t.rename('moved', 'moved2/in'));
      ok(t.rename('moved2/in', 'd'));
      ok(t.rename('moved2', 'd/sub'));
      equal(names(t, '.'), ['d']);
      equal(names(t, 'd'), ['f', 'sub']);
      bytesAre(readFile(t, 'd/sub/g'), 'g');
    },
  },
  'rename of a tree chain: mv of each level into the next': {
    tree: { a: dir({ b: dir({ c: dir({ f: file('f') }) }) }) },
    run(t) {
      if (exdev(t)) {
        fails(e.EXDEV, t.rename('a', 'moved'));
        return;
      }
      ok(t.rename('a/b/c', 'new'));
      ok(t.rename('a/b', 'new/b'));
      ok(t.rename('a', 'new/b/a'));
      equal(names(t, '.'), ['new']);
      bytesAre(readFile(t, 'new/f'), 'f');
      equal(names(t, 'new/b/a'), []);
    },
  },
  'rename replaces a file that is open, whose readers keep it': {
    tree: { from: file('new content'), to: file('old content') },
    run(t) {
      const fd = open(t, 'to', c.O_RDWR);
      const ino = lstat(t, 'to').ino;
      ok(t.rename('from', 'to'));
      bytesAre(readAll(t, fd), 'old content');
      writeAll(t, fd, 'OLD');
      bytesAre(readAll(t, fd), 'OLD content');
      const st = ok(t.fstat(fd)) as ReturnType<typeof lstat>;
      equal(st.nlink, 0, 'links of the replaced file');
      equal(st.ino, ino, 'inode number of the replaced file');
      bytesAre(readFile(t, 'to'), 'new content');
    },
  },
  'rename of a file that is open for writing keeps what is written after': {
    tree: { from: file('content') },
    run(t) {
      const fd = open(t, 'from', c.O_RDWR);
      ok(t.rename('from', 'moved'));
      writeAll(t, fd, 'CON');
      bytesAre(readFile(t, 'moved'), 'CONtent');
    },
  },
  'rename of a file with a trailing slash gives ENOTDIR': {
    tree: { f: file('f'), d: dir() },
    run(t) {
      fails(e.ENOTDIR, t.rename('f/', 'new'));
      fails(e.ENOTDIR, t.rename('f', 'new/'));
      fails(e.ENOTDIR, t.rename('d', 'f/'));
      equal(names(t, '.'), ['d', 'f']);
    },
  },
  'rename of a directory with trailing slashes': {
    tree: { d: dir({ f: file('f') }) },
    run(t) {
      gives(exdev(t) ? e.EXDEV : 0, t.rename('d/', 'moved/'));
      bytesAre(readFile(t, exdev(t) ? 'd/f' : 'moved/f'), 'f');
    },
  },
  'rename of a symlink moves the link, not what it leads to': {
    tree: { link: symlink('d'), d: dir({ f: file('f') }), f: file('x') },
    run(t) {
      ok(t.rename('link', 'moved'));
      equal(t.readlink('moved'), 'd');
      ok(t.rename('f', 'moved'));
      bytesAre(readFile(t, 'moved'), 'x');
      equal(names(t, 'd'), ['f']);
    },
  },
  'rename of a device keeps its number': {
    tree: { dev: chr(0x103) },
    needs: ['root'],
    positions: ['plain', 'upper', 'lower', 'merged', 'whiteouts'],
    run(t) {
      ok(t.rename('dev', 'moved'));
      equal(lstat(t, 'moved').rdev, 0x103, 'device');
      equal(lstat(t, 'moved').type, c.S_IFCHR, 'type');
    },
  },
  'a rename that is refused for a full target leaves no times that are out of date': {
    tree: { d: dir({ from: dir({ f: file('f') }) }) },
    run(t) {
      ok(t.mkdir('d/to', 0o755));
      ok(t.mkdir('d/to/a', 0o755));
      const time = (): string => {
        const { mtime, mtimeNsec } = lstat(t, 'd');
        return `${mtime}+${mtimeNsec}`;
      };
      time();
      tick();
      fails(exdev(t) ? [e.EXDEV, e.ENOTEMPTY] : e.ENOTEMPTY, t.rename('d/from', 'd/to'));
      const shown = time();
      // Its answer has all times.
      ok(t.chmod('d', 0o700));
      equal(shown, time(), 'mtime');
    },
  },
  'rename over a directory that was emptied': {
    tree: { from: dir({ f: file('f') }), to: dir({ a: file('a'), b: dir({ c: file('c') }) }) },
    run(t) {
      fails(exdev(t) ? [e.EXDEV, e.ENOTEMPTY] : e.ENOTEMPTY, t.rename('from', 'to'));
      ok(t.unlink('to/a'));
      ok(t.unlink('to/b/c'));
      ok(t.rmdir('to/b'));
      equal(names(t, 'to'), []);
      if (exdev(t)) {
        return;
      }
      ok(t.rename('from', 'to'));
      equal(names(t, '.'), ['to']);
      equal(names(t, 'to'), ['f']);
    },
  },
  'rename over and over replaces one name many times': {
    tree: { to: file('0') },
    run(t) {
      for (let i = 1; i <= 20; i++) {
        writeFile(t, 'new', String(i));
        ok(t.rename('new', 'to'));
        bytesAre(readFile(t, 'to'), String(i));
      }
      equal(names(t, '.'), ['to']);
    },
  },
  'rename EXCHANGE of two files swaps names and keeps open files': {
    tree: { a: file('a'), b: file('b') },
    run(t) {
      const fd = open(t, 'a', c.O_RDONLY);
      const inoA = lstat(t, 'a').ino;
      const inoB = lstat(t, 'b').ino;
      ok(t.rename('a', 'b', c.RENAME_EXCHANGE));
      bytesAre(readAll(t, fd), 'a');
      bytesAre(readFile(t, 'a'), 'b');
      bytesAre(readFile(t, 'b'), 'a');
      equal([lstat(t, 'a').ino, lstat(t, 'b').ino], [inoB, inoA], 'inode numbers');
    },
  },
  'rename EXCHANGE across directories': {
    tree: { a: dir({ f: file('f') }), b: dir({ g: symlink('g') }) },
    run(t) {
      ok(t.rename('a/f', 'b/g', c.RENAME_EXCHANGE));
      equal(t.readlink('a/f'), 'g');
      bytesAre(readFile(t, 'b/g'), 'f');
    },
  },
};
