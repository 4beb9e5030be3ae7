/** Reading a whole directory: getdents64(2), and decoding of `struct linux_dirent64` (dirent.h). */
import type { Sys } from '../sys/sys.ts';
import type { DirentList } from './dirent-list.ts';
import type { RawDirent } from './layer.ts';

/** Big enough that most directories take one call (and one more that says "the end"). */
const memory = new ArrayBuffer(128 * 1024);
const buf = Buffer.from(memory);
const u64 = new BigUint64Array(memory);
const u32 = new Uint32Array(memory);
const u16 = new Uint16Array(memory);

/** d_ino 0, d_off 8, d_reclen 16, d_type 18, d_name 19. */
const NAME = 19;
const DOT = 0x2e;

/** What `eachDirent` gives for one entry: its name is in `bytes` from `start` to `end`. False ends the reading. */
type Visit = (bytes: Buffer, start: number, end: number, at: number) => boolean;

/** @returns 0 after the last entry, 1 when `visit` has ended it, or a negative errno. */
function eachDirent(sys: Sys, fd: number, visit: Visit): number {
  for (;;) {
    const filled = sys.getdents64(fd, buf);
    if (filled <= 0) return filled;
    for (let at = 0; at < filled; ) {
      const next = at + u16[(at + 16) >> 1];
      // Records are padded to 8 bytes, so the name ends within the last 8; the padding is not zeroed.
      let end = Math.max(at + NAME, next - 8);
      while (buf[end] !== 0) end++;
      const start = at + NAME;
      const length = end - start;
      const dots = buf[start] === DOT && (length === 1 || (length === 2 && buf[start + 1] === DOT));
      if (!dots && !visit(buf, start, end, at)) return 1;
      at = next;
    }
  }
}

/**
 * Appends every entry of directory `fd` but `.` and `..`.
 * @returns 0, or a negative errno (`into` then holds what came before it)
 */
export function readDirents(sys: Sys, fd: number, into: RawDirent[]): number {
  return eachDirent(sys, fd, (bytes, start, end, at) => {
    const name = bytes.toString('latin1', start, end);
    into.push({ name, ino: u64[at >> 3], type: bytes[at + 18] });
    return true;
  });
}

/** As `readDirents`, into a list that takes them as they lie there. */
export function listDirents(sys: Sys, fd: number, into: DirentList): number {
  return eachDirent(sys, fd, (bytes, start, end, at) => {
    into.append(bytes, start, end, u32, at >> 2, bytes[at + 18]);
    return true;
  });
}

/** Calls `visit` with the bytes of each name until it says false. @returns as `eachDirent`. */
export function readNames(
  sys: Sys,
  fd: number,
  visit: (bytes: Uint8Array, start: number, end: number) => boolean,
): number {
  return eachDirent(sys, fd, visit);
}
