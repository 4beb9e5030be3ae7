/**
 * Copy-up of a regular file (kernel: ovl_copy_up_tmpfile, ovl_copy_up_data and ovl_copy_up_metadata): data,
 * attributes and marks go into a file without a name, or with a temporary one in the workdir where the filesystem has
 * none of those, which is flushed and then linked into place.
 */
import type { Dentry } from '../layer/layer.ts';
import type { ByteString } from '../sys/bytes.ts';
import { O_RDWR, RENAME_NOREPLACE, UTIME_NOW } from '../sys/constants.ts';
import { EEXIST, EIO, EOPNOTSUPP, ERESTART } from '../sys/errno.ts';
import type { Made } from './asides.ts';
import { cloneFrom, copyFrom, SHARED } from './copy-data.ts';
import { type Copy, firstNlink, keepsOrigin, wantedSize } from './copy-up-ctx.ts';
import { copyXattrs } from './copy-xattrs.ts';
import { dropStub, holdsStubs, isLarge, markStub, planStub } from './lazy-stub.ts';
import { copyFileattr } from './protattr.ts';
import type { Super } from './super.ts';
import { handleValue } from './util.ts';

export function copyUpFile(sb: Super, copy: Copy, dir: Dentry, name: ByteString): number {
  const upper = dir.layer;
  const work = sb.work!;
  const made = makeFile(sb, copy);
  if (typeof made === 'number') return made;
  const { file, temp } = made;
  let err = fillFile(sb, copy, made, true);
  // The file is another's until then.
  if (err === -ERESTART) return err;
  if (err >= 0) {
    err = temp === null ? upper.linkFile(file, dir, name) : upper.rename(work, temp, dir, name, RENAME_NOREPLACE);
  }
  upper.close(file);
  if (err < 0 && temp !== null) upper.unlink(work, temp);
  if (err < 0 && copy.stub !== null) dropStub(sb, copy.stub);
  return err === -EEXIST ? -EIO : err;
}

export function fillUnnamed(sb: Super, copy: Copy): Dentry | number {
  const work = sb.work!;
  const upper = work.layer;
  const file = makeFile(sb, copy);
  if (typeof file === 'number') return file;
  if (file.temp !== null) upper.unlink(work, file.temp);
  file.temp = null;
  const err = fillFile(sb, copy, file, false);
  if (err === -ERESTART) return err;
  const made = err < 0 ? err : upper.anonymous(file.file);
  upper.close(file.file);
  return made;
}

/** @returns a new file, or the one that has the data already; -ERESTART while it is on its way. */
function makeFile(sb: Super, copy: Copy): NewFile | number {
  const aside = copy.metacopy === null ? sb.asides.take(copy.inode, wantedSize(copy)) : null;
  if (typeof aside === 'number') return aside;
  if (aside !== null) return { ...aside, hasData: true };
  const work = sb.work!;
  const upper = work.layer;
  const temp = sb.tmpfileWorks ? null : sb.tempName();
  // Nobody can open what has no name, and root may give it attributes whatever its mode.
  const mode = temp === null && sb.hooks.uid === 0 ? copy.st.mode & 0o777 : 0o600;
  const file = temp === null ? upper.tmpfile(work, O_RDWR, mode) : upper.create(work, temp, O_RDWR, mode);
  return file < 0 ? file : { file, temp, hasData: false };
}

interface NewFile extends Made {
  readonly hasData: boolean;
}

/**
 * What the copy has of the data: all, none, or (`named`: it will have a name by which it is found again) what is written
 * to it later. @returns 0, SHARED, or a negative errno.
 */
function placeData(sb: Super, copy: Copy, made: NewFile, named: boolean): number {
  const { file } = made;
  const size = wantedSize(copy);
  if (made.hasData) return 0;
  if (copy.metacopy !== null) return sb.upper!.ftruncate(file, size);
  if (named && isLarge(sb, size)) {
    const cloned = sb.lazy.mode === 'auto' ? cloneFrom(sb, copy.data, file, size) : -EOPNOTSUPP;
    if (cloned >= 0) return cloned;
    copy.stub = holdsStubs(sb) ? planStub(copy.data, copy.lower, size) : null;
    if (copy.stub !== null) return sb.upper!.ftruncate(file, size);
  }
  return copyFrom(sb, copy.data, file, size, (order, data, from) =>
    sb.asides.start(copy.inode, made, order, data, from),
  );
}

/** The marks of a stub; where they find no room beside the file's own attributes, the data after all. */
function placeMarks(sb: Super, copy: Copy, file: number, size: number): number {
  if (copy.stub === null || markStub(sb, copy.stub, file) >= 0) return 0;
  copy.stub = null;
  const err = copyFrom(sb, copy.data, file, size);
  // Writing has taken capabilities away.
  return err < 0 ? err : copyXattrs(sb, copy.lower, (name, value) => sb.upper!.fsetxattr(file, name, value, 0));
}

/** Data, owner, attributes, mode, times and the flush: all that makes the open `file` the lower's copy. */
function fillFile(sb: Super, copy: Copy, newFile: NewFile, named: boolean): number {
  const { lower, st, made } = copy;
  const { file } = newFile;
  const upper = sb.upper!;
  const size = wantedSize(copy);
  const placed = placeData(sb, copy, newFile, named);
  if (placed < 0) return placed;
  let err = upper.fstat(file, made);
  if (err < 0) return err;
  const owned = made.uid === st.uid && made.gid === st.gid;
  // The owner first: changing it would take capabilities and suid away again.
  if (!owned) err = upper.fchown(file, st.uid, st.gid);
  if (err < 0) return err;
  const { bare } = copy.inode;
  if (!bare) err = copyXattrs(sb, lower, (name, value) => upper.fsetxattr(file, name, value, 0));
  if (err < 0) return err;
  err = copyFileattr(sb, lower, st, {
    setxattr: (name, value) => upper.fsetxattr(file, name, value, 0),
    fileattr: (request, arg) => upper.fileattr(file, request, arg),
  });
  if (err < 0) return err;
  if (keepsOrigin(copy)) {
    const origin = handleValue(sb, lower);
    err = typeof origin === 'number' ? origin : upper.fsetxattr(file, sb.names.origin, origin, 0);
    if (err < 0) return err;
  }
  if (copy.entry !== null) {
    err = upper.fsetxattr(file, sb.names.nlink, firstNlink(copy), 0);
    if (err < 0) return err;
  }
  if (copy.metacopy !== null) {
    err = upper.fsetxattr(file, sb.names.metacopy, copy.metacopy, 0);
    if (err < 0) return err;
  }
  err = placeMarks(sb, copy, file, size);
  if (err < 0) return err;
  // An ACL changes the mode, and so does a new owner.
  if (!owned || !bare || made.mode !== st.mode) err = upper.fchmod(file, st.mode & 0o7777);
  if (err < 0) return err;
  // What was cut short has been truncated already, should nothing more come to pass.
  const mtimeNsec = size < st.size ? UTIME_NOW : st.mtimeNsec;
  err = upper.futimens(file, st.atime, st.atimeNsec, st.mtime, mtimeNsec);
  if (err < 0) return err;
  // Without this a power cut can leave the name on disk and the data not: an empty file over good lower data.
  // Of metadata alone there is no data to lose, and chown -R would wait for the disk at each file; nor of shared data.
  const { fsync } = sb.config;
  const hasNew = copy.metacopy === null && placed !== SHARED;
  const flushes = hasNew ? fsync !== 'volatile' : fsync === 'strict';
  return flushes ? upper.fsync(file, false) : 0;
}
