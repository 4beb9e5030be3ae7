/**
 * Which blocks of an incomplete file its upper holds: one bit a block of the filesystem. On disk
 * the file's extents are the map; it is read with FIEMAP, which tells extents that were written
 * from those that were only allocated. SEEK_DATA does not: once somebody has read it, an allocated
 * block that was never written counts as data there.
 */
import type { Layer } from '../layer/layer.ts';
import { FIEMAP_EXTENT_LAST, FIEMAP_EXTENT_UNWRITTEN, FIEMAP_FLAG_SYNC } from '../sys/constants.ts';

/** struct fiemap and struct fiemap_extent. */
const HEADER = 32;
const EXTENT = 56;
const EXTENTS = 256;

export class BlockMap {
  readonly blockSize: number;
  private readonly blocks: number;
  private readonly bits: Uint8Array;
  /** There are blocks that were allocated and not written. */
  unwritten = false;

  /** For the blocks of the first `length` bytes; none is held. */
  constructor(blockSize: number, length: number) {
    this.blockSize = blockSize;
    this.blocks = Math.ceil(length / blockSize);
    this.bits = new Uint8Array((this.blocks + 7) >> 3);
  }

  has(block: number): boolean {
    return (this.bits[block >> 3] & (1 << (block & 7))) !== 0;
  }

  /** Blocks from `first` up to `end`; those that there are no bits for do not matter. */
  set(first: number, end: number): void {
    const stop = Math.min(end, this.blocks);
    for (let at = first; at < stop; ) {
      if ((at & 7) === 0 && stop - at >= 8) {
        const whole = (stop - at) >> 3;
        this.bits.fill(0xff, at >> 3, (at >> 3) + whole);
        at += whole << 3;
      } else {
        this.bits[at >> 3] |= 1 << (at & 7);
        at++;
      }
    }
  }

  /** The first block from `from` on, and before `end`, that is held; `end` when there is none. */
  nextHeld(from: number, end: number): number {
    return this.next(from, end, 0);
  }

  /** … that is not held. */
  nextMissing(from: number, end: number): number {
    return this.next(from, end, 0xff);
  }

  /** `skip`: a byte of only such bits is passed over at once. */
  private next(from: number, end: number, skip: number): number {
    const stop = Math.min(end, this.blocks);
    for (let at = from; at < stop; ) {
      const byte = this.bits[at >> 3];
      if ((at & 7) === 0 && byte === skip) at += 8;
      else if (((byte ^ skip) & (1 << (at & 7))) !== 0) return at;
      else at++;
    }
    return end;
  }

  /** How many of the blocks before `end` are not held. */
  missing(end: number): number {
    let count = 0;
    for (let at = this.nextMissing(0, end); at < end; ) {
      const stop = this.nextHeld(at, end);
      count += stop - at;
      at = this.nextMissing(stop, end);
    }
    return count;
  }
}

/**
 * The map of the first `length` bytes of `file`, which is written back first.
 * A block that an extent covers in part only is not held: its extent was entered before its rest.
 * @returns the map, or a negative errno.
 */
export function readMap(layer: Layer, file: number, blockSize: number, length: number): BlockMap | number {
  const map = new BlockMap(blockSize, length);
  const blocks = Math.ceil(length / blockSize);
  const buf = Buffer.alloc(HEADER + EXTENTS * EXTENT);
  for (let start = 0; start < length; ) {
    const count = extents(layer, file, start, length - start, buf);
    if (count < 0) return count;
    if (count === 0) break;
    let last = false;
    for (let i = 0; i < count; i++) {
      const at = HEADER + i * EXTENT;
      const logical = Number(buf.readBigUInt64LE(at));
      const end = logical + Number(buf.readBigUInt64LE(at + 16));
      const flags = buf.readUInt32LE(at + 40);
      last = (flags & FIEMAP_EXTENT_LAST) !== 0;
      start = Math.max(start, end);
      if ((flags & FIEMAP_EXTENT_UNWRITTEN) !== 0) {
        map.unwritten = true;
        continue;
      }
      map.set(Math.ceil(logical / blockSize), end >= length ? blocks : Math.floor(end / blockSize));
    }
    if (last) break;
  }
  return map;
}

/** @returns how many extents of `file` are in `buf`, or a negative errno. */
function extents(layer: Layer, file: number, start: number, length: number, buf: Buffer): number {
  buf.fill(0, 0, HEADER);
  buf.writeBigUInt64LE(BigInt(start), 0);
  buf.writeBigUInt64LE(BigInt(length), 8);
  buf.writeUInt32LE(FIEMAP_FLAG_SYNC, 16);
  buf.writeUInt32LE(EXTENTS, 24);
  const err = layer.extents(file, buf);
  return err < 0 ? err : buf.readUInt32LE(20);
}

/** Whether the filesystem maps `file`, which is empty, as one needs it: a hole stays a hole, and a block alone is one extent. */
export function mapsBlocks(layer: Layer, file: number, blockSize: number): boolean {
  const length = blockSize * 8;
  if (layer.ftruncate(file, length) < 0) return false;
  const hollow = readMap(layer, file, blockSize, length);
  if (typeof hollow === 'number' || hollow.missing(8) !== 8) return false;
  if (layer.write(file, Buffer.alloc(blockSize), 0, blockSize, blockSize * 3) !== blockSize) return false;
  const map = readMap(layer, file, blockSize, length);
  return typeof map !== 'number' && map.missing(8) === 7 && map.has(3);
}
