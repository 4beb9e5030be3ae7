/**
 * `OverlayOps`: the operation contract on one union. Each method turns nodeids and handle numbers
 * into the engine's objects, makes one call in overlay/, and keeps the counts. It checks no rights:
 * the kernel has (FUSE with default_permissions), or PermittedOps in front of it does.
 */
import { getattr, mapAttr, setattr } from '../overlay/attr.ts';
import * as creating from '../overlay/create.ts';
import * as files from '../overlay/file.ts';
import { getFileattr, setFileattr } from '../overlay/fileattr.ts';
import { type DirInode, type Inode, isDir, type ListedEntry } from '../overlay/inode.ts';
import { completeAll, hydrate, pendingOf } from '../overlay/lazy-complete.ts';
import { settle } from '../overlay/left-whiteout.ts';
import { lookup } from '../overlay/lookup.ts';
import { DOTS, entryIno, indexAfter, list } from '../overlay/readdir.ts';
import { rmdir, unlink } from '../overlay/remove.ts';
import { rename } from '../overlay/rename.ts';
import type { Super } from '../overlay/super.ts';
import { volatileStatus } from '../overlay/volatile.ts';
import * as xattrs from '../overlay/xattr.ts';
import { POSIX_ACL_ACCESS } from '../overlay/xattrs.ts';
import type { ByteString } from '../sys/bytes.ts';
import {
  DT_DIR,
  FS_IOC_FSGETXATTR,
  FS_IOC_FSSETXATTR,
  FS_IOC_GETFLAGS,
  FS_IOC_SETFLAGS,
  O_ACCMODE,
  O_RDONLY,
  O_TRUNC,
  S_IFLNK,
  S_IFREG,
} from '../sys/constants.ts';
import { EBADF, EINVAL, ELOOP, ENFILE, ENOENT, ENOTDIR, ENXIO, EPERM, ESTALE, EXDEV } from '../sys/errno.ts';
import { Stat, type StatFs } from '../sys/stat.ts';
import { Handles } from './handles.ts';
import type { HydrationStep } from './hydration.ts';
import { Nodes } from './nodes.ts';
import { asksNothing, type Caller, type DirSink, EntryOut, type OpenOut, type Ops, type SetAttr } from './ops.ts';
import { chownIsChmod } from './permissions.ts';
import { aclDropsSgid, CAPABILITY, dropSgid, dropsSgid, keepsBits, takesPrivileges } from './privilege-bits.ts';

/** An open directory: its listing as it was when it was last read from the start. */
interface OpenDir {
  inode: DirInode;
  entries: ListedEntry[] | null;
}

export class OverlayOps implements Ops {
  readonly defaultPermissions: boolean = true;
  readonly sb: Super;
  readonly nodes: Nodes;
  private readonly files = new Handles<files.OpenFile>();
  private readonly dirs = new Handles<OpenDir>();
  private readonly scratch = new Stat();
  private readonly maxFiles: number;
  /** Whose file capabilities were removed last: a setattr may belong to it (privilege-bits.ts). */
  private stripped: Inode | null = null;
  /** Lazy copy-ups that could not be completed since somebody asked what is pending. */
  private readonly unhydrated = new Map<ByteString, number>();
  /** What the flag ioctls take a pointer to: a long, of which they use half. */
  private readonly flagWord = Buffer.alloc(8);

  /** `maxFiles`: how many files may be open, so that descriptors are left to look and list with. */
  constructor(sb: Super, maxFiles: number = Number.POSITIVE_INFINITY) {
    this.sb = sb;
    this.maxFiles = maxFiles;
    this.nodes = new Nodes(sb);
  }

  // ---- names ---------------------------------------------------------------------------------

  lookup(_caller: Caller, parent: number, name: ByteString, out: EntryOut): number {
    // A handle is being opened: `.` is the object itself, whatever it is.
    if (name === '.') {
      const inode = this.nodes.recall(parent);
      return inode ? this.refer(inode, out) : -ESTALE;
    }
    const dir = this.dir(parent);
    if (typeof dir === 'number') return dir;
    if (name === '..') return this.refer(dir.parent ?? dir, out);
    const inode = lookup(this.sb, dir, name, out.attr);
    if (typeof inode === 'number') {
      out.nodeid = 0;
      return inode;
    }
    mapAttr(inode, out.attr);
    this.nodes.refer(inode, out);
    return 0;
  }

