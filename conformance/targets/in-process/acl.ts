/** What set_posix_acl of the VFS refuses before a filesystem sees it (kernel: posix_acl_from_xattr, posix_acl_valid). */
import type { ByteString } from 'stratafs/internal/sys/bytes';
import { S_IFDIR } from 'stratafs/internal/sys/constants';
import { EACCES, EINVAL, EOPNOTSUPP } from 'stratafs/internal/sys/errno';

const VERSION = 2;
const USER_OBJ = 1;
const USER = 2;
const GROUP_OBJ = 4;
const GROUP = 8;
const MASK = 16;
const OTHER = 32;

/** @returns 0 where `name` is no ACL or the ACL may be set on an inode of `type`. */
export function refusedAcl(name: ByteString, value: Uint8Array, type: number): number {
  const isDefault = name === 'system.posix_acl_default';
  if (!isDefault && name !== 'system.posix_acl_access') {
    return 0;
  }
  const view = Buffer.from(value);
  if (view.length < 4) {
    return -EINVAL;
  }
  if (view.readUInt32LE(0) !== VERSION) {
    return -EOPNOTSUPP;
  }
  if ((view.length - 4) % 8 !== 0) {
    return -EINVAL;
  }
  const tags: number[] = [];
  for (let at = 4; at < view.length; at += 8) {
    tags.push(view.readUInt16LE(at));
  }
  const count = (tag: number): number => tags.filter((t) => t === tag).length;
  const named = count(USER) + count(GROUP) > 0;
  const complete = count(USER_OBJ) === 1 && count(GROUP_OBJ) === 1 && count(OTHER) === 1;
  const ordered = tags.every((tag, i) => i === 0 || tags[i - 1] <= tag);
  if (tags.length > 0 && (!complete || !ordered || count(MASK) > 1 || (named && count(MASK) === 0))) {
    return -EINVAL;
  }
  return isDefault && type !== S_IFDIR ? -EACCES : 0;
}
