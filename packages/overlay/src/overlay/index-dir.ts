/**
 * The index (kernel: ovl_lookup_index, ovl_create_index, ovl_link_up, ovl_nlink_start and
 * ovl_cleanup_index): workdir/index holds a lower inode's copy under the hex of its origin. All the
 * names of a lower hard link so find one upper inode, and stay one file.
 *
 *   non-directory   a hard link of the upper inode; the copy-up makes it first and links it to the name
 *   directory       (nfs_export) an empty directory whose overlay.upper is the upper directory's handle
 *   whiteout        (nfs_export) the object has been deleted, so its handles are stale
 *
 * Crash points: an entry without its name in the upper shows the copy under all names, as the entry
 * is found by the lower; one whose last name is gone is removed by the next mount (index-verify.ts).
 */
import { Dentry } from '../layer/layer.ts';
import type { ByteString } from '../sys/bytes.ts';
import { S_IFDIR, S_IFREG } from '../sys/constants.ts';
import { EEXIST, EIO, ENAMETOOLONG, ENOENT, EOPNOTSUPP, EPERM } from '../sys/errno.ts';
import { Stat } from '../sys/stat.ts';
import { asWhiteoutDevice, expectEscapedWhiteouts, isWhiteoutDevice } from './escaped-whiteout.ts';
import type { Found } from './found.ts';
import { type DirInode, type Inode, isDir } from './inode.ts';
import { hasLazyMarks } from './lazy-files.ts';
import { metacopySize } from './metacopy.ts';
import { setNlinkLower, setNlinkUpper } from './nlink.ts';
import { readProtattr } from './protattr.ts';
import type { Super } from './super.ts';
import { handleValue, originValue, restoreTimes, setImpure } from './util.ts';
import { isWhiteout, whiteoutOver } from './whiteout.ts';

/** kernel ovl_need_index: hard links, and with nfs_export all that is copied up. */
export function needsIndex(sb: Super, type: number, lowerNlink: number): boolean {
  if (!sb.indexDir) return false;
  return sb.config.nfsExport || (type !== S_IFDIR && lowerNlink > 1);
}

/** The name in the index for the lower with the handle `value`. */
export function indexName(sb: Super, value: Buffer): ByteString | number {
  if (value.length === 0) return -EOPNOTSUPP;
  const name = value.toString('hex');
  return name.length > sb.nameMax ? -ENAMETOOLONG : name;
}

/**
 * kernel ovl_lookup_index: the entry of the lower inode that `found` is. With one, `found.upper` is
 * the entry, and `out` has its attributes. @returns 0 or a negative errno.
 */
export function lookupIndex(sb: Super, found: Found, out: Stat): number {
  const { origin } = found;
  if (!origin || !mayHaveEntry(sb, found, out)) return 0;
  const value = origin.value ?? handleValue(sb, found.lowers[0]);
  // Taken for one without an entry, a file that was copied up would show what the lower has.
  if (typeof value === 'number') return value;
  origin.value = value;
  const name = indexName(sb, value);
  if (typeof name === 'number') return 0;
  const dir = sb.indexDir!;
  const st = new Stat();
  const err = dir.layer.lookup(dir, name, st);
  if (err === -ENOENT) return 0;
  if (err < 0) return err;
  const isDevice = isWhiteoutDevice(out.mode, out.rdev);
  const type = found.isDir ? S_IFDIR : isDevice ? S_IFREG : out.type;
  if (isWhiteout(st) || st.type !== type) return bad(sb, name, 'is of another type than its origin');
  const entry = new Dentry(dir.layer, dir, name);
  if (found.isDir) {
    if (!found.upper) return bad(sb, name, 'stands for a directory that is not in the upper: redirected twice?');
    const upper = dir.layer.getxattr(entry, sb.names.upper);
    dir.layer.release(entry);
    if (typeof upper === 'number' || !upper.equals(originValue(sb, found.upper, true))) {
      return bad(sb, name, 'stands for another upper directory: redirected twice?');
    }
  } else {
    // The copy of a hard link that was broken by a mount without the index.
    if (found.upper && st.ino !== found.upperIno) return 0;
    if (!found.upper) {
      const bad = readMarks(sb, found, entry);
      if (bad < 0) return bad;
    }
    found.upper = entry;
    found.upperIno = st.ino;
    found.upperHasOrigin = true;
    if (!found.upperMetacopy) {
      found.lowers = [];
      found.dataRedirect = null;
    }
    out.set(st);
    if (isDevice) asWhiteoutDevice(out);
  }
  found.index = { name, lowerNlink: origin.nlink };
  return 0;
}

