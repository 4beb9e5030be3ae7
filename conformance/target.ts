/**
 * The target contract: what every tree under test can be asked. A `Door` is a tree seen from one
 * directory through POSIX-shaped calls, by path and by descriptor, with the result of the system
 * call itself: >= 0 (or a value), else a negative errno. The same cases run through
 *
 *   - targets/sys-door.ts    a real directory: a plain filesystem, the kernel's overlay, a FUSE mount
 *   - targets/in-process.ts  the engine's `Ops`, with no mount between
 *
 * Paths are byte strings relative to the door's directory. Conveniences that read or write whole
 * files are in calls.ts, assertions in expect.ts; nothing here decides what is right.
 */
import type { ByteString } from 'stratafs/internal/sys/bytes';
import type { Stat, StatFs } from 'stratafs/internal/sys/stat';
import type { FileLock } from 'stratafs/internal/sys/sys';
import type { Position } from './positions.ts';
import type { Attrs, Tree } from './tree.ts';

/** One record of getdents64(2). `off` is a cookie for `seekdir` and means nothing else. */
export interface Dirent {
  name: ByteString;
  ino: bigint;
  off: bigint;
  /** DT_* */
  type: number;
}

/** A time for utimensat(2): seconds and nanoseconds since 1970, or its two special values. */
export type Time = readonly [sec: number, nsec: number] | 'now' | 'omit';

/** In whose name `Door.as` acts: an ordinary user without any capability. */
export interface Who {
  uid: number;
  gid: number;
  groups?: readonly number[];
}

/** What inotify(7) tells; `name` is '' for what is watched itself. */
export interface WatchEvent {
  mask: number;
  cookie: number;
  name: ByteString;
}

/** A file handle as name_to_handle_at(2) gives it. */
export interface FileHandle {
  type: number;
  handle: Buffer;
}

/** What the kernel does around a mounted file, and other processes on the same tree. */
export interface Vfs {
  /** From offset `off` of the file, by default 0. @returns the address, or a negative errno. */
  mmap(fd: number, len: number, prot: number, flags: number, off?: number): number;
  munmap(at: number, len: number): number;
  /** MS_SYNC. */
  msync(at: number, len: number): number;
  /** Loads from a mapping; -EFAULT where a program would get a signal. */
  peek(at: number, len: number): Buffer | number;
  /** Stores into a mapping. */
  poke(at: number, data: string | Uint8Array): number;

  flock(fd: number, op: number): number;
  /** `cmd` F_SETLK, F_GETLK, F_OFD_SETLK, F_OFD_GETLK. @returns what the kernel made of the lock. */
  lock(fd: number, cmd: number, type: number, start?: number, len?: number): FileLock | number;
  /** ioctl(2) on a struct, which is filled or sent. */
  ioctl(fd: number, request: number, arg: Buffer): number;
  /** fcntl(2) with an integer. */
  fcntl(fd: number, cmd: number, arg: number): number;

  /** pread(2) and pwrite(2) with memory as O_DIRECT wants it. */
  directRead(fd: number, len: number, pos: number): Buffer | number;
  directWrite(fd: number, data: Uint8Array, pos: number): number;

  /** Watches `path`. @returns what takes the events that came since the last time. */
  watch(path: ByteString, mask: number): () => WatchEvent[];
  /** Runs `fn` while no file may grow beyond `size` (RLIMIT_FSIZE; SIGXFSZ is ignored). */
  limited<T>(size: number, fn: () => T): T;

  nameToHandle(path: ByteString, flags?: number): FileHandle | number;
  openByHandle(handle: FileHandle, flags: number): number;

  /** Executes `path`. @returns the exit status, or the negative errno of execve(2). */
  exec(path: ByteString, ...args: string[]): number;
  /** Runs `fn` while a process executes `path`. */
  executing<T>(path: ByteString, args: readonly string[], fn: () => T): T;
  /** What another process prints, a module that finds `sys` and the constants `c` and stands in the door's directory. */
  elsewhere(module: string): string;
}

export interface Door {
  /** null where no kernel stands between the door and the tree: cases that use it need 'vfs'. */
  readonly vfs: Vfs | null;

  open(path: ByteString, flags: number, mode?: number): number;
  close(fd: number): number;
  read(fd: number, len: number): Buffer | number;
  pread(fd: number, len: number, pos: number): Buffer | number;
  write(fd: number, data: string | Uint8Array): number;
  pwrite(fd: number, data: string | Uint8Array, pos: number): number;
  lseek(fd: number, off: number, whence: number): number;
  ftruncate(fd: number, size: number): number;
  truncate(path: ByteString, size: number): number;
  fallocate(fd: number, mode: number, off: number, len: number): number;
  fsync(fd: number): number;
  fdatasync(fd: number): number;
  copyFileRange(fdIn: number, offIn: number, fdOut: number, offOut: number, len: number): number;

