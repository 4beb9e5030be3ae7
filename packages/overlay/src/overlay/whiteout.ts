/**
 * Whiteouts: what they are, how one is put in place, and the clearing of the workdir
 * (kernel: ovl_is_whiteout, ovl_whiteout, ovl_cleanup and ovl_workdir_cleanup).
 *
 * On disk a whiteout is a character device 0:0. One is kept in the workdir and all others are
 * hard links to it, so that deleting a tree costs no inodes.
 *
 * Crash points: a whiteout appears by one link or one rename, never in two steps; what is left in
 * the workdir is removed by the next mount.
 */
import { Dentry, type RawDirent } from '../layer/layer.ts';
import type { ByteString } from '../sys/bytes.ts';
import { DT_DIR, DT_UNKNOWN, RENAME_EXCHANGE, S_IFCHR, S_IFDIR, S_IFMT } from '../sys/constants.ts';
import { EMLINK, ENOENT, ENOTDIR, EOPNOTSUPP, EPERM } from '../sys/errno.ts';
import { Stat } from '../sys/stat.ts';
import type { Super } from './super.ts';
import { noteWhiteout } from './whiteout-names.ts';

/** aufs and OCI layers spell a whiteout of NAME as a file `.wh.NAME`. */
export const AUFS_PREFIX = '.wh.';
/** … and an opaque directory as a file of this name in it. */
export const AUFS_OPAQUE = '.wh..wh..opq';

export function isWhiteout(st: Stat): boolean {
  return (st.mode & S_IFMT) === S_IFCHR && st.rdev === 0;
}

/** A fresh whiteout in the workdir, under a temporary name. @returns the name, or a negative errno. */
function tempWhiteout(sb: Super): ByteString | number {
  const work = sb.work!;
  const name = sb.tempName();
  const err = linkShared(sb, work, name);
  return err < 0 ? err : name;
}

/** Hard-links the shared whiteout to (dir, name); a new shared one when the old has all links it can bear. */
function linkShared(sb: Super, dir: Dentry, name: ByteString): number {
  const work = sb.work!;
  const layer = work.layer;
  for (let attempt = 0; attempt < 2; attempt++) {
    if (sb.whiteout === null) {
      const shared = sb.tempName();
      const err = layer.mknod(work, shared, S_IFCHR, 0);
      if (err < 0) return err;
      sb.whiteout = shared;
    }
    const err = layer.link(new Dentry(layer, work, sb.whiteout), dir, name);
    if (err === -EPERM || err === -EOPNOTSUPP) break;
    if (err !== -EMLINK && err !== -ENOENT) return err;
    sb.whiteout = null;
    sb.whiteoutIno = 0n;
  }
  // A filesystem that cannot link devices: one inode each.
  return layer.mknod(dir, name, S_IFCHR, 0);
}

/**
 * The inode number by which a listing of the upper directory `dir` knows the whiteouts of this mount, without a look at
 * each; 0 where there is none. As long as the shared one has its name in the workdir, no other inode can have it.
 */
export function whiteoutIno(sb: Super, dir: Dentry): bigint {
  if (sb.whiteout === null || dir.layer !== sb.upper) return 0n;
  const { upper, scratch } = sb;
  // Somebody may have mounted another filesystem there, with numbers of its own.
  if (upper.stat(dir, scratch) < 0 || scratch.dev !== upper.dev) return 0n;
  const work = sb.work!;
  if (sb.whiteoutIno === 0n && work.layer.lookup(work, sb.whiteout, scratch) >= 0) sb.whiteoutIno = scratch.ino;
  return sb.whiteoutIno;
}

/** Puts a whiteout where nothing stands in the upper. -EEXIST never replaces. */
export function whiteoutNew(sb: Super, dir: Dentry, name: ByteString): number {
  const err = linkShared(sb, dir, name);
  if (err >= 0) noteWhiteout(dir, name);
  return err;
}

/** Replaces what stands at (dir, name) in the upper by a whiteout in one rename; a directory is then cleared away. */
export function whiteoutOver(sb: Super, dir: Dentry, name: ByteString, isDir: boolean): number {
  const temp = tempWhiteout(sb);
  if (typeof temp === 'number') return temp;
  const work = sb.work!;
  const err = work.layer.rename(work, temp, dir, name, isDir ? RENAME_EXCHANGE : 0);
  if (err < 0) {
    work.layer.unlink(work, temp);
    return err;
  }
  noteWhiteout(dir, name);
  if (isDir) cleanup(sb, temp);
  return 0;
}

/** Takes a directory out of the merged tree in one rename into the workdir, then clears it away. */
export function removeDirAtomically(sb: Super, dir: Dentry, name: ByteString): number {
  const work = sb.work!;
  const temp = sb.tempName();
  const err = work.layer.rename(dir, name, work, temp, 0);
  if (err < 0) return err;
  cleanup(sb, temp);
  return 0;
}

/** Removes a temporary object (a directory with the whiteouts in it too); what fails stays for the next mount. */
export function cleanup(sb: Super, temp: ByteString): void {
  const err = cleanTree(sb.work!, temp, 0);
  if (err < 0) sb.hooks.log(`workdir: ${temp} could not be removed and is left for the next mount`);
}

/**
 * Removes (dir, name) with what is in it, to `depth` levels of directories below it: the kernel's
 * bound, since nothing that an overlay leaves behind is deeper and somebody's data might be.
 */
export function cleanTree(dir: Dentry, name: ByteString, depth: number): number {
  const layer = dir.layer;
  const st = new Stat();
  let err = layer.lookup(dir, name, st);
  if (err === -ENOENT) return 0;
  if (err < 0) return err;
  if ((st.mode & S_IFMT) !== S_IFDIR) return layer.unlink(dir, name);
  const self = new Dentry(layer, dir, name);
  const entries: RawDirent[] = [];
  err = layer.readdir(self, entries);
  if (err >= 0) {
    for (const entry of entries) {
      const maybeDir = entry.type === DT_DIR || entry.type === DT_UNKNOWN;
      if (maybeDir && depth > 0) err = cleanTree(self, entry.name, depth - 1);
      else if (maybeDir) err = layer.rmdir(self, entry.name);
      else err = layer.unlink(self, entry.name);
      if (err === -ENOTDIR) err = layer.unlink(self, entry.name);
      if (err < 0) break;
    }
  }
  layer.release(self);
  return err < 0 ? err : layer.rmdir(dir, name);
}
