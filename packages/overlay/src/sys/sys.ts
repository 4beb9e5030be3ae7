/**
 * `Sys`: the system calls, as one injectable table (after SQLite's OS layer). Everything above
 * talks to the operating system through such a table and nothing else:
 *
 *   - `sys-koffi.ts`  the real one (glibc through koffi; the only FFI of the project)
 *   - `sys-trace.ts`  writes one readable line for each call
 *   - `sys-fault.ts`  fails the Nth call with a chosen errno, once or for ever
 *
 * Rules that hold for every call:
 *   - the result is >= 0, or a negative errno (`-ENOENT`); nothing throws. A thrown error costs
 *     ten times the call, and most ENOENTs are expected.
 *   - names and paths are byte strings (see bytes.ts). An embedded NUL is -EINVAL.
 *   - offsets and lengths are in bytes; times are (seconds, nanoseconds); modes are numbers with
 *     the usual octal bits.
 *   - every descriptor is made close-on-exec, whether the caller asks for it or not.
 *   - EINTR is passed up where the call has one; the caller decides.
 */
import type { ByteString } from './bytes.ts';
import type { Stat, StatFs } from './stat.ts';

/** One descriptor to wait for: `events` asked (POLLIN, …), `revents` filled by `poll`. */
export interface PollFd {
  fd: number;
  events: number;
  revents: number;
}

/** `struct flock`: what a lock on a range asks for, and what F_GETLK and F_OFD_GETLK find in its way. */
export interface FileLock {
  /** F_RDLCK, F_WRLCK or F_UNLCK. */
  type: number;
  /** SEEK_*: where `start` counts from. */
  whence: number;
  start: number;
  /** In bytes; 0 reaches to the end, however the file grows. */
  len: number;
  /** Filled by the asking commands: who holds the lock, -1 an open file description. */
  pid: number;
}

export interface Sys {
  // ---- opening and closing -------------------------------------------------------------------
  /** openat(2). @returns a descriptor. */
  openat(dirfd: number, path: ByteString, flags: number, mode: number): number;
  /** openat2(2), with RESOLVE_* bits: how every path that came from outside is opened. */
  openat2(dirfd: number, path: ByteString, flags: number, mode: number, resolve: number): number;
  close(fd: number): number;
  /** dup3(2) with O_CLOEXEC when `newfd` >= 0, else fcntl F_DUPFD_CLOEXEC. */
  dup(fd: number, newfd: number): number;
  /** fcntl(fd, cmd, arg) for the commands whose argument is an integer (F_GETFL, F_SETFL, F_SETFD, F_SETPIPE_SZ). */
  fcntl(fd: number, cmd: number, arg: number): number;

  // ---- data ----------------------------------------------------------------------------------
  read(fd: number, buf: Uint8Array, off: number, len: number): number;
  write(fd: number, buf: Uint8Array, off: number, len: number): number;
  pread(fd: number, buf: Uint8Array, off: number, len: number, pos: number): number;
  pwrite(fd: number, buf: Uint8Array, off: number, len: number, pos: number): number;
  /** lseek(2) with SEEK_SET, SEEK_CUR, SEEK_END, SEEK_DATA or SEEK_HOLE. @returns the new offset. */
  lseek(fd: number, off: number, whence: number): number;
  /** lseek(2) of a directory to a position that getdents64 gave, which may need 63 bits. @returns 0. */
  seekdir(fd: number, off: bigint): number;
  /** The position of a directory. */
  telldir(fd: number): bigint | number;
  ftruncate(fd: number, size: number): number;
  /** truncate(2), following a last symlink: unlike ftruncate it opens nothing, so a filesystem sees no handle. */
  truncate(path: ByteString, size: number): number;
  fallocate(fd: number, mode: number, off: number, len: number): number;
  fsync(fd: number): number;
  fdatasync(fd: number): number;
  /** syncfs(2): the whole filesystem that `fd` lies on. */
  syncfs(fd: number): number;
  /** copy_file_range(2) with explicit offsets. @returns bytes copied, 0 at the end of the source. */
  copyFileRange(fdIn: number, offIn: number, fdOut: number, offOut: number, len: number): number;
  /** ioctl FICLONE: `dst` shares all of `src`'s extents (-EOPNOTSUPP, -EXDEV, -EINVAL where it cannot). */
  ficlone(dst: number, src: number): number;
  /** flock(2): LOCK_SH, LOCK_EX, LOCK_UN, with LOCK_NB. */
  flock(fd: number, op: number): number;
  /** fcntl(2) with F_GETLK, F_SETLK, F_SETLKW or F_OFD_*; `lock` is filled. */
  fcntlLock(fd: number, cmd: number, lock: FileLock): number;
  /** posix_fadvise(2). */
  fadvise(fd: number, off: number, len: number, advice: number): number;
  /** cachestat(2). @returns how many of the file's pages are not on disk, dirty or on their way; -ENOSYS before Linux 6.5. */
  cachestat(fd: number): number;

