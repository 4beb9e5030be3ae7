/**
 * A door on a real directory: every call is the system call itself, relative to one descriptor,
 * so that PATH_MAX counts the case's own bytes and the kernel does all of the path walk. `as`
 * takes the caller's ids, groups and capabilities for this thread; kernel and FUSE then see that
 * caller, as they would see any process.
 */
import type { ByteString } from 'stratafs/internal/sys/bytes';
import { fromBuffer } from 'stratafs/internal/sys/bytes';
import * as c from 'stratafs/internal/sys/constants';
import { EBADF } from 'stratafs/internal/sys/errno';
import { Stat, StatFs } from 'stratafs/internal/sys/stat';
import type { Sys } from 'stratafs/internal/sys/sys';
import { check } from '../expect.ts';
import type { Dirent, Door, Time, Who } from '../target.ts';
import { bytes } from '../tree.ts';
import { SysVfs } from './sys-vfs.ts';

const XATTR_SIZE_MAX = 65536;

function splitTime(time: Time): readonly [number, number] {
  return time === 'now' ? [0, c.UTIME_NOW] : time === 'omit' ? [0, c.UTIME_OMIT] : time;
}

/** Parses what getdents64(2) filled. */
export function parseDirents(buf: Buffer, length: number): Dirent[] {
  const entries: Dirent[] = [];
  for (let at = 0; at < length; ) {
    const reclen = buf.readUInt16LE(at + 16);
    const end = buf.indexOf(0, at + 19);
    entries.push({
      ino: buf.readBigUInt64LE(at),
      off: buf.readBigInt64LE(at + 8),
      type: buf[at + 18],
      name: fromBuffer(buf, at + 19, end),
    });
    at += reclen;
  }
  return entries;
}

export class SysDoor implements Door {
  readonly vfs: SysVfs;
  readonly #sys: Sys;
  #dir: number;
  readonly #open = new Set<number>();
  readonly #buf: Buffer = Buffer.alloc(XATTR_SIZE_MAX);

