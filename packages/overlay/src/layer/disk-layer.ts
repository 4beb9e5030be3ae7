/**
 * A layer that is a folder on disk. A dentry is reached by the descriptor of its directory
 * (descriptor-cache.ts) and its name; a directory whose own descriptor is at hand, and a pinned
 * dentry, by that descriptor. File numbers are descriptors.
 *
 * A layer that is not writable answers -EROFS to every change before any system call, and reads
 * so that not even an atime changes (layer-root.ts). New objects get `mode & ~umask` of the
 * process, as any process's do. The upper and the work directory are two layers, opened writable
 * and with the same cache: a rename or link between their mounts' clones would be -EXDEV.
 */
import type { ByteString } from '../sys/bytes.ts';
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_NO_AUTOMOUNT,
  AT_REMOVEDIR,
  AT_SYMLINK_NOFOLLOW,
  BTRFS_SUPER_MAGIC,
  EROFS_SUPER_MAGIC,
  FS_IOC_FIEMAP,
  FS_IOC_FSSETXATTR,
  FS_IOC_GETFLAGS,
  FS_IOC_MEASURE_VERITY,
  FS_IOC_SETFLAGS,
  O_ACCMODE,
  O_CREAT,
  O_EXCL,
  O_NOATIME,
  O_NOFOLLOW,
  O_PATH,
  O_RDONLY,
  O_RDWR,
  O_TMPFILE,
  O_TRUNC,
  STATX_ATTR_IMMUTABLE,
  STATX_ATTR_MOUNT_ROOT,
} from '../sys/constants.ts';
import { EACCES, EBADF, EISDIR, ENOENT, ENOSYS, EOPNOTSUPP, EPERM, EROFS, ESTALE } from '../sys/errno.ts';
import { Stat, StatFs } from '../sys/stat.ts';
import type { Sys } from '../sys/sys.ts';
import type { DescriptorCache } from './descriptor-cache.ts';
import type { DirentList } from './dirent-list.ts';
import { listDirents, readDirents, readNames } from './dirents.ts';
import { fromXflags, PLAIN_FLAGS } from './flags.ts';
import { fsUuid } from './fs-uuid.ts';
import { isIdmapped, markUnmapped } from './idmapped.ts';
import { Dentry, type FileHandleId, type Layer, LISTS_ALL, type RawDirent } from './layer.ts';
import { openClone, openRoot } from './layer-root.ts';
import { directoryLists, filesystemLists, type Lists } from './lists-all.ts';
import { isComponent } from './name.ts';
import { numberElsewhere } from './other-devices.ts';
import { collect, collectNames, Reach } from './reach.ts';
import { type WriteOrder, writeOrder } from './write-order.ts';
import { WritebackWatch } from './writeback-watch.ts';

export interface DiskLayerOptions {
  /** The folder; a symlink at its end is followed, as mount(8) does. */
  path: ByteString;
  /** What `path` is relative to; the working directory if absent. */
  dirfd?: number;
  /** What a person gave, for messages. */
  label: string;
  /** An upper or a work directory. */
  writable: boolean;
}

/** The ioctl takes a pointer to long, and fills half of it. */
const flagWord = Buffer.alloc(8);

/** A page at least. */
const PAGE_MIN = 4096;

export class DiskLayer implements Layer {
  readonly root: Dentry;
  readonly label: string;
  dev: number;
  readonly uuid: Buffer;
  readonly writable: boolean;
  readonly cloned: boolean;
  readonly #sys: Sys;
  readonly #cache: DescriptorCache;
  readonly #reach: Reach;
  /** A lower on the directory itself: what is mounted below shows through. */
  readonly #plain: boolean;
  readonly #idmapped: boolean;
  readonly #mntId: number;
  /** Something was seen on another device than the root's (other-devices.ts). */
  manyDevices = false;
  /** A tree of subvolumes, each of which is a device of its own to stat(2). */
  readonly #btrfs: boolean;
  /** EROFS tells of every file that it is immutable, though its inodes bear no such flag: nothing in it can change. */
  readonly #erofs: boolean;
  readonly #lists: Lists;
  readonly #pinned = new Set<Dentry>();
  /** For open_by_handle_at, which refuses an O_PATH descriptor: -1 until it is needed. */
  #handleRoot = -1;
  #handlesRefused = false;
  #handlesTried = false;
  #watch: WritebackWatch | null = null;

