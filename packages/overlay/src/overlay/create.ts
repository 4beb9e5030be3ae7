/**
 * New objects (kernel: the creating half of fs/overlayfs/dir.c): files, directories, nodes,
 * symlinks, hard links and unnamed files.
 *
 * Where nothing stands in the upper and the new object is the server's own, it is made in place.
 * Else it is built in the workdir with its owner, ACL and mode, and appears by one link or rename:
 * over a whiteout by replacing it (a directory by exchange, made opaque before it is seen, or the
 * lower's content would show through).
 */
import { Dentry } from '../layer/layer.ts';
import type { ByteString } from '../sys/bytes.ts';
import {
  FS_DIRSYNC_FL,
  O_RDWR,
  RENAME_EXCHANGE,
  RENAME_NOREPLACE,
  S_IFCHR,
  S_IFDIR,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  S_ISGID,
} from '../sys/constants.ts';
import { EEXIST, EIO, ENAMETOOLONG, ENOENT, EPERM, EROFS } from '../sys/errno.ts';
import { Stat } from '../sys/stat.ts';
import { inheritAcl } from './acl.ts';
import { mapAttr } from './attr.ts';
import { copyUp } from './copy-up.ts';
import { asWhiteoutDevice, expectEscapedWhiteouts, isWhiteoutDevice, makeEscapedWhiteout } from './escaped-whiteout.ts';
import { heirFlags, inheritFlags } from './fileattr.ts';
import { mayHold, noNames } from './index-names.ts';
import { attach, DirInode, Inode, isDir } from './inode.ts';
import { setNlinkUpper } from './nlink.ts';
import { lendRights, returnRights } from './owner-rights.ts';
import { mayCreate } from './protection.ts';
import { hasPath, redirectMetacopy } from './redirect.ts';
import type { Super } from './super.ts';
import { allowsOfflineChanges, dirModified, setImpure, setOpaque } from './util.ts';
import { cleanup } from './whiteout.ts';
import { expectWhiteout } from './whiteout-names.ts';
import { POSIX_ACL_ACCESS, POSIX_ACL_DEFAULT } from './xattrs.ts';
import { isAnyWhiteout } from './xwhiteout.ts';

/** Who makes it: the fsuid and fsgid that a new object gets, and the umask where no default ACL stands in. */
export interface Creator {
  uid: number;
  gid: number;
  umask: number;
}

/** What is to be made. */
interface Recipe {
  /** Type and permission bits. */
  mode: number;
  rdev: number;
  target: ByteString;
}

/** A recipe with what the directory passes on worked in. */
interface Heir extends Recipe {
  uid: number;
  gid: number;
  defaultAcl: Buffer | null;
  /** FS_*_FL. What stands over a whiteout inherits none, as in the kernel. */
  flags: number;
}

export function mkdir(
  sb: Super,
  who: Creator,
  parent: DirInode,
  name: ByteString,
  mode: number,
  out: Stat,
): Inode | number {
  return make(sb, who, parent, name, { mode: S_IFDIR | (mode & 0o7777), rdev: 0, target: '' }, out);
}

/** A 0:0 character device would be a whiteout: it is kept escaped, see escaped-whiteout.ts. */
export function mknod(
  sb: Super,
  who: Creator,
  parent: DirInode,
  name: ByteString,
  mode: number,
  rdev: number,
  out: Stat,
): Inode | number {
  return make(sb, who, parent, name, { mode, rdev, target: '' }, out);
}

export function symlink(
  sb: Super,
  who: Creator,
  parent: DirInode,
  name: ByteString,
  target: ByteString,
  out: Stat,
): Inode | number {
  return make(sb, who, parent, name, { mode: S_IFLNK | 0o777, rdev: 0, target }, out);
}

function make(sb: Super, who: Creator, parent: DirInode, name: ByteString, recipe: Recipe, out: Stat): Inode | number {
  let err = ready(sb, parent, name);
  if (err < 0) return err;
  const heir = inherit(sb, who, parent, recipe);
  if (typeof heir === 'number') return heir;
  const dir = parent.upper!;
  const escaped = isWhiteoutDevice(heir.mode, heir.rdev);
  if (escaped) {
    err = expectEscapedWhiteouts(sb, parent);
    if (err < 0) return err;
  }
  const isDir = (heir.mode & S_IFMT) === S_IFDIR;
  const opaqueNew = isDir && parent.isMerge && !allowsOfflineChanges(sb);
  let opaque = false;
  err = !escaped && inPlace(sb, heir, parent, name) ? makeAt(sb, dir, name, heir, heir.mode) : -EEXIST;
  if (err >= 0 && opaqueNew) opaque = setOpaque(sb, new Dentry(dir.layer, dir, name)) === 0;
  if (err === -EEXIST) {
    const over = standing(sb, parent, name);
    if (over < 0) return over;
    opaque = isDir && (over === 1 || opaqueNew);
    if (over === 0) heir.flags = heirFlags(parent);
    err = makeInWork(sb, dir, name, heir, over === 1, opaque);
  }
  if (err < 0) return err;
  return appear(sb, parent, name, out, opaque, escaped);
}

