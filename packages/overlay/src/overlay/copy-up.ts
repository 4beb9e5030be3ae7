/**
 * Copy-up (kernel: fs/overlayfs/copy_up.c): the first change to something that only a lower holds.
 *
 * Everything is built in the workdir, complete with data, attributes and overlay.origin, flushed
 * (unless volatile), and appears in the upper by one link or one rename. A crash before that step
 * leaves the lower visible and a leftover that the next mount removes; after it, the whole copy.
 * A long copy may be made by another thread: then this fails with -ERESTART, and is asked again when it
 * has been made (asides.ts). Missing parents are copied up first, from the top down; their times are put back afterwards, as
 * nothing in the merged view has changed.
 */
import { isUnmapped } from '../layer/idmapped.ts';
import { Dentry } from '../layer/layer.ts';
import type { ByteString } from '../sys/bytes.ts';
import { O_RDWR, RENAME_NOREPLACE, S_IFDIR, S_IFLNK, S_IFREG, UTIME_NOW } from '../sys/constants.ts';
import { EEXIST, EIO, EOPNOTSUPP, EOVERFLOW, EPERM, ERESTART, EROFS, ESTALE } from '../sys/errno.ts';
import { Stat } from '../sys/stat.ts';
import type { Made } from './asides.ts';
import { completeData } from './complete.ts';
import { cloneFrom, copyFrom } from './copy-data.ts';
import { expectEscapedWhiteouts } from './escaped-whiteout.ts';
import { createDirEntry, hasUpperAlias, indexName, linkName, linkUp, needsIndex } from './index-dir.ts';
import { noNames } from './index-names.ts';
import { type Inode, isDir } from './inode.ts';
import { adoptLazy } from './lazy-files.ts';
import { dropStub, markStub, planStub, type Stub, stubFile, wantsLazy } from './lazy-stub.ts';
import { realData } from './lower-data.ts';
import { METACOPY_PLAIN, Metacopy } from './metacopy.ts';
import { encodeNlink, setNlinkUpper } from './nlink.ts';
import { lendRights, returnRights } from './owner-rights.ts';
import { copyFileattr, fileattrOf } from './protattr.ts';
import type { Super } from './super.ts';
import { dirModified, handleValue, restoreTimes, setImpure, syncReal } from './util.ts';
import { metacopyValue } from './verity.ts';
import { cleanup } from './whiteout.ts';
import { isAcl } from './xattrs.ts';

/**
 * Makes sure that `inode` lives in the upper: with its data where `maxData` is given, which is how
 * many bytes are worth copying (a caller that truncates anyway gives the size that stays), else
 * metadata alone will do.
 * @returns 0, or -EROFS, -ENOSPC, -EDQUOT, -EIO, -EINTR (cancelled), … with nothing changed.
 */
export function copyUp(sb: Super, inode: Inode, maxData?: number): number {
  if (inode.upper && inode.metacopy === null) return copyUpName(sb, inode);
  if (sb.config.readOnly) return -EROFS;
  const data = realData(sb, inode);
  if (typeof data === 'number') return data;
  if (inode.upper) {
    const err = copyUpName(sb, inode);
    return err < 0 || maxData === undefined ? err : completeData(sb, inode, data, maxData);
  }
  if (inode.unlinked || inode.parent === null) {
    return isDir(inode) ? -ESTALE : copyUpUnlinked(sb, inode, maxData ?? Number.POSITIVE_INFINITY);
  }
  const missing: Inode[] = [];
  for (let at: Inode = inode; !at.upper; at = at.parent) {
    missing.push(at);
    if (!at.parent) return -ESTALE;
  }
  for (let i = missing.length - 1; i >= 0; i--) {
    const err = copyUpOne(sb, missing[i], maxData);
    if (err < 0) return err;
  }
  return 0;
}

/** Of an inode that lives in the index a further name may be about to be changed. */
function copyUpName(sb: Super, inode: Inode): number {
  if (inode.index === null || isDir(inode)) return 0;
  if (inode.parent === null || sb.config.readOnly) return 0;
  const alias = hasUpperAlias(sb, inode);
  if (alias !== 0) return Math.min(0, alias);
  const err = copyUp(sb, inode.parent);
  return err < 0 ? err : linkUp(sb, inode);
}

