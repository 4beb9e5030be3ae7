/**
 * A file of the upper whose copy-up is not complete: reads mix both layers, writes go to the upper
 * in whole blocks.
 *
 * The upper's file has the size and all attributes; a block that it holds is an extent of it, any
 * other is a hole. A hole before `limit` is the lower's bytes, one behind it zeros. So nothing is
 * ever punched or allocated before `limit`: what is to be zero there is written as zeros.
 *
 * Crash points: a block and the knowledge that it is held are one extent. `limit` on disk may be
 * too large while the file is no longer than it should be; before the file grows again it is put
 * right and flushed, for the bytes between are zeros now.
 */
import type { Dentry, Layer } from '../layer/layer.ts';
import type { ByteString } from '../sys/bytes.ts';
import { FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, O_RDONLY, O_RDWR, SEEK_DATA, SEEK_HOLE } from '../sys/constants.ts';
import { EIO, ENOENT, ENXIO, ESTALE } from '../sys/errno.ts';
import { Stat, StatFs } from '../sys/stat.ts';
import type { Inode } from './inode.ts';
import { type BlockMap, readMap } from './lazy-map.ts';
import { encodeLazy, isOwn, isUnchanged, type LazyRecord } from './lazy-record.ts';
import { decodeOrigin } from './origin.ts';
import type { Super } from './super.ts';

const CAPABILITY = 'security.capability';
const ZEROS = Buffer.alloc(256 * 1024);

/** A file of a lower, open. */
interface LowerFile {
  layer: Layer;
  file: number;
}

export class LazyFile {
  readonly sb: Super;
  readonly record: LazyRecord;
  /** Its name in the registry. */
  readonly entry: ByteString;
  /** At most the file's size. */
  limit: number;
  /** null until somebody uses the file. */
  map: BlockMap | null;
  /** All is in the upper, and the marks are gone. */
  complete = false;
  /** Who shows it; null when nobody knows it. */
  inode: Inode | null = null;
  /** The upper's file, while in use. */
  stub = -1;
  private lower: LowerFile | null = null;
  private users = 0;
  private readonly st = new Stat();
  private block: Buffer | null = null;

  constructor(sb: Super, record: LazyRecord, entry: ByteString, map: BlockMap | null) {
    this.sb = sb;
    this.record = record;
    this.entry = entry;
    this.limit = record.limit;
    this.map = map;
  }

  private get layer(): Layer {
    return this.sb.upper!;
  }

  /** Opens both files for one more user; `d` is the upper's. @returns 0; -EIO where they do not belong together any more. */
  attach(d: Dentry): number {
    if (this.users > 0) {
      this.users++;
      return 0;
    }
    const stub = d.layer.open(d, this.sb.config.readOnly ? O_RDONLY : O_RDWR);
    if (stub < 0) return stub;
    this.stub = stub;
    const err = this.load(d);
    if (err < 0) this.close();
    else this.users = 1;
    return err;
  }

  private load(d: Dentry): number {
    const size = this.size();
    if (size < 0) return size;
    if (!isOwn(this.record, this.st))
      return this.broken(d, 'is a copy, and only the original knows which of its blocks are data');
    this.limit = Math.min(this.limit, size);
    if (this.map === null) {
      const map = readMap(this.layer, this.stub, blockSizeOf(this.sb), this.limit);
      if (typeof map === 'number') return map;
      this.map = map;
    }
    if (this.limit === 0) return 0;
    const lower = this.openLower();
    if (typeof lower === 'number') return lower;
    this.lower = lower;
    if (lower === null) return this.broken(d, 'has lost its lower file, or that has changed since');
    return this.map.unwritten && !this.sb.config.readOnly ? this.dropUnwritten(d) : 0;
  }

  /** What a crash has left allocated and not written: a filesystem may make zeros of it when a block beside is written. */
  private dropUnwritten(d: Dentry): number {
    const err = this.pin(d);
    if (err < 0) return err;
    const dropped = this.takeBack(0, this.limit);
    this.map!.unwritten = dropped < 0;
    return Math.min(dropped, this.restore(d));
  }

  private broken(d: Dentry, why: string): number {
    const name = this.inode?.name ?? d.name;
    this.sb.hooks.log(`the copy-up of '${name}' cannot be completed: it ${why}`);
    return -EIO;
  }