  private refer(inode: Inode, out: EntryOut): number {
    const err = getattr(inode, out.attr);
    if (err >= 0) this.nodes.refer(inode, out);
    return err;
  }

  forget(nodeid: number, count: number): void {
    this.nodes.forget(nodeid, count);
  }

  mkdir(caller: Caller, parent: number, name: ByteString, mode: number, out: EntryOut): number {
    return this.made(parent, out, (dir) => creating.mkdir(this.sb, caller, dir, name, mode, out.attr));
  }

  mknod(caller: Caller, parent: number, name: ByteString, mode: number, rdev: number, out: EntryOut): number {
    return this.made(parent, out, (dir) => creating.mknod(this.sb, caller, dir, name, mode, rdev, out.attr));
  }

  symlink(caller: Caller, parent: number, name: ByteString, target: ByteString, out: EntryOut): number {
    return this.made(parent, out, (dir) => creating.symlink(this.sb, caller, dir, name, target, out.attr));
  }

  private made(parent: number, out: EntryOut, make: (dir: DirInode) => Inode | number): number {
    const dir = this.dir(parent);
    if (typeof dir === 'number') return dir;
    const inode = make(dir);
    if (typeof inode === 'number') return inode;
    this.nodes.refer(inode, out);
    return 0;
  }

  unlink(_caller: Caller, parent: number, name: ByteString): number {
    return this.named(parent, name, (dir) => unlink(this.sb, dir, name));
  }

  rmdir(_caller: Caller, parent: number, name: ByteString): number {
    return this.named(parent, name, (dir) => rmdir(this.sb, dir, name));
  }

  rename(
    caller: Caller,
    parent: number,
    name: ByteString,
    newParent: number,
    newName: ByteString,
    flags: number,
  ): number {
    return this.named(parent, name, (dir) =>
      this.named(newParent, newName, (newDir) => rename(this.sb, caller, dir, name, newDir, newName, flags)),
    );
  }

  /** Runs `change`; an inode that it looked up and that nobody refers to does not stay behind. */
  private named(parent: number, name: ByteString, change: (dir: DirInode) => number): number {
    const dir = this.dir(parent);
    if (typeof dir === 'number') return dir;
    const before = dir.children.get(name);
    const result = change(dir);
    if (before) this.nodes.prune(before);
    const after = dir.children.get(name);
    if (after && after !== before) this.nodes.prune(after);
    return result;
  }

  link(_caller: Caller, nodeid: number, newParent: number, newName: ByteString, out: EntryOut): number {
    const inode = this.nodes.get(nodeid);
    if (!inode) return -ESTALE;
    const dir = this.dir(newParent);
    if (typeof dir === 'number') return dir;
    const err = creating.link(this.sb, inode, dir, newName, out.attr);
    if (err >= 0) this.nodes.refer(inode, out);
    return err;
  }

  readlink(_caller: Caller, nodeid: number): ByteString | number {
    const inode = this.nodes.get(nodeid);
    if (!inode) return -ESTALE;
    if (inode.type !== S_IFLNK) return -EINVAL;
    return inode.real.layer.readlink(inode.real);
  }

  // ---- attributes ----------------------------------------------------------------------------

  getattr(_caller: Caller, nodeid: number, _fh: number, out: Stat): number {
    const inode = this.nodes.get(nodeid);
    return inode ? getattr(inode, out) : -ESTALE;
  }

  setattr(caller: Caller, nodeid: number, set: SetAttr, out: Stat): number {
    const inode = this.nodes.get(nodeid);
    if (!inode) return -ESTALE;
    if (asksNothing(set.valid) && caller.uid !== 0) {
      const err = this.mayLosePriv(caller, inode, out);
      if (err < 0) return err;
    }
    const handle = set.fh !== 0 ? this.files.get(set.fh) : undefined;
    const file = handle && !handle.onLower && (handle.accmode & O_ACCMODE) !== O_RDONLY ? handle.file : -1;
    const stripped = this.stripped === inode;
    this.stripped = null;
    if (stripped && !this.sb.hooks.mereRoot && keepsBits(caller, inode, set, this.files.all()))
      return getattr(inode, out);
    const dropping = takesPrivileges(caller, set) && this.dropsSgid(caller, inode);
    const err = setattr(this.sb, inode, set, file, out);
    return err >= 0 && dropping ? dropSgid(inode, out) : err;
  }

  private dropsSgid(caller: Caller, inode: Inode): boolean {
    return dropsSgid(caller, inode, this.groupsOf, this.scratch);
  }