/** One copy-up. */
interface Copy {
  readonly inode: Inode;
  readonly lower: Dentry;
  /** Where a regular file's bytes are. */
  readonly data: Dentry;
  /** The lower's attributes. */
  readonly st: Stat;
  /** The copy's, looked at before it appears: nothing may fail after. */
  readonly made: Stat;
  /** Bytes worth copying; of metadata alone none. */
  readonly maxData: number;
  /** The name that it gets in the index, where it is to have one. */
  entry: ByteString | null;
  /** The value of overlay.metacopy for a copy of metadata alone. */
  metacopy: Buffer | null;
  /** Its data stays below for now. */
  stub: Stub | null;
}

function newCopy(sb: Super, inode: Inode, maxData: number | undefined): Copy | number {
  const data = realData(sb, inode);
  if (typeof data === 'number') return data;
  const [lower] = inode.lowers;
  const copy: Copy = {
    inode,
    lower,
    data,
    st: new Stat(),
    made: new Stat(),
    maxData: maxData ?? Number.POSITIVE_INFINITY,
    entry: null,
    metacopy: null,
    stub: null,
  };
  const err = lower.layer.stat(lower, copy.st);
  if (err < 0) return err;
  if (isUnmapped(copy.st)) return -EOVERFLOW;
  // kernel: ovl_need_meta_copy_up.
  if (maxData === undefined && sb.config.metacopy && inode.type === S_IFREG) {
    const value = metacopyValue(sb, data);
    if (typeof value === 'number') return value;
    copy.metacopy = value;
  }
  return copy;
}

function copyUpOne(sb: Super, inode: Inode, maxData: number | undefined): number {
  const parent = inode.parent!;
  const dir = parent.upper!;
  const upper = dir.layer;
  const copy = newCopy(sb, inode, maxData);
  if (typeof copy === 'number') return copy;
  if (needsIndex(sb, copy.st.type, copy.st.nlink)) {
    const value = handleValue(sb, copy.lower);
    const entry = typeof value === 'number' ? value : indexName(sb, value);
    if (typeof entry === 'number') return entry;
    copy.entry = entry;
    if (!isDir(inode) && copy.st.nlink > 1) return copyUpToIndex(sb, copy, entry);
  }
  const parentSt = new Stat();
  let err = upper.stat(dir, parentSt);
  if (err < 0) return err;
  const lent = lendRights(sb, dir);
  err = setImpure(sb, parent);
  if (err >= 0 && inode.escapedWhiteout) err = expectEscapedWhiteouts(sb, parent);
  if (err >= 0) {
    err = copy.st.type === S_IFREG ? copyUpFile(sb, copy, dir, inode.name) : copyUpByRename(sb, copy, dir, inode.name);
  }
  returnRights(dir, lent);
  if (err < 0) return err;
  restoreTimes(sb, parent, parentSt);
  adopt(sb, copy, isDir(inode) ? new Dentry(upper, dir, inode.name) : enterIndex(sb, copy, dir));
  return inode.aliases === null || isDir(inode) || inode.index !== null ? 0 : linkAliases(sb, inode);
}

/**
 * Without an index a lower has several names only where redirects lead to it by several ways. Each that is
 * known becomes a name of the copy, as it is one file (kernel: ovl_link_up, at the first change by that name).
 */
function linkAliases(sb: Super, inode: Inode): number {
  let names = 1;
  for (const { parent, name } of inode.aliases ?? []) {
    let err = copyUp(sb, parent);
    if (err >= 0) err = linkName(sb, inode, parent, name);
    // As the kernel counts it: the lower has one link.
    if (err >= 0) err = setNlinkUpper(sb, inode);
    if (err < 0) return err;
    names++;
  }
  inode.nlink = names;
  return 0;
}