/** Looked up by the lower's name: what the walk has not seen of the upper. */
function readMarks(sb: Super, found: Found, entry: Dentry): number {
  found.protection = readProtattr(sb, entry);
  const names = entry.layer.listxattr(entry);
  if (typeof names !== 'number' && hasLazyMarks(sb, names)) {
    found.upperLazy = true;
    return 0;
  }
  const size = metacopySize(sb, entry);
  if (size < 0) return size;
  found.upperMetacopy = size > 0;
  found.metacopySize = size;
  const redirect = size > 0 ? entry.layer.getxattr(entry, sb.names.redirect) : null;
  if (redirect instanceof Uint8Array) found.redirect = redirect.toString('latin1');
  return size > 0 && !sb.config.metacopy ? -EPERM : 0;
}

/** Whether it is worth a look: an upper non-directory in the index has a link there. */
function mayHaveEntry(sb: Super, found: Found, st: Stat): boolean {
  if (found.isDir) return sb.config.nfsExport;
  return found.upper ? st.nlink > 1 : needsIndex(sb, st.type, found.origin!.nlink);
}

function bad(sb: Super, name: ByteString, why: string): number {
  sb.hooks.log(`index entry ${name} ${why}`);
  return -EIO;
}

/** kernel ovl_create_index: the entry of the directory `made`, which stands in the upper. */
export function createDirEntry(sb: Super, name: ByteString, made: Dentry): number {
  const dir = sb.indexDir!;
  const layer = dir.layer;
  const temp = sb.tempName();
  const value = handleValue(sb, made, true);
  if (typeof value === 'number') return value;
  let err = layer.mkdir(dir, temp, 0);
  if (err < 0) return err;
  const entry = new Dentry(layer, dir, temp);
  err = layer.setxattr(entry, sb.names.upper, value, 0);
  layer.release(entry);
  if (err >= 0) err = layer.rename(dir, temp, dir, name, 0);
  if (err < 0) layer.rmdir(dir, temp);
  return err;
}

/** Whether the primary name of an indexed non-directory is in the upper (kernel: upper alias): 1, 0, or a negative errno. */
export function hasUpperAlias(sb: Super, inode: Inode): number {
  const dir = inode.parent!.upper;
  const err = dir === null ? -ENOENT : dir.layer.lookup(dir, inode.name, sb.scratch);
  return err === -ENOENT ? 0 : err < 0 ? err : 1;
}

/** kernel ovl_link_up: the primary name of an indexed inode, whose parent is in the upper, gets there too. */
export function linkUp(sb: Super, inode: Inode): number {
  let err = setNlinkLower(sb, inode);
  if (err >= 0) err = linkName(sb, inode, inode.parent!, inode.name);
  return err < 0 ? err : setNlinkUpper(sb, inode);
}

/** Puts a name of a copy into the upper, as a part of its copy-up. */
export function linkName(sb: Super, inode: Inode, parent: DirInode, name: ByteString): number {
  const dir = parent.upper!;
  const layer = dir.layer;
  const times = new Stat();
  let err = layer.stat(dir, times);
  if (err >= 0) err = setImpure(sb, parent);
  if (err >= 0 && inode.escapedWhiteout) err = expectEscapedWhiteouts(sb, parent);
  if (err < 0) return err;
  err = layer.link(inode.upper!, dir, name);
  if (err < 0) return err === -EEXIST ? -EIO : err;
  restoreTimes(sb, parent, times);
  return 0;
}

/** kernel ovl_nlink_end: the last name of an indexed inode is gone. Best effort, as the next mount does the same. */
export function dropEntry(sb: Super, inode: Inode): void {
  const dir = sb.indexDir!;
  const { name } = inode.index!;
  if (!isDir(inode)) {
    const upper = inode.upper!;
    const err = upper.layer.stat(upper, sb.scratch);
    if (err < 0) return;
    if (sb.scratch.nlink !== 1) {
      // Somebody made links behind our back: what names them still needs the entry.
      if (upper.pinned) upper.layer.release(upper);
      sb.hooks.log(`index entry ${name} has ${sb.scratch.nlink - 1} names more than were counted`);
      inode.nlink = sb.scratch.nlink - 1;
      setNlinkUpper(sb, inode);
      return;
    }
  }
  const err = sb.config.nfsExport
    ? whiteoutOver(sb, dir, name, isDir(inode))
    : isDir(inode)
      ? dir.layer.rmdir(dir, name)
      : dir.layer.unlink(dir, name);
  if (err < 0) sb.hooks.log(`index entry ${name} could not be removed and is left for the next mount`);
  inode.index = null;
}
