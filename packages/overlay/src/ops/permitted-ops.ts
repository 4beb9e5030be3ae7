/**
 * `PermittedOps`: an Ops that checks rights as the kernel's VFS would, in front of one that does
 * not (kernel: fs/namei.c may_delete, may_create, inode_permission; fs/attr.c setattr_prepare).
 * For doors that no kernel guards. Uid 0 has all capabilities; everybody else has none.
 */
import { isUnmapped, NO_ID, showOverflow } from '../layer/idmapped.ts';
import type { ByteString } from '../sys/bytes.ts';
import {
  FS_APPEND_FL,
  FS_IMMUTABLE_FL,
  FS_XFLAG_APPEND,
  FS_XFLAG_IMMUTABLE,
  O_ACCMODE,
  O_NOATIME,
  O_RDONLY,
  O_RDWR,
  O_TRUNC,
  R_OK,
  S_IFDIR,
  S_IFLNK,
  S_IFREG,
  S_ISGID,
  S_ISVTX,
  S_IXGRP,
  STATX_ATTR_IMMUTABLE,
  W_OK,
  X_OK,
} from '../sys/constants.ts';
import { EACCES, EISDIR, ENODATA, EOVERFLOW, EPERM } from '../sys/errno.ts';
import { Stat, type StatFs } from '../sys/stat.ts';
import {
  ATTR_ATIME,
  ATTR_ATIME_NOW,
  ATTR_GID,
  ATTR_KILL_SUIDGID,
  ATTR_MODE,
  ATTR_MTIME,
  ATTR_MTIME_NOW,
  ATTR_SIZE,
  ATTR_UID,
  asksNothing,
  type Caller,
  type DirSink,
  EntryOut,
  type OpenOut,
  type Ops,
  type SetAttr,
} from './ops.ts';
import { chownIsChmod, inGroup, permits } from './permissions.ts';

const ACL_ACCESS = 'system.posix_acl_access';
const DELETE = W_OK | X_OK;
const NOTHING = new Uint8Array(0);

export class PermittedOps implements Ops {
  readonly defaultPermissions: boolean = false;
  private readonly inner: Ops;
  private readonly st = new Stat();
  private readonly childOut = new EntryOut(new Stat());

  constructor(inner: Ops) {
    this.inner = inner;
  }

  /** Checks `mask` on a node and leaves its attributes in `this.st`. */
  private check(caller: Caller, nodeid: number, mask: number): number {
    const err = this.inner.getattr(caller, nodeid, 0, this.st);
    if (err < 0) return err;
    // Nobody writes to an immutable inode, and the VFS says so before it looks at modes.
    if (mask & W_OK && this.st.attributes & STATX_ATTR_IMMUTABLE) return -EPERM;
    // Nor to one whose owner has no number here: it could not be written back.
    if (mask & W_OK && isUnmapped(this.st)) return -EACCES;
    return this.permits(caller, nodeid, this.st, mask) ? 0 : -EACCES;
  }

  private permits(caller: Caller, nodeid: number, st: Stat, mask: number): boolean {
    // The group bits are the mask of an ACL: with none of them set, no named entry can give anything.
    const acl = caller.uid === 0 || !(st.mode & 0o070) ? null : this.inner.getxattr(caller, nodeid, ACL_ACCESS);
    return permits(caller, st, typeof acl === 'number' ? null : acl, mask);
  }

  private owns(caller: Caller, st: Stat): boolean {
    return caller.uid === 0 || caller.uid === st.uid;
  }

  /** may_delete: an owner with a number, write and search on the directory, and the sticky rule. */
  private mayDelete(caller: Caller, parent: number, name: ByteString): number {
    const found = this.inner.lookup(caller, parent, name, this.childOut);
    const child = this.childOut.attr;
    if (found >= 0) this.inner.forget(this.childOut.nodeid, 1);
    if (found >= 0 && isUnmapped(child)) return -EOVERFLOW;
    const err = this.check(caller, parent, DELETE);
    if (err < 0 || found < 0) return err < 0 ? err : found;
    const sticky = (this.st.mode & S_ISVTX) !== 0 && !this.owns(caller, this.st);
    return sticky && !this.owns(caller, child) ? -EPERM : 0;
  }

  /** mode_strip_sgid: nobody makes a group-executable sgid file of a group that he is not in. */
  private stripSgid(caller: Caller, mode: number): number {
    if ((mode & (S_ISGID | S_IXGRP)) !== (S_ISGID | S_IXGRP) || caller.uid === 0) return mode;
    if (!(this.st.mode & S_ISGID) || inGroup(caller, this.st.gid)) return mode;
    return mode & ~S_ISGID;
  }

  // ---- names ---------------------------------------------------------------------------------

