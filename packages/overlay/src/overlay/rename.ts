/**
 * rename (kernel: ovl_rename in fs/overlayfs/dir.c). Source, target's parent and, for an exchange,
 * the target are copied up; marks are written (redirect on a directory that merges, opaque on a
 * pure one that moves into a merged directory); then one renameat2 does it all, leaving a whiteout
 * behind where a lower still holds the old name.
 *
 * Crash points: a redirect or opaque mark without its rename changes nothing that is seen, as the
 * redirect names the place where the directory still is. What a user's RENAME_WHITEOUT leaves is put in place after
 * it, and is there all the same (left-whiteout.ts).
 */
import { Dentry, type RawDirent } from '../layer/layer.ts';
import type { ByteString } from '../sys/bytes.ts';
import { RENAME_EXCHANGE, RENAME_NOREPLACE, RENAME_WHITEOUT } from '../sys/constants.ts';
import { EEXIST, EINVAL, EISDIR, ENAMETOOLONG, ENOENT, ENOTDIR, ENOTEMPTY, EROFS, EXDEV } from '../sys/errno.ts';
import { Stat } from '../sys/stat.ts';
import { copyUp } from './copy-up.ts';
import { copyXattrs } from './copy-xattrs.ts';
import { buildEscapedWhiteout, type Creator } from './create.ts';
import { expectEscapedWhiteouts, expectNoEscapedWhiteouts, mayHoldEscapedWhiteouts } from './escaped-whiteout.ts';
import { mayHold } from './index-names.ts';
import { attach, type DirInode, detach, follow, type Inode, isDir, move, prefer } from './inode.ts';
import { forgetLeft, leave, noteLeft } from './left-whiteout.ts';
import { lookup } from './lookup.ts';
import { mayCreate, mayDelete } from './protection.ts';
import { mergedIsEmpty } from './readdir.ts';
import { redirectMetacopy, setRedirect } from './redirect.ts';
import { gone, keepAlive, letGo, losesName, lowerPositive } from './remove.ts';
import type { Super } from './super.ts';
import { dirModified, setImpure, setOpaque } from './util.ts';
import { cleanup } from './whiteout.ts';
import { noteWhiteout } from './whiteout-names.ts';
import { isAnyWhiteout } from './xwhiteout.ts';

/**
 * `flags`: RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT (a whiteout of the user's, `who`, is left at
 * the old name); any other is -EINVAL.
 */
export function rename(
  sb: Super,
  who: Creator,
  oldParent: DirInode,
  oldName: ByteString,
  newParent: DirInode,
  newName: ByteString,
  flags: number,
): number {
  if (flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT)) return -EINVAL;
  if (sb.config.readOnly) return -EROFS;
  if (newName.length > sb.nameMax) return -ENAMETOOLONG;
  if (newParent.unlinked) return -ENOENT;
  const exchange = (flags & RENAME_EXCHANGE) !== 0;
  if (exchange && flags !== RENAME_EXCHANGE) return -EINVAL;
  const source = find(sb, oldParent, oldName);
  if (typeof source === 'number') return source;
  const looked = find(sb, newParent, newName);
  if (typeof looked === 'number' && looked !== -ENOENT) return looked;
  const target = typeof looked === 'number' ? null : looked;
  const refused = judge(sb, oldParent, source, target, newParent, flags);
  if (refused <= 0) return refused;

  // Two names of one file: POSIX has rename do nothing.
  if (target === source) return 0;
  prefer(source, oldParent, oldName);
  // What is in no upper is seen because a lower holds it.
  const wasLower = source.upper === null;
  let err = copyUp(sb, source);
  if (err < 0) return err;
  err = copyUp(sb, newParent);
  if (err < 0) return err;
  if (target && exchange) {
    prefer(target, newParent, newName);
    err = copyUp(sb, target);
  } else if (target) {
    err = losesName(sb, target, newParent, newName);
  }
  if (err < 0) return err;
  const same = oldParent === newParent;
  err = mark(sb, source, newParent, same);
  if (err < 0) return err;
  if (exchange) {
    err = mark(sb, target!, oldParent, same);
    if (err < 0) return err;
  }
  if (exchange) return swap(oldParent, oldName, newParent, newName, source, target!);
  if (!(flags & RENAME_WHITEOUT)) return replace(sb, oldParent, oldName, newParent, newName, source, target, wasLower);
  // renameat2 would refuse too, but ext4 makes the whiteout before it looks, which moves the old parent's mtime.
  const empty = target !== null && isDir(target) ? mergedIsEmpty(sb, target) : true;
  if (empty !== true) return empty === false ? -ENOTEMPTY : empty;
  const marked = mayHoldEscapedWhiteouts(sb, oldParent.upper!);
  const temp = buildEscapedWhiteout(sb, who, oldParent);
  if (typeof temp === 'number') return temp;
  const left = { dir: oldParent, name: oldName, temp };
  err = noteLeft(sb, left);
  if (err >= 0) err = replace(sb, oldParent, oldName, newParent, newName, source, target, true);
  if (err < 0) {
    forgetLeft(sb, left);
    if (!marked) expectNoEscapedWhiteouts(sb, oldParent);
  } else leave(sb, left);
  return err;
}