  /** `root` is opened once; `end` closes it and everything that a case left open. */
  constructor(sys: Sys, root: ByteString) {
    this.#sys = sys;
    this.#dir = check(sys.openat(c.AT_FDCWD, root, c.O_RDONLY | c.O_DIRECTORY, 0), `open ${root}`);
    this.vfs = new SysVfs(sys, this.#dir, this.#open);
  }

  end(): void {
    this.vfs.end();
    for (const fd of this.#open) {
      this.#sys.close(fd);
    }
    this.#open.clear();
    if (this.#dir >= 0) {
      this.#sys.close(this.#dir);
      this.#dir = -1;
    }
  }

  open(path: ByteString, flags: number, mode = 0): number {
    const fd = this.#sys.openat(this.#dir, path, flags, mode);
    if (fd >= 0) {
      this.#open.add(fd);
    }
    return fd;
  }

  close(fd: number): number {
    // A descriptor that is not the case's own must stay: closing it would break the test process.
    return this.#open.delete(fd) ? this.#sys.close(fd) : -EBADF;
  }

  read(fd: number, len: number): Buffer | number {
    const buf = Buffer.alloc(len);
    const n = this.#sys.read(fd, buf, 0, len);
    return n < 0 ? n : buf.subarray(0, n);
  }

  pread(fd: number, len: number, pos: number): Buffer | number {
    const buf = Buffer.alloc(len);
    const n = this.#sys.pread(fd, buf, 0, len, pos);
    return n < 0 ? n : buf.subarray(0, n);
  }

  write(fd: number, data: string | Uint8Array): number {
    const buf = bytes(data);
    return this.#sys.write(fd, buf, 0, buf.length);
  }

  pwrite(fd: number, data: string | Uint8Array, pos: number): number {
    const buf = bytes(data);
    return this.#sys.pwrite(fd, buf, 0, buf.length, pos);
  }

  lseek(fd: number, off: number, whence: number): number {
    return this.#sys.lseek(fd, off, whence);
  }

  ftruncate(fd: number, size: number): number {
    return this.#sys.ftruncate(fd, size);
  }

  truncate(path: ByteString, size: number): number {
    // truncate(2) has no *at form; the door's descriptor stands for the prefix.
    return this.#sys.truncate(`/proc/self/fd/${this.#dir}/${path}`, size);
  }

  fallocate(fd: number, mode: number, off: number, len: number): number {
    return this.#sys.fallocate(fd, mode, off, len);
  }

  fsync(fd: number): number {
    return this.#sys.fsync(fd);
  }

  fdatasync(fd: number): number {
    return this.#sys.fdatasync(fd);
  }

  copyFileRange(fdIn: number, offIn: number, fdOut: number, offOut: number, len: number): number {
    return this.#sys.copyFileRange(fdIn, offIn, fdOut, offOut, len);
  }

  stat(path: ByteString): Stat | number {
    return this.#statx(this.#dir, path, 0);
  }

  lstat(path: ByteString): Stat | number {
    return this.#statx(this.#dir, path, c.AT_SYMLINK_NOFOLLOW);
  }

  fstat(fd: number): Stat | number {
    return this.#statx(fd, '', c.AT_EMPTY_PATH);
  }

  access(path: ByteString, mask: number): number {
    return this.#sys.faccessat(this.#dir, path, mask, c.AT_EACCESS);
  }

  chmod(path: ByteString, mode: number): number {
    return this.#sys.fchmodat(this.#dir, path, mode, 0);
  }

  fchmod(fd: number, mode: number): number {
    return this.#sys.fchmod(fd, mode);
  }

  chown(path: ByteString, uid: number, gid: number): number {
    return this.#sys.fchownat(this.#dir, path, uid, gid, 0);
  }

  lchown(path: ByteString, uid: number, gid: number): number {
    return this.#sys.fchownat(this.#dir, path, uid, gid, c.AT_SYMLINK_NOFOLLOW);
  }

  fchown(fd: number, uid: number, gid: number): number {
    return this.#sys.fchownat(fd, '', uid, gid, c.AT_EMPTY_PATH);
  }

  utimens(path: ByteString, atime: Time, mtime: Time): number {
    return this.#sys.utimensat(this.#dir, path, ...splitTime(atime), ...splitTime(mtime), 0);
  }

  lutimens(path: ByteString, atime: Time, mtime: Time): number {
    return this.#sys.utimensat(this.#dir, path, ...splitTime(atime), ...splitTime(mtime), c.AT_SYMLINK_NOFOLLOW);
  }

  futimens(fd: number, atime: Time, mtime: Time): number {
    return this.#sys.utimensat(fd, '', ...splitTime(atime), ...splitTime(mtime), 0);
  }

  mkdir(path: ByteString, mode = 0o755): number {
    return this.#sys.mkdirat(this.#dir, path, mode);
  }

  rmdir(path: ByteString): number {
    return this.#sys.unlinkat(this.#dir, path, c.AT_REMOVEDIR);
  }

  unlink(path: ByteString): number {
    return this.#sys.unlinkat(this.#dir, path, 0);
  }

  rename(from: ByteString, to: ByteString, flags = 0): number {
    return this.#sys.renameat2(this.#dir, from, this.#dir, to, flags);
  }

  link(from: ByteString, to: ByteString): number {
    return this.#sys.linkat(this.#dir, from, this.#dir, to, 0);
  }

  linkFd(fd: number, to: ByteString): number {
    return this.#sys.linkat(fd, '', this.#dir, to, c.AT_EMPTY_PATH);
  }

  symlink(target: ByteString, path: ByteString): number {
    return this.#sys.symlinkat(target, this.#dir, path);
  }

  readlink(path: ByteString): ByteString | number {
    return this.#sys.readlinkat(this.#dir, path);
  }

  mknod(path: ByteString, mode: number, rdev = 0): number {
    return this.#sys.mknodat(this.#dir, path, mode, rdev);
  }

  getdents(fd: number, size = 32768): Dirent[] | number {
    const buf = Buffer.alloc(size);
    const n = this.#sys.getdents64(fd, buf);
    return n < 0 ? n : parseDirents(buf, n);
  }

  seekdir(fd: number, off: bigint): number {
    return this.#sys.seekdir(fd, off);
  }

  telldir(fd: number): bigint | number {
    return this.#sys.telldir(fd);
  }

  getxattr(path: ByteString, name: ByteString, size: number = XATTR_SIZE_MAX): Buffer | number {
    return this.#following(path, (fd) => this.#value(this.#sys.getxattrat(fd, '', name, this.#buf.subarray(0, size))));
  }

  lgetxattr(path: ByteString, name: ByteString): Buffer | number {
    return this.#value(this.#sys.getxattrat(this.#dir, path, name, this.#buf));
  }

  fgetxattr(fd: number, name: ByteString): Buffer | number {
    return this.#value(this.#sys.fgetxattr(fd, name, this.#buf));
  }

  setxattr(path: ByteString, name: ByteString, value: string | Uint8Array, flags = 0): number {
    return this.#following(path, (fd) => this.#sys.setxattrat(fd, '', name, bytes(value), flags));
  }

  lsetxattr(path: ByteString, name: ByteString, value: string | Uint8Array, flags = 0): number {
    return this.#sys.setxattrat(this.#dir, path, name, bytes(value), flags);
  }

  fsetxattr(fd: number, name: ByteString, value: string | Uint8Array, flags = 0): number {
    return this.#sys.fsetxattr(fd, name, bytes(value), flags);
  }

  listxattr(path: ByteString, size: number = XATTR_SIZE_MAX): ByteString[] | number {
    return this.#following(path, (fd) => this.#names(this.#sys.listxattrat(fd, '', this.#buf.subarray(0, size))));
  }

  llistxattr(path: ByteString): ByteString[] | number {
    return this.#names(this.#sys.listxattrat(this.#dir, path, this.#buf));
  }

  flistxattr(fd: number): ByteString[] | number {
    return this.#names(this.#sys.flistxattr(fd, this.#buf));
  }

  removexattr(path: ByteString, name: ByteString): number {
    return this.#following(path, (fd) => this.#sys.removexattrat(fd, '', name));
  }

  lremovexattr(path: ByteString, name: ByteString): number {
    return this.#sys.removexattrat(this.#dir, path, name);
  }

  fremovexattr(fd: number, name: ByteString): number {
    return this.#sys.fremovexattr(fd, name);
  }

  getflags(fd: number): number {
    const word = Buffer.alloc(8);
    const err = this.#sys.ioctl(fd, c.FS_IOC_GETFLAGS, word);
    return err < 0 ? err : word.readUInt32LE(0);
  }

  setflags(fd: number, flags: number): number {
    const word = Buffer.alloc(8);
    word.writeUInt32LE(flags, 0);
    return this.#sys.ioctl(fd, c.FS_IOC_SETFLAGS, word);
  }

  getfsxattr(fd: number): Buffer | number {
    const out = Buffer.alloc(28);
    const err = this.#sys.ioctl(fd, c.FS_IOC_FSGETXATTR, out);
    return err < 0 ? err : out;
  }

  setfsxattr(fd: number, value: Buffer): number {
    return this.#sys.ioctl(fd, c.FS_IOC_FSSETXATTR, value);
  }

  statfs(path: ByteString): StatFs | number {
    const out = new StatFs();
    return this.#following(path, (fd) => {
      const result = this.#sys.fstatfs(fd, out);
      return result < 0 ? result : out;
    });
  }

  umask(mask: number): number {
    return this.#sys.umask(mask);
  }

  as<T>(who: Who, fn: () => T): T {
    const sys = this.#sys;
    const caps = sys.getcap();
    if (typeof caps === 'number') {
      throw new Error('set-up: capget failed');
    }
    check(sys.setgroups([...(who.groups ?? [])]), 'setgroups');
    sys.setfsgid(who.gid);
    sys.setfsuid(who.uid);
    check(sys.setcapEffective(0, 0), 'capset');
    try {
      return fn();
    } finally {
      check(sys.setcapEffective(...caps), 'capset');
      sys.setfsuid(sys.geteuid());
      sys.setfsgid(sys.getegid());
      check(sys.setgroups([]), 'setgroups');
    }
  }

  #statx(dirfd: number, path: ByteString, flags: number): Stat | number {
    const out = new Stat();
    const result = this.#sys.statx(dirfd, path, flags, out);
    return result < 0 ? result : out;
  }

  /** The xattr calls that follow a last symlink, by way of a descriptor on what it leads to. */
  #following<T>(path: ByteString, fn: (fd: number) => T | number): T | number {
    const fd = this.#sys.openat(this.#dir, path, c.O_PATH, 0);
    if (fd < 0) {
      return fd;
    }
    const result = fn(fd);
    this.#sys.close(fd);
    return result;
  }

  #value(n: number): Buffer | number {
    return n < 0 ? n : Buffer.from(this.#buf.subarray(0, n));
  }

  #names(n: number): ByteString[] | number {
    return n < 0 ? n : fromBuffer(this.#buf, 0, n).split('\0').slice(0, -1);
  }
}
