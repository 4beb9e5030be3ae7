/** What an inode is and how it changes: statx(2), faccessat(2), chmod, chown and times. */
import {
  AT_EMPTY_PATH,
  AT_SYMLINK_NOFOLLOW,
  O_CLOEXEC,
  O_NOFOLLOW,
  O_PATH,
  S_IFLNK,
  S_IFMT,
  STATX_BASIC_STATS,
  STATX_BTIME,
  STATX_MNT_ID,
} from '../constants.ts';
import { EINVAL, EOPNOTSUPP } from '../errno.ts';
import type { Sys } from '../sys.ts';
import { decodeStatx } from './decode.ts';
import type { Libc } from './libc.ts';
import { procFd, type Scratch } from './scratch.ts';

const STATX_MASK = STATX_BASIC_STATS | STATX_BTIME | STATX_MNT_ID;

export function inodeCalls(
  libc: Libc,
  scratch: Scratch,
): Pick<Sys, 'statx' | 'fstat' | 'faccessat' | 'fchmod' | 'fchmodat' | 'fchownat' | 'utimensat'> {
  const { name1, struct } = scratch;
  const errno = libc.errno;
  const statx = libc.func('statx', 'int', ['int', 'uintptr_t', 'int', 'uint', 'uintptr_t']);
  const faccessat = libc.func('faccessat', 'int', ['int', 'uintptr_t', 'int', 'int']);
  const fchmod = libc.func('fchmod', 'int', ['int', 'uint']);
  const fchmodat = libc.func('fchmodat', 'int', ['int', 'uintptr_t', 'uint', 'int']);
  const fchmodat2 = libc.syscall('fchmodat2', ['int64', 'uintptr_t', 'int64', 'int64']);
  const chmod = libc.func('chmod', 'int', ['uintptr_t', 'uint']);
  // uid_t is unsigned, but -1 means "leave": `| 0` gives both the same 32 bits.
  const fchownat = libc.func('fchownat', 'int', ['int', 'uintptr_t', 'int', 'int', 'int']);
  const utimensat = libc.func('utimensat', 'int', ['int', 'uintptr_t', 'uintptr_t', 'int']);
  const openat = libc.func('openat', 'int', ['int', 'uintptr_t', 'int', 'uint']);
  const close = libc.func('close', 'int', ['int']);

  let fchmodat2Known: boolean | undefined;
  /** A kernel that has fchmodat2 refuses flags that it does not know; a seccomp filter may answer EPERM for ENOSYS. */
  const haveFchmodat2 = (): boolean => {
    if (fchmodat2Known === undefined) {
      name1.put('/');
      fchmodat2Known = fchmodat2(-1, name1.address, 0, 0x40000000) < 0 && errno() === EINVAL;
    }
    return fchmodat2Known;
  };

  const chmodThroughProc = (fd: number, mode: number): number => {
    name1.put('');
    if (statx(fd, name1.address, AT_EMPTY_PATH, STATX_BASIC_STATS, struct.address) < 0) return -errno();
    // Before 6.6 some filesystems change a symlink's mode here and still answer EOPNOTSUPP.
    if ((struct.u16[14] & S_IFMT) === S_IFLNK) return -EOPNOTSUPP;
    name1.put(procFd(fd));
    return chmod(name1.address, mode) < 0 ? -errno() : 0;
  };

  return {
    statx(dirfd, path, flags, out, mask = STATX_MASK) {
      const bad = name1.put(path);
      if (bad < 0) return bad;
      if (statx(dirfd, name1.address, flags, mask, struct.address) < 0) return -errno();
      decodeStatx(struct, out);
      return 0;
    },
    fstat(fd, out) {
      name1.bytes[0] = 0;
      if (statx(fd, name1.address, AT_EMPTY_PATH, STATX_MASK, struct.address) < 0) return -errno();
      decodeStatx(struct, out);
      return 0;
    },
    faccessat(dirfd, path, mode, flags) {
      const bad = name1.put(path);
      if (bad < 0) return bad;
      return faccessat(dirfd, name1.address, mode, flags) < 0 ? -errno() : 0;
    },
    fchmod(fd, mode) {
      return fchmod(fd, mode) < 0 ? -errno() : 0;
    },
    fchmodat(dirfd, path, mode, flags) {
      if (path === '') flags |= AT_EMPTY_PATH;
      if (flags !== 0 && !haveFchmodat2()) {
        if (path === '') return chmodThroughProc(dirfd, mode);
        const bad = name1.put(path);
        if (bad < 0) return bad;
        const nofollow = (flags & AT_SYMLINK_NOFOLLOW) === 0 ? 0 : O_NOFOLLOW;
        const fd = openat(dirfd, name1.address, O_PATH | O_CLOEXEC | nofollow, 0);
        if (fd < 0) return -errno();
        const r = chmodThroughProc(fd, mode);
        close(fd);
        return r;
      }
      const bad = name1.put(path);
      if (bad < 0) return bad;
      const r = flags === 0 ? fchmodat(dirfd, name1.address, mode, 0) : fchmodat2(dirfd, name1.address, mode, flags);
      return r < 0 ? -errno() : 0;
    },
    fchownat(dirfd, path, uid, gid, flags) {
      const bad = name1.put(path);
      if (bad < 0) return bad;
      return fchownat(dirfd, name1.address, uid | 0, gid | 0, flags) < 0 ? -errno() : 0;
    },
    utimensat(dirfd, path, atime, atimeNsec, mtime, mtimeNsec, flags) {
      if (path === '') flags |= AT_EMPTY_PATH;
      const bad = name1.put(path);
      if (bad < 0) return bad;
      struct.setInt64(0, atime);
      struct.setInt64(1, atimeNsec);
      struct.setInt64(2, mtime);
      struct.setInt64(3, mtimeNsec);
      if (utimensat(dirfd, name1.address, struct.address, flags) === 0) return 0;
      const failed = errno();
      // A kernel before 5.8 does not know AT_EMPTY_PATH here.
      if (failed !== EINVAL || (flags & AT_EMPTY_PATH) === 0) return -failed;
      name1.put(procFd(dirfd));
      return utimensat(-1, name1.address, struct.address, 0) < 0 ? -errno() : 0;
    },
  };
}