  /** @returns the layer, or the negative errno of opening `path`. */
  static open(sys: Sys, cache: DescriptorCache, options: DiskLayerOptions): DiskLayer | number {
    const plain = openRoot(sys, options.dirfd ?? AT_FDCWD, options.path);
    if (plain < 0) return plain;
    const stat = new Stat();
    const err = sys.fstat(plain, stat);
    if (err < 0) {
      sys.close(plain);
      return err;
    }
    // The clone is in no mount table, and mapped as its model.
    const idmapped = isIdmapped(sys, stat.mntId, cache);
    const clone = options.writable ? -1 : openClone(sys, plain);
    if (clone >= 0) sys.close(plain);
    return new DiskLayer(sys, cache, options, clone >= 0 ? clone : plain, {
      cloned: clone >= 0,
      idmapped,
      dev: stat.dev,
      mntId: stat.mntId,
    });
  }

  private constructor(
    sys: Sys,
    cache: DescriptorCache,
    options: DiskLayerOptions,
    root: number,
    { cloned, idmapped, dev, mntId }: { cloned: boolean; idmapped: boolean; dev: number; mntId: number },
  ) {
    this.#sys = sys;
    this.#cache = cache;
    this.label = options.label;
    this.writable = options.writable;
    this.cloned = cloned;
    this.#plain = !cloned && !options.writable;
    this.#idmapped = idmapped;
    this.#mntId = mntId;
    this.dev = dev;
    this.root = new Dentry(this, null, '');
    this.root.fd = root;
    this.root.pinned = true;
    this.#reach = new Reach(cache, this.root, options.writable || cloned ? 0 : O_NOATIME);
    const fs = new StatFs();
    const type = sys.fstatfs(root, fs) < 0 ? 0 : fs.type >>> 0;
    this.#erofs = type === EROFS_SUPER_MAGIC;
    this.#btrfs = type === BTRFS_SUPER_MAGIC;
    const fd = this.#reach.openDirectory(root);
    this.uuid = fd < 0 ? Buffer.alloc(16) : fsUuid(sys, fd);
    this.#lists = fd < 0 ? 'none' : filesystemLists(sys, fs.type, fd);
    if (fd >= 0) sys.close(fd);
  }

  /**
   * Of several layers on subvolumes of one btrfs those behind the first are counted as on its device, as to the
   * kernel's overlay all are on one filesystem. The first is to be the upper where it is one of them.
   */
  static joinSubvolumes(layers: readonly DiskLayer[]): void {
    const btrfs = layers.filter((layer) => layer.#btrfs);
    for (const layer of btrfs) {
      const first = btrfs.find(({ uuid }) => uuid.equals(layer.uuid))!;
      if (layer.dev === first.dev) continue;
      layer.dev = first.dev;
      layer.manyDevices = true;
    }
  }

  // ---- looking -------------------------------------------------------------------------------

  lookup(dir: Dentry, name: ByteString, out: Stat): number {
    if (!isComponent(name)) return -EACCES;
    const dirfd = this.#cache.dirFd(dir);
    if (dirfd < 0) return dirfd;
    return this.#look(dirfd, name, out);
  }

  stat(d: Dentry, out: Stat): number {
    const dirfd = this.#reach.locate(d);
    if (dirfd < 0) return dirfd;
    return this.#look(dirfd, this.#reach.name, out);
  }

  #look(dirfd: number, name: ByteString, out: Stat): number {
    const err =
      name === ''
        ? this.#sys.fstat(dirfd, out)
        : this.#sys.statx(dirfd, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, out);
    if (err < 0) return err;
    if (this.#idmapped) markUnmapped(out);
    if (this.#erofs) out.attributes &= ~STATX_ATTR_IMMUTABLE;
    return out.dev === this.dev ? 0 : this.#elsewhere(out);
  }

  /** `st` is of another device: of the layer's filesystem all the same, or mounted below it. */
  #elsewhere(st: Stat): number {
    if (this.#isMounted(st)) return this.#mounted(st);
    this.manyDevices = true;
    st.ino = numberElsewhere(st.dev, st.ino);
    return 0;
  }

  #isMounted(st: Stat): boolean {
    return this.#plain && st.dev !== this.dev && st.mntId !== this.#mntId;
  }

  /**
   * What another filesystem has in the way of a lower that could not be cloned: its mount point is an
   * empty directory with a number of its own, because inode numbers are one filesystem's.
   */
  #mounted(st: Stat): number {
    if ((st.attributes & STATX_ATTR_MOUNT_ROOT) === 0) return -ENOENT;
    st.ino = (BigInt(st.dev) << 32n) | (st.ino & 0xffffffffn);
    return 0;
  }

