/**
 * unlink and rmdir (kernel: the removing half of fs/overlayfs/dir.c). Where a lower still holds the
 * name, a whiteout takes its place in one step; nothing is copied up in order to be deleted. A
 * directory leaves the merged tree by one rename, whiteouts and all, and is cleared away afterwards.
 */
import type { Dentry } from '../layer/layer.ts';
import type { ByteString } from '../sys/bytes.ts';
import { EISDIR, ENAMETOOLONG, ENOENT, ENOTDIR, ENOTEMPTY, EROFS } from '../sys/errno.ts';
import { Stat } from '../sys/stat.ts';
import { copyUp } from './copy-up.ts';
import { dropEntry, needsIndex } from './index-dir.ts';
import { namesOf } from './index-names.ts';
import { type DirInode, detach, type Inode, isDir, prefer, releaseReal } from './inode.ts';
import { lookup } from './lookup.ts';
import { setNlinkUpper } from './nlink.ts';
import { lendRights, returnRights } from './owner-rights.ts';
import { mayDelete } from './protection.ts';
import { mergedIsEmpty } from './readdir.ts';
import { keepPath } from './redirect.ts';
import type { Super } from './super.ts';
import { dirModified } from './util.ts';
import { AUFS_PREFIX, removeDirAtomically, whiteoutNew, whiteoutOver } from './whiteout.ts';
import { isAnyWhiteout } from './xwhiteout.ts';

/** Whether a lower layer shows `name` below this directory (kernel: ovl_lower_positive). */
export function lowerPositive(sb: Super, parent: DirInode, name: ByteString): boolean {
  const { lowers } = parent;
  const names = namesOf(sb, parent, lowers);
  names?.seek(name);
  const st = new Stat();
  for (let i = 0; i < lowers.length; i++) {
    if (names) i = names.next(i);
    if (i === lowers.length) break;
    const dir = lowers[i];
    const err = dir.layer.lookup(dir, name, st);
    // What cannot be looked at is taken to be there: without a whiteout it would come back.
    if (err !== -ENOENT && err !== -ENAMETOOLONG) return err < 0 || isAnyWhiteout(sb, dir, name, st) <= 0;
    if (sb.config.aufsWhiteouts && dir.layer.lookup(dir, AUFS_PREFIX + name, st) >= 0) return false;
  }
  return false;
}

export function unlink(sb: Super, parent: DirInode, name: ByteString): number {
  const inode = victim(sb, parent, name);
  if (typeof inode === 'number') return inode;
  let err = mayDelete(parent, inode);
  if (err < 0) return err;
  if (isDir(inode)) return -EISDIR;
  err = copyUp(sb, parent);
  if (err >= 0) err = losesName(sb, inode, parent, name);
  if (err < 0) return err;
  const dir = parent.upper!;
  if (inode.upper) {
    const pinned = keepAlive(inode, parent, name);
    if (pinned < 0) return pinned;
    err = lowerPositive(sb, parent, name) ? whiteoutOver(sb, dir, name, false) : dir.layer.unlink(dir, name);
  } else {
    err = whiteoutNew(sb, dir, name);
  }
  if (err < 0) {
    letGo(inode);
    return err;
  }
  gone(sb, inode, parent, name);
  return 0;
}

export function rmdir(sb: Super, parent: DirInode, name: ByteString): number {
  const inode = victim(sb, parent, name);
  if (typeof inode === 'number') return inode;
  let err = mayDelete(parent, inode);
  if (err < 0) return err;
  if (!isDir(inode)) return -ENOTDIR;
  // It is listed, and moved away with what is left in it.
  const lent = inode.upper ? lendRights(sb, inode.upper) : null;
  err = rmdirMerged(sb, parent, name, inode);
  if (inode.upper && (err < 0 || inode.upper.pinned)) returnRights(inode.upper, lent);
  return err;
}

