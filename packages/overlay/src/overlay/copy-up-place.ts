/**
 * Where a copy appears and what becomes of its inode (kernel: ovl_do_copy_up, ovl_link_up and ovl_inode_update): under
 * its name or first in the index, and under the further names that are known of it.
 */
import { Dentry } from '../layer/layer.ts';
import type { ByteString } from '../sys/bytes.ts';
import { S_IFREG } from '../sys/constants.ts';
import { type Copy, keepsOrigin } from './copy-up-ctx.ts';
import { copyUpFile } from './copy-up-tmpfile.ts';
import { copyUpByRename } from './copy-up-workdir.ts';
import { createDirEntry, linkUp } from './index-dir.ts';
import { noNames } from './index-names.ts';
import { isDir } from './inode.ts';
import { adoptLazy } from './lazy-files.ts';
import { dropStub, stubFile } from './lazy-stub.ts';
import { METACOPY_PLAIN, Metacopy } from './metacopy.ts';
import { encodeNlink } from './nlink.ts';
import type { Super } from './super.ts';
import { dirModified } from './util.ts';

/** A hard link becomes one upper inode for all its names: it appears in the index, and from there under the name. */
export function copyUpToIndex(sb: Super, copy: Copy, entry: ByteString): number {
  const dir = sb.indexDir!;
  const err = copy.st.type === S_IFREG ? copyUpFile(sb, copy, dir, entry) : copyUpByRename(sb, copy, dir, entry);
  if (err < 0) return err;
  adopt(sb, copy, new Dentry(dir.layer, dir, entry));
  return linkUp(sb, copy.inode);
}

/**
 * With nfs_export what has one name only gets its entry when it has the name: found in the index alone, after a crash,
 * it would count as removed, and its name be EIO for good; and the entry of a directory would name nothing. The kernel's
 * does it the other way round. As there the copy-up fails where the entry cannot be made.
 * @returns the dentry by which the copy is reached, or a negative errno with the copy gone.
 */
export function enterIndex(sb: Super, copy: Copy, dir: Dentry): Dentry | number {
  const { layer } = dir;
  const upper = new Dentry(layer, dir, copy.inode.name);
  if (copy.entry === null) return upper;
  const directory = isDir(copy.inode);
  const err = directory ? createDirEntry(sb, copy.entry, upper) : createFileEntry(sb, copy.entry, upper);
  if (directory) layer.release(upper);
  if (err >= 0) return directory ? upper : new Dentry(layer, sb.indexDir!, copy.entry);
  const undone = directory ? layer.rmdir(dir, upper.name) : layer.unlink(dir, upper.name);
  if (undone >= 0) {
    if (copy.stub !== null) dropStub(sb, copy.stub);
    return err;
  }
  sb.hooks.log(`index: ${upper.name} has no entry there`);
  copy.entry = null;
  return upper;
}

function createFileEntry(sb: Super, entry: ByteString, upper: Dentry): number {
  const { layer } = upper;
  const err = layer.setxattr(upper, sb.names.nlink, encodeNlink('L', 0), 0);
  if (err < 0) return err;
  const linked = layer.link(upper, sb.indexDir!, entry);
  if (linked >= 0) layer.setxattr(upper, sb.names.nlink, encodeNlink('U', -1), 0);
  return linked;
}

/** The copy is in place: the inode changes over to it. */
export function adopt(sb: Super, copy: Copy, upper: Dentry): void {
  const { inode } = copy;
  inode.upper = upper;
  inode.upperIno = copy.made.ino;
  if (copy.entry !== null) inode.index = { name: copy.entry, lowerNlink: copy.st.nlink };
  if (isDir(inode)) {
    inode.hasOrigin = true;
    inode.impure = false;
    if (upper.parent) upper.names = noNames(sb, upper.parent);
    // It is merged from here on, and its link count 1.
    if (inode.nodeid !== 0 && copy.st.nlink !== 1) sb.hooks.attrChanged?.(inode.nodeid);
    return;
  }
  inode.nlink = inode.index ? copy.st.nlink : 1;
  inode.hasOrigin = keepsOrigin(copy);
  if (copy.stub !== null) adoptLazy(sb, inode, stubFile(sb, copy.stub));
  if (copy.metacopy === null) {
    inode.lowers = [];
    inode.metacopy = null;
  } else {
    inode.metacopy = new Metacopy(copy.data, null, copy.metacopy.length > METACOPY_PLAIN.length);
    inode.metacopy.lowerNlink = copy.st.nlink;
    if (copy.data === copy.lower) inode.metacopy.blocks = copy.st.blocks;
  }
  if (!inode.hasOrigin) {
    // A hard link is broken here: from now on this name is an object of its own.
    inode.ino = sb.mapIno(0, inode.upperIno);
    sb.inodes.set(inode, 0, inode.upperIno);
    // Number and link count are others, also when what it was copied up for fails.
    if (inode.nodeid !== 0) sb.hooks.attrChanged?.(inode.nodeid);
    if (inode.parent) {
      inode.parent.renumbered = true;
      dirModified(inode.parent);
    }
  }
}