  private readonly groupsOf = (pid: number): readonly number[] => this.sb.hooks.groupsOf?.(pid) ?? [];

  /**
   * FUSE does not say whether a request for nothing is a chown, which only an owner makes where suid goes,
   * or comes before a write, which anybody makes who has the file open for it. Only the latter has a writer.
   */
  private mayLosePriv(caller: Caller, inode: Inode, st: Stat): number {
    const err = getattr(inode, st);
    if (err < 0 || caller.uid === st.uid || !(chownIsChmod(st) || this.dropsSgid(caller, inode))) return err;
    for (const handle of this.files.all()) {
      if (handle.inode === inode && (handle.accmode & O_ACCMODE) !== O_RDONLY) return 0;
    }
    return -EPERM;
  }

  /**
   * Who has not the right to remove capabilities asks for it by changing the file; FUSE asks before it looks
   * who owns the file. truncate(2), too, which opens nothing: where others than the owner may write, it is believed.
   */
  private mayLoseCapability(caller: Caller, inode: Inode): number {
    const err = this.mayLosePriv(caller, inode, this.scratch);
    return err === -EPERM && (this.scratch.mode & 0o022) !== 0 ? 0 : err;
  }

  statfs(_caller: Caller, _nodeid: number, out: StatFs): number {
    const layer = this.sb.upper ?? this.sb.lowers[0];
    const err = layer.statfs(out);
    if (err >= 0) out.namelen = this.sb.nameMax;
    return err;
  }

  getxattr(_caller: Caller, nodeid: number, name: ByteString): Buffer | number {
    const inode = this.nodes.get(nodeid);
    return inode ? xattrs.getxattr(this.sb, inode, name) : -ESTALE;
  }

  listxattr(caller: Caller, nodeid: number): ByteString[] | number {
    const inode = this.nodes.get(nodeid);
    return inode ? xattrs.listxattr(this.sb, inode, caller.uid === 0) : -ESTALE;
  }

  setxattr(
    _caller: Caller,
    nodeid: number,
    name: ByteString,
    value: Uint8Array,
    flags: number,
    killSgid: boolean,
  ): number {
    const inode = this.nodes.get(nodeid);
    return inode ? xattrs.setxattr(this.sb, inode, name, value, flags, killSgid, this.scratch) : -ESTALE;
  }

  removexattr(caller: Caller, nodeid: number, name: ByteString): number {
    const inode = this.nodes.get(nodeid);
    if (!inode) return -ESTALE;
    const dropping = name === POSIX_ACL_ACCESS && aclDropsSgid(caller, inode, this.groupsOf, this.scratch);
    let err = name === CAPABILITY && caller.uid !== 0 ? this.mayLoseCapability(caller, inode) : 0;
    if (err >= 0) err = xattrs.removexattr(this.sb, inode, name);
    if (err < 0) return err;
    if (name === CAPABILITY) this.stripped = inode;
    if (!dropping) return 0;
    dropSgid(inode, this.scratch);
    // The request says nothing of a mode, and so the kernel keeps the old one.
    this.sb.hooks.attrChanged?.(nodeid);
    return 0;
  }

  getflags(_caller: Caller, nodeid: number): number {
    const inode = this.nodes.get(nodeid);
    if (!inode) return -ESTALE;
    const err = getFileattr(inode, FS_IOC_GETFLAGS, this.flagWord);
    return err < 0 ? err : this.flagWord.readUInt32LE(0);
  }

  setflags(_caller: Caller, nodeid: number, flags: number): number {
    const inode = this.nodes.get(nodeid);
    if (!inode) return -ESTALE;
    this.flagWord.writeUInt32LE(flags >>> 0, 0);
    return setFileattr(this.sb, inode, FS_IOC_SETFLAGS, this.flagWord);
  }

  getfsxattr(_caller: Caller, nodeid: number, out: Uint8Array): number {
    const inode = this.nodes.get(nodeid);
    return inode ? getFileattr(inode, FS_IOC_FSGETXATTR, out) : -ESTALE;
  }

  setfsxattr(_caller: Caller, nodeid: number, value: Uint8Array): number {
    const inode = this.nodes.get(nodeid);
    return inode ? setFileattr(this.sb, inode, FS_IOC_FSSETXATTR, value) : -ESTALE;
  }

  access(): number {
    return 0;
  }

  // ---- files ---------------------------------------------------------------------------------

