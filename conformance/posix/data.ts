/** read, write, lseek, truncate, O_APPEND, holes, fallocate and copy_file_range. */
import * as c from 'stratafs/internal/sys/constants';
import * as e from 'stratafs/internal/sys/errno';
import { appendFile, fstat, lstat, open, readAll, readFile, stat, writeAll, writeFile } from '../calls.ts';
import { bytesAre, equal, fails, ok, skip, truly } from '../expect.ts';
import type { Case, Cases, Scene } from '../target.ts';
import { dir, fifo, file, sparse, symlink } from '../tree.ts';

const K = 1024;
const M = K * K;

/** Bytes in which a page out of place shows. */
function pattern(size: number, seed = 0): Buffer {
  const out = Buffer.alloc(size);
  for (let i = 0; i < size; i++) {
    out[i] = (i * 7 + (i >> 8) * 13 + (i >> 16) * 31 + seed) & 0xff;
  }
  return out;
}

const big = pattern(3 * M + 17);

/** A block of data after a hole, and a hole at the end. */
const holey = sparse(8 * M, [
  [0, 'head'],
  [4 * M, pattern(64 * K)],
]);

/** Sizes around the edges of pages, of FUSE's and of the copy-up's chunks. */
const sizes = [0, 1, 4095, 4096, 4097, 128 * K - 1, 128 * K, 128 * K + 1, M - 1, M, M + 1, 2 * M + 1] as const;

function contentOfSizes(): Cases {
  const cases: Record<string, Case> = {};
  for (const size of sizes) {
    cases[`a file of ${size} bytes reads back whole, and after one byte was changed`] = {
      tree: { f: file(pattern(size)) },
      run(t) {
        const expected = pattern(size);
        bytesAre(readFile(t, 'f'), expected);
        equal(lstat(t, 'f').size, size);
        const fd = open(t, 'f', c.O_RDWR);
        const at = Math.max(0, size - 1);
        equal(t.pwrite(fd, 'X', at), 1);
        const changed = Buffer.concat([expected.subarray(0, at), Buffer.from('X')]);
        bytesAre(readAll(t, fd), changed);
        bytesAre(readFile(t, 'f'), changed);
      },
    };
  }
  return cases;
}

/** truncate to each size by each of the two calls, from content that the lower may hold. */
function truncations(): Cases {
  const cases: Record<string, Case> = {};
  const content = pattern(10_000);
  for (const size of [0, 1, 4096, 9_999, 10_000, 10_001, 20_000]) {
    for (const call of ['truncate', 'ftruncate'] as const) {
      cases[`${call} of 10000 bytes to ${size}`] = {
        tree: { f: file(content) },
        run(t) {
          if (call === 'truncate') {
            ok(t.truncate('f', size));
          } else {
            ok(t.ftruncate(open(t, 'f', c.O_WRONLY), size));
          }
          const expected = Buffer.alloc(size);
          content.copy(expected, 0, 0, size);
          bytesAre(readFile(t, 'f'), expected);
          equal(lstat(t, 'f').size, size);
        },
      };
    }
  }
  return cases;
}

/** Skips where the filesystem keeps no holes (it then reports data everywhere). */
function needHoles(t: Scene, fd: number): void {
  if (t.lseek(fd, 0, c.SEEK_HOLE) === fstat(t, fd).size) {
    skip('the filesystem keeps no holes');
  }
}