  /** null when it is gone or another one; a negative errno where that cannot be told. */
  private openLower(): LowerFile | number | null {
    const origin = decodeOrigin(this.record.origin);
    if (origin === null || typeof origin === 'number') return null;
    let failed: number | null = null;
    for (const layer of [...this.sb.lowers, ...this.sb.dataLayers]) {
      if (!layer.uuid.equals(origin.uuid)) continue;
      const d = layer.byHandle(origin);
      if (typeof d === 'number') {
        if (d !== -ESTALE && d !== -ENOENT) failed = d;
        continue;
      }
      const err = layer.stat(d, this.st);
      const unchanged = err >= 0 && isUnchanged(this.record.lower, this.st);
      const file = unchanged ? layer.open(d, O_RDONLY) : Math.min(err, 0);
      layer.release(d);
      if (unchanged && file >= 0) return { layer, file };
      if (file < 0) failed = file;
    }
    return failed;
  }

  detach(): void {
    if (--this.users === 0) this.close();
  }

  private close(): void {
    if (this.stub >= 0) this.layer.close(this.stub);
    this.stub = -1;
    this.lower?.layer.close(this.lower.file);
    this.lower = null;
  }

  /** The file's size, or a negative errno. */
  size(): number {
    const err = this.layer.fstat(this.stub, this.st);
    return err < 0 ? err : this.st.size;
  }

  /** Whether the block at `off` is still the lower's. */
  private isBelow(off: number): boolean {
    const { map } = this;
    const block = Math.floor(off / map!.blockSize);
    return block * map!.blockSize < this.limit && !map!.has(block);
  }

  /** Where what holds at `off` ends: bytes of one layer only, and not behind `end`. */
  private runEnd(off: number, end: number, below: boolean): number {
    const map = this.map!;
    const first = Math.floor(off / map.blockSize);
    const last = Math.ceil(this.limit / map.blockSize);
    if (below) return Math.min(end, this.limit, map.nextHeld(first, last) * map.blockSize);
    if (off >= this.limit) return end;
    const missing = map.nextMissing(first, last);
    return missing === last ? end : Math.min(end, missing * map.blockSize);
  }

  read(buf: Uint8Array, off: number, len: number, pos: number): number {
    const size = this.size();
    if (size < 0) return size;
    const end = Math.min(pos + len, size);
    for (let at = pos; at < end; ) {
      const below = at < this.limit && this.isBelow(at);
      const stop = this.runEnd(at, end, below);
      const err = this.readRun(below, buf, off + at - pos, stop - at, at);
      if (err < 0) return at > pos ? at - pos : err;
      at = stop;
    }
    return Math.max(0, end - pos);
  }

  private readRun(below: boolean, buf: Uint8Array, off: number, len: number, pos: number): number {
    const { layer, file } = below ? this.lower! : { layer: this.layer, file: this.stub };
    for (let done = 0; done < len; ) {
      const n = layer.read(file, buf, off + done, len - done, pos + done);
      if (n < 0) return n;
      if (n === 0) return -EIO;
      done += n;
    }
    return 0;
  }

  write(buf: Uint8Array, off: number, len: number, pos: number): number {
    if (len === 0) return 0;
    const end = pos + len;
    const err = this.prepare(end);
    if (err < 0) return err;
    const { blockSize } = this.map!;
    let at = pos;
    while (at < end) {
      const start = Math.floor(at / blockSize) * blockSize;
      const next = start + blockSize;
      const partial = at > start || end < Math.min(next, this.limit);
      let stop = end;
      let n: number;
      if (partial && this.isBelow(at)) {
        stop = Math.min(end, next);
        n = this.writeBlock(buf, off + at - pos, stop - at, at, start);
      } else {
        // Up to the last block, should that need the rest of what lies below.
        const tail = Math.floor(end / blockSize) * blockSize;
        if (tail > at && end > tail && end < this.limit && this.isBelow(tail)) stop = tail;
        n = this.writeRun(buf, off + at - pos, stop - at, at);
      }
      if (n > 0) at += n;
      if (n < 0) return at > pos ? at - pos : n;
      if (at < stop) break;
    }
    return at - pos;
  }

  /** Before a change of bytes up to `end`. */
  prepare(end: number): number {
    const size = this.size();
    if (size < 0) return size;
    let err = this.unpin();
    if (err >= 0 && end > size) err = this.hold(size);
    return err >= 0 && end > size ? this.beforeGrowth() : err;
  }

  /**
   * Before the file comes to end, or no longer ends, within the block at `off`: the filesystem may write zeros
   * behind the end, and with them the whole block.
   */
  hold(off: number): number {
    const { blockSize } = this.map!;
    const start = Math.floor(off / blockSize) * blockSize;
    if (off === start || !this.isBelow(off)) return 0;
    const length = Math.min(blockSize, this.limit - start);
    for (let done = 0; done < length; ) {
      const n = this.fillByHand(start + done, length - done);
      if (n < 0) return n;
      done += n;
    }
    return 0;
  }

