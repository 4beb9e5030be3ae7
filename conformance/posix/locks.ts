/** flock(2) and the locks of fcntl(2), by descriptor and by process; opening for writing copies up in between. */
import * as c from 'stratafs/internal/sys/constants';
import * as e from 'stratafs/internal/sys/errno';
import type { FileLock } from 'stratafs/internal/sys/sys';
import { open, vfs, writeAll } from '../calls.ts';
import { equal, fails, ok } from '../expect.ts';
import { fewPositions } from '../positions.ts';
import type { Case, Cases, Scene } from '../target.ts';
import { dir, file } from '../tree.ts';

const NOW: number = c.LOCK_NB;

/** A lock of a whole file that does not wait, by descriptor. */
const exclusive: Readonly<Record<string, (t: Scene, fd: number) => unknown>> = {
  flock: (t, fd) => vfs(t).flock(fd, c.LOCK_EX | NOW),
  'an OFD lock': (t, fd) => vfs(t).lock(fd, c.F_OFD_SETLK, c.F_WRLCK),
};

function held(): Cases {
  const cases: Record<string, Case> = {};
  for (const [what, lock] of Object.entries(exclusive)) {
    cases[`${what} holds through write, rename and unlink, until its descriptor is closed`] = {
      needs: ['vfs'],
      positions: fewPositions,
      tree: { f: file('content') },
      run(t) {
        // Locked before anything is copied up: flock asks for no right to write.
        const first = open(t, 'f', what === 'flock' ? c.O_RDONLY : c.O_RDWR);
        ok(lock(t, first));
        const second = open(t, 'f', c.O_RDWR);
        fails(e.EAGAIN, lock(t, second));
        writeAll(t, second, 'x');
        ok(t.rename('f', 'moved'));
        const third = open(t, 'moved', c.O_RDWR);
        fails(e.EAGAIN, lock(t, third));
        ok(t.unlink('moved'));
        fails(e.EAGAIN, lock(t, second));
        ok(t.close(first));
        ok(lock(t, third));
        fails(e.EAGAIN, lock(t, second));
      },
    };
  }
  return cases;
}

/** What another process gets for a lock of bytes [start, start + len) of `f`: 0 or an errno, and who is in its way. */
function asOther(t: Scene, type: number, start: number, len: number): [result: number, pid: number] {
  const told = vfs(t).elsewhere(`
    const fd = sys.openat(c.AT_FDCWD, 'f', c.O_RDWR, 0);
    const lock = () => ({ type: ${type}, whence: 0, start: ${start}, len: ${len}, pid: 0 });
    const asked = lock();
    sys.fcntlLock(fd, c.F_GETLK, asked);
    console.log(JSON.stringify([sys.fcntlLock(fd, c.F_SETLK, lock()), asked.type === c.F_UNLCK ? 0 : asked.pid]));`);
  return JSON.parse(told) as [number, number];
}

export const lockCases: Cases = {
  ...held(),
  'flock: shared locks go together, an exclusive one with none': {
    needs: ['vfs'],
    positions: fewPositions,
    tree: { f: file('content'), d: dir() },
    run(t) {
      const flock = (fd: number, op: number): number => vfs(t).flock(fd, op | NOW);
      const one = open(t, 'f', c.O_RDONLY);
      const two = open(t, 'f', c.O_RDWR);
      ok(flock(one, c.LOCK_SH));
      ok(flock(two, c.LOCK_SH));
      fails(e.EAGAIN, flock(two, c.LOCK_EX));
      ok(flock(one, c.LOCK_UN));
      ok(flock(two, c.LOCK_EX));
      fails(e.EAGAIN, flock(one, c.LOCK_SH));
      const a = open(t, 'd', c.O_RDONLY | c.O_DIRECTORY);
      const b = open(t, 'd', c.O_RDONLY | c.O_DIRECTORY);
      ok(flock(a, c.LOCK_EX));
      ok(t.chmod('d', 0o700));
      fails(e.EAGAIN, flock(b, c.LOCK_EX));
      fails(e.EBADF, flock(open(t, 'f', c.O_PATH), c.LOCK_SH));
    },
  },
  'OFD locks are of ranges, and know the two kinds': {
    needs: ['vfs'],
    positions: fewPositions,
    tree: { f: file('content') },
    run(t) {
      const set = (fd: number, type: number, start: number, len: number): FileLock | number =>
        vfs(t).lock(fd, c.F_OFD_SETLK, type, start, len);
      const one = open(t, 'f', c.O_RDONLY);
      const two = open(t, 'f', c.O_RDWR);
      ok(set(one, c.F_RDLCK, 0, 100));
      fails(e.EBADF, set(one, c.F_WRLCK, 200, 1));
      ok(set(two, c.F_RDLCK, 50, 10));
      fails(e.EAGAIN, set(two, c.F_WRLCK, 99, 1));
      ok(set(two, c.F_WRLCK, 100, 0));
      fails(e.EAGAIN, set(one, c.F_RDLCK, 0, 101));
      const seen = ok<FileLock>(vfs(t).lock(one, c.F_OFD_GETLK, c.F_RDLCK, 5000, 1) as FileLock);
      equal([seen.type, seen.start, seen.len, seen.pid], [c.F_WRLCK, 100, 0, -1]);
      ok(set(one, c.F_UNLCK, 0, 0));
      ok(set(two, c.F_WRLCK, 0, 0));
    },
  },
  'a lock of a process stands in the way of another, until any descriptor of the file is closed': {
    needs: ['vfs'],
    positions: fewPositions,
    tree: { f: file('content') },
    run(t) {
      const reader = open(t, 'f', c.O_RDONLY);
      ok(vfs(t).lock(reader, c.F_SETLK, c.F_RDLCK, 0, 10));
      const writer = open(t, 'f', c.O_RDWR);
      ok(vfs(t).lock(writer, c.F_SETLK, c.F_WRLCK, 10, 10));
      writeAll(t, writer, 'x');
      equal(asOther(t, c.F_WRLCK, 9, 1), [-e.EAGAIN, process.pid]);
      equal(asOther(t, c.F_RDLCK, 0, 10), [0, 0]);
      equal(asOther(t, c.F_RDLCK, 19, 1), [-e.EAGAIN, process.pid]);
      ok(t.close(reader));
      equal(asOther(t, c.F_WRLCK, 0, 0), [0, 0]);
    },
  },
};