function find(sb: Super, parent: DirInode, name: ByteString): Inode | number {
  return parent.children.get(name) ?? lookup(sb, parent, name, sb.scratch);
}

/** What speaks against it before anything is changed. @returns 1 to go on, else 0 or a negative errno to answer. */
function judge(
  sb: Super,
  oldParent: DirInode,
  source: Inode,
  target: Inode | null,
  newParent: DirInode,
  flags: number,
): number {
  const exchange = (flags & RENAME_EXCHANGE) !== 0;
  if (flags & RENAME_NOREPLACE && target) return -EEXIST;
  if (exchange && !target) return -ENOENT;
  if (target === source) return 0;
  let err = mayDelete(oldParent, source);
  if (err >= 0) err = target ? mayDelete(newParent, target) : mayCreate(newParent);
  if (err < 0) return err;
  for (let at: Inode | null = newParent; isDir(source) && at; at = at.parent) if (at === source) return -EINVAL;
  if (!canMove(sb, source) || (exchange && !canMove(sb, target!))) return -EXDEV;
  if (exchange || !target) return 1;
  if (isDir(source) && !isDir(target)) return -ENOTDIR;
  if (!isDir(source) && isDir(target)) return -EISDIR;
  // A pure upper directory that is not empty is refused by renameat2 itself, without a listing here.
  if (isDir(target) && target.isMergeOrLower) {
    const empty = mergedIsEmpty(sb, target);
    if (typeof empty === 'number') return empty;
    if (!empty) return -ENOTEMPTY;
  }
  return 1;
}

/** kernel: ovl_can_move. */
function canMove(sb: Super, inode: Inode): boolean {
  return sb.config.redirectOn || !isDir(inode) || !inode.isMergeOrLower;
}

/** The marks that `inode` needs to be itself below its new parent. */
function mark(sb: Super, inode: Inode, newParent: DirInode, same: boolean): number {
  // The new parent will hold something whose number is its origin's.
  let err = !same && inode.hasOrigin ? setImpure(sb, newParent) : 0;
  if (err >= 0 && !same && inode.escapedWhiteout) err = expectEscapedWhiteouts(sb, newParent);
  if (err < 0) return err;
  if (inode.metacopy !== null) return redirectMetacopy(sb, inode, same);
  if (!isDir(inode)) return 0;
  if (inode.lowers.length > 0) return setRedirect(sb, inode, same);
  if (inode.opaque || !newParent.isMerge) return 0;
  const marked = setOpaque(sb, inode.upper!);
  if (marked < 0) return marked;
  inode.opaque = true;
  return 0;
}

function swap(
  oldParent: DirInode,
  oldName: ByteString,
  newParent: DirInode,
  newName: ByteString,
  source: Inode,
  target: Inode,
): number {
  const layer = oldParent.upper!.layer;
  const err = layer.rename(oldParent.upper!, oldName, newParent.upper!, newName, RENAME_EXCHANGE);
  if (err < 0) return err;
  detach(target, newParent, newName);
  move(source, oldParent, oldName, newParent, newName);
  attach(target, oldParent, oldName);
  // As in `move`.
  if (isDir(target) && newParent !== oldParent) target.renumbered = true;
  if (target.parent === oldParent && target.name === oldName) follow(target, oldParent, oldName);
  dirModified(oldParent);
  dirModified(newParent);
  return 0;
}