  // ---- memory --------------------------------------------------------------------------------
  /** mmap(2) where the kernel finds room. @returns the address. */
  mmap(fd: number, len: number, prot: number, flags: number, off: number): number;
  munmap(at: number, len: number): number;
  msync(at: number, len: number, flags: number): number;
  /**
   * Reads `len` bytes at the address `at` of this process. @returns `len`; -EFAULT where an access
   * would be a signal: beyond the end of the mapped file, after munmap, against PROT_*.
   */
  readMemory(at: number, buf: Uint8Array, off: number, len: number): number;
  /** Writes to the address `at`, as `readMemory` reads; in a shared mapping this is a write to the file. */
  writeMemory(at: number, buf: Uint8Array, off: number, len: number): number;

  // ---- inodes --------------------------------------------------------------------------------
  /**
   * statx(2) with all basic fields and the birth time, or with what `mask` (STATX_*) asks for.
   * `flags` takes AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH, AT_STATX_*.
   */
  statx(dirfd: number, path: ByteString, flags: number, out: Stat, mask?: number): number;
  /** statx(fd, "", AT_EMPTY_PATH): also on O_PATH descriptors. */
  fstat(fd: number, out: Stat): number;
  faccessat(dirfd: number, path: ByteString, mode: number, flags: number): number;
  fchmod(fd: number, mode: number): number;
  /**
   * chmod of (dirfd, path). With AT_SYMLINK_NOFOLLOW: fchmodat2(2) where the kernel has it (6.6),
   * else through an O_PATH descriptor and /proc/self/fd. A symlink is then -EOPNOTSUPP.
   */
  fchmodat(dirfd: number, path: ByteString, mode: number, flags: number): number;
  /** fchownat(2); uid or gid -1 leaves that one. AT_EMPTY_PATH works on descriptors. */
  fchownat(dirfd: number, path: ByteString, uid: number, gid: number, flags: number): number;
  /** utimensat(2); nsec may be UTIME_NOW or UTIME_OMIT. path '' acts on `dirfd` itself (also O_PATH: AT_EMPTY_PATH). */
  utimensat(
    dirfd: number,
    path: ByteString,
    atime: number,
    atimeNsec: number,
    mtime: number,
    mtimeNsec: number,
    flags: number,
  ): number;

  // ---- names ---------------------------------------------------------------------------------
  mkdirat(dirfd: number, path: ByteString, mode: number): number;
  /** mknodat(2); `rdev` is packed as `makedev` does. */
  mknodat(dirfd: number, path: ByteString, mode: number, rdev: number): number;
  unlinkat(dirfd: number, path: ByteString, flags: number): number;
  renameat2(olddir: number, oldpath: ByteString, newdir: number, newpath: ByteString, flags: number): number;
  /** linkat(2). With AT_EMPTY_PATH and no privilege for it, tries /proc/self/fd/N with AT_SYMLINK_FOLLOW. */
  linkat(olddir: number, oldpath: ByteString, newdir: number, newpath: ByteString, flags: number): number;
  symlinkat(target: ByteString, dirfd: number, path: ByteString): number;
  /**
   * readlinkat(2); path '' reads an O_PATH descriptor.
   * @param room bytes of it that are asked for; without it all. @returns the target, or a negative errno.
   */
  readlinkat(dirfd: number, path: ByteString, room?: number): ByteString | number;
  /** getdents64(2): raw `struct linux_dirent64` records in `buf`. @returns bytes filled, 0 at the end. */
  getdents64(fd: number, buf: Uint8Array): number;

  // ---- extended attributes -------------------------------------------------------------------
  /**
   * getxattr of (dirfd, path) without following a last symlink; path '' is `dirfd` itself (also O_PATH).
   * The *xattrat calls where the kernel has them (6.13), else l*xattr on /proc/self/fd/N/….
   * With an empty `buf`: the value's size. @returns bytes, or -ENODATA, -ERANGE, -EOPNOTSUPP, …
   */
  getxattrat(dirfd: number, path: ByteString, name: ByteString, buf: Uint8Array): number;
  /** `flags`: 0, XATTR_CREATE, XATTR_REPLACE. */
  setxattrat(dirfd: number, path: ByteString, name: ByteString, value: Uint8Array, flags: number): number;
  /** The names, NUL-terminated, one after another; with an empty `buf`: their size. */
  listxattrat(dirfd: number, path: ByteString, buf: Uint8Array): number;
  removexattrat(dirfd: number, path: ByteString, name: ByteString): number;
  fgetxattr(fd: number, name: ByteString, buf: Uint8Array): number;
  fsetxattr(fd: number, name: ByteString, value: Uint8Array, flags: number): number;
  flistxattr(fd: number, buf: Uint8Array): number;
  fremovexattr(fd: number, name: ByteString): number;

