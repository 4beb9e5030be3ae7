/** Whole filesystems and what lies outside the directory tree: statfs(2), file handles, ioctl(2). */
import { O_CLOEXEC } from '../constants.ts';
import { EINVAL, ENOSYS } from '../errno.ts';
import type { Sys } from '../sys.ts';
import { decodeStatFs } from './decode.ts';
import type { Libc } from './libc.ts';
import { type Scratch, StructBuffer } from './scratch.ts';

/** MAX_HANDLE_SZ of fcntl.h. */
const MAX_HANDLE = 128;
/** `struct file_handle`: handle_bytes, handle_type, then the handle. */
const HEADER = 8;
/** `struct file_attr`, whose first word is fa_xflags. */
const SIZEOF_FILE_ATTR = 24;

export function filesystemCalls(
  libc: Libc,
  scratch: Scratch,
): Pick<Sys, 'statfs' | 'fstatfs' | 'nameToHandleAt' | 'openByHandleAt' | 'fileGetattr' | 'ioctlInt' | 'ioctl'> {
  const { name1, struct } = scratch;
  const errno = libc.errno;
  const statfs = libc.func('statfs', 'int', ['uintptr_t', 'uintptr_t']);
  const fstatfs = libc.func('fstatfs', 'int', ['int', 'uintptr_t']);
  const nameToHandleAt = libc.func('name_to_handle_at', 'int', ['int', 'uintptr_t', 'uintptr_t', 'uintptr_t', 'int']);
  const openByHandleAt = libc.func('open_by_handle_at', 'int', ['int', 'uintptr_t', 'int']);
  const ioctlInt = libc.func('ioctl', 'int', ['int', 'int64', 'int64']);
  const ioctl = libc.func('ioctl', 'int', ['int', 'int64', 'void *']);
  const fileGetattr = libc.syscall('file_getattr', ['int64', 'uintptr_t', 'uintptr_t', 'int64', 'int64']);
  const mountId = new StructBuffer(libc, 8);
  /** A kernel that has the call refuses a size of 0; a seccomp filter may answer EPERM for ENOSYS. */
  let fileGetattrKnown: boolean | undefined;
  const haveFileGetattr = (): boolean => {
    if (fileGetattrKnown === undefined) {
      name1.put('/');
      fileGetattrKnown = fileGetattr(-1, name1.address, struct.address, 0, 0) < 0 && errno() === EINVAL;
    }
    return fileGetattrKnown;
  };

  return {
    statfs(path, out) {
      const bad = name1.put(path);
      if (bad < 0) return bad;
      if (statfs(name1.address, struct.address) < 0) return -errno();
      decodeStatFs(struct, out);
      return 0;
    },
    fstatfs(fd, out) {
      if (fstatfs(fd, struct.address) < 0) return -errno();
      decodeStatFs(struct, out);
      return 0;
    },
    nameToHandleAt(dirfd, path, flags) {
      const bad = name1.put(path);
      if (bad < 0) return bad;
      struct.u32[0] = MAX_HANDLE;
      if (nameToHandleAt(dirfd, name1.address, struct.address, mountId.address, flags) < 0) return -errno();
      return {
        type: struct.i32[1],
        handle: Buffer.from(struct.bytes.subarray(HEADER, HEADER + struct.u32[0])),
        mountId: mountId.i32[0],
      };
    },
    openByHandleAt(mountFd, type, handle, flags) {
      if (handle.byteLength > MAX_HANDLE) return -EINVAL;
      struct.u32[0] = handle.byteLength;
      struct.i32[1] = type;
      struct.bytes.set(handle, HEADER);
      const r = openByHandleAt(mountFd, struct.address, flags | O_CLOEXEC);
      return r < 0 ? -errno() : r;
    },
    fileGetattr(dirfd, path, flags) {
      if (!haveFileGetattr()) return -ENOSYS;
      const bad = name1.put(path);
      if (bad < 0) return bad;
      if (fileGetattr(dirfd, name1.address, struct.address, SIZEOF_FILE_ATTR, flags) < 0) return -errno();
      return struct.u32[0];
    },
    ioctlInt(fd, request, arg) {
      const r = ioctlInt(fd, request, arg);
      return r < 0 ? -errno() : r;
    },
    ioctl(fd, request, arg) {
      const r = ioctl(fd, request, arg);
      return r < 0 ? -errno() : r;
    },
  };
}
