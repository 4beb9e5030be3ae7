/** open(2): every set of flags on every kind of object, and what each leaves behind. */
import * as c from 'stratafs/internal/sys/constants';
import * as e from 'stratafs/internal/sys/errno';
import { exists, lstat, names, open, readAll, readFile, writeAll } from '../calls.ts';
import { bytesAre, equal, fails, gives, modeIs, ok } from '../expect.ts';
import type { Position } from '../positions.ts';
import type { Case, Cases, Scene } from '../target.ts';
import { dir, fifo, file, socket, symlink, type Tree } from '../tree.ts';

const tree: Tree = {
  file: file('content'),
  dir: dir({ inside: file('x') }),
  'link-to-file': symlink('file'),
  'link-to-dir': symlink('dir'),
  'link-to-nothing': symlink('new'),
  loop: symlink('loop'),
  fifo: fifo(),
  socket: socket(),
};

const kinds = [
  'new',
  'file',
  'dir',
  'link-to-file',
  'link-to-dir',
  'link-to-nothing',
  'loop',
  'fifo',
  'socket',
] as const;
type Kind = (typeof kinds)[number];

/** errno by kind; kinds that are not named give 0. */
type Row = readonly [label: string, flags: number, Partial<Record<Kind, number>>];

const everything: Partial<Record<Kind, number>> = Object.fromEntries(kinds.map((kind) => [kind, e.EEXIST]));

const rows: readonly Row[] = [
  ['O_RDONLY', c.O_RDONLY, { new: e.ENOENT, 'link-to-nothing': e.ENOENT, loop: e.ELOOP, socket: e.ENXIO }],
  [
    'O_WRONLY',
    c.O_WRONLY,
    {
      new: e.ENOENT,
      dir: e.EISDIR,
      'link-to-dir': e.EISDIR,
      'link-to-nothing': e.ENOENT,
      loop: e.ELOOP,
      fifo: e.ENXIO,
      socket: e.ENXIO,
    },
  ],
  [
    'O_RDWR',
    c.O_RDWR,
    {
      new: e.ENOENT,
      dir: e.EISDIR,
      'link-to-dir': e.EISDIR,
      'link-to-nothing': e.ENOENT,
      loop: e.ELOOP,
      socket: e.ENXIO,
    },
  ],
  [
    'O_RDWR|O_APPEND',
    c.O_RDWR | c.O_APPEND,
    {
      new: e.ENOENT,
      dir: e.EISDIR,
      'link-to-dir': e.EISDIR,
      'link-to-nothing': e.ENOENT,
      loop: e.ELOOP,
      socket: e.ENXIO,
    },
  ],
  [
    'O_WRONLY|O_TRUNC',
    c.O_WRONLY | c.O_TRUNC,
    {
      new: e.ENOENT,
      dir: e.EISDIR,
      'link-to-dir': e.EISDIR,
      'link-to-nothing': e.ENOENT,
      loop: e.ELOOP,
      fifo: e.ENXIO,
      socket: e.ENXIO,
    },
  ],
  [
    'O_RDONLY|O_TRUNC',
    c.O_RDONLY | c.O_TRUNC,
    {
      new: e.ENOENT,
      dir: e.EISDIR,
      'link-to-dir': e.EISDIR,
      'link-to-nothing': e.ENOENT,
      loop: e.ELOOP,
      socket: e.ENXIO,
    },
  ],
  [
    'O_RDONLY|O_CREAT',
    c.O_RDONLY | c.O_CREAT,
    { dir: e.EISDIR, 'link-to-dir': e.EISDIR, loop: e.ELOOP, socket: e.ENXIO },
  ],
  ['O_RDWR|O_CREAT', c.O_RDWR | c.O_CREAT, { dir: e.EISDIR, 'link-to-dir': e.EISDIR, loop: e.ELOOP, socket: e.ENXIO }],
  [
    'O_WRONLY|O_CREAT|O_TRUNC',
    c.O_WRONLY | c.O_CREAT | c.O_TRUNC,
    { dir: e.EISDIR, 'link-to-dir': e.EISDIR, loop: e.ELOOP, fifo: e.ENXIO, socket: e.ENXIO },
  ],
  ['O_RDWR|O_CREAT|O_EXCL', c.O_RDWR | c.O_CREAT | c.O_EXCL, { ...everything, new: 0 }],
  ['O_WRONLY|O_CREAT|O_EXCL|O_TRUNC', c.O_WRONLY | c.O_CREAT | c.O_EXCL | c.O_TRUNC, { ...everything, new: 0 }],
  [
    'O_RDONLY|O_DIRECTORY',
    c.O_RDONLY | c.O_DIRECTORY,
    {
      new: e.ENOENT,
      file: e.ENOTDIR,
      'link-to-file': e.ENOTDIR,
      'link-to-nothing': e.ENOENT,
      loop: e.ELOOP,
      fifo: e.ENOTDIR,
      socket: e.ENOTDIR,
    },
  ],
  [
    'O_RDWR|O_DIRECTORY',
    c.O_RDWR | c.O_DIRECTORY,
    {
      new: e.ENOENT,
      file: e.ENOTDIR,
      dir: e.EISDIR,
      'link-to-file': e.ENOTDIR,
      'link-to-dir': e.EISDIR,
      'link-to-nothing': e.ENOENT,
      loop: e.ELOOP,
      fifo: e.ENOTDIR,
      socket: e.ENOTDIR,
    },
  ],
  [
    'O_RDONLY|O_NOFOLLOW',
    c.O_RDONLY | c.O_NOFOLLOW,
    {
      new: e.ENOENT,
      'link-to-file': e.ELOOP,
      'link-to-dir': e.ELOOP,
      'link-to-nothing': e.ELOOP,
      loop: e.ELOOP,
      socket: e.ENXIO,
    },
  ],
  [
    'O_RDWR|O_CREAT|O_NOFOLLOW',
    c.O_RDWR | c.O_CREAT | c.O_NOFOLLOW,
    {
      dir: e.EISDIR,
      'link-to-file': e.ELOOP,
      'link-to-dir': e.ELOOP,
      'link-to-nothing': e.ELOOP,
      loop: e.ELOOP,
      socket: e.ENXIO,
    },
  ],
  [
    'O_RDONLY|O_DIRECTORY|O_NOFOLLOW',
    c.O_RDONLY | c.O_DIRECTORY | c.O_NOFOLLOW,
    {
      new: e.ENOENT,
      file: e.ENOTDIR,
      'link-to-file': e.ENOTDIR,
      'link-to-dir': e.ENOTDIR,
      'link-to-nothing': e.ENOTDIR,
      loop: e.ENOTDIR,
      fifo: e.ENOTDIR,
      socket: e.ENOTDIR,
    },
  ],
  ['O_PATH', c.O_PATH, { new: e.ENOENT, 'link-to-nothing': e.ENOENT, loop: e.ELOOP }],
  ['O_PATH|O_NOFOLLOW', c.O_PATH | c.O_NOFOLLOW, { new: e.ENOENT }],
];

