/** Opening, closing and the data of files: openat(2) to posix_fadvise(2). */
import { FICLONE, O_CLOEXEC, O_CREAT, O_DIRECTORY, O_TMPFILE, SEEK_CUR, SEEK_SET } from '../constants.ts';
import type { Sys } from '../sys.ts';
import type { Libc } from './libc.ts';
import { type Scratch, slice } from './scratch.ts';

const F_DUPFD_CLOEXEC = 1030;
/** openat2(2) refuses a mode where nothing can be created. */
const CREATES = O_CREAT | (O_TMPFILE & ~O_DIRECTORY);
const SIZEOF_OPEN_HOW = 24;
/** struct cachestat_range and struct cachestat in `struct`, by their 64-bit words. */
const RANGE_BYTES = 16;
const CACHESTAT = { dirty: 3, writeback: 4 } as const;

export function fileCalls(
  libc: Libc,
  scratch: Scratch,
): Pick<
  Sys,
  | 'openat'
  | 'openat2'
  | 'close'
  | 'dup'
  | 'fcntl'
  | 'read'
  | 'write'
  | 'pread'
  | 'pwrite'
  | 'lseek'
  | 'seekdir'
  | 'telldir'
  | 'ftruncate'
  | 'truncate'
  | 'fallocate'
  | 'fsync'
  | 'fdatasync'
  | 'syncfs'
  | 'copyFileRange'
  | 'ficlone'
  | 'flock'
  | 'fadvise'
  | 'cachestat'
