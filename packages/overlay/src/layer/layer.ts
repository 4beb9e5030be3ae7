/**
 * `Layer`: one tree of a union, addressed by (directory, name). The engine in overlay/ sees the
 * world through this interface only, so a layer may be a folder on disk, memory, or an archive.
 *
 * `Dentry` is a place in a layer's tree: a parent and a name, as the kernel's real dentries. It
 * names things and keeps no descriptor of its own; the disk layer caches directory descriptors
 * beside it in an LRU, so that the number of open descriptors does not grow with the tree.
 * When the engine renames something in the upper, it changes that Dentry's parent and name, and
 * all below follows.
 *
 * Results are >= 0 or a negative errno, nothing throws. Names are byte strings of one component.
 */
import type { ByteString } from '../sys/bytes.ts';
import type { Stat, StatFs } from '../sys/stat.ts';
import type { DirentList } from './dirent-list.ts';
import type { NameTable } from './name-table.ts';
import type { WriteOrder } from './write-order.ts';

/** What directories have, and what is pinned; the many files have none of it. */
class Held {
  fd = -1;
  names: NameTable | null = null;
  pinned = false;
  prev: Dentry | null = null;
  next: Dentry | null = null;
}

export class Dentry {
  readonly layer: Layer;
  /** null: the layer's root, or something pinned after its last name went. */
  parent: Dentry | null;
  name: ByteString;
  private held: Held | null = null;

  constructor(layer: Layer, parent: Dentry | null, name: ByteString) {
    this.layer = layer;
    this.parent = parent;
    this.name = name;
  }

  /** The layer's own: a cached directory descriptor, or a pinned one; -1 when none. */
  get fd(): number {
    return this.held === null ? -1 : this.held.fd;
  }
  set fd(fd: number) {
    if (fd >= 0 || this.held !== null) this.holding().fd = fd;
  }

  /**
   * A directory that is changed through this layer only: every name that it may have, or null where that is
   * not known. Whoever has read the whole directory sets it; the layer adds each name that it changes.
   */
  get names(): NameTable | null {
    return this.held === null ? null : this.held.names;
  }
  set names(names: NameTable | null) {
    if (names !== null || this.held !== null) this.holding().names = names;
  }

  /** A pinned dentry lives by its descriptor: its name is gone (unlinked while in use). */
  get pinned(): boolean {
    return this.held?.pinned === true;
  }
  set pinned(pinned: boolean) {
    if (pinned || this.held !== null) this.holding().pinned = pinned;
  }

  /** The layer's own: links of the LRU of descriptors. */
  get prev(): Dentry | null {
    return this.held === null ? null : this.held.prev;
  }
  set prev(prev: Dentry | null) {
    if (prev !== null || this.held !== null) this.holding().prev = prev;
  }

  get next(): Dentry | null {
    return this.held === null ? null : this.held.next;
  }
  set next(next: Dentry | null) {
    if (next !== null || this.held !== null) this.holding().next = next;
  }

  private holding(): Held {
    this.held ??= new Held();
    return this.held;
  }
}

/** One entry of a real directory. `type` is DT_*, DT_UNKNOWN where the filesystem does not say. */
export interface RawDirent {
  name: ByteString;
  ino: bigint;
  type: number;
}

/** The directory has these names and no others, as long as nobody changes it. */
export const LISTS_ALL = 1;

export interface FileHandleId {
  /** handle_type of name_to_handle_at(2). */
  type: number;
  handle: Buffer;
}

export interface Layer {
  readonly root: Dentry;
  /** What a person gave as this layer, for messages. */
  readonly label: string;
  /** Layers on one filesystem share this number (by st_dev). */
  readonly dev: number;
  /** The filesystem's uuid (s_uuid, 16 bytes; FS_IOC_GETFSUUID), zeros where it has none or does not tell. */
  readonly uuid: Buffer;
  /** Whether it stands on a private read-only clone of its mount, so that nothing can change an atime. */
  readonly cloned: boolean;
  /** Something was seen that is on another device than the root: a listing's number may be another than stat's. */
  readonly manyDevices: boolean;

  // ---- looking -------------------------------------------------------------------------------
  /** lstat of (dir, name); fills `out`. */
  lookup(dir: Dentry, name: ByteString, out: Stat): number;
  /** lstat of a dentry. */
  stat(d: Dentry, out: Stat): number;
  /**
   * Every entry but `.` and `..`, in the layer's own order. @returns `LISTS_ALL`, or 0 where a lookup may find
   * what no listing has (lists-all.ts).
   */
  readdir(dir: Dentry, into: RawDirent[]): number;
  /** The same into a list for many. */
  list(dir: Dentry, into: DirentList): number;
  /** Calls `visit` with the bytes of each name until it says false. @returns `LISTS_ALL` after the last one, else 0. */
  readNames(dir: Dentry, visit: (bytes: Uint8Array, start: number, end: number) => boolean): number;
  readlink(d: Dentry): ByteString | number;
  /** @returns the value, or -ENODATA, -EOPNOTSUPP, … */
  getxattr(d: Dentry, name: ByteString): Buffer | number;
  /** @returns the names, or a negative errno. */
  listxattr(d: Dentry): ByteString[] | number;
  statfs(out: StatFs): number;
  /** Whether an extent is on disk as written only when its bytes are, whenever the power goes. */
  writeOrder(): WriteOrder;
  /** The dentry's file handle, or -EOPNOTSUPP. */
  fileHandle(d: Dentry): FileHandleId | number;
  /** Whether this process may open file handles of the layer's filesystem at all. */
  opensHandles(): boolean;
  /** The dentry that a handle of this layer's filesystem names as an inode number; -ESTALE when it is gone, -EPERM when it may not be asked. */
  handleIno(id: FileHandleId, out: Stat): number;
  /** A pinned dentry for what a handle names, to be released; errors as `handleIno`. */
  byHandle(id: FileHandleId): Dentry | number;