const special: readonly Kind[] = ['fifo', 'socket'];
const specialPositions: readonly Position[] = ['upper', 'lower', 'merged'];

/** What must be so after an open that should give `errno`. */
function after(t: Scene, kind: Kind, flags: number, errno: number): void {
  const creates = (flags & c.O_CREAT) !== 0 && errno === 0 && (kind === 'new' || kind === 'link-to-nothing');
  equal(exists(t, 'new'), creates, 'the new file is there');
  const truncates = (flags & c.O_TRUNC) !== 0 && errno === 0 && (kind === 'file' || kind === 'link-to-file');
  bytesAre(readFile(t, 'file'), truncates ? '' : 'content');
  equal(names(t, '.'), [...Object.keys(tree), ...(creates ? ['new'] : [])].sort(), 'names');
  if (creates) {
    modeIs(lstat(t, 'new').mode, 0o640);
    equal(lstat(t, 'new').size, 0, 'size');
  }
}

function matrix(): Cases {
  const cases: Record<string, Case> = {};
  for (const [label, flags, errnos] of rows) {
    for (const kind of kinds) {
      const errno = errnos[kind] ?? 0;
      const opensSpecial =
        special.includes(kind) && (flags & c.O_PATH) === 0 && errno !== e.EEXIST && errno !== e.ENOTDIR;
      cases[`open ${kind} with ${label} ${errno === 0 ? 'succeeds' : `gives ${e.errnoName(errno)}`}`] = {
        tree,
        needs: opensSpecial ? ['vfs'] : [],
        positions: special.includes(kind) ? specialPositions : undefined,
        run(t) {
          const fd = t.open(kind, flags | c.O_NONBLOCK, 0o640);
          gives(errno, fd);
          if (errno === 0) {
            ok(t.close(fd));
          }
          after(t, kind, flags, errno);
        },
      };
    }
  }
  return cases;
}