  // ---- filesystems and handles ---------------------------------------------------------------
  statfs(path: ByteString, out: StatFs): number;
  fstatfs(fd: number, out: StatFs): number;
  /** name_to_handle_at(2). @returns { type, handle } with the raw f_handle bytes, or a negative errno. */
  nameToHandleAt(
    dirfd: number,
    path: ByteString,
    flags: number,
  ): { type: number; handle: Buffer; mountId: number } | number;
  /** open_by_handle_at(2). @returns a descriptor; -EPERM without CAP_DAC_READ_SEARCH, -ESTALE. */
  openByHandleAt(mountFd: number, type: number, handle: Uint8Array, flags: number): number;
  /**
   * file_getattr(2) (6.17): the file flags of what a name stands for, unopened. @returns FS_XFLAG_*; -EOPNOTSUPP for
   * what has none, -ENOSYS where the kernel has no such call.
   */
  fileGetattr(dirfd: number, path: ByteString, flags: number): number;
  /** ioctl with an integer argument. */
  ioctlInt(fd: number, request: number, arg: number): number;
  /** ioctl whose argument is a buffer (read and written in place). */
  ioctl(fd: number, request: number, arg: Uint8Array): number;

  // ---- waiting -------------------------------------------------------------------------------
  /** poll(2); timeout in ms, -1 waits for ever. @returns how many are ready. */
  poll(fds: PollFd[], timeoutMs: number): number;
  eventfd(initial: number, flags: number): number;
  pipe2(flags: number): [number, number] | number;
  inotifyInit1(flags: number): number;
  /** inotify_add_watch(2). @returns the watch descriptor that events carry. */
  inotifyAddWatch(fd: number, path: ByteString, mask: number): number;
  inotifyRmWatch(fd: number, wd: number): number;

  // ---- scheduling of one thread (sched(7)) -----------------------------------------------------
  /** The calling thread's id, by which another thread can name it. */
  gettid(): number;
  /** sched_setscheduler(2) to SCHED_OTHER or SCHED_IDLE; leaving SCHED_IDLE needs CAP_SYS_NICE. */
  schedSetscheduler(tid: number, policy: number): number;
  /** sched_setaffinity(2): bit `n` of byte `n >> 3` is CPU n. */
  schedSetaffinity(tid: number, cpus: Uint8Array): number;
  /** sched_getaffinity(2). @returns bytes filled. */
  schedGetaffinity(tid: number, cpus: Uint8Array): number;

  // ---- mounts and namespaces -----------------------------------------------------------------
  mount(source: ByteString, target: ByteString, fstype: ByteString, flags: number, data: ByteString | null): number;
  umount2(target: ByteString, flags: number): number;
  fsopen(fstype: ByteString, flags: number): number;
  /** fsconfig(2). `value` by command: SET_STRING a byte string (at most 255 bytes), SET_FD a descriptor in `aux`, else null. */
  fsconfig(fd: number, cmd: number, key: ByteString | null, value: ByteString | null, aux: number): number;
  fsmount(fd: number, flags: number, attrFlags: number): number;
  moveMount(fromFd: number, from: ByteString, toFd: number, to: ByteString, flags: number): number;
  openTree(dirfd: number, path: ByteString, flags: number): number;
  /** mount_setattr(2). `usernsFd`: the user namespace that MOUNT_ATTR_IDMAP maps by. */
  mountSetattr(
    dirfd: number,
    path: ByteString,
    flags: number,
    attrSet: number,
    attrClr: number,
    propagation: number,
    usernsFd?: number,
  ): number;
  /** unshare(2) for the calling thread (CLONE_NEWNS, CLONE_FS; never CLONE_NEWUSER in a threaded process). */
  unshare(flags: number): number;
  setns(fd: number, nstype: number): number;

  // ---- credentials of the calling thread -----------------------------------------------------
  /** The thread's umask; set, returning the old one. */
  umask(mask: number): number;
  geteuid(): number;
  getegid(): number;
  /** setfsuid(2) by raw syscall: this thread only. @returns the previous id. */
  setfsuid(uid: number): number;
  setfsgid(gid: number): number;
  /** setgroups(2) by raw syscall: this thread only. */
  setgroups(gids: number[]): number;
  /** capget/capset of this thread: the effective mask as two 32-bit words. */
  getcap(): [number, number] | number;
  setcapEffective(low: number, high: number): number;
  /** getrlimit(2): [soft, hard], RLIM_INFINITY for none. */
  getrlimit(resource: number): [number, number] | number;
  /** setrlimit(2), for the whole process. */
  setrlimit(resource: number, soft: number, hard: number): number;
  /** kill(2), also with signal 0. */
  kill(pid: number, signal: number): number;
}