  /** A part of a block, together with what the lower has of its rest: a block is held whole or not at all. */
  private writeBlock(buf: Uint8Array, off: number, len: number, pos: number, start: number): number {
    const { blockSize } = this.map!;
    this.block ??= Buffer.alloc(blockSize);
    const { block } = this;
    const rest = Math.min(start + blockSize, this.limit);
    if (pos > start) {
      block.fill(0, 0, pos - start);
      const err = this.readRun(true, block, 0, Math.min(pos, this.limit) - start, start);
      if (err < 0) return err;
    }
    block.set(buf.subarray(off, off + len), pos - start);
    const end = pos + len;
    if (rest > end) {
      const err = this.readRun(true, block, end - start, rest - end, end);
      if (err < 0) return err;
    }
    const written = this.writeRun(block, 0, Math.max(rest, end) - start, start);
    return written < 0 ? written : Math.max(0, Math.min(written, end - start) - (pos - start));
  }

  /** Bytes that need nothing from below. What ends within a block that was not held is taken back as far as that block. */
  private writeRun(buf: Uint8Array, off: number, len: number, pos: number): number {
    const { blockSize } = this.map!;
    let done = 0;
    let err = 0;
    while (done < len) {
      const n = this.layer.write(this.stub, buf, off + done, len - done, pos + done);
      if (n <= 0) {
        err = n === 0 ? -EIO : n;
        break;
      }
      done += n;
    }
    const end = pos + done;
    const torn = err < 0 && end % blockSize !== 0 && end < this.limit && this.isBelow(end);
    const kept = torn ? Math.floor(end / blockSize) * blockSize : end;
    this.map!.set(Math.floor(pos / blockSize), Math.ceil(kept / blockSize));
    if (err < 0) this.takeBack(kept, pos + len);
    return kept > pos ? kept - pos : err;
  }

  /**
   * After a write that failed in [from, end): the filesystem may have got room for blocks behind the point that it
   * came to, and filled them with zeros. As extents they would count as held.
   */
  private takeBack(from: number, end: number): number {
    const map = this.map!;
    let err = 0;
    const last = Math.ceil(Math.min(end, this.limit) / map.blockSize);
    for (let at = Math.floor(from / map.blockSize); at < last; ) {
      const first = map.nextMissing(at, last);
      at = map.nextHeld(first, last);
      if (first === last) break;
      const start = first * map.blockSize;
      const mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
      err = Math.min(err, this.layer.fallocate(this.stub, mode, start, at * map.blockSize - start));
    }
    return err;
  }

  /** What a truncation cut off must not come back when the file grows over it. */
  private beforeGrowth(): number {
    return this.record.limit > this.limit ? this.saveLimit() : 0;
  }

  private saveLimit(): number {
    const before = this.record.limit;
    this.record.limit = this.limit;
    let err = this.save();
    if (err >= 0 && this.sb.config.fsync !== 'volatile') err = this.layer.fsync(this.stub, false);
    if (err < 0) this.record.limit = before;
    return err;
  }

  private save(): number {
    return this.layer.fsetxattr(this.stub, this.sb.names.lazy, encodeLazy(this.record), 0);
  }

  /** What completing found is put back when it ends; what somebody changes himself from here on is not. */
  unpin(): number {
    if (this.record.pin === null) return 0;
    this.record.pin = null;
    return this.save();
  }

  /** As they are now, the mtime and the capabilities will be again after the bytes have been copied. */
  pin(d: Dentry): number {
    if (this.record.pin !== null) return 0;
    const err = this.layer.fstat(this.stub, this.st);
    if (err < 0) return err;
    const capability = this.layer.getxattr(d, CAPABILITY);
    const { mtime, mtimeNsec } = this.st;
    this.record.pin = { mtime, mtimeNsec, capability: typeof capability === 'number' ? null : capability };
    return this.save();
  }

  /** What copying has changed of the attributes, as it was. */
  restore(d: Dentry): number {
    const { pin } = this.record;
    if (pin === null) return 0;
    const { layer } = d;
    let err = layer.stat(d, this.st);
    const { atime, atimeNsec } = this.st;
    if (err >= 0 && pin.capability !== null) err = layer.setxattr(d, CAPABILITY, pin.capability, 0);
    if (err >= 0) err = layer.utimens(d, atime, atimeNsec, pin.mtime, pin.mtimeNsec);
    return err;
  }

