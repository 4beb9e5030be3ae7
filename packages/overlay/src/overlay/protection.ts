/**
 * What immutable and append-only inodes refuse (kernel: IS_IMMUTABLE and IS_APPEND in fs/namei.c,
 * fs/attr.c, fs/xattr.c, fs/open.c). On the kernel's overlay the VFS asks these of the overlay's own
 * inode; an inode of ours never carries the flags to the VFS, so every door comes through here.
 * The flags lie in `Inode.protection`; where they come from is in fileattr.ts.
 *
 * Not here: what is asked of an open file without an operation of its own (fcntl that takes O_APPEND
 * away, a writable mapping).
 */
import {
  FALLOC_FL_KEEP_SIZE,
  FS_APPEND_FL,
  FS_IMMUTABLE_FL,
  O_ACCMODE,
  O_APPEND,
  O_RDONLY,
  O_TRUNC,
} from '../sys/constants.ts';
import { EPERM } from '../sys/errno.ts';
import type { Stat } from '../sys/stat.ts';
import type { DirInode, Inode } from './inode.ts';
import {
  ATTR_ATIME,
  ATTR_ATIME_NOW,
  ATTR_GID,
  ATTR_MODE,
  ATTR_MTIME,
  ATTR_MTIME_NOW,
  ATTR_SIZE,
  ATTR_UID,
  type SetAttr,
} from './setattr.ts';

/** The flags that protect; statx(2) has them by the same bits (STATX_ATTR_IMMUTABLE and _APPEND). */
export const PROTECTION: number = FS_IMMUTABLE_FL | FS_APPEND_FL;

/** Those that a real inode carries itself. */
export function protectionOf(st: Stat): number {
  return st.attributes & PROTECTION;
}

function refusedBy(inode: Inode, flags: number): number {
  return inode.protection & flags ? -EPERM : 0;
}

/** A new name in `dir`. */
export function mayCreate(dir: DirInode): number {
  return refusedBy(dir, FS_IMMUTABLE_FL);
}

/** The end of a name of `victim` in `dir`, by removal or rename. */
export function mayDelete(dir: DirInode, victim: Inode): number {
  return refusedBy(dir, PROTECTION) || refusedBy(victim, PROTECTION);
}

/** An open for writing, or with O_TRUNC. */
export function mayOpen(inode: Inode, flags: number): number {
  const writes = (flags & O_ACCMODE) !== O_RDONLY;
  const appends = writes && (flags & (O_APPEND | O_TRUNC)) === O_APPEND;
  return refusedBy(inode, appends ? FS_IMMUTABLE_FL : PROTECTION);
}

/** Both times set to "now" is what a mere writer may do, and so one who appends. */
export function maySetattr(inode: Inode, set: SetAttr): number {
  if (inode.protection === 0) return 0;
  const { valid } = set;
  const touches = (valid & (ATTR_ATIME_NOW | ATTR_MTIME_NOW)) === (ATTR_ATIME_NOW | ATTR_MTIME_NOW);
  const times = valid & (ATTR_ATIME | ATTR_MTIME | ATTR_ATIME_NOW | ATTR_MTIME_NOW);
  if (valid & (ATTR_MODE | ATTR_UID | ATTR_GID) || (times && !touches && !(valid & ATTR_SIZE))) return -EPERM;
  // Through a descriptor that was opened for writing before the flag came, size and content are free to change.
  if (valid & ATTR_SIZE) return refusedBy(inode, set.fh === 0 ? PROTECTION : FS_APPEND_FL);
  return touches ? refusedBy(inode, FS_IMMUTABLE_FL) : 0;
}

export function mayWriteXattr(inode: Inode): number {
  return refusedBy(inode, PROTECTION);
}

/** More room at the end takes nothing away from what an append-only file holds. */
export function mayFallocate(inode: Inode, mode: number): number {
  return refusedBy(inode, mode & ~FALLOC_FL_KEEP_SIZE ? PROTECTION : FS_IMMUTABLE_FL);
}