function rmdirMerged(sb: Super, parent: DirInode, name: ByteString, inode: DirInode): number {
  // Of a directory of the upper alone rmdir(2) says whether it is empty.
  const pure = inode.upper !== null && !inode.isMergeOrLower && !lowerPositive(sb, parent, name);
  const empty = pure || mergedIsEmpty(sb, inode);
  if (typeof empty === 'number') return empty;
  if (!empty) return -ENOTEMPTY;
  let err = copyUp(sb, parent);
  if (err >= 0) err = losesName(sb, inode, parent, name);
  if (err < 0) return err;
  const dir = parent.upper!;
  if (inode.upper) {
    const pinned = keepAlive(inode, parent, name);
    if (pinned < 0) return pinned;
    if (!pure && lowerPositive(sb, parent, name)) err = whiteoutOver(sb, dir, name, true);
    else {
      err = dir.layer.rmdir(dir, name);
      if (err === -ENOTEMPTY) err = removeWithWhiteouts(sb, inode, dir, name);
    }
  } else {
    err = whiteoutNew(sb, dir, name);
  }
  if (err < 0) {
    letGo(inode);
    return err;
  }
  gone(sb, inode, parent, name);
  return 0;
}

/** The upper directory is not empty; the merged one is when there are but whiteouts in it. */
function removeWithWhiteouts(sb: Super, inode: DirInode, dir: Dentry, name: ByteString): number {
  const empty = mergedIsEmpty(sb, inode);
  if (typeof empty === 'number') return empty;
  return empty ? removeDirAtomically(sb, dir, name) : -ENOTEMPTY;
}

function victim(sb: Super, parent: DirInode, name: ByteString): Inode | number {
  if (sb.config.readOnly) return -EROFS;
  if (parent.unlinked) return -ENOENT;
  return parent.children.get(name) ?? lookup(sb, parent, name, sb.scratch);
}

/**
 * kernel ovl_nlink_start: before a name of `inode` goes. What is or will be in the index is copied up
 * first, as the count of the names that stay has its place on the copy.
 */
export function losesName(sb: Super, inode: Inode, parent: DirInode, name: ByteString): number {
  if (!inode.index && (inode.upper || !needsIndex(sb, inode.type, inode.nlink))) return 0;
  prefer(inode, parent, name);
  const err = copyUp(sb, inode);
  if (err < 0) return err;
  return inode.index && !isDir(inode) ? setNlinkUpper(sb, inode) : 0;
}

/**
 * An upper inode that somebody still uses must outlive this name: by another name that is known,
 * or by a descriptor. @returns 0 or a negative errno.
 */
export function keepAlive(inode: Inode, parent: DirInode, name: ByteString): number {
  const upper = inode.upper;
  if (!upper || upper.pinned || !inUse(inode)) return 0;
  // Its entry in the index keeps it as long as it has names at all.
  if (inode.index && !isDir(inode)) return inode.nlink > 1 ? 0 : upper.layer.pin(upper);
  if (inode.parent !== parent || inode.name !== name || inode.aliases?.length) return 0;
  return upper.layer.pin(upper);
}

function inUse(inode: Inode): boolean {
  return inode.nlookup > 0 || inode.holds > 0;
}

/** The name did not go after all: the descriptor of `keepAlive` is not needed. */
export function letGo(inode: Inode): void {
  if (inode.upper?.pinned && inode.parent !== null) inode.upper.layer.release(inode.upper);
}

/** The tables after the name has gone. */
export function gone(sb: Super, inode: Inode, parent: DirInode, name: ByteString): void {
  if (!inUse(inode)) releaseReal(inode);
  else keepPath(inode);
  detach(inode, parent, name);
  dirModified(parent);
  // kernel ovl_drop_nlink: layers that were changed may have more names than were counted.
  if (inode.nlink > (inode.parent === null ? 0 : 1)) inode.nlink--;
  // Linux has taken one from what it was told.
  else if (inode.parent !== null && inode.nodeid !== 0) sb.hooks.attrChanged?.(inode.nodeid);
  if (inode.index && (isDir(inode) || inode.nlink === 0)) dropEntry(sb, inode);
  if (inode.parent !== null) return;
  inode.unlinked = true;
  // One that is in use and has further names, not known yet, must be found again under them.
  if (isDir(inode) || !inode.upper || inode.nlink <= 0 || !inUse(inode)) sb.inodes.delete(inode);
}
