/**
 * `overlay.strata.lazy`: the attribute of a file whose copy-up is not complete. Its extents say
 * which blocks the upper has; this says where the others are, and what everything must still look
 * like for that to be true. All numbers are little-endian:
 *
 *    0 version 1 | 1 flags | 2 u16 length of the origin | 4 zeros
 *    8 lower: u64 size | 16 s64 mtime | 24 u32 its ns | 28 u32 ctime's ns | 32 s64 ctime | 40 u64 blocks
 *   48 u64 limit: where the lower ends, in what the file has of it
 *   56 own: u64 inode number | 64 s64 birth time | 72 u32 its ns
 *   76 u32 pinned mtime's ns | 80 s64 pinned mtime (flag 1)
 *   88 the lower file, as `overlay.origin` | behind it security.capability (flag 2)
 *
 * Completing writes to the file, which moves its mtime and takes capabilities away; both are pinned
 * here first, so that they can be put back after a crash too.
 */
import type { Stat } from '../sys/stat.ts';

const VERSION = 1;
const HEADER = 88;
const PINNED = 1;
const CAPABLE = 2;

export interface LowerState {
  size: number;
  mtime: number;
  mtimeNsec: number;
  ctime: number;
  ctimeNsec: number;
  /** 512-byte units. */
  blocks: number;
}

export interface Pin {
  mtime: number;
  mtimeNsec: number;
  /** null: there were none. */
  capability: Buffer | null;
}

export interface LazyRecord {
  /** The file with the data, as encodeOrigin gives it. */
  origin: Buffer;
  lower: LowerState;
  /** A hole before this offset is the lower's bytes, one behind it zeros. */
  limit: number;
  /** The upper file's own identity: a copy of it made by another tool does not share its extents. */
  ino: bigint;
  btime: number;
  btimeNsec: number;
  pin: Pin | null;
}

export function encodeLazy(record: LazyRecord): Buffer {
  const { origin, lower, pin } = record;
  const capability = pin?.capability ?? null;
  const out = Buffer.alloc(HEADER + origin.length + (capability?.length ?? 0));
  out[0] = VERSION;
  out[1] = (pin ? PINNED : 0) | (capability ? CAPABLE : 0);
  out.writeUInt16LE(origin.length, 2);
  out.writeBigUInt64LE(BigInt(lower.size), 8);
  out.writeBigInt64LE(BigInt(lower.mtime), 16);
  out.writeUInt32LE(lower.mtimeNsec, 24);
  out.writeUInt32LE(lower.ctimeNsec, 28);
  out.writeBigInt64LE(BigInt(lower.ctime), 32);
  out.writeBigUInt64LE(BigInt(lower.blocks), 40);
  out.writeBigUInt64LE(BigInt(record.limit), 48);
  out.writeBigUInt64LE(record.ino, 56);
  out.writeBigInt64LE(BigInt(record.btime), 64);
  out.writeUInt32LE(record.btimeNsec, 72);
  out.writeUInt32LE(pin?.mtimeNsec ?? 0, 76);
  out.writeBigInt64LE(BigInt(pin?.mtime ?? 0), 80);
  origin.copy(out, HEADER);
  capability?.copy(out, HEADER + origin.length);
  return out;
}

/** @returns null for what this version does not know. */
export function decodeLazy(value: Buffer): LazyRecord | null {
  if (value.length < HEADER || value[0] !== VERSION) return null;
  const flags = value[1];
  const end = HEADER + value.readUInt16LE(2);
  if (flags & ~(PINNED | CAPABLE) || end > value.length) return null;
  const pin: Pin = {
    mtime: Number(value.readBigInt64LE(80)),
    mtimeNsec: value.readUInt32LE(76),
    capability: flags & CAPABLE ? Buffer.from(value.subarray(end)) : null,
  };
  return {
    origin: Buffer.from(value.subarray(HEADER, end)),
    lower: {
      size: Number(value.readBigUInt64LE(8)),
      mtime: Number(value.readBigInt64LE(16)),
      mtimeNsec: value.readUInt32LE(24),
      ctime: Number(value.readBigInt64LE(32)),
      ctimeNsec: value.readUInt32LE(28),
      blocks: Number(value.readBigUInt64LE(40)),
    },
    limit: Number(value.readBigUInt64LE(48)),
    ino: value.readBigUInt64LE(56),
    btime: Number(value.readBigInt64LE(64)),
    btimeNsec: value.readUInt32LE(72),
    pin: flags & PINNED ? pin : null,
  };
}

export function lowerState(st: Stat): LowerState {
  const { size, mtime, mtimeNsec, ctime, ctimeNsec, blocks } = st;
  return { size, mtime, mtimeNsec, ctime, ctimeNsec, blocks };
}

/** The lower is what it was when the file was copied up. */
export function isUnchanged(lower: LowerState, st: Stat): boolean {
  return (
    st.size === lower.size &&
    st.mtime === lower.mtime &&
    st.mtimeNsec === lower.mtimeNsec &&
    st.ctime === lower.ctime &&
    st.ctimeNsec === lower.ctimeNsec
  );
}

/** The upper file is the one that the record was written for. */
export function isOwn(record: LazyRecord, st: Stat): boolean {
  return record.ino === st.ino && record.btime === st.btime && record.btimeNsec === st.btimeNsec;
}
