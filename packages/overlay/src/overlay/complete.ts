/**
 * Completion: the data of an upper that is metadata alone (kernel: ovl_copy_up_meta_inode_data).
 * The data is copied into the upper file where it stands, flushed, and then `overlay.metacopy` goes.
 * Until that attribute is gone the lower's data is what everybody sees, so that a crash on the way
 * leaves the old file; the redirect stays behind, as the kernel leaves it.
 *
 * What is about to be cut off is not copied. It is cut off first: the size of metadata alone is all
 * that is seen of it, so that between the steps the file is the lower's, only shorter.
 *
 * With copyup=lazy the file gets the marks of an incomplete one in place of the data; the redirect is
 * one of them, as by then the lower is found by its handle.
 */
import type { Dentry } from '../layer/layer.ts';
import { O_RDWR, UTIME_NOW } from '../sys/constants.ts';
import { ENODATA } from '../sys/errno.ts';
import { Stat } from '../sys/stat.ts';
import { cloneFrom, copyFrom } from './copy-data.ts';
import type { Inode } from './inode.ts';
import { adoptLazy } from './lazy-files.ts';
import { holdsStubs, isLarge, markStub, planStub, type Stub, stubFile } from './lazy-stub.ts';
import type { Super } from './super.ts';
import { CAPABILITY } from './xattrs.ts';

/** `keep`: how many bytes are worth copying. @returns 0, or a negative errno with nothing changed but the size. */
export function completeData(sb: Super, inode: Inode, data: Dentry, keep: number): number {
  const upper = inode.upper!;
  const layer = upper.layer;
  const st = new Stat();
  let err = layer.stat(upper, st);
  if (err < 0) return err;
  // Writing takes it away, and nobody has written yet.
  const capability = inode.bare ? -ENODATA : layer.getxattr(upper, CAPABILITY);
  const file = layer.open(upper, O_RDWR);
  if (file < 0) return file;
  const length = Math.min(st.size, keep);
  if (length < st.size) err = layer.ftruncate(file, length);
  const cut = length < st.size && err >= 0;
  let stub: Stub | null = null;
  if (err >= 0) {
    const placed = placeData(sb, upper, data, file, length);
    if (typeof placed === 'number') err = placed;
    else stub = placed;
  }
  // Both are put back whatever came of the copying: who opens the file for writing has not written yet.
  const kept = typeof capability === 'number' ? 0 : layer.setxattr(upper, CAPABILITY, capability, 0);
  if (err >= 0) err = kept;
  // What was cut short has been truncated already.
  const mtimeNsec = cut ? UTIME_NOW : st.mtimeNsec;
  const timed = layer.futimens(file, st.atime, st.atimeNsec, st.mtime, mtimeNsec);
  if (err >= 0) err = timed;
  if (err >= 0 && sb.config.fsync !== 'volatile') err = layer.fsync(file, false);
  layer.close(file);
  if (stub === null) {
    if (err < 0) return err;
    err = layer.removexattr(upper, sb.names.metacopy);
    if (err < 0 && err !== -ENODATA) return err;
  } else {
    // Marked it is, whatever came of the rest.
    adoptLazy(sb, inode, stubFile(sb, stub));
  }
  inode.metacopy = null;
  inode.lowers = [];
  inode.completed = true;
  return Math.min(0, err);
}

/** @returns the stub that the open `file` has become; null when it has all its data; a negative errno. */
function placeData(sb: Super, upper: Dentry, data: Dentry, file: number, length: number): Stub | null | number {
  if (isLarge(sb, length)) {
    if (sb.lazy.mode === 'auto' && cloneFrom(sb, data, file, length) >= 0) return null;
    const stub = holdsStubs(sb) ? planStub(data, upper, length) : null;
    if (stub !== null && markStub(sb, stub, file) >= 0) return stub;
  }
  const err = copyFrom(sb, data, file, length);
  return err < 0 ? err : null;
}
