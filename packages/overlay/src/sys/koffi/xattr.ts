/**
 * Extended attributes. The *xattrat calls (6.13) reach (dirfd, name) in one step; an older kernel
 * is asked by path through /proc/self/fd, where the only thing resolved is the magic link to a
 * descriptor that we hold. The same way leads to an O_PATH descriptor, on every kernel.
 */
import type { ByteString } from '../bytes.ts';
import { AT_FDCWD, AT_SYMLINK_NOFOLLOW } from '../constants.ts';
import { EBADF, EINVAL, ERANGE } from '../errno.ts';
import type { Sys } from '../sys.ts';
import type { Libc } from './libc.ts';
import { procFd, type Scratch } from './scratch.ts';

const XATTR_NAME_MAX = 255;
const SIZEOF_XATTR_ARGS = 16;

export function xattrCalls(
  libc: Libc,
  scratch: Scratch,
): Pick<
  Sys,
  | 'getxattrat'
  | 'setxattrat'
  | 'listxattrat'
  | 'removexattrat'
  | 'fgetxattr'
  | 'fsetxattr'
  | 'flistxattr'
  | 'fremovexattr'
> {
  const { name1, name2, struct } = scratch;
  const errno = libc.errno;
  const getxattrat = libc.syscall('getxattrat', ['int64', 'uintptr_t', 'int64', 'uintptr_t', 'uintptr_t', 'int64']);
  const setxattrat = libc.syscall('setxattrat', ['int64', 'uintptr_t', 'int64', 'uintptr_t', 'uintptr_t', 'int64']);
  const listxattrat = libc.syscall('listxattrat', ['int64', 'uintptr_t', 'int64', 'void *', 'int64']);
  const removexattrat = libc.syscall('removexattrat', ['int64', 'uintptr_t', 'int64', 'uintptr_t']);
  const fgetxattr = libc.func('fgetxattr', 'int64', ['int', 'uintptr_t', 'void *', 'size_t']);
  const fsetxattr = libc.func('fsetxattr', 'int', ['int', 'uintptr_t', 'void *', 'size_t', 'int']);
  const flistxattr = libc.func('flistxattr', 'int64', ['int', 'void *', 'size_t']);
  const fremovexattr = libc.func('fremovexattr', 'int', ['int', 'uintptr_t']);
  const pathCalls = (l: '' | 'l') => ({
    get: libc.func(`${l}getxattr`, 'int64', ['uintptr_t', 'uintptr_t', 'void *', 'size_t']),
    set: libc.func(`${l}setxattr`, 'int', ['uintptr_t', 'uintptr_t', 'void *', 'size_t', 'int']),
    list: libc.func(`${l}listxattr`, 'int64', ['uintptr_t', 'void *', 'size_t']),
    remove: libc.func(`${l}removexattr`, 'int', ['uintptr_t', 'uintptr_t']),
  });
  /** For a descriptor: the magic link is followed, and what it leads to (a symlink, say) is not. */
  const byLink = pathCalls('');
  const byPath = pathCalls('l');

  let xattratKnown: boolean | undefined;
  /** A kernel that has the calls refuses a too small `struct xattr_args`; a seccomp filter may answer EPERM for ENOSYS. */
  const haveXattrat = (): boolean => {
    if (xattratKnown === undefined) {
      name1.put('/');
      xattratKnown = getxattrat(-1, name1.address, 0, name1.address, struct.address, 0) < 0 && errno() === EINVAL;
    }
    return xattratKnown;
  };

  const putAttr = (name: ByteString): number => (name.length > XATTR_NAME_MAX ? -ERANGE : name2.put(name));

  const putArgs = (value: Uint8Array, flags: number): void => {
    struct.setInt64(0, libc.address(value));
    struct.u32[2] = value.byteLength;
    struct.u32[3] = flags;
  };

  /** A path that leads to (dirfd, path) from anywhere, for the calls that take no directory. */
  const putProcPath = (dirfd: number, path: ByteString): number =>
    name1.put(dirfd === AT_FDCWD || path.startsWith('/') ? path : `${procFd(dirfd)}/${path}`);

  /** Whether a call on the descriptor itself failed because it is O_PATH, which only the magic link serves. */
  const isOpath = (failed: number, fd: number): boolean => failed === EBADF && fd >= 0;

  const self: ReturnType<typeof xattrCalls> = {
    getxattrat(dirfd, path, name, buf) {
      if (path === '') {
        const r = self.fgetxattr(dirfd, name, buf);
        if (!isOpath(-r, dirfd)) return r;
        name1.put(procFd(dirfd));
        const linked = byLink.get(name1.address, name2.address, buf, buf.byteLength);
        return linked < 0 ? -errno() : linked;
      }
      const direct = haveXattrat();
      const bad = putAttr(name) || (direct ? name1.put(path) : putProcPath(dirfd, path));
      if (bad < 0) return bad;
      let r: number;
      if (direct) {
        putArgs(buf, 0);
        r = getxattrat(dirfd, name1.address, AT_SYMLINK_NOFOLLOW, name2.address, struct.address, SIZEOF_XATTR_ARGS);
      } else {
        r = byPath.get(name1.address, name2.address, buf, buf.byteLength);
      }
      return r < 0 ? -errno() : r;
    },
    setxattrat(dirfd, path, name, value, flags) {
      if (path === '') {
        const r = self.fsetxattr(dirfd, name, value, flags);
        if (!isOpath(-r, dirfd)) return r;
        name1.put(procFd(dirfd));
        return byLink.set(name1.address, name2.address, value, value.byteLength, flags) < 0 ? -errno() : 0;
      }
      const direct = haveXattrat();
      const bad = putAttr(name) || (direct ? name1.put(path) : putProcPath(dirfd, path));
      if (bad < 0) return bad;
      let r: number;
      if (direct) {
        putArgs(value, flags);
        r = setxattrat(dirfd, name1.address, AT_SYMLINK_NOFOLLOW, name2.address, struct.address, SIZEOF_XATTR_ARGS);
      } else {
        r = byPath.set(name1.address, name2.address, value, value.byteLength, flags);
      }
      return r < 0 ? -errno() : 0;
    },
    listxattrat(dirfd, path, buf) {
      if (path === '') {
        const r = self.flistxattr(dirfd, buf);
        if (!isOpath(-r, dirfd)) return r;
        name1.put(procFd(dirfd));
        const linked = byLink.list(name1.address, buf, buf.byteLength);
        return linked < 0 ? -errno() : linked;
      }
      const direct = haveXattrat();
      const bad = direct ? name1.put(path) : putProcPath(dirfd, path);
      if (bad < 0) return bad;
      const r = direct
        ? listxattrat(dirfd, name1.address, AT_SYMLINK_NOFOLLOW, buf, buf.byteLength)
        : byPath.list(name1.address, buf, buf.byteLength);
      return r < 0 ? -errno() : r;
    },
    removexattrat(dirfd, path, name) {
      if (path === '') {
        const r = self.fremovexattr(dirfd, name);
        if (!isOpath(-r, dirfd)) return r;
        name1.put(procFd(dirfd));
        return byLink.remove(name1.address, name2.address) < 0 ? -errno() : 0;
      }
      const direct = haveXattrat();
      const bad = putAttr(name) || (direct ? name1.put(path) : putProcPath(dirfd, path));
      if (bad < 0) return bad;
      const r = direct
        ? removexattrat(dirfd, name1.address, AT_SYMLINK_NOFOLLOW, name2.address)
        : byPath.remove(name1.address, name2.address);
      return r < 0 ? -errno() : 0;
    },
    fgetxattr(fd, name, buf) {
      const bad = putAttr(name);
      if (bad < 0) return bad;
      const r = fgetxattr(fd, name2.address, buf, buf.byteLength);
      return r < 0 ? -errno() : r;
    },
    fsetxattr(fd, name, value, flags) {
      const bad = putAttr(name);
      if (bad < 0) return bad;
      return fsetxattr(fd, name2.address, value, value.byteLength, flags) < 0 ? -errno() : 0;
    },
    flistxattr(fd, buf) {
      const r = flistxattr(fd, buf, buf.byteLength);
      return r < 0 ? -errno() : r;
    },
    fremovexattr(fd, name) {
      const bad = putAttr(name);
      if (bad < 0) return bad;
      return fremovexattr(fd, name2.address) < 0 ? -errno() : 0;
    },
  };
  return self;
}
