/**
 * Attributes of merged objects (kernel: ovl_getattr and ovl_setattr in fs/overlayfs/inode.c).
 */
import type { Dentry } from '../layer/layer.ts';
import { O_WRONLY, S_IFREG, S_ISGID, S_ISUID, S_IXGRP, UTIME_NOW, UTIME_OMIT } from '../sys/constants.ts';
import { EINVAL, ENODATA, EROFS } from '../sys/errno.ts';
import { Stat } from '../sys/stat.ts';
import { copyUp } from './copy-up.ts';
import { asWhiteoutDevice } from './escaped-whiteout.ts';
import { type Inode, isDir } from './inode.ts';
import { pendingLazy, withLazy } from './lazy-files.ts';
import { truncateLazy } from './lazy-truncate.ts';
import type { Metacopy } from './metacopy.ts';
import { maySetattr, PROTECTION } from './protection.ts';
import {
  ATTR_ATIME,
  ATTR_ATIME_NOW,
  ATTR_BY_ROOT,
  ATTR_GID,
  ATTR_KILL_SUIDGID,
  ATTR_MODE,
  ATTR_MTIME,
  ATTR_MTIME_NOW,
  ATTR_SIZE,
  ATTR_UID,
  asksNothing,
  type SetAttr,
} from './setattr.ts';
import type { Super } from './super.ts';
import { CAPABILITY } from './xattrs.ts';

/** Turns the real object's attributes in `st` into the merged object's, and remembers what children inherit. */
export function mapAttr(inode: Inode, st: Stat): void {
  st.ino = inode.ino;
  if (inode.escapedWhiteout) asWhiteoutDevice(st);
  st.attributes = (st.attributes & ~PROTECTION) | inode.protection;
  if (inode.metacopy !== null) st.blocks = dataBlocks(inode.metacopy, st);
  if (inode.lazy !== null) st.blocks = inode.lazy.shownBlocks(st);
  // The lower keeps its name under the whiteout; the merged object has none.
  if (inode.unlinked && !inode.upper) st.nlink = 0;
  if (inode.index && !isDir(inode)) st.nlink = inode.nlink;
  inode.nlink = st.nlink;
  if (isDir(inode)) {
    inode.mode = st.mode;
    inode.gid = st.gid;
    // Nobody can know how many subdirectories a merged directory has without listing it; 1 tells find(1) not to count.
    if (inode.isMerge) st.nlink = 1;
  }
}

const dataStat = new Stat();

/** A file of metadata alone takes the space of its data; while that is not looked up, as much as its size needs. */
function dataBlocks(metacopy: Metacopy, { size, blksize }: Stat): number {
  const { data } = metacopy;
  if (metacopy.blocks < 0 && data !== null && data.layer.stat(data, dataStat) >= 0) metacopy.blocks = dataStat.blocks;
  return metacopy.blocks >= 0 ? metacopy.blocks : (Math.ceil(size / blksize) * blksize) / 512;
}

export function getattr(inode: Inode, out: Stat): number {
  const real = inode.real;
  const err = real.layer.stat(real, out);
  if (err < 0) return err;
  mapAttr(inode, out);
  return 0;
}

/**
 * Changes attributes, copying up first. `file` is an open upper file of the inode, or -1.
 * With ATTR_SIZE only as much data is copied up as stays.
 */
