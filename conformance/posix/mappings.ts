/** mmap(2): mappings are the file's own bytes, for every process, whatever happens to its name and size. */
import * as c from 'stratafs/internal/sys/constants';
import * as e from 'stratafs/internal/sys/errno';
import { ctime, fstat, later, lstat, mtime, open, readAll, readFile, tick, vfs, writeAll } from '../calls.ts';
import { bytesAre, equal, fails, modeIs, ok, truly } from '../expect.ts';
import { fewPositions } from '../positions.ts';
import type { Case, Cases, Scene } from '../target.ts';
import { dir, file } from '../tree.ts';
import { capability } from './privileges.ts';

const PAGE = 4096;
const RW: number = c.PROT_READ | c.PROT_WRITE;

/** Maps `pages` of an open file, shared. */
function shared(t: Scene, fd: number, pages = 1, prot: number = RW): number {
  return ok(vfs(t).mmap(fd, pages * PAGE, prot, c.MAP_SHARED));
}

/** What changes a file otherwise, and the six bytes that it begins with then. */
const changes: Readonly<Record<string, readonly [change: (t: Scene, fd: number) => void, after: string]>> = {
  pwrite: [(t, fd) => equal(t.pwrite(fd, 'WW', 1), 2), 'cWWten'],
  'a write of another descriptor': [(t) => writeAll(t, open(t, 'f', c.O_WRONLY), 'WW'), 'WWnten'],
  append: [(t) => writeAll(t, open(t, 'f', c.O_WRONLY | c.O_APPEND), 'WW'), 'conten'],
  'ftruncate and back': [
    (t, fd) => {
      ok(t.ftruncate(fd, 3));
      ok(t.ftruncate(fd, 7));
    },
    'con\0\0\0',
  ],
  O_TRUNC: [
    (t, fd) => {
      open(t, 'f', c.O_WRONLY | c.O_TRUNC);
      equal(t.pwrite(fd, 'new', 3), 3);
    },
    '\0\0\0new',
  ],
  'punching a hole': [
    (t, fd) => ok(t.fallocate(fd, c.FALLOC_FL_PUNCH_HOLE | c.FALLOC_FL_KEEP_SIZE, 1, 3)),
    'c\0\0\0en',
  ],
  copy_file_range: [(t, fd) => equal(t.copyFileRange(open(t, 'from', c.O_RDONLY), 0, fd, 2, 4), 4), 'cofrom'],
  'another mapping': [(t) => equal(vfs(t).poke(shared(t, open(t, 'f', c.O_RDWR)) + 1, 'WW'), 2), 'cWWten'],
  'another mapping of the same descriptor': [(t, fd) => equal(vfs(t).poke(shared(t, fd), 'WW'), 2), 'WWnten'],
};

function coherent(): Cases {
  const cases: Record<string, Case> = {};
  for (const [what, [change, after]] of Object.entries(changes)) {
    cases[`mmap: ${what} shows in a shared mapping at once`] = {
      needs: ['vfs'],
      positions: fewPositions,
      tree: { f: file('content'), from: file('from') },
      run(t) {
        const fd = open(t, 'f', c.O_RDWR);
        const at = shared(t, fd);
        bytesAre(vfs(t).peek(at, 7), 'content');
        change(t, fd);
        bytesAre(vfs(t).peek(at, 6), after);
      },
    };
  }
  return cases;
}

