/** RLIMIT_FSIZE, and the flags of an open file that fcntl(2) changes: O_DIRECT, O_APPEND. */
import * as c from 'stratafs/internal/sys/constants';
import * as e from 'stratafs/internal/sys/errno';
import { fstat, later, lstat, mtime, open, readFile, vfs } from '../calls.ts';
import { bytesAre, equal, fails, modeIs, ok, truly } from '../expect.ts';
import { fewPositions } from '../positions.ts';
import type { Cases } from '../target.ts';
import { dir, file, OLD } from '../tree.ts';

const LIMIT = 10_000;
const BLOCK = 4096;
/** vfs_cap_data revision 2: cap_net_bind_service=ep. */
const capability: Buffer = Buffer.from('0100000200040000000000000000000000000000', 'hex');

function block(fill: string): Buffer {
  return Buffer.alloc(BLOCK, fill);
}

/** O_DIRECT asks for alignment, or not: a filesystem's choice. */
function perhaps(result: Buffer | number, expected: string): void {
  if (result !== -e.EINVAL) {
    bytesAre(result, expected);
  }
}

export const limitCases: Cases = {
  'RLIMIT_FSIZE: a write stops at the limit, and beyond it gives EFBIG': {
    needs: ['vfs'],
    positions: fewPositions,
    tree: { f: file('content') },
    run(t) {
      const fd = open(t, 'f', c.O_RDWR);
      const appender = open(t, 'f', c.O_WRONLY | c.O_APPEND);
      vfs(t).limited(LIMIT, () => {
        equal(t.pwrite(fd, 'x'.repeat(100), LIMIT - 50), 50);
        fails(e.EFBIG, t.pwrite(fd, 'x', LIMIT));
        fails(e.EFBIG, t.pwrite(fd, 'x', LIMIT + 5000));
        fails(e.EFBIG, t.write(appender, 'x'));
        equal(t.pwrite(fd, 'CON', 0), 3);
        equal(fstat(t, fd).size, LIMIT);
        ok(t.ftruncate(fd, LIMIT - 10));
        equal(t.write(appender, 'y'.repeat(11)), 10);
      });
      equal(t.write(appender, 'y'), 1);
      equal(lstat(t, 'f').size, LIMIT + 1);
      bytesAre(readFile(t, 'f').subarray(0, 7), 'CONtent');
    },
  },
  'RLIMIT_FSIZE: truncate and fallocate to more give EFBIG': {
    needs: ['vfs'],
    positions: fewPositions,
    tree: { f: file('content'), big: file(Buffer.alloc(LIMIT + 1000, 'x')) },
    run(t) {
      const fd = open(t, 'f', c.O_RDWR);
      const big = open(t, 'big', c.O_RDWR);
      vfs(t).limited(LIMIT, () => {
        fails(e.EFBIG, t.ftruncate(fd, LIMIT + 1));
        fails(e.EFBIG, t.truncate('f', LIMIT + 1));
        fails(e.EFBIG, t.fallocate(fd, 0, LIMIT - 10, 20));
        equal(fstat(t, fd).size, 7);
        ok(t.ftruncate(fd, LIMIT));
        ok(t.fallocate(fd, 0, 0, LIMIT));
        // What is larger already may shrink, and be written below the limit.
        ok(t.ftruncate(big, LIMIT + 500));
        equal(t.pwrite(big, 'y', 5), 1);
        fails(e.EFBIG, t.pwrite(big, 'y', LIMIT));
      });
      equal([lstat(t, 'f').size, lstat(t, 'big').size], [LIMIT, LIMIT + 500]);
    },
  },
  'RLIMIT_FSIZE: copy_file_range copies up to the limit': {
    needs: ['vfs'],
    positions: fewPositions,
    tree: { f: file('content'), from: file(Buffer.alloc(2 * BLOCK, 'x')) },
    run(t) {
      const from = open(t, 'from', c.O_RDONLY);
      const fd = open(t, 'f', c.O_RDWR);
      vfs(t).limited(LIMIT, () => {
        equal(t.copyFileRange(from, 0, fd, LIMIT - 100, 2 * BLOCK), 100);
        fails(e.EFBIG, t.copyFileRange(from, 0, fd, LIMIT, 1));
      });
      equal(lstat(t, 'f').size, LIMIT);
    },
  },
  'RLIMIT_FSIZE: a file made under the limit obeys it': {
    needs: ['vfs'],
    positions: fewPositions,
    run(t) {
      vfs(t).limited(LIMIT, () => {
        const fd = open(t, 'new', c.O_CREAT | c.O_RDWR);
        equal(t.write(fd, Buffer.alloc(3 * BLOCK, 'x')), LIMIT);
        fails(e.EFBIG, t.write(fd, 'x'));
        const unnamed = open(t, '.', c.O_TMPFILE | c.O_RDWR);
        fails(e.EFBIG, t.pwrite(unnamed, 'x', LIMIT));
      });
      equal(lstat(t, 'new').size, LIMIT);
    },
  },
  'O_DIRECT reads and writes what others read and write': {
    needs: ['vfs'],
    positions: fewPositions,
    tree: { f: file(Buffer.concat([block('a'), block('b'), Buffer.from('tail')])) },
    run(t) {
      const cached = open(t, 'f', c.O_RDONLY);
      bytesAre(t.pread(cached, BLOCK, 0), block('a'));
      const reader = open(t, 'f', c.O_RDONLY | c.O_DIRECT);
      bytesAre(vfs(t).directRead(reader, BLOCK, BLOCK), block('b'));
      const direct = open(t, 'f', c.O_RDWR | c.O_DIRECT);
      equal(vfs(t).directWrite(direct, block('A'), 0), BLOCK);
      bytesAre(t.pread(cached, BLOCK, 0), block('A'));
      bytesAre(vfs(t).directRead(reader, BLOCK, 0), block('A'));
      equal(t.pwrite(open(t, 'f', c.O_WRONLY), 'written', BLOCK), 7);
      bytesAre(ok<Buffer>(vfs(t).directRead(direct, BLOCK, BLOCK) as Buffer).subarray(0, 8), 'writtenb');
      bytesAre(vfs(t).directRead(direct, BLOCK, 2 * BLOCK), 'tail');
      bytesAre(vfs(t).directRead(direct, BLOCK, 3 * BLOCK), '');
      equal(vfs(t).directWrite(direct, block('C'), 2 * BLOCK), BLOCK);
      equal(fstat(t, cached).size, 3 * BLOCK);
      bytesAre(t.pread(cached, 1, 3 * BLOCK - 1), 'C');
      perhaps(vfs(t).directRead(direct, 10, 1), 'A'.repeat(10));
    },
  },
  'O_DIRECT of a file that was made, grows and is mapped': {
    needs: ['vfs'],
    positions: fewPositions,
    run(t) {
      const fd = open(t, 'new', c.O_CREAT | c.O_RDWR | c.O_DIRECT);
      equal(vfs(t).directWrite(fd, block('x'), 0), BLOCK);
      const at = ok<number>(vfs(t).mmap(fd, BLOCK, c.PROT_READ | c.PROT_WRITE, c.MAP_SHARED));
      bytesAre(vfs(t).peek(at, 3), 'xxx');
      equal(vfs(t).directWrite(fd, block('y'), 0), BLOCK);
      bytesAre(vfs(t).peek(at, 3), 'yyy');
      equal(vfs(t).poke(at, 'stored'), 6);
      bytesAre(ok<Buffer>(vfs(t).directRead(fd, BLOCK, 0) as Buffer).subarray(0, 7), 'storedy');
      ok(t.ftruncate(fd, 3 * BLOCK));
      bytesAre(vfs(t).directRead(fd, BLOCK, 2 * BLOCK), Buffer.alloc(BLOCK));
    },
  },
  'F_SETFL switches O_APPEND and O_DIRECT on and off': {
    needs: ['vfs'],
    positions: fewPositions,
    tree: { f: file(block('a')) },
    run(t) {
      const flags = (fd: number): number => vfs(t).fcntl(fd, c.F_GETFL, 0) & (c.O_APPEND | c.O_DIRECT);
      const fd = open(t, 'f', c.O_RDWR);
      ok(vfs(t).fcntl(fd, c.F_SETFL, c.O_APPEND));
      equal(flags(fd), c.O_APPEND);
      equal(t.pwrite(fd, block('b'), 0), BLOCK);
      equal(fstat(t, fd).size, 2 * BLOCK);
      ok(vfs(t).fcntl(fd, c.F_SETFL, c.O_DIRECT));
      equal(flags(fd), c.O_DIRECT);
      equal(vfs(t).directWrite(fd, block('c'), 0), BLOCK);
      bytesAre(vfs(t).directRead(fd, BLOCK, BLOCK), block('b'));
      ok(vfs(t).fcntl(fd, c.F_SETFL, 0));
      bytesAre(t.pread(fd, 2, BLOCK - 1), 'cb');
    },
  },
  'a file that was opened with O_DIRECT goes on without it when F_SETFL takes it off': {
    needs: ['vfs'],
    positions: fewPositions,
    tree: { f: file(block('a')), d: dir() },
    run(t) {
      const fds = [
        open(t, 'f', c.O_RDWR | c.O_DIRECT),
        open(t, 'new', c.O_CREAT | c.O_RDWR | c.O_DIRECT),
        open(t, 'd', c.O_TMPFILE | c.O_RDWR | c.O_DIRECT),
      ];
      for (const fd of fds) {
        equal(vfs(t).directWrite(fd, block('b'), 0), BLOCK);
        perhaps(t.pread(fd, 2, 1), 'bb');
        ok(vfs(t).fcntl(fd, c.F_SETFL, 0));
        equal(t.pwrite(fd, 'the rest', BLOCK), 8);
        bytesAre(t.pread(fd, 3, BLOCK - 1), 'bth');
        const at = ok<number>(vfs(t).mmap(fd, 2 * BLOCK, c.PROT_READ | c.PROT_WRITE, c.MAP_SHARED));
        equal(vfs(t).poke(at + BLOCK, 'THE'), 3);
        bytesAre(t.pread(fd, 8, BLOCK), 'THE rest');
        ok(vfs(t).fcntl(fd, c.F_SETFL, c.O_APPEND));
        equal(t.pwrite(fd, '.', 0), 1);
        equal(fstat(t, fd).size, BLOCK + 9);
        ok(vfs(t).fcntl(fd, c.F_SETFL, c.O_DIRECT));
        equal(vfs(t).directWrite(fd, block('c'), BLOCK), BLOCK);
        bytesAre(t.pread(open(t, `/proc/self/fd/${fd}`, c.O_RDONLY), 3, BLOCK - 1), 'bcc');
        ok(t.close(fd));
      }
    },
  },
  'a write with O_DIRECT takes set-user-ID and capabilities away like any other, even one that fails': {
    needs: ['root', 'vfs'],
    positions: fewPositions,
    tree: {
      f: file(block('a'), { mode: 0o4777, xattrs: { 'security.capability': capability } }),
      g: file(block('a'), { mode: 0o4777, xattrs: { 'security.capability': capability } }),
    },
    run(t) {
      t.as({ uid: 1000, gid: 1000 }, () => {
        for (const path of ['f', 'g']) {
          const fd = open(t, path, c.O_RDWR | c.O_DIRECT);
          if (path === 'f') {
            equal(vfs(t).directWrite(fd, block('b'), 0), BLOCK);
            truly(later(mtime(fstat(t, fd)), OLD), 'mtime did not move');
          } else {
            t.pwrite(fd, 'unaligned', 7);
            // Of the failing write this is the overlay's way: a plain filesystem looks at the alignment first.
            if (t.position === 'plain') continue;
          }
          modeIs(fstat(t, fd).mode, 0o777);
          fails(e.ENODATA, t.fgetxattr(fd, 'security.capability'));
        }
      });
    },
  },
};
