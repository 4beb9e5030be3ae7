/**
 * What a user's RENAME_WHITEOUT leaves, in one step. A renameat2 can leave a whiteout of ours behind, not
 * the file that stands for a user's (escaped-whiteout.ts). So that file is built in the workdir first, with
 * a note beside it of where it belongs: a symlink `TEMP.left` that names the place from the upper's root.
 * Then one rename moves the source and leaves a whiteout of ours; from there on it is the user's, whatever
 * happens: the file replaces it at once, or where that fails before anything else is done in its
 * directory, or at the next mount.
 *
 * The kernel, which refuses that rename to its users, clears the file away with its note. Where it is the first
 * to mount after a crash in between, nothing stands under the old name.
 */
import { Dentry, type RawDirent } from '../layer/layer.ts';
import type { ByteString } from '../sys/bytes.ts';
import { S_IFDIR } from '../sys/constants.ts';
import { ENAMETOOLONG, ENOENT, ENOTDIR } from '../sys/errno.ts';
import { Stat } from '../sys/stat.ts';
import { isEscapedWhiteout } from './escaped-whiteout.ts';
import type { DirInode } from './inode.ts';
import type { Super } from './super.ts';
import { dirModified } from './util.ts';
import { cleanup, isWhiteout } from './whiteout.ts';

const NOTE = '.left';

/** A whiteout of ours at `name` that is the user's, who has his at `temp` in the workdir. */
export interface LeftWhiteout {
  readonly dir: DirInode;
  readonly name: ByteString;
  readonly temp: ByteString;
}

/** Before the rename: writes down where the user's whiteout `left.temp` belongs. */
export function noteLeft(sb: Super, left: LeftWhiteout): number {
  const path: ByteString[] = [left.name];
  for (let d = left.dir.upper!; d.parent !== null; d = d.parent) path.unshift(d.name);
  const work = sb.work!;
  const err = work.layer.symlink(work, left.temp + NOTE, path.join('/'));
  // Too deep to be written down: it goes without, and a crash may leave nothing under the name.
  return err === -ENAMETOOLONG ? 0 : err;
}

/** The rename has failed. */
export function forgetLeft(sb: Super, left: LeftWhiteout): void {
  cleanup(sb, left.temp);
  cleanup(sb, left.temp + NOTE);
}

/** The rename is done: from here on the name is the user's whiteout, now or when it is next looked at. */
export function leave(sb: Super, left: LeftWhiteout): void {
  sb.left.push(left);
  settle(sb, left.dir);
}

/** Puts users' whiteouts in their places. @returns a negative errno where one of `dir` could not be. */
export function settle(sb: Super, dir: DirInode): number {
  let result = 0;
  for (const left of sb.left.splice(0)) {
    const work = sb.work!;
    const err = work.layer.rename(work, left.temp, left.dir.upper!, left.name, 0);
    if (err >= 0) {
      cleanup(sb, left.temp + NOTE);
      dirModified(left.dir);
      continue;
    }
    sb.left.push(left);
    if (left.dir === dir) result = err;
  }
  return result;
}

/** At mount, before `work` is cleared: puts in their places what a crash has kept from them. */
export function settleLeftovers(sb: Super, work: Dentry): number {
  const { layer } = work;
  const entries: RawDirent[] = [];
  let err = layer.lookup(work.parent!, work.name, sb.scratch);
  if (err >= 0) err = layer.readdir(work, entries);
  if (err < 0) return err === -ENOENT ? 0 : err;
  for (const { name } of entries) {
    if (!name.startsWith('#') || !name.endsWith(NOTE)) continue;
    const settled = settleNoted(sb, work, name.slice(0, -NOTE.length));
    if (settled < 0) return settled;
  }
  return 0;
}

function settleNoted(sb: Super, work: Dentry, temp: ByteString): number {
  const { layer } = work;
  const made = new Dentry(layer, work, temp);
  const path = layer.readlink(new Dentry(layer, work, temp + NOTE));
  if (typeof path === 'number') return path;
  const st = new Stat();
  let err = layer.lookup(work, temp, st);
  if (err >= 0) err = isEscapedWhiteout(sb, made, st);
  layer.release(made);
  // Nothing is left to be put there.
  if (err === -ENOENT || err === 0) return 0;
  if (err < 0) return err;
  const parts = path.split('/');
  const name = parts.pop()!;
  let dir = sb.upper!.root;
  for (const part of parts) {
    err = dir.layer.lookup(dir, part, st);
    if (err >= 0 && st.type !== S_IFDIR) err = -ENOTDIR;
    if (err < 0) break;
    dir = new Dentry(dir.layer, dir, part);
  }
  if (err >= 0) err = dir.layer.lookup(dir, name, st);
  // The rename was not done, or what it left has been replaced since.
  const stands = err >= 0 && isWhiteout(st);
  if (stands) err = layer.rename(work, temp, dir, name, 0);
  for (let d = dir; d.parent !== null; d = d.parent) d.layer.release(d);
  return stands ? err : err === -ENOENT || err === -ENOTDIR ? 0 : Math.min(0, err);
}
