/**
 * Link counts of indexed inodes (kernel: ovl_get_nlink, ovl_set_nlink_upper and ovl_set_nlink_lower in
 * fs/overlayfs). The merged inode has as many links as it has names in the merged tree: those that
 * were linked up into the upper and those that only the lower has. It is kept on disk as a difference
 * to a real link count, `U+1` to the upper's or `L-1` to the lower's, written before the operation
 * that changes the real one, so that it is right whether the operation then happens or not.
 */
import type { Dentry } from '../layer/layer.ts';
import type { Inode } from './inode.ts';
import type { Super } from './super.ts';

/** The room that the kernel has for the value, bytes: it reads no longer one. */
const LONGEST = 12;

/** @returns the difference, and to which real link count; null for what no kernel writes. */
export function decodeNlink(value: Buffer): { to: 'U' | 'L'; diff: number } | null {
  if (value.length > LONGEST) return null;
  const match = /^([UL])([+-]\d+)$/.exec(value.toString('latin1'));
  const diff = Number(match?.[2]);
  return match && diff === (diff | 0) ? { to: match[1] as 'U' | 'L', diff } : null;
}

export function encodeNlink(to: 'U' | 'L', diff: number): Buffer {
  return Buffer.from(`${to}${diff < 0 ? '' : '+'}${diff}`);
}

/** The link count of the merged inode whose upper is `upper` (with `upperNlink` links); `fallback` where it does not say. */
export function unionNlink(sb: Super, upper: Dentry, upperNlink: number, lowerNlink: number, fallback: number): number {
  const value = upper.layer.getxattr(upper, sb.names.nlink);
  const said = typeof value === 'number' ? null : decodeNlink(value);
  const nlink = said ? (said.to === 'U' ? upperNlink : lowerNlink) + said.diff : 0;
  if (nlink > 0) return nlink;
  sb.hooks.log(`no link count in overlay.nlink of index entry ${upper.name}`);
  return fallback;
}

/** Before the upper gets or loses a link together with the merged inode. */
export function setNlinkUpper(sb: Super, inode: Inode): number {
  const upper = inode.upper!;
  const err = upper.layer.stat(upper, sb.scratch);
  return err < 0 ? err : write(sb, upper, encodeNlink('U', inode.nlink - sb.scratch.nlink));
}

/** Before the upper gets a link for a name that the merged inode has already. */
export function setNlinkLower(sb: Super, inode: Inode): number {
  return write(sb, inode.upper!, encodeNlink('L', inode.nlink - inode.index!.lowerNlink));
}

function write(sb: Super, upper: Dentry, value: Buffer): number {
  return upper.layer.setxattr(upper, sb.names.nlink, value, 0);
}