export const openCases: Cases = {
  ...matrix(),
  'open: O_CREAT with O_DIRECTORY gives EINVAL': {
    needs: ['vfs'],
    positions: ['upper', 'lower'],
    run(t) {
      fails(e.EINVAL, t.open('new', c.O_CREAT | c.O_DIRECTORY | c.O_RDONLY, 0o644));
      equal(exists(t, 'new'), false);
    },
  },
  'open: a descriptor for reading does not write': {
    tree: { f: file('content') },
    run(t) {
      const fd = open(t, 'f', c.O_RDONLY);
      fails(e.EBADF, t.write(fd, 'x'));
      fails(e.EINVAL, t.ftruncate(fd, 1));
      fails(e.EBADF, t.fallocate(fd, 0, 0, 100));
      bytesAre(readFile(t, 'f'), 'content');
    },
  },
  'open: a descriptor for writing does not read': {
    tree: { f: file('content') },
    run(t) {
      const fd = open(t, 'f', c.O_WRONLY);
      fails(e.EBADF, t.read(fd, 1));
      fails(e.EBADF, t.pread(fd, 1, 0));
    },
  },
  'open: an O_PATH descriptor knows the inode and no data': {
    tree: { f: file('content') },
    run(t) {
      const fd = open(t, 'f', c.O_PATH);
      equal(ok(t.fstat(fd)), lstat(t, 'f'));
      fails(e.EBADF, t.read(fd, 1));
      fails(e.EBADF, t.write(fd, 'x'));
      fails(e.EBADF, t.fchmod(fd, 0o600));
      fails(e.EBADF, t.getdents(fd));
    },
  },
  'open: reading a directory gives EISDIR, listing a file ENOTDIR': {
    tree: { f: file('content'), d: dir() },
    run(t) {
      fails(e.EISDIR, t.read(open(t, 'd', c.O_RDONLY), 10));
      fails(e.ENOTDIR, t.getdents(open(t, 'f', c.O_RDONLY)));
    },
  },
  'open: a closed descriptor gives EBADF': {
    tree: { f: file('content') },
    run(t) {
      const fd = open(t, 'f', c.O_RDWR);
      ok(t.close(fd));
      fails(e.EBADF, t.close(fd));
    },
  },
  'open: O_CREAT creates with a mode that forbids what the descriptor may do': {
    run(t) {
      const fd = open(t, 'new', c.O_RDWR | c.O_CREAT, 0);
      writeAll(t, fd, 'abc');
      bytesAre(readAll(t, fd), 'abc');
      modeIs(lstat(t, 'new').mode, 0);
    },
  },
  'open: O_CREAT|O_EXCL makes the file for one of two': {
    run(t) {
      const fd = open(t, 'new', c.O_RDWR | c.O_CREAT | c.O_EXCL, 0o600);
      fails(e.EEXIST, t.open('new', c.O_RDWR | c.O_CREAT | c.O_EXCL, 0o600));
      writeAll(t, fd, 'first');
      bytesAre(readFile(t, 'new'), 'first');
    },
  },
  'open: O_TRUNC on an open file shows to its other descriptors': {
    tree: { f: file('content') },
    run(t) {
      const before = open(t, 'f', c.O_RDWR);
      bytesAre(readAll(t, before), 'content');
      open(t, 'f', c.O_WRONLY | c.O_TRUNC);
      bytesAre(readAll(t, before), '');
      equal(lstat(t, 'f').size, 0);
    },
  },
  'open: a reader from before the first write sees what was written': {
    tree: { f: file('content') },
    run(t) {
      const reader = open(t, 'f', c.O_RDONLY);
      bytesAre(readAll(t, reader), 'content');
      const writer = open(t, 'f', c.O_WRONLY);
      writeAll(t, writer, 'CON');
      bytesAre(readAll(t, reader), 'CONtent');
      equal(ok(t.fstat(reader)), lstat(t, 'f'));
    },
  },
};
