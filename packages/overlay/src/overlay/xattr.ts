/**
 * Extended attributes of merged objects (kernel: ovl_xattr_get, ovl_xattr_set, ovl_listxattr).
 */
import type { Dentry } from '../layer/layer.ts';
import type { ByteString } from '../sys/bytes.ts';
import { S_IFREG, S_ISGID } from '../sys/constants.ts';
import { EINVAL, ENODATA, EOPNOTSUPP, EROFS } from '../sys/errno.ts';
import type { Stat } from '../sys/stat.ts';
import { copyUp } from './copy-up.ts';
import { stillExpectEscapedWhiteouts, userWhiteoutValue } from './escaped-whiteout.ts';
import { type Inode, isDir } from './inode.ts';
import { completeLazy } from './lazy-complete.ts';
import { pendingLazy, USER_GUARD, withLazy } from './lazy-files.ts';
import { mayWriteXattr } from './protection.ts';
import type { Super } from './super.ts';
import { CAPABILITY, isAcl, isTrusted, POSIX_ACL_ACCESS } from './xattrs.ts';

/** linux/limits.h. */
const XATTR_NAME_MAX = 255;

/**
 * kernel xattr_resolve_name, ovl_xattr_escape_name: the layer's name for a user's, -EINVAL for the overlay's prefix
 * with nothing behind it, -EOPNOTSUPP where the escape makes it too long.
 */
function inLayer(sb: Super, name: ByteString): ByteString | number {
  if (name === sb.names.prefix) return -EINVAL;
  const kept = sb.names.toLayer(name);
  return kept.length > XATTR_NAME_MAX ? -EOPNOTSUPP : kept;
}

/** The attribute that makes a file a user's 0:0 device is not the device's. */
function standsForDevice(sb: Super, inode: Inode, kept: ByteString): boolean {
  return inode.escapedWhiteout && kept === sb.names.escapedWhiteout;
}

/** The guard of a file that is not complete stands where a user could have an attribute of his. */
function isGuard(inode: Inode, kept: ByteString): boolean {
  return kept === USER_GUARD && pendingLazy(inode) !== null;
}

/** Before `kept` is changed: what is pinned to be put back, or stands in its place, must not win over it. */
function beforeChange(inode: Inode, kept: ByteString): number {
  const lazy = pendingLazy(inode);
  if (lazy === null) return 0;
  if (kept === USER_GUARD) return completeLazy(lazy, inode);
  return lazy.record.pin ? withLazy(lazy, inode.upper!, () => lazy.unpin()) : 0;
}

export function getxattr(sb: Super, inode: Inode, name: ByteString): Buffer | number {
  const real = inode.real;
  const kept = inLayer(sb, name);
  if (typeof kept === 'number') return kept;
  if (standsForDevice(sb, inode, kept) || isGuard(inode, kept)) return -ENODATA;
  // The kernel asks for it before the first write to a file, and before every chown.
  const capability = kept === CAPABILITY && inode.type === S_IFREG;
  if (capability && inode.bare) return -ENODATA;
  const value = real.layer.getxattr(real, kept);
  if (capability && value === -ENODATA && inode.upper !== null) inode.bare = sb.upperHasCapabilities = true;
  return value;
}

/** `seesTrusted`: the caller has CAP_SYS_ADMIN; others do not see that trusted.* attributes exist. */
export function listxattr(sb: Super, inode: Inode, seesTrusted: boolean): ByteString[] | number {
  const real = inode.real;
  const names = real.layer.listxattr(real);
  if (typeof names === 'number') return names;
  const shown: ByteString[] = [];
  for (const name of names) {
    const user = standsForDevice(sb, inode, name) || isGuard(inode, name) ? null : sb.names.fromLayer(name);
    if (user !== null && (seesTrusted || !isTrusted(user))) shown.push(user);
  }
  return shown;
}

export function setxattr(
  sb: Super,
  inode: Inode,
  name: ByteString,
  value: Uint8Array,
  flags: number,
  killSgid: boolean,
  scratch: Stat,
): number {
  if (sb.config.readOnly) return -EROFS;
  let err = mayWriteXattr(inode);
  if (err < 0) return err;
  const kept = inLayer(sb, name);
  if (typeof kept === 'number') return kept;
  if (standsForDevice(sb, inode, kept)) return -EOPNOTSUPP;
  err = copyUp(sb, inode);
  if (err < 0) return err;
  err = beforeChange(inode, kept);
  if (err < 0) return err;
  const real = inode.upper!;
  const set = real.layer.setxattr(
    real,
    kept,
    kept === sb.names.escapedWhiteout ? userWhiteoutValue(value) : value,
    flags,
  );
  if (set < 0) return set;
  changed(inode, name);
  return killSgid && name === POSIX_ACL_ACCESS ? dropSgid(real, scratch) : 0;
}

export function removexattr(sb: Super, inode: Inode, name: ByteString): number {
  if (sb.config.readOnly) return -EROFS;
  let err = mayWriteXattr(inode);
  if (err < 0) return err;
  const kept = inLayer(sb, name);
  if (typeof kept === 'number') return kept;
  if (standsForDevice(sb, inode, kept)) return -ENODATA;
  if (!inode.upper) {
    const have = getxattr(sb, inode, name);
    if (typeof have === 'number') return have;
  }
  err = copyUp(sb, inode);
  if (err < 0) return err;
  err = beforeChange(inode, kept);
  if (err < 0) return err;
  const real = inode.upper!;
  const removed = real.layer.removexattr(real, kept);
  if (removed < 0) return removed;
  changed(inode, name);
  return isDir(inode) && kept === sb.names.escapedOpaque ? stillExpectEscapedWhiteouts(sb, inode) : 0;
}

/** kernel posix_acl_update_mode: one outside the group may not keep sgid with an ACL of his; suid stays. */
function dropSgid(real: Dentry, scratch: Stat): number {
  const err = real.layer.stat(real, scratch);
  if (err < 0 || !(scratch.mode & S_ISGID)) return err;
  return real.layer.chmod(real, scratch.mode & 0o7777 & ~S_ISGID);
}

/** An ACL changes what new children inherit, and the mode. */
function changed(inode: Inode, name: ByteString): void {
  if (name === CAPABILITY) inode.bare = false;
  if (!isAcl(name) || !isDir(inode)) return;
  inode.defaultAcl = undefined;
  inode.mode = 0;
}
