/** The operations on open files. See ops.ts for what each means. */
import * as creating from '../overlay/create.ts';
import * as files from '../overlay/file.ts';
import type { Inode } from '../overlay/inode.ts';
import type { Super } from '../overlay/super.ts';
import type { ByteString } from '../sys/bytes.ts';
import { O_ACCMODE, O_TRUNC, S_IFLNK, S_IFREG } from '../sys/constants.ts';
import { EBADF, ELOOP, ENFILE, ENXIO, ESTALE, EXDEV } from '../sys/errno.ts';
import type { Caller, EntryOut, OpenOut } from './ops.ts';
import { OverlayAttrs } from './overlay-attrs.ts';
import { dropSgid } from './privilege-bits.ts';

export class OverlayFiles extends OverlayAttrs {
  private readonly maxFiles: number;
  private readonly lowerPassthrough: boolean;

  /** See OverlayOps. */
  constructor(sb: Super, maxFiles: number, lowerPassthrough: boolean) {
    super(sb);
    this.maxFiles = maxFiles;
    this.lowerPassthrough = lowerPassthrough;
  }

  open(caller: Caller, nodeid: number, flags: number, killPriv: boolean, out: OpenOut): number {
    const inode = this.nodes.get(nodeid);
    if (!inode || inode.nodeid !== nodeid) return -ESTALE;
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
    out.lower = handle.onLower && !this.sb.config.readOnly;
    // Who has the file copied up waits to write to it: a reader that comes in between is none to be split from.
    if (out.lower && (!this.lowerPassthrough || this.sb.asides.has(handle.inode))) return;
    if (handle.onLower && !handle.layer.cloned) return;
    if (handle.inode.type === S_IFREG && files.isWhole(handle, this.scratch)) {
      out.backingFd = handle.layer.descriptor(handle.file);
    }
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

  fsync(caller: Caller, fh: number, dataOnly: boolean): number {
    const handle = this.files.get(fh);
    return handle ? files.fsync(this.sb, handle, dataOnly, caller.pid) : -EBADF;
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

  stay(fh: number): void {
    const handle = this.files.get(fh);
    if (handle) handle.stays = true;
  }

  split(nodeid: number): void {
    const inode = this.nodes.get(nodeid);
    if (inode?.nodeid === nodeid) this.nodes.split(inode);
  }

  isSplit(nodeid: number): boolean {
    return this.nodes.isSplit(nodeid);
  }
}