  stat(path: ByteString): Stat | number;
  lstat(path: ByteString): Stat | number;
  fstat(fd: number): Stat | number;
  /** By the effective ids, as open(2) would judge. */
  access(path: ByteString, mask: number): number;
  chmod(path: ByteString, mode: number): number;
  fchmod(fd: number, mode: number): number;
  chown(path: ByteString, uid: number, gid: number): number;
  lchown(path: ByteString, uid: number, gid: number): number;
  fchown(fd: number, uid: number, gid: number): number;
  utimens(path: ByteString, atime: Time, mtime: Time): number;
  lutimens(path: ByteString, atime: Time, mtime: Time): number;
  futimens(fd: number, atime: Time, mtime: Time): number;

  mkdir(path: ByteString, mode?: number): number;
  rmdir(path: ByteString): number;
  unlink(path: ByteString): number;
  rename(from: ByteString, to: ByteString, flags?: number): number;
  link(from: ByteString, to: ByteString): number;
  /** linkat(2) of an open (unnamed) file. */
  linkFd(fd: number, to: ByteString): number;
  symlink(target: ByteString, path: ByteString): number;
  readlink(path: ByteString): ByteString | number;
  mknod(path: ByteString, mode: number, rdev?: number): number;

  /** One call of getdents64(2) with a buffer of `size` bytes; [] at the end. */
  getdents(fd: number, size?: number): Dirent[] | number;
  /** lseek(2) of a directory to a cookie that `getdents` gave (0n: the beginning). */
  seekdir(fd: number, off: bigint): number;
  /** The position of a directory: what `seekdir` comes back to. */
  telldir(fd: number): bigint | number;

  /** `size`: what buffer the caller offers; by default one that is large enough. */
  getxattr(path: ByteString, name: ByteString, size?: number): Buffer | number;
  lgetxattr(path: ByteString, name: ByteString): Buffer | number;
  fgetxattr(fd: number, name: ByteString): Buffer | number;
  setxattr(path: ByteString, name: ByteString, value: string | Uint8Array, flags?: number): number;
  lsetxattr(path: ByteString, name: ByteString, value: string | Uint8Array, flags?: number): number;
  fsetxattr(fd: number, name: ByteString, value: string | Uint8Array, flags?: number): number;
  listxattr(path: ByteString, size?: number): ByteString[] | number;
  llistxattr(path: ByteString): ByteString[] | number;
  flistxattr(fd: number): ByteString[] | number;
  removexattr(path: ByteString, name: ByteString): number;
  lremovexattr(path: ByteString, name: ByteString): number;
  fremovexattr(fd: number, name: ByteString): number;

  /** FS_IOC_GETFLAGS of an open file: the word of FS_*_FL. */
  getflags(fd: number): number;
  setflags(fd: number, flags: number): number;
  /** FS_IOC_FSGETXATTR: a struct fsxattr. */
  getfsxattr(fd: number): Buffer | number;
  setfsxattr(fd: number, value: Buffer): number;

  statfs(path: ByteString): StatFs | number;
  /** Sets the mask and returns the old one. The runner sets 0 before each case. */
  umask(mask: number): number;
  /** Runs `fn` in somebody's name. */
  as<T>(who: Who, fn: () => T): T;
}

/** What a case needs beyond a writable directory; a target without it skips the case, with a reason. */
export type Need =
  /** Acting for other users, chown, device nodes, trusted.* xattrs. */
  | 'root'
  /** System calls that only a mounted (or plain) tree has: the VFS answers them, not the filesystem. */
  | 'vfs'
  /** File handles of the layers that outlive a mount. */
  | 'handles';

export type TargetName = 'plain' | 'kernel' | 'fuse' | 'in-process';

/** A door for one case, with what the case may know of where it runs. */
export interface Scene extends Door {
  readonly target: TargetName;
  readonly position: Position;
  /** Directories that lie in a lower can be renamed (`redirect_dir=on`, or no lower at all). */
  readonly redirects: boolean;
}

/** A POSIX case: the same expectations on every target and in every position. */
export interface Case {
  /** What lies in the case's directory before it runs. */
  tree?: Tree;
  /** Attributes of the case's directory itself. */
  dir?: Attrs;
  needs?: readonly Need[];
  /** The positions where the case means something of its own; all by default. */
  positions?: readonly Position[];
  run(t: Scene): void;
}

export type Cases = Readonly<Record<string, Case>>;