export function setattr(sb: Super, inode: Inode, set: SetAttr, file: number, out: Stat): number {
  if (sb.config.readOnly) return -EROFS;
  const valid = set.valid;
  if (inode.escapedWhiteout && valid & ATTR_SIZE) return -EINVAL;
  let err = maySetattr(inode, set);
  if (err < 0) return err;
  err = copyUp(sb, inode, valid & ATTR_SIZE ? set.size : undefined);
  if (err < 0) return err;
  const real = inode.upper!;
  const layer = real.layer;
  // What children inherit is looked at anew, should only a part of this succeed.
  if (isDir(inode)) inode.mode = 0;
  const keeps = survives(set, inode, real, out);
  if (valid & ATTR_SIZE) {
    const resize = (): number => truncateLazy(inode, set.size, () => truncate(real, file, set.size));
    err = keeps ? keepingPrivileges(real, out, resize) : resize();
    if (err < 0) return err;
  }
  // To the kernel below, asking nothing is the chown of nothing that takes suid away.
  if (valid & (ATTR_UID | ATTR_GID) || asksNothing(valid)) {
    const own = (): number => layer.chown(real, valid & ATTR_UID ? set.uid : -1, valid & ATTR_GID ? set.gid : -1);
    err = keeps ? keepingPrivileges(real, out, own) : own();
    if (err < 0) return err;
  }
  if (valid & ATTR_KILL_SUIDGID && !keeps) {
    err = killPriv(real, out);
    if (err < 0) return err;
  }
  if (valid & ATTR_MODE) {
    err = layer.chmod(real, set.mode & 0o7777);
    if (err < 0) return err;
  }
  if (valid & (ATTR_ATIME | ATTR_MTIME | ATTR_ATIME_NOW | ATTR_MTIME_NOW)) {
    err = unpin(inode);
    if (err < 0) return err;
    const atimeNsec = valid & ATTR_ATIME_NOW ? UTIME_NOW : valid & ATTR_ATIME ? set.atimeNsec : UTIME_OMIT;
    const mtimeNsec = valid & ATTR_MTIME_NOW ? UTIME_NOW : valid & ATTR_MTIME ? set.mtimeNsec : UTIME_OMIT;
    err = layer.utimens(real, set.atime, atimeNsec, set.mtime, mtimeNsec);
    if (err < 0) return err;
  }
  return getattr(inode, out);
}

/** Times that are set are not those that completing a copy-up puts back. */
function unpin(inode: Inode): number {
  const lazy = pendingLazy(inode);
  return lazy?.record.pin ? withLazy(lazy, inode.upper!, () => lazy.unpin()) : 0;
}

/**
 * An overlay on top copies up into an unnamed file of root's: data and attributes, then size, mode
 * and owner (kernel: ovl_set_size, ovl_set_attr), which between kernel filesystems takes nothing away. No
 * request tells these from truncate(2) and chown(2), so what root has given his own unnamed file survives both.
 */
function survives({ valid }: SetAttr, inode: Inode, real: Dentry, scratch: Stat): boolean {
  if ((valid & ATTR_BY_ROOT) === 0 || !inode.unnamed) return false;
  return real.layer.stat(real, scratch) >= 0 && scratch.uid === 0;
}

/** Makes a change that would take suid, sgid and file capabilities away from a file, and leaves them. @returns what `change` does. */
export function keepingPrivileges(real: Dentry, scratch: Stat, change: () => number): number {
  const layer = real.layer;
  let err = layer.stat(real, scratch);
  if (err < 0) return err;
  const { type, mode } = scratch;
  const capability = type === S_IFREG ? layer.getxattr(real, CAPABILITY) : -ENODATA;
  const result = change();
  if (result < 0 || type !== S_IFREG) return result;
  if (mode & (S_ISUID | S_ISGID)) err = layer.chmod(real, mode & 0o7777);
  if (err >= 0 && typeof capability !== 'number') err = layer.setxattr(real, CAPABILITY, capability, 0);
  return err < 0 ? err : result;
}

/** truncate(2) and ftruncate(2) differ: to the size that it has already, only the second moves a file's mtime. */
function truncate(real: Dentry, file: number, size: number): number {
  const layer = real.layer;
  if (file >= 0) return layer.ftruncate(file, size);
  const opened = layer.open(real, O_WRONLY);
  if (opened < 0) return opened;
  const err = layer.truncate(opened, size);
  layer.close(opened);
  return err;
}

/**
 * Takes suid, and sgid of a group-executable file, away: the caller wrote without CAP_FSETID, and the
 * kernel below sees only our own privileged write. File capabilities it removes by itself on any write.
 */
export function killPriv(real: Dentry, scratch: Stat): number {
  const err = real.layer.stat(real, scratch);
  if (err < 0) return err;
  const mode = scratch.mode;
  if (scratch.type !== S_IFREG) return 0;
  let kept = mode & ~S_ISUID;
  if (mode & S_IXGRP) kept &= ~S_ISGID;
  return kept === mode ? 0 : real.layer.chmod(real, kept & 0o7777);
}