function replace(
  sb: Super,
  oldParent: DirInode,
  oldName: ByteString,
  newParent: DirInode,
  newName: ByteString,
  source: Inode,
  target: Inode | null,
  whiteout: boolean,
): number {
  const oldDir = oldParent.upper!;
  const newDir = newParent.upper!;
  const layer = oldDir.layer;
  const leavesWhiteout = whiteout || lowerPositive(sb, oldParent, oldName);
  const standing = target === null ? standsWhiteout(sb, newParent, newName) : 0;
  if (standing < 0) return standing;
  const whiteoutThere = standing > 0;
  let flags = 0;
  if (leavesWhiteout) flags = whiteoutThere ? RENAME_EXCHANGE : RENAME_WHITEOUT;
  else if (isDir(source) && whiteoutThere) flags = RENAME_EXCHANGE;
  const cleanupWhiteout = flags === RENAME_EXCHANGE && !leavesWhiteout;

  if (target?.upper) {
    const kept = keepAlive(target, newParent, newName);
    if (kept < 0) return kept;
    if (isDir(target) && target.isMerge) {
      const cleared = clearEmpty(sb, newParent, newName, target);
      if (cleared < 0) {
        letGo(target);
        return cleared;
      }
    }
  }
  let err = layer.rename(oldDir, oldName, newDir, newName, flags);
  // xfs has another word for it.
  if ((err === -ENOTEMPTY || err === -EEXIST) && target && isDir(target)) {
    const empty = mergedIsEmpty(sb, target);
    // A pure upper directory with whiteouts from another life.
    if (empty === true) err = clearEmpty(sb, newParent, newName, target);
    else if (empty !== false) err = empty;
    if (err >= 0) err = layer.rename(oldDir, oldName, newDir, newName, flags);
  }
  if (err < 0) {
    if (target) letGo(target);
    return err;
  }
  if (leavesWhiteout) noteWhiteout(oldDir, oldName);
  if (cleanupWhiteout) layer.unlink(oldDir, oldName);
  if (target) gone(sb, target, newParent, newName);
  move(source, oldParent, oldName, newParent, newName);
  dirModified(oldParent);
  dirModified(newParent);
  return 0;
}

/** 1, 0, or a negative errno. */
function standsWhiteout(sb: Super, parent: DirInode, name: ByteString): number {
  const st = new Stat();
  const dir = parent.upper!;
  if (!mayHold(dir, name)) return 0;
  const err = dir.layer.lookup(dir, name, st);
  if (err === -ENOENT) return 0;
  return err < 0 ? err : isAnyWhiteout(sb, dir, name, st);
}

/**
 * The target is empty when merged, but its upper may hold whiteouts, which renameat2 would refuse
 * to replace. A fresh opaque directory with the same attributes takes its place in one exchange
 * (kernel: ovl_clear_empty), so that at no point the target is missing or its lower shows through.
 */
function clearEmpty(sb: Super, parent: DirInode, name: ByteString, target: DirInode): number {
  const upper = target.upper!;
  const layer = upper.layer;
  const inUpper: RawDirent[] = [];
  const st = new Stat();
  let err = layer.readdir(upper, inUpper);
  if (err < 0 || inUpper.length === 0) return err;
  err = layer.stat(upper, st);
  if (err < 0) return err;
  const work = sb.work!;
  const temp = sb.tempName();
  err = layer.mkdir(work, temp, 0o700);
  if (err < 0) return err;
  const fresh = new Dentry(layer, work, temp);
  err = dressLike(sb, upper, st, fresh);
  if (err >= 0) err = setOpaque(sb, fresh);
  if (err >= 0) err = layer.rename(work, temp, parent.upper!, name, RENAME_EXCHANGE);
  layer.release(fresh);
  if (err >= 0) {
    // The whiteouts are gone: should the rename fail, nothing else keeps the lowers' entries out of sight.
    target.opaque = true;
    target.lowers = [];
    dirModified(target);
  }
  cleanup(sb, temp);
  return err;
}

function dressLike(sb: Super, model: Dentry, st: Stat, fresh: Dentry): number {
  const layer = fresh.layer;
  let err = layer.chown(fresh, st.uid, st.gid);
  if (err >= 0) err = copyXattrs(sb, model, (name, value) => layer.setxattr(fresh, name, value, 0));
  if (err >= 0) err = layer.chmod(fresh, st.mode & 0o7777);
  if (err >= 0) err = layer.utimens(fresh, st.atime, st.atimeNsec, st.mtime, st.mtimeNsec);
  return err;
}