  lookup(caller: Caller, parent: number, name: ByteString, out: EntryOut): number {
    let err = this.check(caller, parent, X_OK);
    if (err < 0) return err;
    err = this.inner.lookup(caller, parent, name, out);
    if (err >= 0) showOverflow(out.attr);
    return err;
  }

  forget(nodeid: number, count: number): void {
    this.inner.forget(nodeid, count);
  }

  mkdir(caller: Caller, parent: number, name: ByteString, mode: number, out: EntryOut): number {
    const err = this.check(caller, parent, DELETE);
    return err < 0 ? err : this.inner.mkdir(caller, parent, name, mode & 0o1777, out);
  }

  mknod(caller: Caller, parent: number, name: ByteString, mode: number, rdev: number, out: EntryOut): number {
    const err = this.check(caller, parent, DELETE);
    if (err < 0) return err;
    const type = mode & 0o170000;
    // A whiteout (0:0) is no device that gives anybody anything: vfs_mknod lets everybody make one.
    const whiteout = type === 0o020000 && rdev === 0;
    if (caller.uid !== 0 && (type === 0o020000 || type === 0o060000) && !whiteout) return -EPERM;
    return this.inner.mknod(caller, parent, name, this.stripSgid(caller, mode), rdev, out);
  }

  symlink(caller: Caller, parent: number, name: ByteString, target: ByteString, out: EntryOut): number {
    const err = this.check(caller, parent, DELETE);
    return err < 0 ? err : this.inner.symlink(caller, parent, name, target, out);
  }

  unlink(caller: Caller, parent: number, name: ByteString): number {
    const err = this.mayDelete(caller, parent, name);
    return err < 0 ? err : this.inner.unlink(caller, parent, name);
  }

  rmdir(caller: Caller, parent: number, name: ByteString): number {
    const err = this.mayDelete(caller, parent, name);
    return err < 0 ? err : this.inner.rmdir(caller, parent, name);
  }

  rename(
    caller: Caller,
    parent: number,
    name: ByteString,
    newParent: number,
    newName: ByteString,
    flags: number,
  ): number {
    let err = this.mayDelete(caller, parent, name);
    if (err < 0) return err;
    err = this.mayReplace(caller, newParent, newName);
    if (err < 0) return err;
    if (parent !== newParent) {
      // A directory that moves gets another `..`, which is a write to it.
      err = this.mayMove(caller, parent, name);
      if (err < 0) return err;
      if (flags & 2) err = this.mayMove(caller, newParent, newName);
      if (err < 0) return err;
    }
    return this.inner.rename(caller, parent, name, newParent, newName, flags);
  }

  private mayReplace(caller: Caller, parent: number, name: ByteString): number {
    const err = this.inner.lookup(caller, parent, name, this.childOut);
    if (err < 0) return this.check(caller, parent, DELETE);
    this.inner.forget(this.childOut.nodeid, 1);
    return this.mayDelete(caller, parent, name);
  }

  private mayMove(caller: Caller, parent: number, name: ByteString): number {
    const err = this.inner.lookup(caller, parent, name, this.childOut);
    if (err < 0) return err;
    const { nodeid, attr } = this.childOut;
    const allowed = attr.type !== S_IFDIR || this.permits(caller, nodeid, attr, W_OK);
    this.inner.forget(nodeid, 1);
    return allowed ? 0 : -EACCES;
  }

  link(caller: Caller, nodeid: number, newParent: number, newName: ByteString, out: EntryOut): number {
    let err = this.check(caller, newParent, DELETE);
    if (err < 0) return err;
    err = this.inner.getattr(caller, nodeid, 0, this.st);
    if (err < 0) return err;
    return isUnmapped(this.st) ? -EOVERFLOW : this.inner.link(caller, nodeid, newParent, newName, out);
  }

  readlink(caller: Caller, nodeid: number): ByteString | number {
    return this.inner.readlink(caller, nodeid);
  }

  // ---- attributes ----------------------------------------------------------------------------

  getattr(caller: Caller, nodeid: number, fh: number, out: Stat): number {
    const err = this.inner.getattr(caller, nodeid, fh, out);
    if (err >= 0) showOverflow(out);
    return err;
  }

