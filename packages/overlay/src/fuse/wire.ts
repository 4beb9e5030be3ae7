/**
 * The wire codec: one preallocated request buffer and one reply buffer, read and written through
 * DataViews with no allocation but for names (byte strings). Pure: no I/O, no meaning.
 *
 * 64-bit fields are numbers made of two 32-bit halves, exact below 2^53. nodeids and handles are
 * ours and stay there; a file offset may lie above (a hole at 2^62), is then rounded, and the
 * handlers that must not round check for it. `unique` is copied, never computed with: its top bit
 * marks a resent request.
 */
import { type ByteString, fromBuffer } from '../sys/bytes.ts';
import { IN_HEADER, inHeader, OUT_HEADER, outHeader } from './layout.ts';

const HIGH = 0x1_0000_0000;

/** Bytes with the readers and writers of the protocol's integers; positions are absolute. */
export class Wire {
  readonly bytes: Buffer;
  readonly view: DataView;

  constructor(size: number) {
    this.bytes = Buffer.alloc(size);
    this.view = new DataView(this.bytes.buffer, this.bytes.byteOffset, size);
  }

  u32(at: number): number {
    return this.view.getUint32(at, true);
  }

  i32(at: number): number {
    return this.view.getInt32(at, true);
  }

  u64(at: number): number {
    return this.view.getUint32(at + 4, true) * HIGH + this.view.getUint32(at, true);
  }

  /** A signed 64-bit number: seconds before 1970. */
  s64(at: number): number {
    return this.view.getInt32(at + 4, true) * HIGH + this.view.getUint32(at, true);
  }

  setU16(at: number, value: number): void {
    this.view.setUint16(at, value, true);
  }

  setU32(at: number, value: number): void {
    this.view.setUint32(at, value, true);
  }

  /** Signed or unsigned: a negative number becomes its two's complement. */
  set64(at: number, value: number): void {
    this.view.setUint32(at, value, true);
    this.view.setInt32(at + 4, Math.floor(value / HIGH), true);
  }

  setBig(at: number, value: bigint): void {
    this.view.setBigUint64(at, value, true);
  }
}

/** The request being served. `load` decodes the header into fields. */
export class Request extends Wire {
  /** Bytes of the message, header and extensions included. */
  length = 0;
  opcode = 0;
  nodeid = 0;
  uid = 0;
  gid = 0;
  pid = 0;
  /** Where the extensions begin; `length` when there are none. */
  bodyEnd = 0;

  /** @returns false when the message is no whole request: `length` bytes were read. */
  load(length: number): boolean {
    if (length < IN_HEADER || this.u32(inHeader.len) !== length) return false;
    this.length = length;
    this.opcode = this.u32(inHeader.opcode);
    this.nodeid = this.u64(inHeader.nodeid);
    this.uid = this.u32(inHeader.uid);
    this.gid = this.u32(inHeader.gid);
    this.pid = this.u32(inHeader.pid);
    this.bodyEnd = length - this.view.getUint16(inHeader.totalExtlen, true) * 8;
    return this.bodyEnd >= IN_HEADER;
  }

  /** Field of the body: `offset` from a table of layout.ts. */
  arg32(offset: number): number {
    return this.u32(IN_HEADER + offset);
  }

  arg64(offset: number): number {
    return this.u64(IN_HEADER + offset);
  }

  /** The NUL-terminated name that starts at `offset` of the body. */
  name(offset: number): ByteString {
    const start = IN_HEADER + offset;
    return fromBuffer(this.bytes, start, this.nameEnd(start));
  }

  /** The second of two names, the first of which starts at `offset`. */
  secondName(offset: number): ByteString {
    const start = this.nameEnd(IN_HEADER + offset) + 1;
    return fromBuffer(this.bytes, start, this.nameEnd(start));
  }

  /** Where the NUL is that ends the name at `start` (the end of the body if it were missing). */
  nameEnd(start: number): number {
    const end = this.bytes.indexOf(0, start);
    return end < 0 || end > this.bodyEnd ? this.bodyEnd : end;
  }
}

/** The reply being made: a handler writes its payload behind the header, `finish` the header. */
export class Reply extends Wire {
  /** Bytes to write to the device, header included. */
  length = 0;

  /** Header of a success with `payload` bytes, or of a negative errno. */
  finish(request: Request, result: number): void {
    const payload = Math.max(result, 0);
    this.length = OUT_HEADER + payload;
    this.setU32(outHeader.len, this.length);
    this.setU32(outHeader.error, Math.min(result, 0));
    this.setU32(outHeader.unique, request.u32(inHeader.unique));
    this.setU32(outHeader.unique + 4, request.u32(inHeader.unique + 4));
  }
}
