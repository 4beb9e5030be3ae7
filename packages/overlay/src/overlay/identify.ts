/**
 * What an object that lookup found is (kernel: ovl_check_origin, ovl_verify_origin and
 * ovl_hash_bylower): the lower inode that it is or was copied up from, its index entry, and whether
 * it has that lower inode's number and place in the inode table.
 */
import type { Dentry } from '../layer/layer.ts';
import { S_IFREG } from '../sys/constants.ts';
import { ENODATA, ESTALE } from '../sys/errno.ts';
import { Stat } from '../sys/stat.ts';
import { isWhiteoutDevice } from './escaped-whiteout.ts';
import type { Found, LowerId } from './found.ts';
import { lookupIndex } from './index-dir.ts';
import { decodeOrigin, encodeOrigin } from './origin.ts';
import type { Super } from './super.ts';
import { handleValue } from './util.ts';

const NO_UUID = Buffer.alloc(16);

/**
 * Fills `found.origin` and `found.index`; `out` has the attributes of the real object, and gets those
 * of the index entry where that is the upper. @returns 0, or -EIO for an index that contradicts the layers.
 */
export function identify(sb: Super, found: Found, out: Stat): number {
  if (found.lowers.length > 0) {
    const fs = sb.fsNumber(found.lowers[0].layer);
    found.origin = { fs, ino: found.lowerIno, nlink: found.lowerNlink, value: null };
  } else if (found.upperHasOrigin && !found.isDir) {
    found.origin = originOf(sb, found.upper!, isWhiteoutDevice(out.mode, out.rdev) ? S_IFREG : out.type);
  }
  return sb.indexDir ? lookupIndex(sb, found, out) : 0;
}

/** Where an upper non-directory, an object of `type`, was copied up from; null when it does not say, or it is gone or of another type. */
function originOf(sb: Super, upper: Dentry, type: number): LowerId | null {
  const value = upper.layer.getxattr(upper, sb.names.origin);
  if (typeof value === 'number') return null;
  const origin = decodeOrigin(value);
  if (origin === null || typeof origin === 'number') return null;
  const layer = sb.layerByUuid(origin.uuid);
  if (!layer) return null;
  const fs = sb.fsNumber(layer);
  const st = new Stat();
  const err = layer.handleIno({ type: origin.type, handle: origin.handle }, st);
  if (err < 0 || st.type !== type) return null;
  const uuid = sb.config.uuid === 'off' ? NO_UUID : layer.uuid;
  return { fs, ino: st.ino, nlink: st.nlink, value: encodeOrigin({ ...origin, uuid, flags: 0 }) };
}

/**
 * The lower inode whose number `found` shows and by which it is known in the inode table; null for
 * what is an inode of its own, like the copy of a hard link that was broken by copy-up.
 */
export function lowerIdentity(sb: Super, found: Found): LowerId | null {
  const { origin, upper } = found;
  if (!origin || found.index) return origin;
  // Which upper a lower's number belongs to, only the index could tell.
  if (upper && sb.config.nfsExport) return null;
  if (found.isDir || origin.nlink === 1) return origin;
  return !upper && (sb.config.readOnly || sb.indexDir !== null) ? origin : null;
}

/**
 * kernel ovl_verify_fh: whether the mark on `d` is the handle of `real`.
 * @returns 0; -ENODATA when there is no mark, or a broken one; -ESTALE when it is another's.
 */
export function verifyHandle(d: Dentry, mark: string, handle: Buffer): number {
  const value = d.layer.getxattr(d, mark);
  if (typeof value === 'number') return value;
  const decoded = decodeOrigin(value);
  if (decoded === null || typeof decoded === 'number') return -ENODATA;
  return value.subarray(0, value[2]).equals(handle) ? 0 : -ESTALE;
}

/**
 * With nfs_export an upper directory merges with the lower that it was copied up from, and no other. A negative errno
 * where that cannot be told: without its lower a directory would lose what lies there when it is renamed.
 */
export function isOrigin(sb: Super, upper: Dentry, lower: Dentry): boolean | number {
  const handle = handleValue(sb, lower);
  if (typeof handle === 'number') return handle;
  const err = verifyHandle(upper, sb.names.origin, handle);
  return err === -ESTALE || err === -ENODATA ? false : err < 0 ? err : true;
}

/**
 * Whether an upper file of metadata alone, an origin of which is there, was copied up from another file than `lower`,
 * to which its name or redirect leads. Who asked for an index is told rather than shown that one's data.
 */
export function isStale(sb: Super, upper: Dentry, lower: Dentry): boolean {
  if (!sb.config.index || !sb.config.indexAsked || isOrigin(sb, upper, lower)) return false;
  return originOf(sb, upper, S_IFREG) !== null;
}
