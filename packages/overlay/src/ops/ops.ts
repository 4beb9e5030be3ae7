/**
 * `Ops`: the operation contract, each operation documented once. Every door comes through here:
 * fuse/dispatch turns kernel requests into these calls, node-fs/ walks paths and makes the same
 * calls. Objects are named by nodeid (1 is the root) and open files by handle number, as in FUSE.
 *
 * Results are >= 0 or a negative errno; outputs are filled into objects that the caller owns.
 * All operations are synchronous and run to the end one after another; nothing here is re-entered.
 *
 * Rights: with `defaultPermissions` (the FUSE mount) the kernel has checked mode bits and ACLs
 * before it asks, and Ops checks nothing again. Without it Ops checks against `Caller` as the
 * VFS would (permissions.ts).
 */

import type { SetAttr } from '../overlay/setattr.ts';
import type { ByteString } from '../sys/bytes.ts';
import type { Stat, StatFs } from '../sys/stat.ts';
import type { HydrationStep } from './hydration.ts';

export {
  ATTR_ATIME,
  ATTR_ATIME_NOW,
  ATTR_BY_ROOT,
  ATTR_CTIME,
  ATTR_GID,
  ATTR_KILL_SUIDGID,
  ATTR_MODE,
  ATTR_MTIME,
  ATTR_MTIME_NOW,
  ATTR_SIZE,
  ATTR_UID,
  asksNothing,
  SetAttr,
} from '../overlay/setattr.ts';

/** The nodeid of the root (FUSE_ROOT_ID). */
export const ROOT_ID = 1;

/** On whose behalf an operation runs. */
export interface Caller {
  uid: number;
  gid: number;
  pid: number;
  /** The umask to apply to `mode` of create, mkdir and mknod where the parent has no default ACL. */
  umask: number;
  /** Supplementary groups, where they are known (FUSE does not tell them). */
  groups?: readonly number[];
}

/** What LOOKUP and its kin give back: one more reference to a node (see `forget`). */
export class EntryOut {
  nodeid = 0;
  generation = 0;
  readonly attr: Stat;
  constructor(attr: Stat) {
    this.attr = attr;
  }
}

/** What OPEN and its kin give back. */
export class OpenOut {
  /** The handle number, until `release` or `releasedir`. */
  fh = 0;
  /**
   * A real descriptor whose reads and writes may bypass the server (FUSE passthrough), or -1.
   * Only for files that are complete in the upper, or in a mount without an upper: a reader of a
   * lower file could not be moved when somebody writes. Owned by the handle: never close it.
   */
  backingFd = -1;
  /** `backingFd` is a lower's in a writable mount all the same (lower_io=passthrough): see `split`. */
  lower = false;
  /** The page cache (or cached listing) of this node may be kept from an earlier open. */
  keepCache = false;
  /** Opening changed more than size and times: a link of a lower hard link was broken off, suid went. */
  attrChanged = false;
}

/** Entries of a listing, laid out one behind the other as struct fuse_dirent is (linux/fuse.h). */
export interface PackedEntries {
  readonly bytes: Uint8Array;
  /** Where entry `i` begins in them; of the number behind the last, where that ends. */
  start(i: number): number;
}

/** Receives a listing. */
export interface DirSink {
  /** Whether one more entry with a name of `nameLength` bytes fits. Asked before anything is done for it. */
  fits(nameLength: number): boolean;
  /**
   * One entry. `type` is DT_*, `off` the position after it. With `readdirplus` `entry` is set and
   * carries a reference as `lookup` gives one (nodeid 0 for `.` and `..` and what vanished).
   */
  add(name: ByteString, ino: bigint, type: number, off: number, entry: EntryOut | null): void;
  /**
   * Of a listing without attributes the entries from number `from` on, up to `to` or as many as fit.
   * @returns the number of the first that did not; absent where each entry is to come by `add`.
   */
  addAll?(entries: PackedEntries, from: number, to: number): number;
}

/** `killPriv` below: the caller lacks CAP_FSETID, so suid, sgid and file capabilities go as in the VFS (KILLPRIV_V2). */
export interface Ops {
  /** Whether operations are refused here (false) or by the kernel before they come (true). */
  readonly defaultPermissions: boolean;

  // ---- names ---------------------------------------------------------------------------------
  /**
   * Finds `name` in a directory and takes a reference. File handles (nfs_export) are opened by `.`, which is
   * the node itself, of any type and perhaps forgotten, and by `..`.
   * @returns 0; -ENOENT, -ENAMETOOLONG, -EIO (a broken metacopy or redirect), -ESTALE.
   */
  lookup(caller: Caller, parent: number, name: ByteString, out: EntryOut): number;
  /** Gives `count` references back; at none the node is freed. Never fails. */
  forget(nodeid: number, count: number): void;
  /** @returns 0; -EEXIST, -EROFS, -ENOSPC, … The mode has its type bits clear or S_IFDIR. */
  mkdir(caller: Caller, parent: number, name: ByteString, mode: number, out: EntryOut): number;
  /** Regular files, FIFOs, sockets and devices; a 0:0 character device is a whiteout of the user's own overlay, kept escaped. */
  mknod(caller: Caller, parent: number, name: ByteString, mode: number, rdev: number, out: EntryOut): number;
  symlink(caller: Caller, parent: number, name: ByteString, target: ByteString, out: EntryOut): number;
  unlink(caller: Caller, parent: number, name: ByteString): number;
  /** -ENOTEMPTY is judged on the merged directory. */
  rmdir(caller: Caller, parent: number, name: ByteString): number;
  /**
   * `flags`: RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT (leaves a 0:0 device of the caller's at the old name);
   * any other is -EINVAL. -EXDEV where a redirect cannot be written.
   */
  rename(
    caller: Caller,
    parent: number,
    name: ByteString,
    newParent: number,
    newName: ByteString,
    flags: number,
  ): number;
  /** A further name for `nodeid`; takes a reference. */
  link(caller: Caller, nodeid: number, newParent: number, newName: ByteString, out: EntryOut): number;
  readlink(caller: Caller, nodeid: number): ByteString | number;

