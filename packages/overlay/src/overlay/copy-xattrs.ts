/** The extended attributes of a copy (kernel: ovl_copy_xattr). */
import type { Dentry } from '../layer/layer.ts';
import type { ByteString } from '../sys/bytes.ts';
import { EOPNOTSUPP, EPERM } from '../sys/errno.ts';
import type { Super } from './super.ts';
import { isAcl } from './xattrs.ts';

/**
 * All attributes but the overlay's own. An ACL or a security.* attribute that cannot be kept would
 * change who may do what, so it fails the copy-up; others are left out where the upper has no place for them.
 */
export function copyXattrs(sb: Super, lower: Dentry, set: (name: ByteString, value: Buffer) => number): number {
  const names = lower.layer.listxattr(lower);
  if (typeof names === 'number') return names === -EOPNOTSUPP || names === -EPERM ? 0 : names;
  for (const name of names) {
    if (sb.names.isPrivate(name)) continue;
    const value = lower.layer.getxattr(lower, name);
    if (typeof value === 'number') return value;
    const err = set(name, value);
    if (err >= 0) continue;
    const optional = !isAcl(name) && !name.startsWith('security.');
    if (optional && (err === -EOPNOTSUPP || err === -EPERM)) continue;
    return err;
  }
  return 0;
}