export const mappingCases: Cases = {
  ...coherent(),
  'mmap: what is stored in a shared mapping is the file': {
    needs: ['vfs'],
    positions: fewPositions,
    tree: { f: file(Buffer.alloc(3 * PAGE, 'abc')) },
    run(t) {
      const fd = open(t, 'f', c.O_RDWR);
      const reader = open(t, 'f', c.O_RDONLY);
      const at = shared(t, fd, 3);
      equal(vfs(t).poke(at + PAGE - 2, 'STORED'), 6);
      bytesAre(t.pread(reader, 6, PAGE - 2), 'STORED');
      bytesAre(t.pread(open(t, 'f', c.O_RDONLY), 6, PAGE - 2), 'STORED');
      ok(vfs(t).msync(at, 3 * PAGE));
      const expected = Buffer.alloc(3 * PAGE, 'abc');
      expected.write('STORED', PAGE - 2);
      bytesAre(readFile(t, 'f'), expected);
    },
  },
  'mmap: a private mapping keeps what is stored to itself': {
    needs: ['vfs'],
    positions: fewPositions,
    tree: { f: file('content') },
    run(t) {
      const at = ok<number>(vfs(t).mmap(open(t, 'f', c.O_RDONLY), PAGE, RW, c.MAP_PRIVATE));
      equal(vfs(t).poke(at, 'STORED'), 6);
      bytesAre(vfs(t).peek(at, 7), 'STOREDt');
      bytesAre(readFile(t, 'f'), 'content');
    },
  },
  'mmap: a mapping outlives its descriptor, its name and its file': {
    needs: ['vfs'],
    positions: fewPositions,
    tree: { f: file('content') },
    run(t) {
      const fd = open(t, 'f', c.O_RDWR);
      const other = open(t, 'f', c.O_RDONLY);
      const at = shared(t, fd);
      ok(t.close(fd));
      ok(t.rename('f', 'moved'));
      equal(vfs(t).poke(at, 'STORED'), 6);
      bytesAre(readFile(t, 'moved'), 'STOREDt');
      ok(t.unlink('moved'));
      equal(vfs(t).poke(at, 'again!'), 6);
      bytesAre(readAll(t, other), 'again!t');
      equal(fstat(t, other).nlink, 0);
      ok(t.close(other));
      bytesAre(vfs(t).peek(at, 7), 'again!t');
    },
  },
  'mmap: a mapping ends where its file does, as it shrinks and grows': {
    needs: ['vfs'],
    positions: fewPositions,
    tree: { f: file(Buffer.alloc(PAGE + 100, 'x')) },
    run(t) {
      const fd = open(t, 'f', c.O_RDWR);
      const at = shared(t, fd, 3);
      bytesAre(vfs(t).peek(at + PAGE, 101), `${'x'.repeat(100)}\0`);
      fails(e.EFAULT, vfs(t).peek(at + 2 * PAGE, 1));
      fails(e.EFAULT, vfs(t).poke(at + 2 * PAGE, 'x'));
      ok(t.ftruncate(fd, 10));
      bytesAre(vfs(t).peek(at, 11), `${'x'.repeat(10)}\0`);
      fails(e.EFAULT, vfs(t).peek(at + PAGE, 1));
      ok(t.truncate('f', 3 * PAGE));
      bytesAre(vfs(t).peek(at, 3 * PAGE), Buffer.concat([Buffer.alloc(10, 'x'), Buffer.alloc(3 * PAGE - 10)]));
      equal(vfs(t).poke(at + 3 * PAGE - 1, 'z'), 1);
      bytesAre(t.pread(fd, 1, 3 * PAGE - 1), 'z');
    },
  },
  'mmap: a store moves mtime and ctime, a load does not': {
    needs: ['vfs'],
    positions: fewPositions,
    tree: { f: file('content') },
    run(t) {
      const fd = open(t, 'f', c.O_RDWR);
      const before = fstat(t, fd);
      tick();
      const loaded = shared(t, fd);
      bytesAre(vfs(t).peek(loaded, 7), 'content');
      equal([mtime(fstat(t, fd)), ctime(lstat(t, 'f'))], [mtime(before), ctime(before)]);
      // A filesystem need not notice a store into a page that the same mapping was given before.
      ok(vfs(t).munmap(loaded, PAGE));
      const at = shared(t, fd);
      equal(vfs(t).poke(at, 'S'), 1);
      ok(vfs(t).msync(at, PAGE));
      for (const after of [fstat(t, fd), lstat(t, 'f')]) {
        truly(later(mtime(after), mtime(before)), 'mtime did not move');
        truly(later(ctime(after), ctime(before)), 'ctime did not move');
      }
      const stored = lstat(t, 'f');
      ok(vfs(t).munmap(at, PAGE));
      ok(t.close(fd));
      equal(mtime(lstat(t, 'f')), mtime(stored), 'mtime after the last close');
    },
  },
  'mmap: a store into a file without a name moves its mtime': {
    needs: ['vfs'],
    positions: fewPositions,
    tree: { f: file('content') },
    run(t) {
      const fd = open(t, 'f', c.O_RDWR);
      const at = shared(t, fd);
      ok(t.unlink('f'));
      const before = fstat(t, fd);
      tick();
      equal(vfs(t).poke(at, 'S'), 1);
      ok(vfs(t).msync(at, PAGE));
      truly(later(mtime(fstat(t, fd)), mtime(before)), 'mtime did not move');
    },
  },
  'mmap: what a descriptor may not do, its mapping may not': {
    needs: ['vfs'],
    positions: fewPositions,
    tree: { f: file('content'), d: dir() },
    run(t) {
      const map = (fd: number, prot: number, flags: number): number => vfs(t).mmap(fd, PAGE, prot, flags);
      fails(e.EACCES, map(open(t, 'f', c.O_RDONLY), RW, c.MAP_SHARED));
      fails(e.EACCES, map(open(t, 'f', c.O_WRONLY), c.PROT_READ, c.MAP_SHARED));
      fails(e.EACCES, map(open(t, 'f', c.O_WRONLY), c.PROT_WRITE, c.MAP_SHARED));
      fails(e.ENODEV, map(open(t, 'd', c.O_RDONLY | c.O_DIRECTORY), c.PROT_READ, c.MAP_SHARED));
      fails(e.EBADF, map(open(t, 'f', c.O_PATH), c.PROT_READ, c.MAP_SHARED));
      const at = shared(t, open(t, 'f', c.O_RDONLY), 1, c.PROT_READ);
      fails(e.EFAULT, vfs(t).poke(at, 'x'));
    },
  },
  'mmap: a set-user-ID file that a mapping writes to keeps its bit, as Linux has it': {
    needs: ['root', 'vfs'],
    positions: fewPositions,
    tree: { f: file('content', { uid: 1000, gid: 1000, mode: 0o4777 }) },
    run(t) {
      t.as({ uid: 3000, gid: 3000 }, () => {
        const at = shared(t, open(t, 'f', c.O_RDWR));
        equal(vfs(t).poke(at, 'S'), 1);
        ok(vfs(t).munmap(at, PAGE));
      });
      modeIs(lstat(t, 'f').mode, 0o4777);
      bytesAre(readFile(t, 'f'), 'Sontent');
    },
  },
  'mmap: file capabilities of a file that a mapping writes to stay': {
    needs: ['root', 'vfs'],
    positions: fewPositions,
    tree: { f: file('content', { mode: 0o755, xattrs: { 'security.capability': capability } }) },
    run(t) {
      // A reader from before may keep the file in the page cache.
      open(t, 'f', c.O_RDONLY);
      const at = shared(t, open(t, 'f', c.O_RDWR));
      equal(vfs(t).poke(at, 'S'), 1);
      ok(vfs(t).msync(at, PAGE));
      bytesAre(t.getxattr('f', 'security.capability'), capability);
      bytesAre(readFile(t, 'f'), 'Sontent');
    },
  },
  'mmap: two processes share a mapping': {
    needs: ['vfs'],
    positions: fewPositions,
    tree: { f: file('content') },
    run(t) {
      const at = shared(t, open(t, 'f', c.O_RDWR));
      equal(vfs(t).poke(at, 'ours'), 4);
      const seen = vfs(t).elsewhere(`
        const fd = sys.openat(c.AT_FDCWD, 'f', c.O_RDWR, 0);
        const at = sys.mmap(fd, 4096, c.PROT_READ | c.PROT_WRITE, c.MAP_SHARED, 0);
        const seen = Buffer.alloc(7);
        sys.readMemory(at, seen, 0, 7);
        sys.writeMemory(at + 4, Buffer.from('THEIRS'), 0, 3);
        console.log(seen.toString());`);
      equal(seen, 'oursent\n');
      bytesAre(vfs(t).peek(at, 7), 'oursTHE');
      vfs(t).elsewhere(`sys.pwrite(sys.openat(c.AT_FDCWD, 'f', c.O_WRONLY, 0), Buffer.from('write'), 0, 5, 0);`);
      bytesAre(vfs(t).peek(at, 7), 'writeHE');
    },
  },
  'mmap: a file without a name is mapped, and named later': {
    needs: ['vfs'],
    positions: fewPositions,
    run(t) {
      const fd = open(t, '.', c.O_TMPFILE | c.O_RDWR, 0o600);
      ok(t.ftruncate(fd, PAGE));
      const at = shared(t, fd);
      equal(vfs(t).poke(at, 'STORED'), 6);
      ok(t.linkFd(fd, 'new'));
      equal(vfs(t).poke(at + 6, ', twice'), 7);
      bytesAre(readFile(t, 'new').subarray(0, 13), 'STORED, twice');
    },
  },
};