  /** `resize` truncates the upper's file to `size`. */
  truncate(size: number, resize: () => number): number {
    let err = this.prepare(size);
    if (err >= 0) err = this.hold(size);
    if (err < 0) return err;
    err = resize();
    if (err >= 0) this.limit = Math.min(this.limit, size);
    return err;
  }

  /** Makes [off, end) zeros; `end` is at most the size. */
  zero(off: number, end: number): number {
    let err = this.prepare(end);
    if (err >= 0) err = this.hold(off);
    if (err >= 0) err = this.hold(this.limit);
    if (err < 0) return err;
    if (end === this.size() && off < this.limit) {
      // To the end of the file: the lower ends there from now on, which must be on disk before blocks that hide it go.
      const before = this.limit;
      this.limit = off;
      err = this.saveLimit();
      if (err < 0) this.limit = before;
    }
    for (let at = off; err >= 0 && at < Math.min(end, this.limit); ) {
      const n = this.write(ZEROS, 0, Math.min(ZEROS.length, Math.min(end, this.limit) - at), at);
      if (n < 0) err = n;
      else at += n;
    }
    const from = Math.max(off, this.limit);
    if (err < 0 || from >= end) return Math.min(err, 0);
    return this.layer.fallocate(this.stub, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, from, end - from);
  }

  lseek(off: number, whence: number): number {
    const size = this.size();
    if (size < 0) return size;
    if (off >= size) return -ENXIO;
    for (let at = off; at < size; ) {
      const below = at < this.limit && this.isBelow(at);
      const { layer, file } = below ? this.lower! : { layer: this.layer, file: this.stub };
      const stop = this.runEnd(at, size, below);
      const found = layer.lseek(file, at, whence);
      if (found < 0 && found !== -ENXIO) return found;
      if (found >= 0 && found < stop) return found;
      at = stop;
    }
    return whence === SEEK_DATA ? -ENXIO : size;
  }

  /** The next bytes from `off` on that only the lower has and that are not a hole there; null when all are held. */
  missing(off: number): { start: number; end: number } | null {
    const map = this.map!;
    const last = Math.ceil(this.limit / map.blockSize);
    for (let at = off; at < this.limit; ) {
      const first = map.nextMissing(Math.floor(at / map.blockSize), last);
      if (first === last) return null;
      const end = Math.min(map.nextHeld(first, last) * map.blockSize, this.limit);
      const { layer, file } = this.lower!;
      const start = Math.max(first * map.blockSize, at);
      const data = layer.lseek(file, start, SEEK_DATA);
      if (data === -ENXIO) return null;
      if (data < end) {
        const from = data < 0 ? start : Math.floor(data / map.blockSize) * map.blockSize;
        const hole = data < 0 ? end : layer.lseek(file, data, SEEK_HOLE);
        const to = hole < 0 ? end : Math.ceil(hole / map.blockSize) * map.blockSize;
        return { start: from, end: Math.min(to, end) };
      }
      at = end;
    }
    return null;
  }

  /** Copies up to `length` bytes of the lower's from `pos`, which begins a block. @returns how many, or a negative errno. */
  fill(pos: number, length: number): number {
    const { blockSize } = this.map!;
    const { layer, file } = this.lower!;
    const whole = pos + length >= this.limit ? this.limit - pos : Math.floor(length / blockSize) * blockSize;
    const from = layer.descriptor(file);
    const n = from < 0 ? -EIO : this.layer.copyFileRange(from, pos, this.stub, pos, whole);
    const kept = n === whole ? n : Math.floor(Math.max(0, n) / blockSize) * blockSize;
    if (kept > 0) this.map!.set(pos / blockSize, Math.ceil((pos + kept) / blockSize));
    if (kept < whole) this.takeBack(pos + kept, pos + whole);
    if (kept === 0) return this.fillByHand(pos, Math.min(whole, ZEROS.length));
    return kept;
  }

  /** Where copy_file_range(2) cannot. */
  private fillByHand(pos: number, length: number): number {
    const buf = Buffer.allocUnsafe(length);
    const err = this.readRun(true, buf, 0, length, pos);
    return err < 0 ? err : this.writeRun(buf, 0, length, pos);
  }

  /** 512-byte units: what it holds, and what it shows of the lower. */
  shownBlocks(st: Stat): number {
    const most = (Math.ceil(st.size / st.blksize) * st.blksize) / 512;
    return Math.max(st.blocks, Math.min(most, st.blocks + this.record.lower.blocks));
  }
}

/** The blocks of the upper's filesystem. */
export function blockSizeOf(sb: Super): number {
  const fs = new StatFs();
  return sb.upper!.statfs(fs) < 0 || fs.bsize < 512 ? 4096 : fs.bsize;
}