  /** setattr_prepare, and the clearing of sgid for one outside the group. */
  setattr(caller: Caller, nodeid: number, set: SetAttr, out: Stat): number {
    const err = this.inner.getattr(caller, nodeid, 0, this.st);
    if (err < 0) return err;
    const st = this.st;
    const valid = set.valid;
    // notify_change: unless the change is what gives it an owner.
    if (st.uid === NO_ID && !(valid & ATTR_UID)) return -EOVERFLOW;
    if (st.gid === NO_ID && !(valid & ATTR_GID)) return -EOVERFLOW;
    if (caller.uid !== 0) {
      const own = caller.uid === st.uid;
      if (asksNothing(valid) && !own && chownIsChmod(st)) return -EPERM;
      if (valid & ATTR_UID && !(own && set.uid === st.uid)) return -EPERM;
      if (valid & ATTR_GID && !(own && (set.gid === st.gid || inGroup(caller, set.gid)))) return -EPERM;
      if (valid & ATTR_MODE) {
        if (!own) return -EPERM;
        const gid = valid & ATTR_GID ? set.gid : st.gid;
        if (!inGroup(caller, gid)) set.mode &= ~S_ISGID;
      }
      if (valid & (ATTR_ATIME | ATTR_MTIME) && !own) return -EPERM;
      if (valid & (ATTR_ATIME_NOW | ATTR_MTIME_NOW) && !own && !this.permits(caller, nodeid, st, W_OK)) return -EACCES;
    }
    if (valid & ATTR_SIZE) {
      if (st.type === S_IFDIR) return -EISDIR;
      if (set.fh === 0 && !this.permits(caller, nodeid, st, W_OK)) return -EACCES;
      if (caller.uid !== 0) set.valid |= ATTR_KILL_SUIDGID;
    }
    return this.inner.setattr(caller, nodeid, set, out);
  }

  statfs(caller: Caller, nodeid: number, out: StatFs): number {
    return this.inner.statfs(caller, nodeid, out);
  }

  /** xattr_permission. */
  private xattrAllowed(caller: Caller, nodeid: number, name: ByteString, mask: number): number {
    if (mask & W_OK) {
      const found = this.inner.getattr(caller, nodeid, 0, this.st);
      if (found < 0) return found;
      if (isUnmapped(this.st)) return -EPERM;
    }
    if (name.startsWith('trusted.')) return caller.uid === 0 ? 0 : mask === W_OK ? -EPERM : -ENODATA;
    if (name.startsWith('security.')) return mask === R_OK || caller.uid === 0 ? 0 : -EPERM;
    const err = this.inner.getattr(caller, nodeid, 0, this.st);
    if (err < 0) return err;
    if (name.startsWith('system.')) return mask === R_OK || this.owns(caller, this.st) ? 0 : -EPERM;
    if (name.startsWith('user.')) {
      const type = this.st.type;
      if (type !== S_IFREG && type !== S_IFDIR) return mask === W_OK ? -EPERM : -ENODATA;
      if (type === S_IFDIR && this.st.mode & S_ISVTX && mask === W_OK && !this.owns(caller, this.st)) return -EPERM;
    }
    return this.permits(caller, nodeid, this.st, mask) ? 0 : -EACCES;
  }

  getxattr(caller: Caller, nodeid: number, name: ByteString): Buffer | number {
    const err = this.xattrAllowed(caller, nodeid, name, R_OK);
    return err < 0 ? err : this.inner.getxattr(caller, nodeid, name);
  }

  listxattr(caller: Caller, nodeid: number): ByteString[] | number {
    return this.inner.listxattr(caller, nodeid);
  }

  setxattr(
    caller: Caller,
    nodeid: number,
    name: ByteString,
    value: Uint8Array,
    flags: number,
    _killSgid: boolean,
  ): number {
    const err = this.xattrAllowed(caller, nodeid, name, W_OK);
    if (err < 0) return err;
    const killSgid = name === ACL_ACCESS && caller.uid !== 0 && !inGroup(caller, this.st.gid);
    return this.inner.setxattr(caller, nodeid, name, value, flags, killSgid);
  }

  removexattr(caller: Caller, nodeid: number, name: ByteString): number {
    const err = this.xattrAllowed(caller, nodeid, name, W_OK);
    return err < 0 ? err : this.inner.removexattr(caller, nodeid, name);
  }

  getflags(caller: Caller, nodeid: number): number {
    return this.inner.getflags(caller, nodeid);
  }

  setflags(caller: Caller, nodeid: number, flags: number): number {
    const err = this.maySetFlags(caller, nodeid, flags);
    return err < 0 ? err : this.inner.setflags(caller, nodeid, flags);
  }

  getfsxattr(caller: Caller, nodeid: number, out: Uint8Array): number {
    return this.inner.getfsxattr(caller, nodeid, out);
  }

  setfsxattr(caller: Caller, nodeid: number, value: Uint8Array): number {
    const xflags = value[0];
    const flags = (xflags & FS_XFLAG_IMMUTABLE ? FS_IMMUTABLE_FL : 0) | (xflags & FS_XFLAG_APPEND ? FS_APPEND_FL : 0);
    const err = this.maySetFlags(caller, nodeid, flags);
    return err < 0 ? err : this.inner.setfsxattr(caller, nodeid, value);
  }

