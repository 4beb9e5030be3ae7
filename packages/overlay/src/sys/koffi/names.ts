/** Names in directories: mkdirat(2) to readlinkat(2), and reading a directory. */
import { AT_EMPTY_PATH, AT_SYMLINK_FOLLOW, PATH_MAX } from '../constants.ts';
import { ENOENT } from '../errno.ts';
import type { Sys } from '../sys.ts';
import type { Libc } from './libc.ts';
import { procFd, type Scratch } from './scratch.ts';

export function nameCalls(
  libc: Libc,
  scratch: Scratch,
): Pick<Sys, 'mkdirat' | 'mknodat' | 'unlinkat' | 'renameat2' | 'linkat' | 'symlinkat' | 'readlinkat' | 'getdents64'> {
  const { name1, name2 } = scratch;
  const errno = libc.errno;
  const mkdirat = libc.func('mkdirat', 'int', ['int', 'uintptr_t', 'uint']);
  const mknodat = libc.func('mknodat', 'int', ['int', 'uintptr_t', 'uint', 'int64']);
  const unlinkat = libc.func('unlinkat', 'int', ['int', 'uintptr_t', 'int']);
  const renameat2 = libc.func('renameat2', 'int', ['int', 'uintptr_t', 'int', 'uintptr_t', 'uint']);
  const linkat = libc.func('linkat', 'int', ['int', 'uintptr_t', 'int', 'uintptr_t', 'int']);
  const symlinkat = libc.func('symlinkat', 'int', ['uintptr_t', 'int', 'uintptr_t']);
  const readlinkat = libc.func('readlinkat', 'int64', ['int', 'uintptr_t', 'uintptr_t', 'size_t']);
  const getdents64 = libc.func('getdents64', 'int64', ['int', 'void *', 'size_t']);
  const linkText = Buffer.from(name2.bytes.buffer);

  return {
    mkdirat(dirfd, path, mode) {
      const bad = name1.put(path);
      if (bad < 0) return bad;
      return mkdirat(dirfd, name1.address, mode) < 0 ? -errno() : 0;
    },
    mknodat(dirfd, path, mode, rdev) {
      const bad = name1.put(path);
      if (bad < 0) return bad;
      return mknodat(dirfd, name1.address, mode, rdev) < 0 ? -errno() : 0;
    },
    unlinkat(dirfd, path, flags) {
      const bad = name1.put(path);
      if (bad < 0) return bad;
      return unlinkat(dirfd, name1.address, flags) < 0 ? -errno() : 0;
    },
    renameat2(olddir, oldpath, newdir, newpath, flags) {
      const bad = name1.put(oldpath) || name2.put(newpath);
      if (bad < 0) return bad;
      return renameat2(olddir, name1.address, newdir, name2.address, flags) < 0 ? -errno() : 0;
    },
    linkat(olddir, oldpath, newdir, newpath, flags) {
      const bad = name1.put(oldpath) || name2.put(newpath);
      if (bad < 0) return bad;
      if (linkat(olddir, name1.address, newdir, name2.address, flags) === 0) return 0;
      const failed = errno();
      // ENOENT is how the kernel says that AT_EMPTY_PATH needs CAP_DAC_READ_SEARCH.
      if (failed !== ENOENT || oldpath !== '' || (flags & AT_EMPTY_PATH) === 0) return -failed;
      name1.put(procFd(olddir));
      return linkat(-1, name1.address, newdir, name2.address, AT_SYMLINK_FOLLOW) < 0 ? -errno() : 0;
    },
    symlinkat(target, dirfd, path) {
      const bad = name1.put(target) || name2.put(path);
      if (bad < 0) return bad;
      return symlinkat(name1.address, dirfd, name2.address) < 0 ? -errno() : 0;
    },
    readlinkat(dirfd, path, room = PATH_MAX) {
      const bad = name1.put(path);
      if (bad < 0) return bad;
      const r = readlinkat(dirfd, name1.address, name2.address, Math.min(room, PATH_MAX));
      return r < 0 ? -errno() : linkText.toString('latin1', 0, r);
    },
    getdents64(fd, buf) {
      const r = getdents64(fd, buf, buf.byteLength);
      return r < 0 ? -errno() : r;
    },
  };
}
