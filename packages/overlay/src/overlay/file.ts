/**
 * Open files (kernel: fs/overlayfs/file.c). A file opened for reading stays on the lower until the
 * inode's data is copied up; the next use of the handle then moves to the upper, so that an old
 * descriptor reads what was written since, as the kernel's does.
 */
import type { Layer } from '../layer/layer.ts';
import {
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  FALLOC_FL_ZERO_RANGE,
  FS_IMMUTABLE_FL,
  O_ACCMODE,
  O_RDONLY,
  O_TRUNC,
  O_WRONLY,
  S_IFDIR,
  SEEK_DATA,
} from '../sys/constants.ts';
import { EBADF, EINVAL, EISDIR, ENXIO, EPERM, EROFS } from '../sys/errno.ts';
import type { Stat } from '../sys/stat.ts';
import { keepingPrivileges, killPriv } from './attr.ts';
import { copyUp } from './copy-up.ts';
import type { Inode } from './inode.ts';
import { completeInTurns } from './lazy-complete.ts';
import type { LazyFile } from './lazy-file.ts';
import { pendingLazy } from './lazy-files.ts';
import { truncateLazy } from './lazy-truncate.ts';
import { realData } from './lower-data.ts';
import { hasUpperData } from './metacopy.ts';
import { mayFallocate, mayOpen } from './protection.ts';
import type { Super } from './super.ts';
import { syncReal } from './util.ts';
import { volatileStatus } from './volatile.ts';

export class OpenFile {
  readonly inode: Inode;
  layer: Layer;
  /** The layer's file number. */
  file: number;
  readonly accmode: number;
  /** Still on a lower: look whether the inode's data has been copied up. */
  onLower: boolean;
  /** It is read past us, and so it stays on the lower. */
  stays = false;
  /** Of metadata alone: the size that it shows, which its data must not be longer than. */
  limit: number = Number.POSITIVE_INFINITY;
  /** Open for this handle, which counts as one of its users. */
  lazy: LazyFile | null = null;

  constructor(inode: Inode, layer: Layer, file: number, accmode: number, onLower: boolean) {
    this.inode = inode;
    this.layer = layer;
    this.file = file;
    this.accmode = accmode;
    this.onLower = onLower;
  }
}

/**
 * Opens a regular file; writing, or O_TRUNC, copies up its data first (but what O_TRUNC drops).
 * O_APPEND, O_DIRECT and the like are the caller's business: positions come with every request.
 */
export function open(sb: Super, inode: Inode, flags: number, killSuid: boolean, scratch: Stat): OpenFile | number {
  if (inode.type === S_IFDIR && (flags & O_ACCMODE) !== O_RDONLY) return -EISDIR;
  const accmode = flags & O_ACCMODE;
  const truncates = (flags & O_TRUNC) !== 0;
  const writes = accmode !== O_RDONLY || truncates;
  if (writes) {
    if (sb.config.readOnly) return -EROFS;
    let err = mayOpen(inode, flags);
    if (err < 0) return err;
    err = copyUp(sb, inode, truncates ? 0 : Number.POSITIVE_INFINITY);
    if (err < 0) return err;
  }
  const real = realData(sb, inode);
  if (typeof real === 'number') return real;
  const file = real.layer.open(real, accmode);
  if (file < 0) return file;
  const handle = new OpenFile(inode, real.layer, file, accmode, !hasUpperData(inode));
  if (inode.metacopy !== null) {
    const err = inode.real.layer.stat(inode.real, scratch);
    if (err < 0) {
      real.layer.close(file);
      return err;
    }
    handle.limit = scratch.size;
  }
  const attached = attach(handle);
  if (attached < 0) {
    real.layer.close(file);
    return attached;
  }
  // Also what was copied up empty just now: its mtime is still the lower's, and so is its suid.
  if (truncates) {
    const err = truncateOpen(handle, scratch, killSuid);
    if (err < 0) {
      close(handle);
      return err;
    }
  }
  return handle;
}

/** A file that is not complete is used through both layers. */
function attach(handle: OpenFile): number {
  const lazy = pendingLazy(handle.inode);
  if (lazy === null || handle.layer !== handle.inode.upper?.layer) return 0;
  const err = lazy.attach(handle.inode.upper);
  if (err >= 0) handle.lazy = lazy;
  return Math.min(0, err);
}