/**
 * With nfs_export what has one name only gets its entry when it has the name: found in the index alone, after a crash,
 * it would count as removed, and its name be EIO for good. The kernel's does it the other way round.
 * @returns the entry, or else the name.
 */
function enterIndex(sb: Super, copy: Copy, dir: Dentry): Dentry {
  const { layer } = dir;
  const upper = new Dentry(layer, dir, copy.inode.name);
  if (copy.entry === null) return upper;
  const index = sb.indexDir!;
  let err = layer.setxattr(upper, sb.names.nlink, encodeNlink('L', 0), 0);
  if (err >= 0) err = layer.link(upper, index, copy.entry);
  if (err >= 0) {
    layer.setxattr(upper, sb.names.nlink, encodeNlink('U', -1), 0);
    return new Dentry(layer, index, copy.entry);
  }
  sb.hooks.log(`index: ${upper.name} has no entry there`);
  copy.entry = null;
  return upper;
}

/** A hard link becomes one upper inode for all its names: it appears in the index, and from there under the name. */
function copyUpToIndex(sb: Super, copy: Copy, entry: ByteString): number {
  const dir = sb.indexDir!;
  const err = copy.st.type === S_IFREG ? copyUpFile(sb, copy, dir, entry) : copyUpByRename(sb, copy, dir, entry);
  if (err < 0) return err;
  adopt(sb, copy, new Dentry(dir.layer, dir, entry));
  return linkUp(sb, copy.inode);
}

/**
 * overlay.nlink of a copy that has one link, in the index, written before it appears there: found without,
 * it would count as one that has one name, and go with it.
 */
function firstNlink({ st }: Copy): Buffer {
  return encodeNlink('U', st.nlink - 1);
}

/** The copy is in place: the inode changes over to it. */
function adopt(sb: Super, copy: Copy, upper: Dentry): void {
  const { inode } = copy;
  inode.upper = upper;
  inode.upperIno = copy.made.ino;
  if (copy.entry !== null) inode.index = { name: copy.entry, lowerNlink: copy.st.nlink };
  if (isDir(inode)) {
    inode.hasOrigin = true;
    inode.impure = false;
    if (upper.parent) upper.names = noNames(sb, upper.parent);
    // It is merged from here on, and its link count 1.
    if (inode.nodeid !== 0 && copy.st.nlink !== 1) sb.hooks.attrChanged?.(inode.nodeid);
    return;
  }
  inode.nlink = inode.index ? copy.st.nlink : 1;
  inode.hasOrigin = keepsOrigin(copy);
  if (copy.stub !== null) adoptLazy(sb, inode, stubFile(sb, copy.stub));
  if (copy.metacopy === null) {
    inode.lowers = [];
    inode.metacopy = null;
  } else {
    inode.metacopy = new Metacopy(copy.data, null, copy.metacopy.length > METACOPY_PLAIN.length);
  }
  if (!inode.hasOrigin) {
    // A hard link is broken here: from now on this name is an object of its own.
    inode.ino = sb.mapIno(0, inode.upperIno);
    sb.inodes.set(inode, 0, inode.upperIno);
    // Number and link count are others, also when what it was copied up for fails.
    if (inode.nodeid !== 0) sb.hooks.attrChanged?.(inode.nodeid);
    if (inode.parent) {
      inode.parent.renumbered = true;
      dirModified(inode.parent);
    }
  }
}

/** A hard link that is broken, because there is no index, is no longer the lower's object. */
function keepsOrigin({ st, entry }: Copy): boolean {
  return st.type === S_IFDIR || st.nlink === 1 || entry !== null;
}