  readdir(dir: Dentry, into: RawDirent[]): number {
    return this.#read(dir, (fd) => {
      const before = into.length;
      const err = readDirents(this.#sys, fd, into);
      if (err < 0) return err;
      if (this.manyDevices) this.#renumber(fd, into, before);
      // In an empty directory that nobody fills there is no case to fold.
      return into.length === before && !this.writable ? LISTS_ALL : this.#listsAll(fd);
    });
  }

  list(dir: Dentry, into: DirentList): number {
    return this.#read(dir, (fd) => {
      const before = into.count;
      const err = listDirents(this.#sys, fd, into);
      if (err < 0) return err;
      if (this.manyDevices) this.#renumberList(fd, into, before);
      return into.count === before && !this.writable ? LISTS_ALL : this.#listsAll(fd);
    });
  }

  readNames(dir: Dentry, visit: (bytes: Uint8Array, start: number, end: number) => boolean): number {
    if (this.#lists === 'none') return 0;
    return this.#read(dir, (fd) => {
      const left = readNames(this.#sys, fd, visit);
      if (left < 0) return left;
      return left > 0 ? 0 : this.#listsAll(fd);
    });
  }

  #read(dir: Dentry, read: (fd: number) => number): number {
    const dirfd = this.#cache.dirFd(dir);
    if (dirfd < 0) return dirfd;
    const fd = this.#reach.openDirectory(dirfd);
    if (fd < 0) return fd;
    const r = this.#plain && this.#isMountedDirectory(fd) ? 0 : read(fd);
    this.#sys.close(fd);
    return r;
  }

  #listsAll(fd: number): number {
    const all = this.#lists === 'all' || (this.#lists === 'ask' && directoryLists(this.#sys, fd));
    return all ? LISTS_ALL : 0;
  }

  #isMountedDirectory(fd: number): boolean {
    const st = new Stat();
    return this.#sys.fstat(fd, st) === 0 && this.#isMounted(st);
  }

  /** What was read of directory `fd`, from the `first` entry on, has its numbers as `stat` gives them. */
  #renumber(fd: number, entries: RawDirent[], first: number): void {
    const st = new Stat();
    if (this.#sys.fstat(fd, st) < 0 || st.dev === this.dev) return;
    for (let i = first; i < entries.length; i++) entries[i].ino = numberElsewhere(st.dev, entries[i].ino);
  }

  #renumberList(fd: number, entries: DirentList, first: number): void {
    const st = new Stat();
    if (this.#sys.fstat(fd, st) < 0 || st.dev === this.dev) return;
    for (let i = first; i < entries.count; i++) entries.setIno(i, numberElsewhere(st.dev, entries.ino(i)));
  }

  readlink(d: Dentry): ByteString | number {
    const dirfd = this.#reach.locate(d);
    return dirfd < 0 ? dirfd : this.#sys.readlinkat(dirfd, this.#reach.name);
  }

  getxattr(d: Dentry, name: ByteString): Buffer | number {
    const dirfd = this.#reach.locateForXattr(d);
    if (dirfd < 0) return dirfd;
    const at = this.#reach.name;
    return collect((buf) => this.#sys.getxattrat(dirfd, at, name, buf));
  }

  listxattr(d: Dentry): ByteString[] | number {
    const dirfd = this.#reach.locateForXattr(d);
    if (dirfd < 0) return dirfd;
    const at = this.#reach.name;
    return collectNames((buf) => this.#sys.listxattrat(dirfd, at, buf));
  }

  statfs(out: StatFs): number {
    return this.#sys.fstatfs(this.root.fd, out);
  }

  fileHandle(d: Dentry): FileHandleId | number {
    const dirfd = this.#reach.locate(d);
    if (dirfd < 0) return dirfd;
    return this.#sys.nameToHandleAt(dirfd, this.#reach.name, this.#reach.name === '' ? AT_EMPTY_PATH : 0);
  }

  opensHandles(): boolean {
    if (!this.#handlesTried) {
      const id = this.fileHandle(this.root);
      const fd = typeof id === 'number' ? id : this.#openHandle(id);
      if (fd >= 0) this.#sys.close(fd);
      this.#handlesTried = true;
    }
    return !this.#handlesRefused;
  }

  handleIno(id: FileHandleId, out: Stat): number {
    const fd = this.#openHandle(id);
    if (fd < 0) return fd;
    const err = this.#sys.fstat(fd, out);
    this.#sys.close(fd);
    if (err < 0) return err;
    if (out.dev !== this.dev) out.ino = numberElsewhere(out.dev, out.ino);
    // Unlinked but still open somewhere: as gone as it will be after the last close.
    return out.nlink === 0 ? -ESTALE : 0;
  }

  byHandle(id: FileHandleId): Dentry | number {
    const fd = this.#openHandle(id);
    return fd < 0 ? fd : this.#pinnedBy(fd);
  }

  /** A dentry that lives by `fd` alone, which it closes. */
  #pinnedBy(fd: number): Dentry {
    const d = new Dentry(this, null, '');
    d.fd = fd;
    d.pinned = true;
    this.#pinned.add(d);
    return d;
  }

  #openHandle(id: FileHandleId): number {
    if (this.#handlesRefused) return -EPERM;
    if (this.#handleRoot < 0) {
      const fd = this.#reach.openDirectory(this.root.fd);
      if (fd < 0) return fd;
      this.#handleRoot = fd;
    }
    const fd = this.#sys.openByHandleAt(this.#handleRoot, id.type, id.handle, O_PATH | O_NOFOLLOW);
    // Rights do not come back in the life of a mount, and origins are asked for at every lookup.
    if (fd === -EPERM || fd === -ENOSYS) this.#handlesRefused = true;
    return fd === -ENOSYS ? -EPERM : fd;
  }

  // ---- files ---------------------------------------------------------------------------------

  open(d: Dentry, flags: number): number {
    if (!this.writable && ((flags & O_ACCMODE) !== O_RDONLY || (flags & (O_TRUNC | O_CREAT)) !== 0)) return -EROFS;
    const dirfd = this.#reach.locate(d);
    if (dirfd < 0) return dirfd;
    if (this.#reach.name !== '') return this.#reach.openat(dirfd, this.#reach.name, flags | O_NOFOLLOW);
    if (d.pinned && d !== this.root) return this.#reach.openPinned(dirfd, flags);
    return this.#reach.openDirectory(dirfd, flags);
  }

  close(file: number): number {
    return this.#sys.close(file);
  }

  descriptor(file: number): number {
    return file;
  }

  read(file: number, buf: Uint8Array, off: number, len: number, pos: number): number {
    return this.#sys.pread(file, buf, off, len, pos);
  }

  write(file: number, buf: Uint8Array, off: number, len: number, pos: number): number {
    return this.writable ? this.#sys.pwrite(file, buf, off, len, pos) : -EROFS;
  }

  fstat(file: number, out: Stat): number {
    const err = this.#sys.fstat(file, out);
    if (err >= 0 && out.dev !== this.dev) out.ino = numberElsewhere(out.dev, out.ino);
    return err;
  }

  fsync(file: number, dataOnly: boolean): number {
    return dataOnly ? this.#sys.fdatasync(file) : this.#sys.fsync(file);
  }

  unsynced(file: number): number {
    return Math.max(0, this.#sys.cachestat(file)) * PAGE_MIN;
  }

  lseek(file: number, off: number, whence: number): number {
    return this.#sys.lseek(file, off, whence);
  }

  fileattr(file: number, request: number, arg: Uint8Array): number {
    const sets = request === FS_IOC_SETFLAGS || request === FS_IOC_FSSETXATTR;
    return sets && !this.writable ? -EROFS : this.#sys.ioctl(file, request, arg);
  }

  fileFlags(d: Dentry): number {
    const dirfd = this.#reach.locateForXattr(d);
    if (dirfd < 0) return dirfd;
    const { name } = this.#reach;
    const xflags = name === '' ? -EBADF : this.#sys.fileGetattr(dirfd, name, AT_SYMLINK_NOFOLLOW);
    if (xflags >= 0) return fromXflags(xflags);
    const file = this.open(d, O_RDONLY);
    if (file < 0) return file;
    const err = this.#sys.ioctl(file, FS_IOC_GETFLAGS, flagWord);
    this.#sys.close(file);
    return err < 0 ? err : flagWord.readUInt32LE(0) & PLAIN_FLAGS;
  }

  extents(file: number, fiemap: Uint8Array): number {
    return this.#sys.ioctl(file, FS_IOC_FIEMAP, fiemap);
  }

  writeOrder(): WriteOrder {
    return writeOrder(this.#sys, this.root.fd, this.dev);
  }

  measureVerity(file: number, digest: Uint8Array): number {
    return this.#sys.ioctl(file, FS_IOC_MEASURE_VERITY, digest);
  }

  // ---- changing ------------------------------------------------------------------------------

  ftruncate(file: number, size: number): number {
    return this.writable ? this.#sys.ftruncate(file, size) : -EROFS;
  }

  truncate(file: number, size: number): number {
    return this.writable ? this.#sys.truncate(`/proc/self/fd/${file}`, size) : -EROFS;
  }

  fallocate(file: number, mode: number, off: number, len: number): number {
    return this.writable ? this.#sys.fallocate(file, mode, off, len) : -EROFS;
  }

  copyFileRange(fileIn: number, offIn: number, fileOut: number, offOut: number, len: number): number {
    return this.writable ? this.#sys.copyFileRange(fileIn, offIn, fileOut, offOut, len) : -EROFS;
  }

  clone(src: number, dst: number): number {
    return this.writable ? this.#sys.ficlone(dst, src) : -EROFS;
  }

  anonymous(file: number): Dentry | number {
    const fd = this.#sys.dup(file, -1);
    return fd < 0 ? fd : this.#pinnedBy(fd);
  }

  create(dir: Dentry, name: ByteString, flags: number, mode: number): number {
    const dirfd = this.#dirToChange(dir, name);
    if (dirfd < 0) return dirfd;
    return this.#cache.openat(dirfd, name, flags | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
  }

  tmpfile(dir: Dentry, flags: number, mode: number): number {
    if (!this.writable) return -EROFS;
    const dirfd = this.#cache.dirFd(dir);
    if (dirfd < 0) return dirfd;
    const fd = this.#cache.openat(dirfd, '.', (flags & ~O_ACCMODE) | O_RDWR | O_TMPFILE, mode);
    // EISDIR: a kernel or a filesystem that takes the flag for a plain open of the directory.
    return fd === -EISDIR ? -EOPNOTSUPP : fd;
  }

  linkFile(file: number, dir: Dentry, name: ByteString): number {
    const dirfd = this.#dirToChange(dir, name);
    return dirfd < 0 ? dirfd : this.#sys.linkat(file, '', dirfd, name, AT_EMPTY_PATH);
  }

  mkdir(dir: Dentry, name: ByteString, mode: number): number {
    const dirfd = this.#dirToChange(dir, name);
    return dirfd < 0 ? dirfd : this.#sys.mkdirat(dirfd, name, mode);
  }

  mknod(dir: Dentry, name: ByteString, mode: number, rdev: number): number {
    const dirfd = this.#dirToChange(dir, name);
    return dirfd < 0 ? dirfd : this.#sys.mknodat(dirfd, name, mode, rdev);
  }

  symlink(dir: Dentry, name: ByteString, target: ByteString): number {
    const dirfd = this.#dirToChange(dir, name);
    return dirfd < 0 ? dirfd : this.#sys.symlinkat(target, dirfd, name);
  }

  link(d: Dentry, dir: Dentry, name: ByteString): number {
    const newdir = this.#dirToChange(dir, name);
    if (newdir < 0) return newdir;
    const dirfd = this.#reach.locate(d);
    if (dirfd < 0) return dirfd;
    return this.#sys.linkat(dirfd, this.#reach.name, newdir, name, this.#reach.name === '' ? AT_EMPTY_PATH : 0);
  }

  unlink(dir: Dentry, name: ByteString): number {
    const dirfd = this.#dirToChange(dir, name);
    return dirfd < 0 ? dirfd : this.#sys.unlinkat(dirfd, name, 0);
  }

  rmdir(dir: Dentry, name: ByteString): number {
    const dirfd = this.#dirToChange(dir, name);
    return dirfd < 0 ? dirfd : this.#sys.unlinkat(dirfd, name, AT_REMOVEDIR);
  }

  rename(olddir: Dentry, oldname: ByteString, newdir: Dentry, newname: ByteString, flags: number): number {
    const from = this.#dirToChange(olddir, oldname);
    if (from < 0) return from;
    const to = this.#dirToChange(newdir, newname);
    return to < 0 ? to : this.#sys.renameat2(from, oldname, to, newname, flags);
  }

  chmod(d: Dentry, mode: number): number {
    const dirfd = this.#locateToChange(d);
    return dirfd < 0 ? dirfd : this.#sys.fchmodat(dirfd, this.#reach.name, mode, this.#reach.atFlags());
  }

  chown(d: Dentry, uid: number, gid: number): number {
    const dirfd = this.#locateToChange(d);
    return dirfd < 0 ? dirfd : this.#sys.fchownat(dirfd, this.#reach.name, uid, gid, this.#reach.atFlags());
  }

  utimens(d: Dentry, atime: number, atimeNsec: number, mtime: number, mtimeNsec: number): number {
    const dirfd = this.#locateToChange(d);
    if (dirfd < 0) return dirfd;
    return this.#sys.utimensat(dirfd, this.#reach.name, atime, atimeNsec, mtime, mtimeNsec, this.#reach.atFlags());
  }

  setxattr(d: Dentry, name: ByteString, value: Uint8Array, flags: number): number {
    if (!this.writable) return -EROFS;
    const dirfd = this.#reach.locateForXattr(d);
    return dirfd < 0 ? dirfd : this.#sys.setxattrat(dirfd, this.#reach.name, name, value, flags);
  }

  removexattr(d: Dentry, name: ByteString): number {
    if (!this.writable) return -EROFS;
    const dirfd = this.#reach.locateForXattr(d);
    return dirfd < 0 ? dirfd : this.#sys.removexattrat(dirfd, this.#reach.name, name);
  }

  fchmod(file: number, mode: number): number {
    return this.writable ? this.#sys.fchmod(file, mode) : -EROFS;
  }

  fchown(file: number, uid: number, gid: number): number {
    return this.writable ? this.#sys.fchownat(file, '', uid, gid, AT_EMPTY_PATH) : -EROFS;
  }

  futimens(file: number, atime: number, atimeNsec: number, mtime: number, mtimeNsec: number): number {
    if (!this.writable) return -EROFS;
    return this.#sys.utimensat(file, '', atime, atimeNsec, mtime, mtimeNsec, AT_EMPTY_PATH);
  }

  fsetxattr(file: number, name: ByteString, value: Uint8Array, flags: number): number {
    return this.writable ? this.#sys.fsetxattr(file, name, value, flags) : -EROFS;
  }

  syncfs(): number {
    if (!this.writable) return -EROFS;
    const fd = this.#reach.openDirectory(this.root.fd);
    if (fd < 0) return fd;
    const r = this.#sys.syncfs(fd);
    this.#sys.close(fd);
    return r;
  }

  watchWriteback(dir: Dentry): number {
    const dirfd = this.#cache.dirFd(dir);
    if (dirfd < 0) return dirfd;
    const watch = WritebackWatch.open(this.#sys, dirfd);
    if (typeof watch === 'number') return watch;
    this.#watch = watch;
    return 0;
  }

  writebackStatus(whole: boolean): number {
    return this.#watch?.status(whole) ?? 0;
  }

  // ---- life ----------------------------------------------------------------------------------

  pin(d: Dentry): number {
    if (d.pinned) return 0;
    if (d.fd >= 0) {
      this.#cache.take(d);
    } else {
      const dirfd = this.#reach.locate(d);
      if (dirfd < 0) return dirfd;
      const fd = this.#cache.openat(dirfd, this.#reach.name, O_PATH | O_NOFOLLOW, 0);
      if (fd < 0) return fd;
      d.fd = fd;
    }
    d.pinned = true;
    this.#pinned.add(d);
    return 0;
  }

  release(d: Dentry): void {
    if (d === this.root) return;
    if (!d.pinned) {
      this.#cache.drop(d);
      return;
    }
    this.#pinned.delete(d);
    this.#sys.close(d.fd);
    d.fd = -1;
    d.pinned = false;
  }

  destroy(): void {
    this.#watch?.close();
    this.#watch = null;
    this.#cache.dropLayer(this);
    for (const d of this.#pinned) this.release(d);
    if (this.#handleRoot >= 0) this.#sys.close(this.#handleRoot);
    this.#handleRoot = -1;
    if (this.root.fd >= 0) this.#sys.close(this.root.fd);
    this.root.fd = -1;
  }

  #locateToChange(d: Dentry): number {
    return this.writable ? this.#reach.locate(d) : -EROFS;
  }

  #dirToChange(dir: Dentry, name: ByteString): number {
    if (!this.writable) return -EROFS;
    if (!isComponent(name)) return -EACCES;
    dir.names?.add(name);
    return this.#cache.dirFd(dir);
  }
}
