/**
 * Copy-up of what is no regular file (kernel: ovl_copy_up_workdir): directories, symlinks and special files are
 * made in the workdir under a temporary name, dressed, and renamed into place.
 */
import { Dentry } from '../layer/layer.ts';
import type { ByteString } from '../sys/bytes.ts';
import { RENAME_NOREPLACE, S_IFDIR, S_IFLNK } from '../sys/constants.ts';
import { EEXIST, EIO, EPERM } from '../sys/errno.ts';
import { type Copy, firstNlink, keepsOrigin } from './copy-up-ctx.ts';
import { copyXattrs } from './copy-xattrs.ts';
import { isDir } from './inode.ts';
import { lendRights, returnRights } from './owner-rights.ts';
import { copyFileattr, fileattrOf } from './protattr.ts';
import type { Super } from './super.ts';
import { handleValue, syncReal } from './util.ts';
import { cleanup } from './whiteout.ts';

/** Directories, symlinks and special files: made under a temporary name, then renamed. */
export function copyUpByRename(sb: Super, copy: Copy, dir: Dentry, name: ByteString): number {
  const temp = build(sb, copy);
  if (typeof temp === 'number') return temp;
  const work = sb.work!;
  const made = new Dentry(work.layer, work, temp);
  // What moves into another directory gets another `..`, which is a write to it.
  const lent = isDir(copy.inode) ? lendRights(sb, made) : null;
  const err = work.layer.rename(work, temp, dir, name, RENAME_NOREPLACE);
  work.layer.release(made);
  if (err < 0) {
    cleanup(sb, temp);
    return err === -EEXIST ? -EIO : err;
  }
  const upper = new Dentry(dir.layer, dir, name);
  returnRights(upper, lent);
  upper.layer.release(upper);
  return 0;
}

export function buildUnnamed(sb: Super, copy: Copy): Dentry | number {
  const work = sb.work!;
  const temp = build(sb, copy);
  if (typeof temp === 'number') return temp;
  const made = new Dentry(work.layer, work, temp);
  const err = work.layer.pin(made);
  cleanup(sb, temp);
  return err < 0 ? err : made;
}

/** Makes the copy in the workdir. @returns its temporary name, or a negative errno. */
function build(sb: Super, copy: Copy): ByteString | number {
  const { lower, st } = copy;
  const work = sb.work!;
  const upper = work.layer;
  const temp = sb.tempName();
  let err: number;
  if (st.type === S_IFDIR) err = upper.mkdir(work, temp, 0o700);
  else if (st.type === S_IFLNK) {
    const target = lower.layer.readlink(lower);
    if (typeof target === 'number') return target;
    err = upper.symlink(work, temp, target);
  } else err = upper.mknod(work, temp, st.type | 0o600, st.rdev);
  if (err < 0) return err;
  const made = new Dentry(upper, work, temp);
  err = dress(sb, copy, made);
  upper.release(made);
  if (err >= 0) return temp;
  cleanup(sb, temp);
  return err;
}

function dress(sb: Super, copy: Copy, d: Dentry): number {
  const { inode, lower, st, made } = copy;
  const upper = d.layer;
  let err = upper.stat(d, made);
  if (err >= 0 && (made.uid !== st.uid || made.gid !== st.gid)) err = upper.chown(d, st.uid, st.gid);
  if (err < 0) return err;
  err = copyXattrs(sb, lower, (name, value) => upper.setxattr(d, name, value, 0));
  if (err < 0) return err;
  if (st.type === S_IFDIR) {
    const setxattr = (name: ByteString, value: Buffer) => upper.setxattr(d, name, value, 0);
    err = copyFileattr(sb, lower, st, { setxattr, fileattr: (request, arg) => fileattrOf(d, request, arg) });
    if (err < 0) return err;
  }
  if (keepsOrigin(copy)) {
    const origin = handleValue(sb, lower);
    err = typeof origin === 'number' ? origin : upper.setxattr(d, sb.names.origin, origin, 0);
    // user.* attributes exist on files and directories only; the kernel does without the origin there too.
    if (err < 0 && !(err === -EPERM && !isDir(inode))) return err;
  }
  if (copy.entry !== null && st.type !== S_IFDIR) {
    err = upper.setxattr(d, sb.names.nlink, firstNlink(copy), 0);
    if (err < 0) return err;
  }
  if (st.type !== S_IFLNK) {
    err = upper.chmod(d, st.mode & 0o7777);
    if (err < 0) return err;
  }
  err = upper.utimens(d, st.atime, st.atimeNsec, st.mtime, st.mtimeNsec);
  // A directory that a power cut leaves without its attributes might be without its owner.
  return err >= 0 && isDir(inode) && sb.config.fsync === 'strict' ? syncReal(d) : err;
}