/** What a handle's file is still read and written through; null when it is complete. */
function incomplete(handle: OpenFile): LazyFile | null {
  return handle.lazy !== null && !handle.lazy.complete ? handle.lazy : null;
}

function truncateOpen(handle: OpenFile, scratch: Stat, killSuid: boolean): number {
  const { layer, inode } = handle;
  let err: number;
  if (handle.accmode === O_RDONLY) {
    // O_RDONLY | O_TRUNC truncates, and its descriptor cannot.
    const writer = layer.open(inode.upper!, O_WRONLY);
    if (writer < 0) return writer;
    err = truncateLazy(inode, 0, () => layer.ftruncate(writer, 0));
    layer.close(writer);
  } else {
    err = truncateLazy(inode, 0, () => layer.ftruncate(handle.file, 0));
  }
  return err >= 0 && killSuid ? killPriv(inode.upper!, scratch) : err;
}

/** Moves a handle from the lower to the upper once the inode lives there. */
function follow(handle: OpenFile): number {
  const { upper } = handle.inode;
  if (!handle.onLower || handle.stays || !upper || !hasUpperData(handle.inode)) return 0;
  const file = upper.layer.open(upper, O_RDONLY);
  if (file < 0) return file;
  // First, or the next use of the handle would take the holes of the upper for zeros.
  const lazy = pendingLazy(handle.inode);
  const err = lazy === null ? 0 : lazy.attach(upper);
  if (err < 0) {
    upper.layer.close(file);
    return err;
  }
  handle.layer.close(handle.file);
  handle.layer = upper.layer;
  handle.file = file;
  handle.onLower = false;
  handle.limit = Number.POSITIVE_INFINITY;
  handle.lazy = lazy;
  return 0;
}

/** Whether what is shown of `handle`'s file is all of the layer's, so that it may be read past us. */
export function isWhole(handle: OpenFile, scratch: Stat): boolean {
  if (handle.lazy !== null) return false;
  if (handle.limit === Number.POSITIVE_INFINITY) return true;
  return handle.layer.fstat(handle.file, scratch) >= 0 && scratch.size <= handle.limit;
}

export function read(handle: OpenFile, buf: Uint8Array, off: number, len: number, pos: number): number {
  if (handle.accmode === O_WRONLY) return -EBADF;
  const err = follow(handle);
  if (err < 0) return err;
  const lazy = incomplete(handle);
  if (lazy !== null) return lazy.read(buf, off, len, pos);
  const within = Math.min(len, Math.max(0, handle.limit - pos));
  return within === 0 ? 0 : handle.layer.read(handle.file, buf, off, within, pos);
}

export function write(
  handle: OpenFile,
  buf: Uint8Array,
  off: number,
  len: number,
  pos: number,
  killSuid: boolean,
  scratch: Stat,
): number {
  if (handle.accmode === O_RDONLY) return -EBADF;
  if (killSuid) {
    const err = killPriv(handle.inode.upper!, scratch);
    if (err < 0) return err;
  }
  const lazy = incomplete(handle);
  if (lazy !== null) return lazy.write(buf, off, len, pos);
  let done = 0;
  while (done < len) {
    const n = handle.layer.write(handle.file, buf, off + done, len - done, pos + done);
    if (n < 0) return done > 0 ? done : n;
    if (n === 0) break;
    done += n;
  }
  return done;
}

/**
 * Pages that somebody stored through a mapping. A store takes no privileges away, and this write would: suid and
 * sgid where we are not root of the whole machine, file capabilities always.
 */
export function writeback(
  handle: OpenFile,
  buf: Uint8Array,
  off: number,
  len: number,
  pos: number,
  scratch: Stat,
): number {
  const { upper } = handle.inode;
  if (!upper) return -EBADF;
  return keepingPrivileges(upper, scratch, () => write(handle, buf, off, len, pos, false, scratch));
}

