/**
 * The flags immutable and append-only of an upper, and a lower's flags at copy-up (kernel:
 * ovl_set_protattr and ovl_check_protattr in fs/overlayfs/util.c, ovl_copy_fileattr in copy_up.c).
 * A real inode with those two could be neither linked into place nor given an attribute, so they
 * are kept in overlay.protattr: `a`, `i` or `ai`.
 */
import type { Dentry } from '../layer/layer.ts';
import {
  FS_APPEND_FL,
  FS_IMMUTABLE_FL,
  FS_IOC_GETFLAGS,
  FS_IOC_SETFLAGS,
  FS_NOATIME_FL,
  FS_SYNC_FL,
  O_RDONLY,
} from '../sys/constants.ts';
import { EACCES, EINVAL, ENODATA, ENOTTY, EOPNOTSUPP, EPERM } from '../sys/errno.ts';
import type { Stat } from '../sys/stat.ts';
import { protectionOf } from './protection.ts';
import type { Super } from './super.ts';

/** Of a lower's other flags these go along with a copy-up. */
const COPIED: number = FS_SYNC_FL | FS_NOATIME_FL;
/** The ioctls take a pointer to long, and fill half of it. */
export const SIZEOF_FLAGS = 8;

/** A flag ioctl on what `d` names. */
export function fileattrOf(d: Dentry, request: number, arg: Uint8Array): number {
  const file = d.layer.open(d, O_RDONLY);
  if (file < 0) return file;
  const err = d.layer.fileattr(file, request, arg);
  d.layer.close(file);
  return err;
}

export function setProtattr(
  sb: Super,
  wanted: number,
  had: boolean,
  protattr: { set(value: Buffer): number; remove(): number },
): number {
  if (wanted !== 0) {
    const text = (wanted & FS_APPEND_FL ? 'a' : '') + (wanted & FS_IMMUTABLE_FL ? 'i' : '');
    const err = protattr.set(Buffer.from(text));
    if (err < 0) sb.hooks.log(`failed to set ${sb.names.protattr} (${err})`);
    return err;
  }
  if (!had) return 0;
  const err = protattr.remove();
  return err === -ENODATA || err === -EOPNOTSUPP ? 0 : err;
}

/** kernel ovl_check_protattr: a value that is anything but `a` and `i` says nothing. */
export function readProtattr(sb: Super, upper: Dentry): number {
  const value = upper.layer.getxattr(upper, sb.names.protattr);
  if (typeof value === 'number') return 0;
  const text = value.toString('latin1');
  if (!/^[ai]{1,32}$/.test(text)) {
    sb.hooks.log(`incompatible ${sb.names.protattr} in ${upper.layer.label}, ignored`);
    return 0;
  }
  return (text.includes('a') ? FS_APPEND_FL : 0) | (text.includes('i') ? FS_IMMUTABLE_FL : 0);
}

/** The copy that a copy-up is making: how its attributes are set, and how it is opened for its flags. */
export interface FlagsTarget {
  setxattr(name: string, value: Buffer): number;
  fileattr(request: number, arg: Uint8Array): number;
}

/** kernel ovl_copy_fileattr: of a lower regular file or directory to its copy in the workdir. */
export function copyFileattr(sb: Super, lower: Dentry, st: Stat, target: FlagsTarget): number {
  const found = lower.layer.fileFlags(lower);
  if (found < 0 && !flagless(found)) return found;
  const flags = found < 0 ? protectionOf(st) : found;
  if (flags === 0) return 0;
  let err = setProtattr(sb, flags & (FS_IMMUTABLE_FL | FS_APPEND_FL), false, {
    set: (text) => target.setxattr(sb.names.protattr, text),
    remove: () => 0,
  });
  // An upper without such attributes, or an owner who may not set them, goes without the flags.
  if (err < 0 && err !== -EPERM) return err;
  if (!(flags & COPIED)) return 0;
  const own = Buffer.alloc(SIZEOF_FLAGS);
  err = target.fileattr(FS_IOC_GETFLAGS, own);
  if (err < 0) return flagless(err) ? 0 : err;
  own.writeUInt32LE(((own.readUInt32LE(0) & ~COPIED) | (flags & COPIED)) >>> 0, 0);
  return target.fileattr(FS_IOC_SETFLAGS, own);
}

/** A filesystem without flags, in one of the ways that filesystems say so; or a file that this server may not open. */
function flagless(err: number): boolean {
  return err === -ENOTTY || err === -EINVAL || err === -EOPNOTSUPP || err === -EACCES || err === -EPERM;
}
