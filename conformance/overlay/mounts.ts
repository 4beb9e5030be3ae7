/** What depends on how the union was mounted: read-only, userxattr, volatile. */
import * as c from 'stratafs/internal/sys/constants';
import * as e from 'stratafs/internal/sys/errno';
import { exists, fstat, lstat, names, open, readFile, writeFile } from '../calls.ts';
import { bytesAre, equal, fails, ok } from '../expect.ts';
import { isWhiteout, type OverlayCases } from '../overlay-case.ts';
import type { Door } from '../target.ts';
import { dir, fifo, file, symlink, type Tree, whiteout } from '../tree.ts';

const refused: Readonly<Record<string, (m: Door) => unknown>> = {
  'open for writing': (m) => m.open('f', c.O_WRONLY),
  'open for reading and writing': (m) => m.open('f', c.O_RDWR),
  'open with O_TRUNC': (m) => m.open('f', c.O_RDONLY | c.O_TRUNC),
  'creating a file': (m) => m.open('new', c.O_CREAT | c.O_WRONLY, 0o644),
  O_TMPFILE: (m) => m.open('d', c.O_TMPFILE | c.O_RDWR, 0o644),
  mkdir: (m) => m.mkdir('new'),
  mknod: (m) => m.mknod('new', c.S_IFIFO | 0o600),
  symlink: (m) => m.symlink('x', 'new'),
  link: (m) => m.link('f', 'new'),
  unlink: (m) => m.unlink('f'),
  rmdir: (m) => m.rmdir('e'),
  rename: (m) => m.rename('f', 'new'),
  chmod: (m) => m.chmod('f', 0o600),
  chown: (m) => m.chown('f', 1, 1),
  utimens: (m) => m.utimens('f', [1, 1], [1, 1]),
  truncate: (m) => m.truncate('f', 0),
  setxattr: (m) => m.setxattr('f', 'user.a', 'v'),
  removexattr: (m) => m.removexattr('f', 'user.there'),
  'access for writing': (m) => m.access('f', c.W_OK),
};

const lowers: readonly Tree[] = [
  { f: file('top', { xattrs: { 'user.there': 'v' } }), d: dir({ a: file('a') }), gone: whiteout, l: symlink('f') },
  { f: file('bottom'), d: dir({ b: file('b') }), gone: file('hidden'), e: dir(), p: fifo({ mode: 0o666 }) },
];

/** Two lowers and no upper. */
export const readOnlyCases: OverlayCases = {
  ...Object.fromEntries(
    Object.entries(refused).map(([label, act]) => [
      `without an upper ${label} gives EROFS`,
      {
        lowers,
        // Whether a filesystem can be written to the VFS says before it asks for rights.
        needs: label === 'access for writing' ? ['vfs' as const] : [],
        run(m: Door) {
          fails(e.EROFS, act(m));
          bytesAre(readFile(m, 'f'), 'top');
        },
      },
    ]),
  ),
  'without an upper everything can be read': {
    lowers,
    run(m) {
      equal(names(m, '.'), ['d', 'e', 'f', 'l', 'p']);
      equal(names(m, 'd'), ['a', 'b']);
      bytesAre(readFile(m, 'l'), 'top');
      fails(e.ENOENT, m.lstat('gone'));
      bytesAre(m.getxattr('f', 'user.there'), 'v');
      ok(m.open('f', c.O_RDONLY | c.O_CREAT, 0o600));
    },
  },
  'a FIFO can be opened for writing without an upper': {
    lowers,
    needs: ['vfs'],
    run(m) {
      const fd = open(m, 'p', c.O_RDWR | c.O_NONBLOCK);
      equal(fstat(m, fd).type, c.S_IFIFO);
    },
  },
};

/** `userxattr`: marks are user.overlay.*, redirects are not made. */
export const userxattrCases: OverlayCases = {
  'userxattr: rm -rf and mkdir marks the directory user.overlay.opaque': {
    lowers: [{ d: dir({ old: file() }) }],
    async run(m, t) {
      ok(m.unlink('d/old'));
      ok(m.rmdir('d'));
      equal(isWhiteout(t.upper(), 'd'), true);
      ok(m.mkdir('d'));
      equal(t.marked('d', 'opaque'), 'y');
      bytesAre(t.upper().getxattr('d', 'user.overlay.opaque'), 'y');
      m = await t.remount();
      equal(names(m, 'd'), []);
    },
  },
  'userxattr: copy-up marks origin and impure as user xattrs': {
    lowers: [{ d: dir({ f: file('content') }) }],
    async run(m, t) {
      const ino = lstat(m, 'd/f').ino;
      writeFile(m, 'd/f', 'changed');
      equal(t.marked('d', 'impure'), 'y');
      ok(t.upper().getxattr('d/f', 'user.overlay.origin'));
      m = await t.remount();
      if (t.handles) {
        equal(lstat(m, 'd/f').ino, ino);
      }
      bytesAre(readFile(m, 'd/f'), 'changed');
    },
  },
};

/** `userxattr` as the kernel has it: no redirects. */
export const userxattrNoRedirectCases: OverlayCases = {
  'userxattr: a lower directory cannot be renamed': {
    lowers: [{ d: dir({ f: file() }) }],
    upper: { u: dir({ x: file() }) },
    run(m) {
      fails(e.EXDEV, m.rename('d', 'moved'));
      ok(m.rename('u', 'moved'));
    },
  },
  'userxattr: a redirect of a user is refused': {
    lowers: [{ was: dir({ secret: file() }) }],
    upper: { is: dir({ own: file() }, { redirect: 'was' }) },
    run(m) {
      fails(e.EPERM, m.lstat('is'));
    },
  },
};

/** `volatile`: nothing is synced, and the upper may not be mounted again before a person said so. */
export const volatileCases: OverlayCases = {
  'a volatile upper is marked, and refused until the mark is removed': {
    lowers: [{ f: file('content') }],
    async run(m, t) {
      writeFile(m, 'f', 'changed');
      ok(m.fsync(open(m, 'f', c.O_RDWR)));
      equal(await t.refused(), -e.EINVAL);
      const work = t.work();
      equal(names(work, 'work/incompat/volatile'), ['dirty']);
      for (const path of ['incompat', 'incompat/volatile', 'incompat/volatile/dirty']) {
        equal(lstat(work, `work/${path}`).mode & 0o7777, 0);
      }
      ok(work.unlink('work/incompat/volatile/dirty'));
      ok(work.rmdir('work/incompat/volatile'));
      m = await t.remount();
      bytesAre(readFile(m, 'f'), 'changed');
    },
  },
  'any other incompatible feature refuses the mount too': {
    lowers: [{ f: file('content') }],
    async run(m, t) {
      equal(exists(m, 'f'), true);
      const work = t.work();
      await t.unmount();
      ok(work.unlink('work/incompat/volatile/dirty'));
      ok(work.rmdir('work/incompat/volatile'));
      ok(work.mkdir('work/incompat/something-new'));
      equal(await t.refused(), -e.EINVAL);
      ok(work.rmdir('work/incompat/something-new'));
      equal(exists(await t.remount(), 'f'), true);
    },
  },
};