export const dataCases: Cases = {
  ...contentOfSizes(),
  ...truncations(),
  'read goes on from where it stood, to the end and no further': {
    tree: { f: file('abcdefgh') },
    run(t) {
      const fd = open(t, 'f', c.O_RDONLY);
      bytesAre(t.read(fd, 3), 'abc');
      bytesAre(t.pread(fd, 2, 6), 'gh');
      bytesAre(t.read(fd, 3), 'def');
      bytesAre(t.read(fd, 10), 'gh');
      bytesAre(t.read(fd, 10), '');
      bytesAre(t.pread(fd, 10, 8), '');
      bytesAre(t.pread(fd, 10, 1000), '');
      bytesAre(t.read(fd, 0), '');
    },
  },
  'reads at any offset and length of a big file': {
    tree: { f: file(big) },
    run(t) {
      const fd = open(t, 'f', c.O_RDONLY);
      for (const [pos, len] of [
        [0, 1],
        [4095, 2],
        [128 * K - 1, 3],
        [M - 5, 10],
        [2 * M + 4096, 128 * K],
        [3 * M, 17],
        [3 * M + 10, 100],
      ]) {
        bytesAre(t.pread(fd, len, pos), big.subarray(pos, pos + len));
      }
    },
  },
  'write goes on from where it stood and grows the file': {
    tree: { f: file('abcdefgh') },
    run(t) {
      const fd = open(t, 'f', c.O_RDWR);
      writeAll(t, fd, 'AB');
      writeAll(t, fd, 'CD');
      bytesAre(t.read(fd, 2), 'ef');
      equal(t.pwrite(fd, 'XYZ', 7), 3);
      bytesAre(readAll(t, fd), 'ABCDefgXYZ');
      equal(t.lseek(fd, 0, c.SEEK_CUR), 6);
      equal(fstat(t, fd).size, 10);
    },
  },
  'write of nothing changes nothing': {
    tree: { f: file('abc') },
    run(t) {
      const fd = open(t, 'f', c.O_RDWR);
      equal(t.write(fd, ''), 0);
      equal(t.pwrite(fd, '', 100), 0);
      equal(fstat(t, fd).size, 3);
    },
  },
  'write beyond the end leaves zeros between': {
    tree: { f: file('abc') },
    run(t) {
      const fd = open(t, 'f', c.O_RDWR);
      equal(t.pwrite(fd, 'z', 10_000), 1);
      const expected = Buffer.alloc(10_001);
      expected.write('abc');
      expected.write('z', 10_000);
      bytesAre(readAll(t, fd), expected);
    },
  },
  'a write of 3 MiB and its reading back': {
    run(t) {
      const fd = open(t, 'new', c.O_RDWR | c.O_CREAT);
      writeAll(t, fd, big);
      bytesAre(readAll(t, fd), big);
      ok(t.fsync(fd));
      ok(t.close(fd));
      bytesAre(readFile(t, 'new'), big);
    },
  },
  'two descriptors have an offset each and one content': {
    tree: { f: file('abcdef') },
    run(t) {
      const a = open(t, 'f', c.O_RDWR);
      const b = open(t, 'f', c.O_RDWR);
      bytesAre(t.read(a, 3), 'abc');
      writeAll(t, b, 'XY');
      bytesAre(t.read(a, 3), 'def');
      bytesAre(readAll(t, a), 'XYcdef');
      ok(t.ftruncate(a, 2));
      bytesAre(t.read(b, 10), '');
    },
  },
  'O_APPEND writes at the end, wherever the offset stands': {
    tree: { f: file('abc') },
    run(t) {
      const fd = open(t, 'f', c.O_RDWR | c.O_APPEND);
      const other = open(t, 'f', c.O_WRONLY);
      bytesAre(t.read(fd, 1), 'a');
      writeAll(t, fd, 'DEF');
      equal(t.lseek(fd, 0, c.SEEK_CUR), 6);
      equal(t.pwrite(other, 'ghi', 6), 3);
      ok(t.lseek(fd, 0, c.SEEK_SET));
      writeAll(t, fd, 'J');
      bytesAre(readFile(t, 'f'), 'abcDEFghiJ');
    },
  },
  'pwrite on an O_APPEND descriptor appends, as Linux has it': {
    tree: { f: file('abc') },
    run(t) {
      const fd = open(t, 'f', c.O_RDWR | c.O_APPEND);
      equal(t.pwrite(fd, 'X', 0), 1);
      bytesAre(readFile(t, 'f'), 'abcX');
    },
  },
  'appending again and again with new descriptors': {
    tree: { f: file('0') },
    run(t) {
      let expected = '0';
      for (let i = 1; i < 30; i++) {
        appendFile(t, 'f', `${i} `);
        expected += `${i} `;
      }
      bytesAre(readFile(t, 'f'), expected);
    },
  },
  'O_CREAT|O_TRUNC replaces the content and keeps the inode, mode and xattrs': {
    tree: { f: file('a long content', { mode: 0o605, xattrs: { 'user.kept': 'v' } }) },
    run(t) {
      const ino = lstat(t, 'f').ino;
      writeFile(t, 'f', 'short', 0o777);
      bytesAre(readFile(t, 'f'), 'short');
      const st = lstat(t, 'f');
      equal([st.ino, st.size, st.mode & 0o777], [ino, 5, 0o605]);
      bytesAre(t.getxattr('f', 'user.kept'), 'v');
    },
  },
  'lseek: from the beginning, from here, from the end, and before the beginning': {
    tree: { f: file('abcdef') },
    run(t) {
      const fd = open(t, 'f', c.O_RDWR);
      equal(t.lseek(fd, 4, c.SEEK_SET), 4);
      equal(t.lseek(fd, -1, c.SEEK_CUR), 3);
      equal(t.lseek(fd, -2, c.SEEK_END), 4);
      bytesAre(t.read(fd, 10), 'ef');
      equal(t.lseek(fd, 100, c.SEEK_END), 106);
      bytesAre(t.read(fd, 10), '');
      writeAll(t, fd, 'x');
      equal(fstat(t, fd).size, 107);
      fails(e.EINVAL, t.lseek(fd, -1, c.SEEK_SET));
      fails(e.EINVAL, t.lseek(fd, 0, 99));
      equal(t.lseek(fd, 0, c.SEEK_CUR), 107);
    },
  },
  'truncate of what is no regular file': {
    tree: { d: dir(), p: fifo(), link: symlink('new'), ok: symlink('f'), f: file('abc') },
    run(t) {
      fails(e.EISDIR, t.truncate('d', 0));
      fails(e.ENOENT, t.truncate('new', 0));
      fails(e.ENOENT, t.truncate('link', 0));
      fails(e.EINVAL, t.truncate('p', 0));
      fails(e.EINVAL, t.truncate('f', -1));
      ok(t.truncate('ok', 1));
      bytesAre(readFile(t, 'f'), 'a');
    },
  },
  'truncate down and up again leaves zeros, not what was there': {
    tree: { f: file(pattern(9000)) },
    run(t) {
      ok(t.truncate('f', 100));
      ok(t.truncate('f', 9000));
      const expected = Buffer.alloc(9000);
      pattern(9000).copy(expected, 0, 0, 100);
      bytesAre(readFile(t, 'f'), expected);
    },
  },
  'a sparse file keeps its size and content through a change': {
    tree: { f: holey },
    run(t) {
      equal(stat(t, 'f').size, 8 * M);
      const fd = open(t, 'f', c.O_RDWR);
      equal(t.pwrite(fd, 'tail', 8 * M - 4), 4);
      bytesAre(t.pread(fd, 8, 0), 'head\0\0\0\0');
      bytesAre(t.pread(fd, 64 * K, 4 * M), pattern(64 * K));
      bytesAre(t.pread(fd, 4096, 2 * M), Buffer.alloc(4096));
      bytesAre(t.pread(fd, 10, 8 * M - 6), '\0\0tail');
      truly(fstat(t, fd).blocks * 512 < 4 * M, 'the holes were filled');
    },
  },
  'SEEK_DATA and SEEK_HOLE find the data of a sparse file': {
    tree: { f: holey },
    run(t) {
      const fd = open(t, 'f', c.O_RDONLY);
      needHoles(t, fd);
      equal(t.lseek(fd, 0, c.SEEK_DATA), 0);
      const hole = ok<number>(t.lseek(fd, 0, c.SEEK_HOLE));
      truly(hole >= 4 && hole <= M, `first hole at ${hole}`);
      equal(t.lseek(fd, hole, c.SEEK_DATA), 4 * M);
      equal(t.lseek(fd, 4 * M, c.SEEK_HOLE), 4 * M + 64 * K);
      fails(e.ENXIO, t.lseek(fd, 5 * M, c.SEEK_DATA));
      fails(e.ENXIO, t.lseek(fd, 8 * M, c.SEEK_DATA));
      fails(e.ENXIO, t.lseek(fd, 8 * M, c.SEEK_HOLE));
      equal(t.lseek(fd, 5 * M, c.SEEK_HOLE), 5 * M);
      equal(t.lseek(fd, 0, c.SEEK_CUR), 5 * M);
    },
  },
  'SEEK_DATA and SEEK_HOLE agree with what was written and punched': {
    run(t) {
      const fd = open(t, 'new', c.O_RDWR | c.O_CREAT);
      ok(t.ftruncate(fd, 4 * M));
      needHoles(t, fd);
      fails(e.ENXIO, t.lseek(fd, 0, c.SEEK_DATA));
      equal(t.pwrite(fd, pattern(128 * K), M), 128 * K);
      equal(t.lseek(fd, 0, c.SEEK_DATA), M);
      equal(t.lseek(fd, M, c.SEEK_HOLE), M + 128 * K);
      ok(t.fallocate(fd, c.FALLOC_FL_PUNCH_HOLE | c.FALLOC_FL_KEEP_SIZE, M, 64 * K));
      equal(t.lseek(fd, 0, c.SEEK_DATA), M + 64 * K);
    },
  },
  'fallocate extends the file with zeros': {
    tree: { f: file('abc') },
    run(t) {
      const fd = open(t, 'f', c.O_RDWR);
      ok(t.fallocate(fd, 0, 0, 5000));
      const expected = Buffer.alloc(5000);
      expected.write('abc');
      bytesAre(readAll(t, fd), expected);
      truly(fstat(t, fd).blocks * 512 >= 5000, 'blocks are reserved');
    },
  },
  'fallocate with KEEP_SIZE reserves and keeps the size': {
    tree: { f: file('abc') },
    run(t) {
      const fd = open(t, 'f', c.O_RDWR);
      ok(t.fallocate(fd, c.FALLOC_FL_KEEP_SIZE, 0, M));
      equal(fstat(t, fd).size, 3);
      truly(fstat(t, fd).blocks * 512 >= M, 'blocks are reserved');
      bytesAre(readAll(t, fd), 'abc');
    },
  },
  'fallocate punches a hole of zeros': {
    tree: { f: file(pattern(300 * K)) },
    run(t) {
      const fd = open(t, 'f', c.O_RDWR);
      ok(t.fallocate(fd, c.FALLOC_FL_PUNCH_HOLE | c.FALLOC_FL_KEEP_SIZE, 100, 200 * K));
      const expected = pattern(300 * K);
      expected.fill(0, 100, 100 + 200 * K);
      bytesAre(readAll(t, fd), expected);
      equal(fstat(t, fd).size, 300 * K);
    },
  },
  'fallocate refuses what makes no sense': {
    tree: { f: file('abc') },
    run(t) {
      const fd = open(t, 'f', c.O_RDWR);
      fails(e.EINVAL, t.fallocate(fd, 0, -1, 10));
      fails(e.EINVAL, t.fallocate(fd, 0, 0, 0));
      fails(e.EOPNOTSUPP, t.fallocate(fd, c.FALLOC_FL_PUNCH_HOLE, 0, 10));
      equal(fstat(t, fd).size, 3);
    },
  },
  'copy_file_range copies between files': {
    tree: { from: file(big), to: file('abc') },
    run(t) {
      const from = open(t, 'from', c.O_RDONLY);
      const to = open(t, 'to', c.O_RDWR);
      for (let done = 0; done < 2 * M; ) {
        const n = ok<number>(t.copyFileRange(from, 1000 + done, to, 2 + done, 2 * M - done));
        truly(n > 0, 'something is copied');
        done += n;
      }
      bytesAre(readAll(t, to), Buffer.concat([Buffer.from('ab'), big.subarray(1000, 1000 + 2 * M)]));
      equal(t.copyFileRange(from, big.length, to, 0, 10), 0);
      equal(t.copyFileRange(from, big.length - 3, to, 0, 10), 3);
    },
  },
  'copy_file_range within one file, and over itself': {
    tree: { f: file(pattern(20_000)) },
    run(t) {
      const fd = open(t, 'f', c.O_RDWR);
      equal(t.copyFileRange(fd, 0, fd, 10_000, 4096), 4096);
      const expected = pattern(20_000);
      pattern(20_000).copy(expected, 10_000, 0, 4096);
      bytesAre(readAll(t, fd), expected);
      fails(e.EINVAL, t.copyFileRange(fd, 0, fd, 10, 4096));
    },
  },
  'copy_file_range needs a readable and a writable file': {
    tree: { a: file('aaaa'), b: file('bbbb'), d: dir() },
    run(t) {
      const [read, write] = [open(t, 'a', c.O_RDONLY), open(t, 'b', c.O_WRONLY)];
      fails(e.EBADF, t.copyFileRange(write, 0, write, 0, 1));
      fails(e.EBADF, t.copyFileRange(read, 0, read, 0, 1));
      fails(e.EBADF, t.copyFileRange(read, 0, open(t, 'b', c.O_WRONLY | c.O_APPEND), 0, 1));
      fails(e.EISDIR, t.copyFileRange(open(t, 'd', c.O_RDONLY), 0, write, 0, 1));
    },
  },
  'fsync and fdatasync of files and directories': {
    tree: { f: file('abc'), d: dir() },
    run(t) {
      ok(t.fsync(open(t, 'f', c.O_RDONLY)));
      const fd = open(t, 'f', c.O_RDWR);
      writeAll(t, fd, 'x');
      ok(t.fdatasync(fd));
      ok(t.fsync(fd));
      ok(t.fsync(open(t, 'd', c.O_RDONLY | c.O_DIRECTORY)));
      ok(t.fdatasync(open(t, 'd', c.O_RDONLY | c.O_DIRECTORY)));
    },
  },
  'a file of 5 GiB that is nearly all hole': {
    positions: ['plain', 'upper', 'lower', 'whiteouts'],
    tree: { f: sparse(5 * K * M, [[5 * K * M - 4, 'tail']]) },
    run(t) {
      equal(lstat(t, 'f').size, 5 * K * M);
      const fd = open(t, 'f', c.O_RDWR);
      if (t.lseek(fd, 0, c.SEEK_DATA) === 0) {
        skip('the filesystem keeps no holes');
      }
      bytesAre(t.pread(fd, 10, 5 * K * M - 4), 'tail');
      equal(t.pwrite(fd, 'x', 5 * K * M + 10), 1);
      equal(fstat(t, fd).size, 5 * K * M + 11);
      ok(t.ftruncate(fd, 4 * K * M + 1));
      equal(fstat(t, fd).size, 4 * K * M + 1);
      equal(t.lseek(fd, -1, c.SEEK_END), 4 * K * M);
    },
  },
};