  open(caller: Caller, nodeid: number, flags: number, killPriv: boolean, out: OpenOut): number {
    const inode = this.nodes.get(nodeid);
    if (!inode) return -ESTALE;
    if (inode.type === S_IFLNK) return -ELOOP;
    if (inode.escapedWhiteout) return -ENXIO;
    if (this.files.size >= this.maxFiles) return -ENFILE;
    const before = { upper: inode.upper, metacopy: inode.metacopy };
    const killing = killPriv && (flags & O_TRUNC) !== 0;
    const dropping = killing && this.dropsSgid(caller, inode);
    const handle = files.open(this.sb, inode, flags, killPriv, this.scratch);
    if (typeof handle === 'number') return handle;
    if (dropping) dropSgid(inode, this.scratch);
    const copied = inode.upper !== before.upper || inode.metacopy !== before.metacopy;
    out.attrChanged = copied || killing;
    this.opened(handle, out);
    return 0;
  }

  private opened(handle: files.OpenFile, out: OpenOut): void {
    out.fh = this.files.add(handle);
    this.nodes.hold(handle.inode);
    out.keepCache = true;
    const revocable = handle.lazy !== null || (handle.onLower && !this.sb.config.readOnly);
    out.backingFd = revocable || handle.inode.type !== S_IFREG ? -1 : handle.layer.descriptor(handle.file);
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
    const dir = this.dir(parent);
    if (typeof dir === 'number') return dir;
    if (this.files.size >= this.maxFiles) return -ENFILE;
    return this.createdFile(creating.create(this.sb, caller, dir, name, mode, out.attr), flags, out, open);
  }

  tmpfile(caller: Caller, parent: number, flags: number, mode: number, out: EntryOut, open: OpenOut): number {
    const dir = this.dir(parent);
    if (typeof dir === 'number') return dir;
    if (this.files.size >= this.maxFiles) return -ENFILE;
    return this.createdFile(creating.tmpfile(this.sb, caller, dir, mode, out.attr), flags, out, open);
  }

  private createdFile(
    made: { inode: Inode; file: number } | number,
    flags: number,
    out: EntryOut,
    open: OpenOut,
  ): number {
    if (typeof made === 'number') return made;
    this.nodes.refer(made.inode, out);
    this.opened(new files.OpenFile(made.inode, this.sb.upper!, made.file, flags & O_ACCMODE, false), open);
    return 0;
  }

  read(_caller: Caller, fh: number, buf: Uint8Array, off: number, len: number, pos: number): number {
    const handle = this.files.get(fh);
    return handle ? files.read(handle, buf, off, len, pos) : -EBADF;
  }

  write(caller: Caller, fh: number, buf: Uint8Array, off: number, len: number, pos: number, killPriv: boolean): number {
    const handle = this.files.get(fh);
    if (handle && killPriv && this.dropsSgid(caller, handle.inode)) dropSgid(handle.inode, this.scratch);
    return handle ? files.write(handle, buf, off, len, pos, killPriv, this.scratch) : -EBADF;
  }

  writeback(_caller: Caller, fh: number, buf: Uint8Array, off: number, len: number, pos: number): number {
    const handle = this.files.get(fh);
    return handle ? files.writeback(handle, buf, off, len, pos, this.scratch) : -EBADF;
  }

  fsync(_caller: Caller, fh: number, dataOnly: boolean): number {
    const handle = this.files.get(fh);
    return handle ? files.fsync(this.sb, handle, dataOnly) : -EBADF;
  }

  fallocate(_caller: Caller, fh: number, mode: number, off: number, len: number): number {
    const handle = this.files.get(fh);
    return handle ? files.fallocate(handle, mode, off, len) : -EBADF;
  }

  lseek(_caller: Caller, fh: number, off: number, whence: number): number {
    const handle = this.files.get(fh);
    return handle ? files.lseek(handle, off, whence) : -EBADF;
  }

  copyFileRange(_caller: Caller, fhIn: number, offIn: number, fhOut: number, offOut: number, len: number): number {
    const from = this.files.get(fhIn);
    const to = this.files.get(fhOut);
    if (!from || !to) return -EBADF;
    if (from.layer.descriptor(from.file) < 0 || to.layer.descriptor(to.file) < 0) return -EXDEV;
    return files.copyFileRange(from, offIn, to, offOut, len);
  }

  release(fh: number): void {
    const handle = this.files.take(fh);
    if (!handle) return;
    files.close(handle);
    this.nodes.unhold(handle.inode);
  }

