/** Whole small files (of /proc and /sys) and directory listings, through the system call table. */
import { type ByteString, fromBuffer } from '../sys/bytes.ts';
import { AT_FDCWD, O_DIRECTORY, O_RDONLY } from '../sys/constants.ts';
import type { Sys } from '../sys/sys.ts';

/** The file's bytes, or a negative errno. */
export function readFile(sys: Sys, path: ByteString): ByteString | number {
  const fd = sys.openat(AT_FDCWD, path, O_RDONLY, 0);
  if (fd < 0) return fd;
  const chunks: ByteString[] = [];
  const buf = Buffer.allocUnsafe(65536);
  let n = sys.read(fd, buf, 0, buf.length);
  for (; n > 0; n = sys.read(fd, buf, 0, buf.length)) chunks.push(fromBuffer(buf, 0, n));
  sys.close(fd);
  return n < 0 ? n : chunks.join('');
}

export interface Name {
  name: ByteString;
  /** DT_*. */
  type: number;
}

/** The entries of the directory `path` below `dirfd` but `.` and `..`, or a negative errno. */
export function listDir(sys: Sys, dirfd: number, path: ByteString): Name[] | number {
  const fd = sys.openat(dirfd, path, O_RDONLY | O_DIRECTORY, 0);
  if (fd < 0) return fd;
  const names: Name[] = [];
  const buf = Buffer.allocUnsafe(32768);
  let n = sys.getdents64(fd, buf);
  for (; n > 0; n = sys.getdents64(fd, buf)) {
    for (let at = 0; at < n; at += buf.readUInt16LE(at + 16)) {
      const name = fromBuffer(buf, at + 19, buf.indexOf(0, at + 19));
      if (name !== '.' && name !== '..') names.push({ name, type: buf[at + 18] });
    }
  }
  sys.close(fd);
  return n < 0 ? n : names;
}