/** The checks and the copy-up that stand before every creation. */
function ready(sb: Super, parent: DirInode, name: ByteString): number {
  if (sb.config.readOnly) return -EROFS;
  if (name.length > sb.nameMax) return -ENAMETOOLONG;
  if (parent.unlinked) return -ENOENT;
  if (parent.children.has(name)) return -EEXIST;
  const err = mayCreate(parent);
  if (err < 0) return err;
  // Before the change: one that fails half-way may have changed the directory all the same.
  dirModified(parent);
  return copyUp(sb, parent);
}

/** What stands under the name in the upper: 0 nothing, 1 a whiteout, else -EEXIST. */
function standing(sb: Super, parent: DirInode, name: ByteString): number {
  const st = new Stat();
  const dir = parent.upper!;
  if (!mayHold(dir, name)) return 0;
  const err = dir.layer.lookup(dir, name, st);
  if (err === -ENOENT) return 0;
  if (err < 0) return err;
  return isAnyWhiteout(sb, dir, name, st) || -EEXIST;
}

/** inode_init_owner, umask and default ACL, as the directory that it will appear in has them. */
function inherit(sb: Super, who: Creator, parent: DirInode, recipe: Recipe): Heir | number {
  if (parent.mode === 0) {
    const st = sb.scratch;
    const err = parent.real.layer.stat(parent.real, st);
    if (err < 0) return err;
    parent.mode = st.mode;
    parent.gid = st.gid;
  }
  const type = recipe.mode & S_IFMT;
  const sgid = (parent.mode & S_ISGID) !== 0;
  const defaultAcl = type === S_IFLNK ? null : defaultAclOf(parent);
  let mode = recipe.mode;
  if (defaultAcl === null && type !== S_IFLNK) mode &= ~(who.umask & 0o777);
  if (sgid && type === S_IFDIR) mode |= S_ISGID;
  const { rdev, target } = recipe;
  return { mode, rdev, target, uid: who.uid, gid: sgid ? parent.gid : who.gid, defaultAcl, flags: 0 };
}

/** The directory's default ACL, asked once. */
function defaultAclOf(dir: DirInode): Buffer | null {
  if (dir.defaultAcl === undefined) {
    const value = dir.real.layer.getxattr(dir.real, POSIX_ACL_DEFAULT);
    dir.defaultAcl = typeof value === 'number' ? null : value;
  }
  return dir.defaultAcl;
}

/** Made in place by our own process it would have the right owner at once. */
function owned(sb: Super, heir: Heir, parent: DirInode): boolean {
  if (heir.uid !== sb.hooks.uid) return false;
  return heir.gid === ((parent.mode & S_ISGID) !== 0 ? parent.gid : sb.hooks.gid);
}

/** Whether it is worth trying, too: over a whiteout nothing is made in place. */
function inPlace(sb: Super, heir: Heir, parent: DirInode, name: ByteString): boolean {
  return owned(sb, heir, parent) && !expectWhiteout(parent.upper!, name);
}

/** The mode to make it with in the workdir, where only root comes: its own, so that it need not be changed, where an ACL has no say in it. */
function modeInWork(sb: Super, heir: Heir): number {
  return sb.hooks.uid === 0 && heir.defaultAcl === null ? heir.mode & 0o7777 : 0o600;
}

function makeAt(sb: Super, dir: Dentry, name: ByteString, recipe: Recipe, mode: number): number {
  const layer = dir.layer;
  const type = mode & S_IFMT;
  if (type === S_IFDIR) return layer.mkdir(dir, name, mode & 0o7777);
  if (type === S_IFLNK) return layer.symlink(dir, name, recipe.target);
  if (isWhiteoutDevice(mode, recipe.rdev)) return makeEscapedWhiteout(sb, dir, name);
  return layer.mknod(dir, name, mode, recipe.rdev);
}