/** `pid`: the calling thread, 0 where that is not known. @returns -ERESTART too, while another thread flushes (syncs.ts). */
export function fsync(sb: Super, handle: OpenFile, dataOnly: boolean, pid: number): number {
  const status = volatileStatus(sb, false);
  if (status !== null) return status;
  const { inode } = handle;
  if (!handle.onLower) {
    // The step from metadata alone to all of it is an attribute, which fdatasync(2) may leave behind.
    const soft = dataOnly && !inode.completed;
    return sb.syncs.sync(sb, handle, soft, pid) ?? handle.layer.fsync(handle.file, soft);
  }
  // Nothing was written below; attributes may have been above.
  return inode.upper === null || dataOnly ? 0 : syncReal(inode.upper);
}

export function fallocate(handle: OpenFile, mode: number, off: number, len: number): number {
  if (handle.accmode === O_RDONLY) return -EBADF;
  const err = mayFallocate(handle.inode, mode);
  if (err < 0) return err;
  const lazy = incomplete(handle);
  if (lazy !== null) {
    const done = fallocateLazy(lazy, handle, mode, off, len);
    if (done !== null) return done;
    const completed = completeInTurns(lazy, handle.inode);
    if (completed < 0) return completed;
  }
  return handle.layer.fallocate(handle.file, mode, off, len);
}

/** @returns null for what only a complete file can bear: moving its blocks about, or promising room for them. */
function fallocateLazy(lazy: LazyFile, handle: OpenFile, mode: number, off: number, len: number): number | null {
  if (off < 0 || len <= 0) return null;
  const size = lazy.size();
  if (size < 0) return size;
  if ((mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_ZERO_RANGE)) === 0 && off >= lazy.limit) {
    // Nothing there is the lower's, and room that was never written to is no data.
    let err = lazy.prepare(mode & FALLOC_FL_KEEP_SIZE ? off : off + len);
    if (err >= 0) err = lazy.hold(lazy.limit);
    return err < 0 ? err : handle.layer.fallocate(handle.file, mode, off, len);
  }
  if (mode === (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)) {
    return off >= size ? null : lazy.zero(off, Math.min(off + len, size));
  }
  const grows = off + len > size && mode === FALLOC_FL_ZERO_RANGE;
  if (grows || (mode & ~FALLOC_FL_KEEP_SIZE) !== FALLOC_FL_ZERO_RANGE || off >= size) return null;
  return lazy.zero(off, Math.min(off + len, size));
}

export function lseek(handle: OpenFile, off: number, whence: number): number {
  const err = follow(handle);
  if (err < 0) return err;
  const lazy = incomplete(handle);
  if (lazy !== null) return lazy.lseek(off, whence);
  const { limit } = handle;
  if (off >= limit) return -ENXIO;
  const found = handle.layer.lseek(handle.file, off, whence);
  if (found < limit) return found;
  return whence === SEEK_DATA ? -ENXIO : limit;
}

export function copyFileRange(from: OpenFile, offIn: number, to: OpenFile, offOut: number, len: number): number {
  if (from.accmode === O_WRONLY || to.accmode === O_RDONLY) return -EBADF;
  if (to.inode.protection & FS_IMMUTABLE_FL) return -EPERM;
  const err = follow(from);
  if (err < 0) return err;
  if (incomplete(from) || incomplete(to)) return copyMixed(from, offIn, to, offOut, len);
  return to.layer.copyFileRange(from.file, offIn, to.file, offOut, len);
}

const COPY = 1024 * 1024;

/** Where one of them is in two layers. A short copy is as good as a whole one. */
function copyMixed(from: OpenFile, offIn: number, to: OpenFile, offOut: number, len: number): number {
  // Bytes of one file over themselves are the kernel's to refuse.
  if (from.inode === to.inode && offIn < offOut + len && offOut < offIn + len) return -EINVAL;
  const buf = Buffer.allocUnsafe(Math.min(len, COPY));
  const n = read(from, buf, 0, buf.length, offIn);
  if (n <= 0) return n;
  const lazy = incomplete(to);
  return lazy ? lazy.write(buf, 0, n, offOut) : to.layer.write(to.file, buf, 0, n, offOut);
}

export function close(handle: OpenFile): void {
  handle.layer.close(handle.file);
  handle.lazy?.detach();
  handle.lazy = null;
}