  // ---- files ---------------------------------------------------------------------------------
  /** Opens the data of a regular file (or a directory for fsync). Never follows a last symlink. @returns a file number. */
  open(d: Dentry, flags: number): number;
  close(file: number): number;
  /** A real descriptor for passthrough and reflink, or -1 (memory, archives). */
  descriptor(file: number): number;
  read(file: number, buf: Uint8Array, off: number, len: number, pos: number): number;
  write(file: number, buf: Uint8Array, off: number, len: number, pos: number): number;
  fstat(file: number, out: Stat): number;
  fsync(file: number, dataOnly: boolean): number;
  /** Bytes of `file` that an fsync would have to wait for; 0 also where that is not known. */
  unsynced(file: number): number;
  lseek(file: number, off: number, whence: number): number;
  /**
   * The flags of chattr(1): `request` is FS_IOC_GETFLAGS, SETFLAGS, FSGETXATTR or FSSETXATTR, `arg` what
   * it fills or sends. Setting is -EROFS where the layer is not writable; -ENOTTY where the filesystem has no flags.
   */
  fileattr(file: number, request: number, arg: Uint8Array): number;
  /**
   * FS_SYNC_FL, FS_IMMUTABLE_FL, FS_APPEND_FL and FS_NOATIME_FL of a regular file or directory, which is opened for
   * that only where the kernel has no other way. Errors as `fileattr` and `open`.
   */
  fileFlags(d: Dentry): number;
  /** FS_IOC_FIEMAP of `file` into a struct fiemap; -EOPNOTSUPP or -ENOTTY where the filesystem does not tell. */
  extents(file: number, fiemap: Uint8Array): number;
  /**
   * FS_IOC_MEASURE_VERITY into a struct fsverity_digest. @returns -ENODATA for a file without fs-verity,
   * -EOPNOTSUPP or -ENOTTY where the filesystem has none.
   */
  measureVerity(file: number, digest: Uint8Array): number;

  // ---- changing (upper layers only; -EROFS elsewhere) ------------------------------------------
  ftruncate(file: number, size: number): number;
  /** As truncate(2) does it by the file's path: to the same size the mtime may stay. */
  truncate(file: number, size: number): number;
  fallocate(file: number, mode: number, off: number, len: number): number;
  /** Between two files of this layer or of layers with descriptors. */
  copyFileRange(fileIn: number, offIn: number, fileOut: number, offOut: number, len: number): number;
  /** FICLONE: `dst` shares all of `src`'s data; -EOPNOTSUPP, -EXDEV or -EINVAL where the filesystem cannot. */
  clone(src: number, dst: number): number;
  /** A pinned dentry for an open file that has no name (O_TMPFILE), with a descriptor of its own. */
  anonymous(file: number): Dentry | number;
  /** Creates and opens (O_CREAT | O_EXCL) a regular file. */
  create(dir: Dentry, name: ByteString, flags: number, mode: number): number;
  /** An unnamed file in `dir`'s filesystem, opened read-write; -EOPNOTSUPP where there is none. */
  tmpfile(dir: Dentry, flags: number, mode: number): number;
  /** Gives an unnamed or open file a name; -EEXIST never replaces. */
  linkFile(file: number, dir: Dentry, name: ByteString): number;
  mkdir(dir: Dentry, name: ByteString, mode: number): number;
  mknod(dir: Dentry, name: ByteString, mode: number, rdev: number): number;
  symlink(dir: Dentry, name: ByteString, target: ByteString): number;
  link(d: Dentry, dir: Dentry, name: ByteString): number;
  unlink(dir: Dentry, name: ByteString): number;
  rmdir(dir: Dentry, name: ByteString): number;
  /** renameat2 with RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT. Dentries are the caller's to update. */
  rename(olddir: Dentry, oldname: ByteString, newdir: Dentry, newname: ByteString, flags: number): number;
  chmod(d: Dentry, mode: number): number;
  /** -1 leaves that id. */
  chown(d: Dentry, uid: number, gid: number): number;
  /** nsec may be UTIME_NOW or UTIME_OMIT. */
  utimens(d: Dentry, atime: number, atimeNsec: number, mtime: number, mtimeNsec: number): number;
  setxattr(d: Dentry, name: ByteString, value: Uint8Array, flags: number): number;
  removexattr(d: Dentry, name: ByteString): number;
  fchmod(file: number, mode: number): number;
  fchown(file: number, uid: number, gid: number): number;
  futimens(file: number, atime: number, atimeNsec: number, mtime: number, mtimeNsec: number): number;
  fsetxattr(file: number, name: ByteString, value: Uint8Array, flags: number): number;
  syncfs(): number;
  /**
   * Begins to watch the layer's filesystem for what it fails to write back; `dir` has empty directories
   * `u`, `w` and `l`, which may go afterwards. @returns 0; -EIO when a failure before now has been told
   * to nobody; another errno (-EPERM, -ENODEV) where it cannot be watched.
   */
  watchWriteback(dir: Dentry): number;
  /**
   * 0, or the errno with which writeback has failed since `watchWriteback`, at every call from then on:
   * as fsync(2) says it, or syncfs(2) for `whole`. Flushes nothing.
   */
  writebackStatus(whole: boolean): number;

  // ---- life ----------------------------------------------------------------------------------
  /** Keeps `d` reachable by a descriptor after its last name goes. */
  pin(d: Dentry): number;
  /** Drops what is cached or pinned for `d`. */
  release(d: Dentry): void;
  /** Closes everything. */
  destroy(): void;
}