/** Builds the object in the workdir and moves it into place, over a whiteout if `overWhiteout`. */
function makeInWork(
  sb: Super,
  dir: Dentry,
  name: ByteString,
  heir: Heir,
  overWhiteout: boolean,
  opaque: boolean,
): number {
  const work = sb.work!;
  const temp = sb.tempName();
  let err = makeAt(sb, work, temp, heir, (heir.mode & S_IFMT) | modeInWork(sb, heir));
  if (err < 0) return err;
  const made = new Dentry(work.layer, work, temp);
  err = dress(made, heir);
  const isDir = (heir.mode & S_IFMT) === S_IFDIR;
  const lent = isDir ? lendRights(sb, made) : null;
  if (err >= 0 && opaque) err = setOpaque(sb, made, -EIO);
  if (err >= 0) err = place(sb, temp, dir, name, overWhiteout, isDir);
  work.layer.release(made);
  if (err >= 0) returnRights(new Dentry(dir.layer, dir, name), lent);
  if (err < 0) cleanup(sb, temp);
  return err;
}

/**
 * A user's whiteout in the workdir, as RENAME_WHITEOUT leaves one in `parent`: without any rights,
 * the caller's. @returns its temporary name, or a negative errno.
 */
export function buildEscapedWhiteout(sb: Super, who: Creator, parent: DirInode): ByteString | number {
  const heir = inherit(sb, who, parent, { mode: S_IFCHR, rdev: 0, target: '' });
  if (typeof heir === 'number') return heir;
  let err = expectEscapedWhiteouts(sb, parent);
  if (err < 0) return err;
  const work = sb.work!;
  const temp = sb.tempName();
  err = makeEscapedWhiteout(sb, work, temp);
  if (err < 0) return err;
  const made = new Dentry(work.layer, work, temp);
  err = dress(made, heir);
  work.layer.release(made);
  if (err < 0) work.layer.unlink(work, temp);
  return err < 0 ? err : temp;
}

/** Flags, owner, ACLs and mode. */
function dress(made: Dentry, heir: Heir): number {
  const layer = made.layer;
  const type = heir.mode & S_IFMT;
  const flags = type === S_IFDIR ? heir.flags : type === S_IFREG ? heir.flags & ~FS_DIRSYNC_FL : 0;
  if (flags !== 0) inheritFlags(made, flags);
  const st = new Stat();
  let err = layer.stat(made, st);
  const right = st.uid === heir.uid && st.gid === heir.gid;
  if (err >= 0 && !right) err = layer.chown(made, heir.uid, heir.gid);
  if (err < 0 || type === S_IFLNK) return err;
  let mode = heir.mode & 0o7777;
  if (right && heir.defaultAcl === null && (st.mode & 0o7777) === mode) return 0;
  if (heir.defaultAcl) {
    const inherited = inheritAcl(heir.defaultAcl, mode);
    mode = inherited.mode;
    if ((heir.mode & S_IFMT) === S_IFDIR) {
      err = layer.setxattr(made, POSIX_ACL_DEFAULT, heir.defaultAcl, 0);
      if (err < 0) return err;
    }
    if (inherited.access) {
      err = layer.setxattr(made, POSIX_ACL_ACCESS, inherited.access, 0);
      if (err < 0) return err;
    }
  }
  return layer.chmod(made, mode);
}

/** The one step by which something built in the workdir becomes visible. */
function place(
  sb: Super,
  temp: ByteString,
  dir: Dentry,
  name: ByteString,
  overWhiteout: boolean,
  isDir: boolean,
): number {
  const work = sb.work!;
  const flags = !overWhiteout ? RENAME_NOREPLACE : isDir ? RENAME_EXCHANGE : 0;
  const err = work.layer.rename(work, temp, dir, name, flags);
  // After an exchange the whiteout has the temporary name.
  if (err >= 0 && flags === RENAME_EXCHANGE) work.layer.unlink(work, temp);
  return err;
}

/** The inode of an object that now stands in the upper. */
function appear(
  sb: Super,
  parent: DirInode,
  name: ByteString,
  out: Stat,
  opaque: boolean,
  escaped = false,
): Inode | number {
  const dir = parent.upper!;
  const err = dir.layer.lookup(dir, name, out);
  if (err < 0) return err;
  if (escaped) asWhiteoutDevice(out);
  const inode = pureInode(sb, new Dentry(dir.layer, dir, name), out);
  inode.escapedWhiteout = escaped;
  if (isDir(inode)) {
    inode.opaque = opaque;
    inode.upper!.names = noNames(sb, dir);
  }
  attach(inode, parent, name);
  mapAttr(inode, out);
  return inode;
}

function pureInode(sb: Super, upper: Dentry, st: Stat): Inode {
  const type = st.mode & S_IFMT;
  const inode = type === S_IFDIR ? new DirInode(upper, []) : new Inode(type, upper, []);
  inode.upperIno = st.ino;
  inode.ino = sb.mapIno(0, st.ino);
  if (isDir(inode)) inode.impure = false;
  inode.bare = type === S_IFREG && sb.upperHasCapabilities;
  sb.inodes.set(inode, 0, st.ino);
  return inode;
}