function copyUpFile(sb: Super, copy: Copy, dir: Dentry, name: ByteString): number {
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

/** @returns a new file, or the one that has the data already; -ERESTART while it is on its way. */
function makeFile(sb: Super, copy: Copy): NewFile | number {
  const aside = copy.metacopy === null ? sb.asides.take(copy.inode, wantedSize(copy)) : null;
  if (typeof aside === 'number') return aside;
  if (aside !== null) return { ...aside, hasData: true };
  const work = sb.work!;
  const upper = work.layer;
  const temp = sb.tmpfileWorks ? null : sb.tempName();
  const file = temp === null ? upper.tmpfile(work, O_RDWR, 0o600) : upper.create(work, temp, O_RDWR, 0o600);
  return file < 0 ? file : { file, temp, hasData: false };
}

interface NewFile extends Made {
  readonly hasData: boolean;
}

function wantedSize({ st, maxData }: Copy): number {
  return Math.min(st.size, maxData);
}

/** What the copy has of the data: all, none, or (`named`: it will have a name by which it is found again) what is written to it later. */
function placeData(sb: Super, copy: Copy, made: NewFile, named: boolean): number {
  const { file } = made;
  const size = wantedSize(copy);
  if (made.hasData) return 0;
  if (copy.metacopy !== null) return sb.upper!.ftruncate(file, size);
  if (named && wantsLazy(sb, size)) {
    if (sb.lazy.mode === 'auto' && cloneFrom(sb, copy.data, file, size)) return 0;
    copy.stub = planStub(copy.data, copy.lower, size);
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
  let err = placeData(sb, copy, newFile, named);
  if (err < 0) return err;
  // The owner first: changing it would take capabilities and suid away again.
  err = upper.fchown(file, st.uid, st.gid);
  if (err < 0) return err;
  err = copyXattrs(sb, lower, (name, value) => upper.fsetxattr(file, name, value, 0));
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
  err = upper.fchmod(file, st.mode & 0o7777);
  if (err < 0) return err;
  // What was cut short has been truncated already, should nothing more come to pass.
  const mtimeNsec = size < st.size ? UTIME_NOW : st.mtimeNsec;
  err = upper.futimens(file, st.atime, st.atimeNsec, st.mtime, mtimeNsec);
  if (err < 0) return err;
  err = upper.fstat(file, made);
  if (err < 0) return err;
  // Without this a power cut can leave the name on disk and the data not: an empty file over good lower data.
  // Of metadata alone there is no data to lose, and chown -R would wait for the disk at each file.
  const { fsync } = sb.config;
  const flushes = copy.metacopy === null ? fsync !== 'volatile' : fsync === 'strict';
  return flushes ? upper.fsync(file, false) : 0;
}

/** Directories, symlinks and special files: made under a temporary name, then renamed. */
function copyUpByRename(sb: Super, copy: Copy, dir: Dentry, name: ByteString): number {
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
  // The kernel makes the entry of a directory first: after a crash in between it names nothing, and the directory is EIO
  // for good. Without one it can only not be found by handles that were made before.
  if (copy.entry !== null && isDir(copy.inode) && createDirEntry(sb, copy.entry, upper) < 0) {
    sb.hooks.log(`index: ${name} has no entry there`);
    copy.entry = null;
  }
  upper.layer.release(upper);
  return 0;
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
  let err = upper.chown(d, st.uid, st.gid);
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
  if (err >= 0) err = upper.stat(d, made);
  // A directory that a power cut leaves without its attributes might be without its owner.
  return err >= 0 && isDir(inode) && sb.config.fsync === 'strict' ? syncReal(d) : err;
}

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

/** The lower was unlinked while in use: the copy gets no name and lives by its descriptor. */
function copyUpUnlinked(sb: Super, inode: Inode, maxData: number): number {
  const copy = newCopy(sb, inode, maxData);
  if (typeof copy === 'number') return copy;
  const made = inode.type === S_IFREG ? fillUnnamed(sb, copy) : buildUnnamed(sb, copy);
  if (typeof made === 'number') return made;
  adopt(sb, copy, made);
  return 0;
}

function fillUnnamed(sb: Super, copy: Copy): Dentry | number {
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

function buildUnnamed(sb: Super, copy: Copy): Dentry | number {
  const work = sb.work!;
  const temp = build(sb, copy);
  if (typeof temp === 'number') return temp;
  const made = new Dentry(work.layer, work, temp);
  const err = work.layer.pin(made);
  cleanup(sb, temp);
  return err < 0 ? err : made;
}
