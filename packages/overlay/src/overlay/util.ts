/** Small state changes that several operations share (kernel: fs/overlayfs/util.c). */
import type { Dentry } from '../layer/layer.ts';
import { O_RDONLY } from '../sys/constants.ts';
import { ENOSYS, EOPNOTSUPP, EOVERFLOW, EPERM, EXDEV } from '../sys/errno.ts';
import type { Stat } from '../sys/stat.ts';
import type { DirInode } from './inode.ts';
import { encodeOrigin, FLAG_PATH_UPPER } from './origin.ts';
import type { Super } from './super.ts';

const YES = Buffer.from('y');
const NONE = Buffer.alloc(0);
/** What name_to_handle_at(2) answers where a filesystem or a sandbox has none. */
const withoutHandles: ReadonlySet<number> = new Set([-EOPNOTSUPP, -EOVERFLOW, -ENOSYS, -EPERM]);

/** Writes overlay.origin: the handle of the lower, or nothing where it has none that we could open again. */
export function setOrigin(sb: Super, upper: Dentry, lower: Dentry): number {
  const value = handleValue(sb, lower);
  return typeof value === 'number' ? value : upper.layer.setxattr(upper, sb.names.origin, value, 0);
}

/** The handle of a real object as `overlay.origin` (of a lower) or `overlay.upper` hold it; empty where it has none to be opened. */
export function originValue(sb: Super, real: Dentry, isUpper = false): Buffer {
  const value = handleValue(sb, real, isUpper);
  return typeof value === 'number' ? NONE : value;
}

/** The same where it must not be missed: a failure that says nothing about handles is given as a negative errno. */
export function handleValue(sb: Super, real: Dentry, isUpper = false): Buffer | number {
  if (!real.layer.opensHandles()) return NONE;
  const id = real.layer.fileHandle(real);
  if (typeof id === 'number') return withoutHandles.has(id) ? NONE : id;
  const uuid = sb.config.uuid === 'off' ? Buffer.alloc(16) : real.layer.uuid;
  return encodeOrigin({ type: id.type, uuid, handle: id.handle, flags: isUpper ? FLAG_PATH_UPPER : 0 });
}

export function isImpure(sb: Super, dir: DirInode): boolean {
  if (!dir.upper) return false;
  if (dir.impure === undefined) {
    const value = dir.upper.layer.getxattr(dir.upper, sb.names.impure);
    dir.impure = typeof value !== 'number' && value.equals(YES);
  }
  return dir.impure;
}

/** Marks an upper directory as holding copied-up children. */
export function setImpure(sb: Super, dir: DirInode): number {
  if (isImpure(sb, dir)) return 0;
  const err = dir.upper!.layer.setxattr(dir.upper!, sb.names.impure, YES, 0);
  if (err < 0) return err;
  dir.impure = true;
  // What it is marked for may fail yet; the next listing, which takes the mark away then, must be a new one.
  if (!dir.isMerge) {
    dirModified(dir);
    dir.renumbered = true;
  }
  return 0;
}

/** Marks (kernel: ovl_set_opaque_xerr) a directory opaque; `error` where the upper takes no attributes: a rename that cannot be. */
export function setOpaque(sb: Super, dir: Dentry, error: number = -EXDEV): number {
  const err = dir.layer.setxattr(dir, sb.names.opaque, YES, 0);
  return err === -EOPNOTSUPP ? error : err;
}

/**
 * None of the features that tie an upper to its lowers is on, so lowers may be changed between
 * mounts and no new directory may be made opaque without need (kernel: ovl_allow_offline_changes).
 */
export function allowsOfflineChanges(sb: Super): boolean {
  return !sb.config.index && !sb.config.redirectOn && !sb.config.metacopy && sb.config.xino !== 'on';
}

/** A change below `dir`: its listing is out of date. */
export function dirModified(dir: DirInode): void {
  dir.version++;
}

/**
 * Puts back the times that `dir` had in the upper before a copy-up into it, as nothing in the merged view has
 * changed. Its ctime has, which a door that keeps attributes must hear.
 */
export function restoreTimes(sb: Super, dir: DirInode, times: Stat): void {
  const upper = dir.upper!;
  upper.layer.utimens(upper, times.atime, times.atimeNsec, times.mtime, times.mtimeNsec);
  if (dir.nodeid !== 0) sb.hooks.attrChanged?.(dir.nodeid);
}

/** What is below `d` reaches the disk: data, or names where it is a directory, and attributes. @returns 0 or a negative errno. */
export function syncReal(d: Dentry): number {
  const file = d.layer.open(d, O_RDONLY);
  if (file < 0) return file;
  const err = d.layer.fsync(file, false);
  d.layer.close(file);
  return err;
}
