/**
 * `overlay.redirect` as it is written (kernel: ovl_set_redirect): on a merged directory that moves,
 * where the lowers hold it; on a file of metadata alone that moves or gets a further name, where its
 * data is. Inside one directory the old name alone; elsewhere the path from the root.
 */
import type { ByteString } from '../sys/bytes.ts';
import { EXDEV } from '../sys/errno.ts';
import { copyUp } from './copy-up.ts';
import { type Inode, isDir } from './inode.ts';
import type { Super } from './super.ts';

/** Longest redirect in bytes; the kernel's redirect_max. */
const REDIRECT_MAX = 256;

/**
 * `same`: the object stays in its directory. `inode` is in the upper.
 * @returns 0, or -EXDEV where it cannot be written: whoever renames may copy instead.
 */
export function setRedirect(sb: Super, inode: Inode, same: boolean): number {
  const relative = same && !hasLowerLinks(sb, inode);
  if (inode.redirect !== null && (relative || inode.redirect.startsWith('/'))) return 0;
  const redirect = relative ? inode.name : redirectPath(inode);
  if (redirect.length > REDIRECT_MAX) return -EXDEV;
  const upper = inode.upper!;
  const err = upper.layer.setxattr(upper, sb.names.redirect, Buffer.from(redirect, 'latin1'), 0);
  if (err < 0) {
    sb.hooks.log(`failed to set redirect '${redirect}' (${err}), leaving the rename to the caller`);
    return -EXDEV;
  }
  inode.redirect = redirect;
  return 0;
}

/**
 * The same for a file of metadata alone. Where no redirect can say where its data is, the data comes
 * along: EXDEV, as the kernel has it, is nothing that programs expect of a file that stays in its directory.
 */
export function redirectMetacopy(sb: Super, inode: Inode, same: boolean): number {
  const err = setRedirect(sb, inode, same);
  return err === -EXDEV ? copyUp(sb, inode, Number.POSITIVE_INFINITY) : err;
}

/** A file whose lower has several names may get several in the upper, which one name would not do for. */
function hasLowerLinks(sb: Super, inode: Inode): boolean {
  if (isDir(inode)) return false;
  const { metacopy } = inode;
  if (metacopy !== null && metacopy.lowerNlink > 0) return metacopy.lowerNlink > 1;
  const [lower] = inode.lowers;
  return lower.layer.stat(lower, sb.scratch) < 0 || sb.scratch.nlink > 1;
}

/** A name of `inode` is about to go. A file of metadata alone, should it be the last, may get another (kernel: its dentry). */
export function keepPath(inode: Inode): void {
  const { metacopy } = inode;
  if (metacopy !== null && !inode.redirect?.startsWith('/')) metacopy.lastPath = redirectPath(inode);
}

/** Whether a redirect can say where the data of `inode` is. */
export function hasPath(inode: Inode): boolean {
  return inode.parent !== null || inode.redirect?.startsWith('/') === true || inode.metacopy?.lastPath != null;
}

/** Where the lowers hold the object, from the root, through the redirects of its parents. */
function redirectPath(inode: Inode): ByteString {
  if (inode.parent === null) return inode.metacopy?.lastPath ?? '';
  let path = '';
  for (let at = inode; at.parent; at = at.parent) {
    if (at.redirect?.startsWith('/')) return at.redirect + path;
    path = `/${at.redirect ?? at.name}${path}`;
  }
  return path;
}
