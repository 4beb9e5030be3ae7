/** Listings, straight from getdents64(2). */
import type { ByteString } from 'stratafs/internal/sys/bytes';
import * as c from 'stratafs/internal/sys/constants';
import type { Sys } from 'stratafs/internal/sys/sys';
import type { Dirent } from '../target.ts';
import { parseDirents } from '../targets/sys-door.ts';

const buf: Buffer = Buffer.alloc(65536);

/** What follows where `fd` stands, by calls with `size` bytes of room. @returns records, or a negative errno. */
export function readRecords(sys: Sys, fd: number, size: number = buf.length): Dirent[] | number {
  const all: Dirent[] = [];
  const room = buf.subarray(0, size);
  for (;;) {
    const n = sys.getdents64(fd, room);
    if (n < 0) {
      return n;
    }
    if (n === 0) {
      return all;
    }
    all.push(...parseDirents(room, n));
  }
}

/** All names in the directory `fd` but `.` and `..`, sorted; none where it cannot be read. */
export function listNames(sys: Sys, fd: number): ByteString[] {
  sys.lseek(fd, 0, c.SEEK_SET);
  const records = readRecords(sys, fd);
  return typeof records === 'number'
    ? []
    : records
        .map(({ name }) => name)
        .filter((name) => name !== '.' && name !== '..')
        .sort();
}
