/** Open files whose name is gone or is another file's: every call on the descriptor is about the old one. */
import * as c from 'stratafs/internal/sys/constants';
import { ctime, fstat, later, lstat, mtime, open, readAll, readFile, tick } from '../calls.ts';
import { bytesAre, equal, modeIs, ok, truly } from '../expect.ts';
import { fewPositions } from '../positions.ts';
import type { Case, Cases, Need, Scene } from '../target.ts';
import { dir, file, OLD, type Tree } from '../tree.ts';

const tree: Tree = {
  f: file('content', { mode: 0o644, xattrs: { 'user.a': 'old' } }),
  g: file('other', { mode: 0o640, xattrs: { 'user.a': 'new' } }),
  from: file('from'),
  d: dir(),
};

/** How the name `f` is lost; how many names the open file has then. */
const losses: Readonly<Record<string, readonly [lose: (t: Scene) => void, nlink: number]>> = {
  unlinked: [(t) => ok(t.unlink('f')), 0],
  'replaced by a rename': [(t) => ok(t.rename('g', 'f')), 0],
  exchanged: [(t) => ok(t.rename('g', 'f', c.RENAME_EXCHANGE)), 1],
  'moved and unlinked': [
    (t) => {
      ok(t.rename('f', 'd/moved'));
      ok(t.unlink('d/moved'));
    },
    0,
  ],
};

/** What is done, what moves (`mc` both, `c` the ctime alone), and what has to be seen then. */
const acts: Readonly<
  Record<string, readonly [act: (t: Scene, fd: number) => unknown, moves: 'mc' | 'c' | '', Need[]?]>
> = {
  write: [(t, fd) => t.write(fd, 'WRITTEN!'), 'mc'],
  pwrite: [(t, fd) => t.pwrite(fd, 'WRITTEN!', 0), 'mc'],
  'ftruncate to less': [(t, fd) => t.ftruncate(fd, 3), 'mc'],
  'ftruncate to more': [(t, fd) => t.ftruncate(fd, 3000), 'mc'],
  fallocate: [(t, fd) => t.fallocate(fd, 0, 0, 9000), 'mc'],
  copy_file_range: [(t, fd) => t.copyFileRange(open(t, 'from', c.O_RDONLY), 0, fd, 0, 4), 'mc'],
  fchmod: [(t, fd) => t.fchmod(fd, 0o604), 'c'],
  fchown: [(t, fd) => t.fchown(fd, 11, 22), 'c', ['root']],
  futimens: [(t, fd) => t.futimens(fd, [5, 6], [OLD[0], OLD[1]]), 'c'],
  fsetxattr: [(t, fd) => t.fsetxattr(fd, 'user.a', 'changed'), 'c'],
  fremovexattr: [(t, fd) => t.fremovexattr(fd, 'user.a'), 'c'],
  fsync: [(t, fd) => t.fsync(fd), ''],
};

function seen(t: Scene, what: string, fd: number): void {
  const st = fstat(t, fd);
  const content = readAll(t, fd).toString('latin1');
  switch (what) {
    case 'write':
    case 'pwrite':
      equal(content, 'WRITTEN!');
      return;
    case 'ftruncate to less':
      equal(content, 'con');
      return;
    case 'ftruncate to more':
      equal(content, `content${'\0'.repeat(2993)}`);
      return;
    case 'fallocate':
      equal(st.size, 9000);
      return;
    case 'copy_file_range':
      equal(content, 'froment');
      return;
    case 'fchmod':
      modeIs(st.mode, 0o604);
      break;
    case 'fchown':
      equal([st.uid, st.gid], [11, 22]);
      break;
    case 'futimens':
      equal([st.atimeNsec === 6 || st.atime > 5, mtime(st)], [true, OLD]);
      break;
    case 'fsetxattr':
      bytesAre(t.fgetxattr(fd, 'user.a'), 'changed');
      break;
    case 'fremovexattr':
      equal(t.flistxattr(fd), []);
      break;
  }
  equal(content, 'content');
}

function table(): Cases {
  const cases: Record<string, Case> = {};
  for (const [loss, [lose, nlink]] of Object.entries(losses)) {
    for (const [what, [act, moves, needs]] of Object.entries(acts)) {
      cases[`${what} on an open file that was ${loss}`] = {
        tree,
        positions: fewPositions,
        needs: needs ?? [],
        run(t) {
          const fd = open(t, 'f', c.O_RDWR);
          const { ino } = fstat(t, fd);
          lose(t);
          const before = fstat(t, fd);
          equal([before.nlink, before.ino, before.size], [nlink, ino, 7]);
          const other = loss === 'replaced by a rename' || loss === 'exchanged' ? lstat(t, 'f') : null;
          tick();
          ok(act(t, fd));
          const after = fstat(t, fd);
          equal([after.nlink, after.ino], [nlink, ino]);
          equal(later(mtime(after), mtime(before)), moves === 'mc', 'mtime moved');
          equal(later(ctime(after), ctime(before)), moves !== '', 'ctime moved');
          seen(t, what, fd);
          if (other !== null) {
            equal(lstat(t, 'f'), other, 'the file that has the name now');
            bytesAre(readFile(t, 'f'), 'other');
            bytesAre(t.getxattr('f', 'user.a'), 'new');
          }
        },
      };
    }
  }
  return cases;
}

export const unnamedCases: Cases = {
  ...table(),
  'the ctime of a file moves as its names come and go': {
    tree: { f: file('content'), g: file('other') },
    positions: fewPositions,
    run(t) {
      const fd = open(t, 'f', c.O_RDWR);
      const moved = (what: string, act: () => unknown): void => {
        const before = fstat(t, fd);
        tick();
        ok(act());
        truly(later(ctime(fstat(t, fd)), ctime(before)), `${what}: ctime did not move`);
        equal(mtime(fstat(t, fd)), mtime(before), `${what}: mtime`);
      };
      moved('link', () => t.link('f', 'new'));
      moved('rename', () => t.rename('f', 'moved'));
      moved('unlink of one of two', () => t.unlink('moved'));
      moved('rename over', () => t.rename('g', 'new'));
      equal(fstat(t, fd).nlink, 0);
    },
  },
  'the ctime of a replaced file with another name moves': {
    tree: { f: file('content'), g: file('other') },
    positions: fewPositions,
    run(t) {
      ok(t.link('f', 'new'));
      const before = lstat(t, 'new');
      tick();
      ok(t.rename('g', 'f'));
      const after = lstat(t, 'new');
      equal([after.nlink, mtime(after)], [1, mtime(before)]);
      truly(later(ctime(after), ctime(before)), 'ctime did not move');
    },
  },
  'a directory that was removed while open keeps its attributes and takes changes of them': {
    tree: { d: dir({}, { mode: 0o750 }) },
    // A merged directory has one link, whatever becomes of it.
    positions: ['plain', 'upper'],
    run(t) {
      const fd = open(t, 'd', c.O_RDONLY | c.O_DIRECTORY);
      const { ino } = fstat(t, fd);
      ok(t.rmdir('d'));
      const st = fstat(t, fd);
      equal([st.ino, st.type, st.nlink], [ino, c.S_IFDIR, 0]);
      modeIs(st.mode, 0o750);
      ok(t.fchmod(fd, 0o700));
      modeIs(fstat(t, fd).mode, 0o700);
    },
  },
};