  /** fileattr_set_prepare: for the owner, and immutable and append-only for who has CAP_LINUX_IMMUTABLE. */
  private maySetFlags(caller: Caller, nodeid: number, flags: number): number {
    const err = this.inner.getattr(caller, nodeid, 0, this.st);
    if (err < 0) return err;
    if (!this.owns(caller, this.st)) return -EPERM;
    const changed = (flags ^ this.st.attributes) & (FS_IMMUTABLE_FL | FS_APPEND_FL);
    return changed !== 0 && caller.uid !== 0 ? -EPERM : 0;
  }

  access(caller: Caller, nodeid: number, mask: number): number {
    return this.check(caller, nodeid, mask);
  }

  // ---- files ---------------------------------------------------------------------------------

  open(caller: Caller, nodeid: number, flags: number, _killPriv: boolean, out: OpenOut): number {
    const accmode = flags & O_ACCMODE;
    let mask = accmode === O_RDONLY ? R_OK : accmode === O_RDWR ? R_OK | W_OK : W_OK;
    if (flags & O_TRUNC) mask |= W_OK;
    const err = this.check(caller, nodeid, mask);
    // A symlink has no rights of its own; what opening one gives is the operation's to say.
    if (err < 0 && this.st.type !== S_IFLNK) return err;
    if (this.st.type === S_IFDIR && mask & W_OK) return -EISDIR;
    if (flags & O_NOATIME && !this.owns(caller, this.st)) return -EPERM;
    return this.inner.open(caller, nodeid, flags, caller.uid !== 0, out);
  }

  create(
    caller: Caller,
    parent: number,
    name: ByteString,
    flags: number,
    mode: number,
    out: EntryOut,
    open: OpenOut,
  ): number {
    const err = this.check(caller, parent, DELETE);
    return err < 0 ? err : this.inner.create(caller, parent, name, flags, this.stripSgid(caller, mode), out, open);
  }

  tmpfile(caller: Caller, parent: number, flags: number, mode: number, out: EntryOut, open: OpenOut): number {
    const err = this.check(caller, parent, DELETE);
    return err < 0 ? err : this.inner.tmpfile(caller, parent, flags, this.stripSgid(caller, mode), out, open);
  }

  read(caller: Caller, fh: number, buf: Uint8Array, off: number, len: number, pos: number): number {
    return this.inner.read(caller, fh, buf, off, len, pos);
  }

  write(
    caller: Caller,
    fh: number,
    buf: Uint8Array,
    off: number,
    len: number,
    pos: number,
    _killPriv: boolean,
  ): number {
    return this.inner.write(caller, fh, buf, off, len, pos, caller.uid !== 0);
  }

  writeback(caller: Caller, fh: number, buf: Uint8Array, off: number, len: number, pos: number): number {
    return this.inner.writeback(caller, fh, buf, off, len, pos);
  }

  fsync(caller: Caller, fh: number, dataOnly: boolean): number {
    return this.inner.fsync(caller, fh, dataOnly);
  }

  fallocate(caller: Caller, fh: number, mode: number, off: number, len: number): number {
    const err = this.losePriv(caller, fh);
    return err < 0 ? err : this.inner.fallocate(caller, fh, mode, off, len);
  }

  /** file_remove_privs: what changes data without being a write takes suid away like one, here a write of nothing. */
  private losePriv(caller: Caller, fh: number): number {
    return caller.uid === 0 ? 0 : this.inner.write(caller, fh, NOTHING, 0, 0, 0, true);
  }

  lseek(caller: Caller, fh: number, off: number, whence: number): number {
    return this.inner.lseek(caller, fh, off, whence);
  }

  copyFileRange(caller: Caller, fhIn: number, offIn: number, fhOut: number, offOut: number, len: number): number {
    const err = this.losePriv(caller, fhOut);
    return err < 0 ? err : this.inner.copyFileRange(caller, fhIn, offIn, fhOut, offOut, len);
  }

  release(fh: number): void {
    this.inner.release(fh);
  }

  // ---- directories and life ------------------------------------------------------------------

  opendir(caller: Caller, nodeid: number, out: OpenOut): number {
    const err = this.check(caller, nodeid, R_OK);
    return err < 0 ? err : this.inner.opendir(caller, nodeid, out);
  }

  readdir(caller: Caller, fh: number, off: number, plus: boolean, sink: DirSink): number {
    return this.inner.readdir(caller, fh, off, plus, sink);
  }

  fsyncdir(caller: Caller, fh: number, dataOnly: boolean): number {
    return this.inner.fsyncdir(caller, fh, dataOnly);
  }

  releasedir(fh: number): void {
    this.inner.releasedir(fh);
  }

  syncfs(): number {
    return this.inner.syncfs();
  }

  destroy(): void {
    this.inner.destroy();
  }
}