  // ---- directories ---------------------------------------------------------------------------

  opendir(_caller: Caller, nodeid: number, out: OpenOut): number {
    const dir = this.dir(nodeid);
    if (typeof dir === 'number') return dir;
    out.fh = this.dirs.add({ inode: dir, entries: null });
    out.backingFd = -1;
    // The positions of a listing that the kernel has must be those that it will be given from here on.
    out.keepCache = !dir.renumbered && dir.listing !== null;
    dir.renumbered = false;
    dir.listers++;
    this.nodes.hold(dir);
    return 0;
  }

  readdir(_caller: Caller, fh: number, off: number, plus: boolean, sink: DirSink): number {
    const handle = this.dirs.get(fh);
    if (!handle) return -EBADF;
    const dir = handle.inode;
    if (off === 0 || handle.entries === null) {
      const entries = list(this.sb, dir);
      if (typeof entries === 'number') return entries;
      handle.entries = entries;
    }
    for (let at = off; at < DOTS; at++) {
      const name = at === 0 ? '.' : '..';
      if (!sink.fits(name.length)) return 0;
      sink.add(name, (at === 0 ? dir : (dir.parent ?? dir)).ino, DT_DIR, at + 1, null);
    }
    const entries = handle.entries;
    for (let at = indexAfter(entries, Math.max(off, DOTS)); at < entries.length; at++) {
      const entry = entries[at];
      if (!sink.fits(entry.name.length)) return 0;
      if (!plus) {
        const ino = entryIno(this.sb, dir, entry);
        if (ino !== 0n) sink.add(entry.name, ino, entry.type, entry.off, null);
        continue;
      }
      const out = new EntryOut(this.scratch);
      const inode = lookup(this.sb, dir, entry.name, out.attr);
      if (inode === -ENOENT) {
        // Nor may the rest of this listing, which the kernel may read without attributes, tell of it.
        entry.ino = 0n;
        continue;
      }
      if (typeof inode === 'number') {
        // It is there, and something is wrong with it: listed, and lookup tells what.
        sink.add(entry.name, entry.ino, entry.type, entry.off, null);
        continue;
      }
      mapAttr(inode, out.attr);
      this.nodes.refer(inode, out);
      sink.add(entry.name, inode.ino, entry.type, entry.off, out);
    }
    return 0;
  }

  fsyncdir(_caller: Caller, fh: number, dataOnly: boolean): number {
    const handle = this.dirs.get(fh);
    if (!handle) return -EBADF;
    const upper = handle.inode.upper;
    const status = volatileStatus(this.sb, false);
    if (status !== null) return status;
    if (!upper) return 0;
    const file = upper.layer.open(upper, O_RDONLY);
    if (file < 0) return file;
    const err = upper.layer.fsync(file, dataOnly);
    upper.layer.close(file);
    return err;
  }

  releasedir(fh: number): void {
    const handle = this.dirs.take(fh);
    if (!handle) return;
    if (--handle.inode.listers === 0) this.sb.listings.keep(handle.inode);
    this.nodes.unhold(handle.inode);
  }

  // ---- life ----------------------------------------------------------------------------------

  hydrate(caller: Caller, budget: number, out: HydrationStep): number {
    if (caller.uid !== 0 && caller.uid !== this.sb.hooks.uid) return -EPERM;
    if (budget === 0) {
      this.unhydrated.clear();
      Object.assign(out, pendingOf(this.sb));
    } else {
      const { copied, completed, done } = hydrate(this.sb, budget, this.unhydrated);
      Object.assign(out, { bytes: copied, files: completed, done });
    }
    out.failed = this.unhydrated.size;
    return 0;
  }

  /** Completes lazy copy-ups, as far as it can be done and nobody says stop. */
  completeAll(): void {
    completeAll(this.sb);
  }

  syncfs(): number {
    if (!this.sb.upper || this.sb.config.readOnly) return 0;
    return volatileStatus(this.sb, true) ?? this.sb.upper.syncfs();
  }

  destroy(): void {
    for (const handle of this.files.all()) files.close(handle);
    settle(this.sb, this.sb.root);
    this.sb.destroy();
  }

  private dir(nodeid: number): DirInode | number {
    const inode = this.nodes.get(nodeid);
    if (!inode) return -ESTALE;
    if (!isDir(inode)) return -ENOTDIR;
    const err = this.sb.left.length > 0 ? settle(this.sb, inode) : 0;
    return err < 0 ? err : inode;
  }
}
