/**
 * Files of metadata alone (`overlay.metacopy`): the attributes are in one layer, the data in a
 * layer below. The attribute's bytes (kernel: struct ovl_metacopy) are empty, or
 *
 *   0 version 0 | 1 length of the value | 2 flags 0 | 3 digest algorithm | 4.. fs-verity digest
 *
 * with the algorithms of fs-verity (1 SHA-256, 2 SHA-512, 0 none). As in the kernel a lookup heeds
 * the length only, and the bytes count when the digest is to be compared.
 */
import type { Dentry } from '../layer/layer.ts';
import type { ByteString } from '../sys/bytes.ts';
import { EACCES, EIO, ENODATA, EOPNOTSUPP } from '../sys/errno.ts';
import type { Found } from './found.ts';
import type { Inode } from './inode.ts';
import type { Super } from './super.ts';

const HEADER = 4;

/** The attribute without a digest. */
export const METACOPY_PLAIN: Buffer = Buffer.alloc(0);

/** The digest that the attribute carries. */
export interface Digest {
  algorithm: number;
  digest: Buffer;
}

export function encodeMetacopy({ algorithm, digest }: Digest): Buffer {
  return Buffer.concat([Buffer.from([0, HEADER + digest.length, 0, algorithm]), digest]);
}

/** @returns null for no digest; -EIO for what is no such attribute. */
export function decodeMetacopy(value: Buffer): Digest | null | number {
  if (value.length === 0) return null;
  if (value.length < HEADER || value[0] !== 0 || value[1] !== value.length) return -EIO;
  return value.length === HEADER ? null : { algorithm: value[3], digest: value.subarray(HEADER) };
}

/** What an inode of metadata alone knows of its data. */
export class Metacopy {
  /** The file that has the data; null until a data-only layer has been asked for it (lower-data.ts). */
  data: Dentry | null;
  /** Where in the data-only layers to ask. */
  readonly redirect: ByteString | null;
  /** The attribute carries a digest. */
  readonly hasDigest: boolean;
  /** Links of the lower that it was copied up from, and 512-byte blocks of the data; -1 while they were not looked at. */
  lowerNlink = -1;
  blocks = -1;
  /** Of one whose last known name has gone: where the lowers hold it, from the root. */
  lastPath: ByteString | null = null;
  /** The digest has been compared, and the data is what it was. */
  verified = false;

  constructor(data: Dentry | null, redirect: ByteString | null, hasDigest: boolean) {
    this.data = data;
    this.redirect = redirect;
    this.hasDigest = hasDigest;
  }
}

/** kernel: ovl_is_metacopy_dentry, as lookup has found it. */
export function metacopyOf(found: Found): Metacopy | null {
  const last = found.lowers.at(-1);
  const alone = found.upper ? found.upperMetacopy : found.lowers.length > 1 || found.dataRedirect !== null;
  if (found.isDir || !alone || !last) return null;
  return new Metacopy(found.dataRedirect === null ? last : null, found.dataRedirect, found.metacopySize > HEADER);
}

/** The inode's own upper holds its data (kernel: ovl_has_upperdata). */
export function hasUpperData(inode: Inode): boolean {
  return inode.upper !== null && inode.metacopy === null;
}

/**
 * The length of a regular file's attribute, at least 4, an empty one counting as that (kernel:
 * ovl_check_metacopy_xattr); 0 where there is none.
 * @returns -EIO for one that is too short: it is not known where the data is.
 */
export function metacopySize(sb: Super, d: Dentry): number {
  const value = d.layer.getxattr(d, sb.names.metacopy);
  if (typeof value === 'number') {
    if (value === -ENODATA || value === -EOPNOTSUPP) return 0;
    // user.* needs the right to read the file: who may not, is told nothing else either.
    return sb.config.userxattr && value === -EACCES ? 0 : value;
  }
  if (value.length > 0 && value.length < HEADER) {
    sb.hooks.log(`metacopy file '${d.name}' in ${d.layer.label} has too small xattr`);
    return -EIO;
  }
  return Math.max(HEADER, value.length);
}
