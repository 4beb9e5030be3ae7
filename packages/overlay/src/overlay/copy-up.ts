/**
 * Copy-up (kernel: fs/overlayfs/copy_up.c): the first change to something that only a lower holds.
 *
 * Everything is built in the workdir, complete with data, attributes and overlay.origin, flushed
 * (unless volatile), and appears in the upper by one link or one rename. A crash before that step
 * leaves the lower visible and a leftover that the next mount removes; after it, the whole copy.
 * A long copy may be made by another thread: then this fails with -ERESTART, and is asked again when it
 * has been made (asides.ts). Missing parents are copied up first, from the top down; their times are put back afterwards, as
 * nothing in the merged view has changed.
 */
import { S_IFREG } from '../sys/constants.ts';
import { EROFS, ESTALE } from '../sys/errno.ts';
import { Stat } from '../sys/stat.ts';
import { completeData } from './complete.ts';
import { newCopy } from './copy-up-ctx.ts';
import { adopt, copyUpToIndex, enterIndex } from './copy-up-place.ts';
import { copyUpFile, fillUnnamed } from './copy-up-tmpfile.ts';
import { buildUnnamed, copyUpByRename } from './copy-up-workdir.ts';
import { expectEscapedWhiteouts } from './escaped-whiteout.ts';
import { hasUpperAlias, indexName, linkName, linkUp, needsIndex } from './index-dir.ts';
import { type Inode, isDir } from './inode.ts';
import { realData } from './lower-data.ts';
import { setNlinkUpper } from './nlink.ts';
import { lendRights, returnRights } from './owner-rights.ts';
import type { Super } from './super.ts';
import { handleValue, restoreTimes, setImpure } from './util.ts';

/**
 * Makes sure that `inode` lives in the upper: with its data where `maxData` is given, which is how
 * many bytes are worth copying (a caller that truncates anyway gives the size that stays), else
 * metadata alone will do.
 * @returns 0, or -EROFS, -ENOSPC, -EDQUOT, -EIO, -EINTR (cancelled), … with nothing changed.
 */
export function copyUp(sb: Super, inode: Inode, maxData?: number): number {
  if (inode.upper && inode.metacopy === null) return copyUpName(sb, inode);
  if (sb.config.readOnly) return -EROFS;
  const data = realData(sb, inode);
  if (typeof data === 'number') return data;
  if (inode.upper) {
    const err = copyUpName(sb, inode);
    return err < 0 || maxData === undefined ? err : completeData(sb, inode, data, maxData);
  }
  if (inode.unlinked || inode.parent === null) {
    return isDir(inode) ? -ESTALE : copyUpUnlinked(sb, inode, maxData ?? Number.POSITIVE_INFINITY);
  }
  const missing: Inode[] = [];
  for (let at: Inode = inode; !at.upper; at = at.parent) {
    missing.push(at);
    if (!at.parent) return -ESTALE;
  }
  for (let i = missing.length - 1; i >= 0; i--) {
    const err = copyUpOne(sb, missing[i], maxData);
    if (err < 0) return err;
  }
  return 0;
}

/** Of an inode that lives in the index a further name may be about to be changed. */
function copyUpName(sb: Super, inode: Inode): number {
  if (inode.index === null || isDir(inode)) return 0;
  if (inode.parent === null || sb.config.readOnly) return 0;
  const alias = hasUpperAlias(sb, inode);
  if (alias !== 0) return Math.min(0, alias);
  const err = copyUp(sb, inode.parent);
  return err < 0 ? err : linkUp(sb, inode);
}

function copyUpOne(sb: Super, inode: Inode, maxData: number | undefined): number {
  const parent = inode.parent!;
  const dir = parent.upper!;
  const upper = dir.layer;
  const copy = newCopy(sb, inode, maxData);
  if (typeof copy === 'number') return copy;
  if (needsIndex(sb, copy.st.type, copy.st.nlink)) {
    const value = handleValue(sb, copy.lower);
    const entry = typeof value === 'number' ? value : indexName(sb, value);
    if (typeof entry === 'number') return entry;
    copy.entry = entry;
    if (!isDir(inode) && copy.st.nlink > 1) return copyUpToIndex(sb, copy, entry);
  }
  const parentSt = new Stat();
  let err = upper.stat(dir, parentSt);
  if (err < 0) return err;
  const lent = lendRights(sb, dir);
  err = setImpure(sb, parent);
  if (err >= 0 && inode.escapedWhiteout) err = expectEscapedWhiteouts(sb, parent);
  if (err >= 0) {
    err = copy.st.type === S_IFREG ? copyUpFile(sb, copy, dir, inode.name) : copyUpByRename(sb, copy, dir, inode.name);
  }
  returnRights(dir, lent);
  if (err < 0) return err;
  const placed = enterIndex(sb, copy, dir);
  restoreTimes(sb, parent, parentSt);
  if (typeof placed === 'number') return placed;
  adopt(sb, copy, placed);
  return inode.aliases === null || isDir(inode) || inode.index !== null ? 0 : linkAliases(sb, inode);
}

/**
 * Without an index a lower has several names only where redirects lead to it by several ways. Each that is
 * known becomes a name of the copy, as it is one file (kernel: ovl_link_up, at the first change by that name).
 */
function linkAliases(sb: Super, inode: Inode): number {
  let names = 1;
  for (const { parent, name } of inode.aliases ?? []) {
    let err = copyUp(sb, parent);
    if (err >= 0) err = linkName(sb, inode, parent, name);
    // As the kernel counts it: the lower has one link.
    if (err >= 0) err = setNlinkUpper(sb, inode);
    if (err < 0) return err;
    names++;
  }
  inode.nlink = names;
  return 0;
}

/** The lower was unlinked while in use: the copy gets no name and lives by its descriptor. */
function copyUpUnlinked(sb: Super, inode: Inode, maxData: number): number {
  const copy = newCopy(sb, inode, maxData);
  if (typeof copy === 'number') return copy;
  const made = inode.type === S_IFREG ? fillUnnamed(sb, copy) : buildUnnamed(sb, copy);
  if (typeof made === 'number') return made;
  adopt(sb, copy, made);
  return 0;
}