/** A regular file, created and opened read-write. @returns the inode and an open file of the upper. */
export function create(
  sb: Super,
  who: Creator,
  parent: DirInode,
  name: ByteString,
  mode: number,
  out: Stat,
): { inode: Inode; file: number } | number {
  const err = ready(sb, parent, name);
  if (err < 0) return err;
  const heir = inherit(sb, who, parent, { mode: S_IFREG | (mode & 0o7777), rdev: 0, target: '' });
  if (typeof heir === 'number') return heir;
  const dir = parent.upper!;
  let file = inPlace(sb, heir, parent, name) ? dir.layer.create(dir, name, O_RDWR, heir.mode & 0o7777) : -EEXIST;
  if (file === -EEXIST) {
    const over = standing(sb, parent, name);
    if (over < 0) return over;
    if (over === 0) heir.flags = heirFlags(parent);
    file = createInWork(sb, dir, name, heir, over === 1);
  }
  if (file < 0) return file;
  const inode = appear(sb, parent, name, out, false);
  if (typeof inode === 'number') {
    dir.layer.close(file);
    return inode;
  }
  return { inode, file };
}

function createInWork(sb: Super, dir: Dentry, name: ByteString, heir: Heir, overWhiteout: boolean): number {
  const work = sb.work!;
  const layer = work.layer;
  const temp = sb.tempName();
  const file = layer.create(work, temp, O_RDWR, modeInWork(sb, heir));
  if (file < 0) return file;
  let err = dress(new Dentry(layer, work, temp), heir);
  if (err >= 0) err = place(sb, temp, dir, name, overWhiteout, false);
  if (err < 0) {
    layer.close(file);
    layer.unlink(work, temp);
    return err;
  }
  return file;
}

/** O_TMPFILE: a file without a name, which `link` may name later. */
export function tmpfile(
  sb: Super,
  who: Creator,
  parent: DirInode,
  mode: number,
  out: Stat,
): { inode: Inode; file: number } | number {
  if (sb.config.readOnly) return -EROFS;
  if (parent.unlinked) return -ENOENT;
  let err = mayCreate(parent);
  if (err < 0) return err;
  err = copyUp(sb, parent);
  if (err < 0) return err;
  const heir = inherit(sb, who, parent, { mode: S_IFREG | (mode & 0o7777), rdev: 0, target: '' });
  if (typeof heir === 'number') return heir;
  const layer = sb.upper!;
  const file = layer.tmpfile(parent.upper!, O_RDWR, heir.mode & 0o7777);
  if (file < 0) return file;
  const d = layer.anonymous(file);
  if (typeof d === 'number') err = d;
  else {
    err = owned(sb, heir, parent) ? 0 : dress(d, heir);
    if (err >= 0) err = layer.stat(d, out);
    if (err >= 0) {
      const inode = pureInode(sb, d, out);
      inode.unlinked = true;
      inode.unnamed = true;
      mapAttr(inode, out);
      return { inode, file };
    }
    layer.release(d);
  }
  layer.close(file);
  return err;
}

/** A further name for `inode`, which is copied up first. */
export function link(sb: Super, inode: Inode, parent: DirInode, name: ByteString, out: Stat): number {
  // A name could be removed again, but not by whom the flags keep from it.
  if (!sb.config.readOnly && inode.protection !== 0) return -EPERM;
  let err = ready(sb, parent, name);
  if (err < 0) return err;
  if (isDir(inode)) return -EPERM;
  // One that has had no name has no path to point its data out by.
  err = copyUp(sb, inode, hasPath(inode) ? undefined : Number.POSITIVE_INFINITY);
  // Two names in two directories: only a path from the root holds for both.
  if (err >= 0 && inode.metacopy !== null) err = redirectMetacopy(sb, inode, false);
  if (err >= 0 && inode.index) err = setNlinkUpper(sb, inode);
  if (err < 0) return err;
  const dir = parent.upper!;
  const layer = dir.layer;
  if (inode.hasOrigin) {
    err = setImpure(sb, parent);
    if (err < 0) return err;
  }
  if (inode.escapedWhiteout) {
    err = expectEscapedWhiteouts(sb, parent);
    if (err < 0) return err;
  }
  const upper = inode.upper!;
  err = layer.link(upper, dir, name);
  if (err === -EEXIST) {
    const over = standing(sb, parent, name);
    if (over < 0) return over;
    const temp = sb.tempName();
    err = layer.link(upper, sb.work!, temp);
    if (err >= 0) {
      err = place(sb, temp, dir, name, over === 1, false);
      if (err < 0) layer.unlink(sb.work!, temp);
    }
  }
  if (err < 0) return err;
  attach(inode, parent, name);
  if (inode.index) inode.nlink++;
  err = layer.stat(upper, out);
  if (err < 0) return err;
  mapAttr(inode, out);
  return 0;
}
