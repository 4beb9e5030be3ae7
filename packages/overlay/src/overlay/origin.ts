/**
 * The bytes of `overlay.origin` and `overlay.upper` (the kernel's struct ovl_fb): which lower inode
 * an upper one was copied up from, and which upper directory an index entry stands for; in hex also
 * the names of the index. A header of 21 bytes, then the file handle as name_to_handle_at(2) gives it:
 *
 *   0 version 0 | 1 magic 0xfb | 2 total length | 3 flags | 4 handle type | 5..20 fs uuid | 21.. handle
 *
 * An empty value means "copied up, but the lower's filesystem has no handles, or none that we may open".
 */
import { EINVAL } from '../sys/errno.ts';

const HEADER = 21;
const MAGIC = 0xfb;
const FLAG_BIG_ENDIAN = 1;
const FLAG_ANY_ENDIAN = 2;
/** The handle is one of the upper (`overlay.upper`). */
export const FLAG_PATH_UPPER = 4;
const FLAGS_KNOWN = 7;
/** Longest handle that fits the one-byte length. */
const MAX_HANDLE = 255 - HEADER;

export interface Origin {
  type: number;
  uuid: Buffer;
  handle: Buffer;
  /** FLAG_PATH_UPPER or nothing. */
  flags?: number;
}

/** The attribute's value; empty when the handle does not fit. */
export function encodeOrigin(origin: Origin): Buffer {
  if (origin.handle.length > MAX_HANDLE) return Buffer.alloc(0);
  const out = Buffer.alloc(HEADER + origin.handle.length);
  out[1] = MAGIC;
  out[2] = out.length;
  out[3] = origin.flags ?? 0;
  out[4] = origin.type;
  origin.uuid.copy(out, 5, 0, 16);
  origin.handle.copy(out, HEADER);
  return out;
}

/**
 * kernel: ovl_check_fb_len. What follows the length that the header gives does not count.
 * @returns the origin; null for one of another version, byte order or kind than is known here; -EINVAL for a broken one.
 */
export function decodeOrigin(value: Buffer): Origin | null | number {
  if (value.length < HEADER || value.length < value[2] || value[1] !== MAGIC) return -EINVAL;
  const flags = value[3];
  if (value[0] > 0 || flags & ~FLAGS_KNOWN) return null;
  if (!(flags & FLAG_ANY_ENDIAN) && flags & FLAG_BIG_ENDIAN) return null;
  return { type: value[4], uuid: value.subarray(5, 21), handle: value.subarray(HEADER, Math.max(HEADER, value[2])) };
}
