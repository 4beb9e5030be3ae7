/**
 * Where the bytes of an inode are (kernel: ovl_path_realdata and ovl_verify_lowerdata): with its
 * attributes, or in a layer below. Data-only layers are asked when the data is first needed, by
 * the path that the lowest metadata names (ovl_lookup_data_layers): from the layer's root, through
 * plain directories of its own mount, to a regular file.
 */
import { Dentry, type Layer } from '../layer/layer.ts';
import type { ByteString } from '../sys/bytes.ts';
import { S_IFDIR, S_IFLNK, S_IFREG, STATX_ATTR_MOUNT_ROOT } from '../sys/constants.ts';
import { EIO, ELOOP, ENOENT, ENOTDIR, EXDEV } from '../sys/errno.ts';
import { Stat } from '../sys/stat.ts';
import type { Found } from './found.ts';
import type { Inode } from './inode.ts';
import { metacopyOf } from './metacopy.ts';
import type { Super } from './super.ts';
import { validateVerity } from './verity.ts';

/**
 * The dentry to open for data. Every open and every copy-up of a file comes through here first.
 * @returns -ENOENT, -ELOOP, … where no data-only layer has the file; -EIO where it is not what its digest says.
 */
export function realData(sb: Super, inode: Inode): Dentry | number {
  const { metacopy } = inode;
  if (metacopy === null) return inode.real;
  if (metacopy.data === null) {
    const found = lookupDataLayers(sb, metacopy.redirect!);
    if (typeof found === 'number') {
      sb.hooks.log(`lazy lowerdata lookup failed (${metacopy.redirect}, err=${found})`);
      return found;
    }
    metacopy.data = found;
  }
  const err = validateVerity(sb, inode, metacopy.data);
  return err < 0 ? err : metacopy.data;
}

/** As `realData`, for what lookup has found and nobody keeps. */
export function foundData(sb: Super, found: Found): Dentry | number {
  const metacopy = metacopyOf(found);
  if (metacopy === null) return found.upper ?? found.lowers[0];
  return metacopy.data ?? lookupDataLayers(sb, metacopy.redirect!);
}

/** The first data-only layer that has the file; what the last one answered where none has. */
function lookupDataLayers(sb: Super, redirect: ByteString): Dentry | number {
  let result: Dentry | number = -EIO;
  for (const layer of sb.dataLayers) {
    result = lookupBeneath(layer, redirect);
    if (typeof result !== 'number') return result;
  }
  return result;
}

/** kernel: vfs_path_lookup with LOOKUP_BENEATH, LOOKUP_NO_SYMLINKS and LOOKUP_NO_XDEV. */
function lookupBeneath(layer: Layer, path: ByteString): Dentry | number {
  const st = new Stat();
  const names = path.slice(1).split('/');
  let at = layer.root;
  let err = 0;
  for (const [i, name] of names.entries()) {
    const last = i === names.length - 1;
    if (name === '.') continue;
    if (name === '..') {
      if (at === layer.root) err = -EXDEV;
      else {
        layer.release(at);
        at = at.parent!;
      }
    } else {
      err = layer.lookup(at, name, st);
      if (err >= 0) {
        if (st.attributes & STATX_ATTR_MOUNT_ROOT) err = -EXDEV;
        else if (!last && st.type !== S_IFDIR) err = st.type === S_IFLNK ? -ELOOP : -ENOTDIR;
        else at = new Dentry(layer, at, name);
      }
    }
    if (err < 0) break;
  }
  // Only a regular file is acceptable.
  if (err >= 0 && (at === layer.root || st.type !== S_IFREG)) err = -ENOENT;
  for (let d = at.parent; d; d = d.parent) layer.release(d);
  return err < 0 ? err : at;
}
