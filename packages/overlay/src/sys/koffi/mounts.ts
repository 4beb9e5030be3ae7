/**
 * Mounts and namespaces: mount(2), umount2(2), the descriptor-based mount calls (fsopen(2) to
 * mount_setattr(2)), unshare(2), setns(2). None is hot, so strings get buffers of their own.
 */
import type { ByteString } from '../bytes.ts';
import { FSMOUNT_CLOEXEC, FSOPEN_CLOEXEC, OPEN_TREE_CLOEXEC } from '../constants.ts';
import { EINVAL } from '../errno.ts';
import type { Sys } from '../sys.ts';
import type { Libc } from './libc.ts';
import type { Scratch } from './scratch.ts';

const SIZEOF_MOUNT_ATTR = 32;

/** NUL-terminated copies; null becomes an empty buffer, which koffi passes as NULL. */
function cStrings(...strings: (ByteString | null)[]): Uint8Array[] | number {
  if (strings.some((s) => s?.includes('\0'))) return -EINVAL;
  return strings.map((s) => Buffer.from(s === null ? '' : `${s}\0`, 'latin1'));
}

export function mountCalls(
  libc: Libc,
  scratch: Scratch,
): Pick<
  Sys,
  | 'mount'
  | 'umount2'
  | 'fsopen'
  | 'fsconfig'
  | 'fsmount'
  | 'moveMount'
  | 'openTree'
  | 'mountSetattr'
  | 'unshare'
  | 'setns'
> {
  const { struct } = scratch;
  const errno = libc.errno;
  const mount = libc.func('mount', 'int', ['void *', 'void *', 'void *', 'size_t', 'void *']);
  const umount2 = libc.func('umount2', 'int', ['void *', 'int']);
  const unshare = libc.func('unshare', 'int', ['int']);
  const setns = libc.func('setns', 'int', ['int', 'int']);
  const fsopen = libc.syscall('fsopen', ['void *', 'int64']);
  const fsconfig = libc.syscall('fsconfig', ['int64', 'int64', 'void *', 'void *', 'int64']);
  const fsmount = libc.syscall('fsmount', ['int64', 'int64', 'int64']);
  const moveMount = libc.syscall('move_mount', ['int64', 'void *', 'int64', 'void *', 'int64']);
  const openTree = libc.syscall('open_tree', ['int64', 'void *', 'int64']);
  const mountSetattr = libc.syscall('mount_setattr', ['int64', 'void *', 'int64', 'uintptr_t', 'int64']);

  return {
    mount(source, target, fstype, flags, data) {
      const strings = cStrings(source, target, fstype, data);
      if (typeof strings === 'number') return strings;
      return mount(strings[0], strings[1], strings[2], flags, strings[3]) < 0 ? -errno() : 0;
    },
    umount2(target, flags) {
      const strings = cStrings(target);
      if (typeof strings === 'number') return strings;
      return umount2(strings[0], flags) < 0 ? -errno() : 0;
    },
    fsopen(fstype, flags) {
      const strings = cStrings(fstype);
      if (typeof strings === 'number') return strings;
      const r = fsopen(strings[0], flags | FSOPEN_CLOEXEC);
      return r < 0 ? -errno() : r;
    },
    fsconfig(fd, cmd, key, value, aux) {
      const strings = cStrings(key, value);
      if (typeof strings === 'number') return strings;
      return fsconfig(fd, cmd, strings[0], strings[1], aux) < 0 ? -errno() : 0;
    },
    fsmount(fd, flags, attrFlags) {
      const r = fsmount(fd, flags | FSMOUNT_CLOEXEC, attrFlags);
      return r < 0 ? -errno() : r;
    },
    moveMount(fromFd, from, toFd, to, flags) {
      const strings = cStrings(from, to);
      if (typeof strings === 'number') return strings;
      return moveMount(fromFd, strings[0], toFd, strings[1], flags) < 0 ? -errno() : 0;
    },
    openTree(dirfd, path, flags) {
      const strings = cStrings(path);
      if (typeof strings === 'number') return strings;
      const r = openTree(dirfd, strings[0], flags | OPEN_TREE_CLOEXEC);
      return r < 0 ? -errno() : r;
    },
    mountSetattr(dirfd, path, flags, attrSet, attrClr, propagation, usernsFd = 0) {
      const strings = cStrings(path);
      if (typeof strings === 'number') return strings;
      struct.setInt64(0, attrSet);
      struct.setInt64(1, attrClr);
      struct.setInt64(2, propagation);
      struct.setInt64(3, usernsFd);
      return mountSetattr(dirfd, strings[0], flags, struct.address, SIZEOF_MOUNT_ATTR) < 0 ? -errno() : 0;
    },
    unshare(flags) {
      return unshare(flags) < 0 ? -errno() : 0;
    },
    setns(fd, nstype) {
      return setns(fd, nstype) < 0 ? -errno() : 0;
    },
  };
}