  // ---- attributes ----------------------------------------------------------------------------
  /** `fh` is the handle that fstat came through, or 0. */
  getattr(caller: Caller, nodeid: number, fh: number, out: Stat): number;
  setattr(caller: Caller, nodeid: number, set: SetAttr, out: Stat): number;
  statfs(caller: Caller, nodeid: number, out: StatFs): number;
  /** @returns the value; -ENODATA, -EOPNOTSUPP. */
  getxattr(caller: Caller, nodeid: number, name: ByteString): Buffer | number;
  listxattr(caller: Caller, nodeid: number): ByteString[] | number;
  /** `flags` XATTR_CREATE, XATTR_REPLACE. `killSgid`: an ACL is being set by one outside the group. */
  setxattr(
    caller: Caller,
    nodeid: number,
    name: ByteString,
    value: Uint8Array,
    flags: number,
    killSgid: boolean,
  ): number;
  removexattr(caller: Caller, nodeid: number, name: ByteString): number;
  /** FS_IOC_GETFLAGS of a regular file or directory. @returns the flag word; -ENOTTY where there are no flags. */
  getflags(caller: Caller, nodeid: number): number;
  /** FS_IOC_SETFLAGS. Copies up; what immutable and append-only refuse is -EPERM from then on. */
  setflags(caller: Caller, nodeid: number, flags: number): number;
  /** FS_IOC_FSGETXATTR: fills `out` with a struct fsxattr (28 bytes). */
  getfsxattr(caller: Caller, nodeid: number, out: Uint8Array): number;
  /** FS_IOC_FSSETXATTR. `value` is the engine's to change. */
  setfsxattr(caller: Caller, nodeid: number, value: Uint8Array): number;
  /** Only without `defaultPermissions`: access(2) for R_OK, W_OK, X_OK bits. */
  access(caller: Caller, nodeid: number, mask: number): number;

  // ---- files ---------------------------------------------------------------------------------
  /** `flags` are open(2)'s, O_TRUNC included (O_CREAT and O_EXCL have been dealt with). Writing copies up. */
  open(caller: Caller, nodeid: number, flags: number, killPriv: boolean, out: OpenOut): number;
  /** Creates and opens; O_TRUNC of an existing file never comes here. */
  create(
    caller: Caller,
    parent: number,
    name: ByteString,
    flags: number,
    mode: number,
    out: EntryOut,
    open: OpenOut,
  ): number;
  /** O_TMPFILE in directory `parent`. */
  tmpfile(caller: Caller, parent: number, flags: number, mode: number, out: EntryOut, open: OpenOut): number;
  /** Reads up to `len` bytes at `pos` into `buf` from `off`. @returns bytes, 0 at the end. */
  read(caller: Caller, fh: number, buf: Uint8Array, off: number, len: number, pos: number): number;
  /** @returns bytes written, or a negative errno when none were. `killPriv` as for `open`. */
  write(caller: Caller, fh: number, buf: Uint8Array, off: number, len: number, pos: number, killPriv: boolean): number;
  /** What was stored through a mapping, as the kernel writes its pages back: a write that takes no privileges away. */
  writeback(caller: Caller, fh: number, buf: Uint8Array, off: number, len: number, pos: number): number;
  fsync(caller: Caller, fh: number, dataOnly: boolean): number;
  fallocate(caller: Caller, fh: number, mode: number, off: number, len: number): number;
  /** SEEK_DATA and SEEK_HOLE. */
  lseek(caller: Caller, fh: number, off: number, whence: number): number;
  copyFileRange(caller: Caller, fhIn: number, offIn: number, fhOut: number, offOut: number, len: number): number;
  /** The last descriptor of `fh` is gone. Never fails. */
  release(fh: number): void;
  /** The `lower` file of `fh` is read past the server: it stays what it is, whatever is copied up. */
  stay?(fh: number): void;
  /**
   * From its next lookup on the object of `nodeid` has another nodeid, with which it is opened from then on: an
   * open of this one is -ESTALE. What is open, and everything else that comes with this one, goes on.
   */
  split?(nodeid: number): void;
  /** The object of `nodeid` is known by another nodeid too, so that neither's attributes may be kept. */
  isSplit?(nodeid: number): boolean;

  // ---- directories ---------------------------------------------------------------------------
  opendir(caller: Caller, nodeid: number, out: OpenOut): number;
  /**
   * Emits entries from position `off` on (0 the beginning, which reads the directory anew; else an
   * `off` that `add` was given) until `sink.fits` says no or the end; with `plus` it may stop between them, as
   * long as something was emitted. @returns 0 or a negative errno.
   */
  readdir(caller: Caller, fh: number, off: number, plus: boolean, sink: DirSink): number;
  fsyncdir(caller: Caller, fh: number, dataOnly: boolean): number;
  releasedir(fh: number): void;

  /**
   * Completes lazy copy-ups: copies at most `budget` bytes; 0 only fills in what is pending. Absent where a
   * door has none. @returns 0, or -EPERM for who may not.
   */
  hydrate?(caller: Caller, budget: number, out: HydrationStep): number;

  // ---- life ----------------------------------------------------------------------------------
  /** syncfs(2) of the mount. */
  syncfs(): number;
  /** The mount is gone: every handle and node is dropped, layers are closed. */
  destroy(): void;
}
