/**
 * The root descriptor of a disk layer. A lower is held through a clone of its mount that belongs
 * to nobody else: read-only, so that nothing written through it can succeed and no atime changes,
 * and without what is mounted below it, as the kernel's overlay does (clone_private_mount).
 * Where that is not permitted, the plain directory is used and every open asks for O_NOATIME.
 */
import type { ByteString } from '../sys/bytes.ts';
import {
  AT_EMPTY_PATH,
  MOUNT_ATTR_NOATIME,
  MOUNT_ATTR_RDONLY,
  O_DIRECTORY,
  O_PATH,
  OPEN_TREE_CLONE,
} from '../sys/constants.ts';
import { Stat } from '../sys/stat.ts';
import type { Sys } from '../sys/sys.ts';

/** The bits that must all be cleared to set another kind of atime (linux/mount.h). */
const MOUNT_ATTR__ATIME = 0x70;

/** @returns an O_PATH descriptor of the directory; as mount(8), a symlink at the end of `path` is followed. */
export function openRoot(sys: Sys, dirfd: number, path: ByteString): number {
  return sys.openat(dirfd, path, O_PATH | O_DIRECTORY, 0);
}

/**
 * A descriptor of the same directory in a detached read-only clone of its mount, which ends when
 * the last descriptor of it is closed.
 * @returns the descriptor; negative where this process may not clone this mount
 */
export function openClone(sys: Sys, root: number): number {
  // Not AT_RECURSIVE: what is mounted below a layer is not part of it.
  const clone = sys.openTree(root, '', OPEN_TREE_CLONE | AT_EMPTY_PATH);
  if (clone < 0) return clone;
  let err = sys.mountSetattr(clone, '', AT_EMPTY_PATH, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOATIME, MOUNT_ATTR__ATIME, 0);
  // In a user namespace the kind of atime may be locked; read-only alone keeps atimes too.
  if (err < 0) err = sys.mountSetattr(clone, '', AT_EMPTY_PATH, MOUNT_ATTR_RDONLY, 0, 0);
  if (err === 0 && sameDirectory(sys, root, clone)) return clone;
  sys.close(clone);
  return err < 0 ? err : -1;
}

function sameDirectory(sys: Sys, a: number, b: number): boolean {
  const one = new Stat();
  const other = new Stat();
  return sys.fstat(a, one) === 0 && sys.fstat(b, other) === 0 && one.ino === other.ino && one.dev === other.dev;
}
