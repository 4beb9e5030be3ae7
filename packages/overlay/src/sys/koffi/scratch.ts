/**
 * Memory that calls share: two names, and room for the small structures that the kernel fills or
 * reads. It is allocated once per table and passed by address, which saves koffi unwrapping a
 * Buffer at every call. A table belongs to one thread, and no call is re-entered, so that each
 * call may use the memory from its beginning to its end.
 */
import type { ByteString } from '../bytes.ts';
import { PATH_MAX } from '../constants.ts';
import { EFAULT, EINVAL, ENAMETOOLONG } from '../errno.ts';
import type { Libc } from './libc.ts';

/** A NUL-terminated name at a fixed address. */
export class NameBuffer {
  readonly address: number;
  readonly bytes: Uint8Array;

  constructor(libc: Libc) {
    this.bytes = new Uint8Array(new ArrayBuffer(PATH_MAX + 1));
    this.address = libc.address(this.bytes);
  }

  /** @returns 0; -ENAMETOOLONG from PATH_MAX on; -EINVAL for a NUL or a char that is no byte. */
  put(name: ByteString): number {
    const length = name.length;
    if (length >= PATH_MAX) return -ENAMETOOLONG;
    const bytes = this.bytes;
    for (let i = 0; i < length; i++) {
      const byte = name.charCodeAt(i);
      // Unsigned wrap-around: 0 becomes the largest, so one comparison refuses both ends.
      if ((byte - 1) >>> 0 >= 0xff) return -EINVAL;
      bytes[i] = byte;
    }
    bytes[length] = 0;
    return 0;
  }
}

/** A structure at a fixed address, seen as 16-, 32- and 64-bit words. */
export class StructBuffer {
  readonly address: number;
  readonly bytes: Buffer;
  readonly u16: Uint16Array;
  readonly i32: Int32Array;
  readonly u32: Uint32Array;
  readonly u64: BigUint64Array;

  constructor(libc: Libc, size: number) {
    const memory = new ArrayBuffer(size);
    this.bytes = Buffer.from(memory);
    this.u16 = new Uint16Array(memory);
    this.i32 = new Int32Array(memory);
    this.u32 = new Uint32Array(memory);
    this.u64 = new BigUint64Array(memory);
    this.address = libc.address(this.bytes);
  }

  /** Stores a whole number of up to 53 bits, negative too, as 64 bits at word `index`. */
  setInt64(index: number, value: number): void {
    this.u32[index * 2] = value >>> 0;
    this.i32[index * 2 + 1] = Math.floor(value / 0x1_0000_0000);
  }

  getInt64(index: number): number {
    return this.i32[index * 2 + 1] * 0x1_0000_0000 + this.u32[index * 2];
  }
}

/** What all groups of calls share. */
export class Scratch {
  readonly name1: NameBuffer;
  readonly name2: NameBuffer;
  readonly struct: StructBuffer;

  constructor(libc: Libc) {
    this.name1 = new NameBuffer(libc);
    this.name2 = new NameBuffer(libc);
    // statx(2) fills 256 bytes, the most of all.
    this.struct = new StructBuffer(libc, 256);
  }
}

/** `buf` from `off` on, or -EFAULT where `len` bytes are not there: the kernel would write past the end. */
export function slice(buf: Uint8Array, off: number, len: number): Uint8Array | number {
  if (off < 0 || len < 0 || off + len > buf.byteLength) return -EFAULT;
  return off === 0 ? buf : new Uint8Array(buf.buffer, buf.byteOffset + off, len);
}

/** The path by which the process reaches what its descriptor `fd` stands for (a magic link). */
export function procFd(fd: number): ByteString {
  return `/proc/self/fd/${fd}`;
}