> {
  const { name1, struct } = scratch;
  const errno = libc.errno;
  const openat = libc.func('openat', 'int', ['int', 'uintptr_t', 'int', 'uint']);
  const openat2 = libc.syscall('openat2', ['int64', 'uintptr_t', 'uintptr_t', 'int64']);
  const close = libc.func('close', 'int', ['int']);
  const dup3 = libc.func('dup3', 'int', ['int', 'int', 'int']);
  const fcntl = libc.func('fcntl', 'int', ['int', 'int', 'int64']);
  const read = libc.func('read', 'int64', ['int', 'void *', 'size_t']);
  const write = libc.func('write', 'int64', ['int', 'void *', 'size_t']);
  const pread = libc.func('pread', 'int64', ['int', 'void *', 'size_t', 'int64']);
  const pwrite = libc.func('pwrite', 'int64', ['int', 'void *', 'size_t', 'int64']);
  const lseek = libc.func('lseek', 'int64', ['int', 'int64', 'int']);
  const ftruncate = libc.func('ftruncate', 'int', ['int', 'int64']);
  const truncate = libc.func('truncate', 'int', ['uintptr_t', 'int64']);
  const fallocate = libc.func('fallocate', 'int', ['int', 'int', 'int64', 'int64']);
  const fsync = libc.func('fsync', 'int', ['int']);
  const fdatasync = libc.func('fdatasync', 'int', ['int']);
  const syncfs = libc.func('syncfs', 'int', ['int']);
  const copyFileRange = libc.func('copy_file_range', 'int64', [
    'int',
    'uintptr_t',
    'int',
    'uintptr_t',
    'size_t',
    'uint',
  ]);
  const cachestat = libc.syscall('cachestat', ['int64', 'uintptr_t', 'uintptr_t', 'int64']);
  const ioctl = libc.func('ioctl', 'int', ['int', 'int64', 'int64']);
  const flock = libc.func('flock', 'int', ['int', 'int']);
  const fadvise = libc.func('posix_fadvise', 'int', ['int', 'int64', 'int64', 'int']);

  return {
    openat(dirfd, path, flags, mode) {
      const bad = name1.put(path);
      if (bad < 0) return bad;
      const r = openat(dirfd, name1.address, flags | O_CLOEXEC, mode);
      return r < 0 ? -errno() : r;
    },
    openat2(dirfd, path, flags, mode, resolve) {
      const bad = name1.put(path);
      if (bad < 0) return bad;
      struct.setInt64(0, (flags | O_CLOEXEC) >>> 0);
      struct.setInt64(1, (flags & CREATES) === 0 ? 0 : mode);
      struct.setInt64(2, resolve);
      const r = openat2(dirfd, name1.address, struct.address, SIZEOF_OPEN_HOW);
      return r < 0 ? -errno() : r;
    },
    close(fd) {
      return close(fd) < 0 ? -errno() : 0;
    },
    dup(fd, newfd) {
      const r = newfd >= 0 ? dup3(fd, newfd, O_CLOEXEC) : fcntl(fd, F_DUPFD_CLOEXEC, 0);
      return r < 0 ? -errno() : r;
    },
    fcntl(fd, cmd, arg) {
      const r = fcntl(fd, cmd, arg);
      return r < 0 ? -errno() : r;
    },

    read(fd, buf, off, len) {
      const part = slice(buf, off, len);
      if (typeof part === 'number') return part;
      const r = read(fd, part, len);
      return r < 0 ? -errno() : r;
    },
    write(fd, buf, off, len) {
      const part = slice(buf, off, len);
      if (typeof part === 'number') return part;
      const r = write(fd, part, len);
      return r < 0 ? -errno() : r;
    },
    pread(fd, buf, off, len, pos) {
      const part = slice(buf, off, len);
      if (typeof part === 'number') return part;
      const r = pread(fd, part, len, pos);
      return r < 0 ? -errno() : r;
    },
    pwrite(fd, buf, off, len, pos) {
      const part = slice(buf, off, len);
      if (typeof part === 'number') return part;
      const r = pwrite(fd, part, len, pos);
      return r < 0 ? -errno() : r;
    },
    lseek(fd, off, whence) {
      const r = lseek(fd, off, whence);
      return r < 0 ? -errno() : r;
    },
    seekdir(fd, off) {
      return lseek(fd, off, SEEK_SET) < 0 ? -errno() : 0;
    },
    telldir(fd) {
      const r = lseek(fd, 0, SEEK_CUR);
      return r < 0 ? -errno() : BigInt(r);
    },
    ftruncate(fd, size) {
      return ftruncate(fd, size) < 0 ? -errno() : 0;
    },
    truncate(path, size) {
      const bad = name1.put(path);
      if (bad < 0) return bad;
      return truncate(name1.address, size) < 0 ? -errno() : 0;
    },
    fallocate(fd, mode, off, len) {
      return fallocate(fd, mode, off, len) < 0 ? -errno() : 0;
    },
    fsync(fd) {
      return fsync(fd) < 0 ? -errno() : 0;
    },
    fdatasync(fd) {
      return fdatasync(fd) < 0 ? -errno() : 0;
    },
    syncfs(fd) {
      return syncfs(fd) < 0 ? -errno() : 0;
    },
    copyFileRange(fdIn, offIn, fdOut, offOut, len) {
      struct.setInt64(0, offIn);
      struct.setInt64(1, offOut);
      const r = copyFileRange(fdIn, struct.address, fdOut, struct.address + 8, len, 0);
      return r < 0 ? -errno() : r;
    },
    ficlone(dst, src) {
      return ioctl(dst, FICLONE, src) < 0 ? -errno() : 0;
    },
    flock(fd, op) {
      return flock(fd, op) < 0 ? -errno() : 0;
    },
    fadvise(fd, off, len, advice) {
      // The one call here that returns its errno instead of setting it (and -0 is not 0 to everybody).
      return 0 - fadvise(fd, off, len, advice);
    },
    cachestat(fd) {
      // Length 0: to the end.
      struct.setInt64(0, 0);
      struct.setInt64(1, 0);
      if (cachestat(fd, struct.address, struct.address + RANGE_BYTES, 0) < 0) return -errno();
      return struct.getInt64(CACHESTAT.dirty) + struct.getInt64(CACHESTAT.writeback);
    },
  };
}
