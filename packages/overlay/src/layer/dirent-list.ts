/**
 * `DirentList`: many directory entries in two pieces of memory, with no object and no string for each: a
 * listing of thousands of names costs copies of bytes. An entry is laid out as struct fuse_dirent is
 * (linux/fuse.h), so that the door that lists most often hands whole stretches on as they are.
 *
 * An entry is addressed by its number; 0 for its inode number says that it has gone.
 */
import type { ByteString } from '../sys/bytes.ts';

/** Offsets in 32-bit words: ino 0 (64 bits), off 2 (64 bits), namelen 4, type 5; the name follows, padded to 8 bytes. */
const OFF = 2;
const NAMELEN = 4;
const TYPE = 5;
/** Bytes before the name. */
const DIRENT_HEADER = 24;

const HIGH = 0x1_0000_0000;
const FIRST_BYTES = 1024;
const FIRST_ENTRIES = 32;
/** FNV-1a, as name-table.ts has it. */
const BASIS = 0x811c9dc5;
const PRIME = 0x01000193;

export class DirentList {
  /** How many entries there are. */
  count = 0;
  bytes: Buffer;
  private words: Uint32Array<ArrayBuffer>;
  /** Where each entry begins, and where the last one ends. */
  private starts: Uint32Array;
  private hashes: Uint32Array;

  /** @param bytes that it will take, and `entries`, where that is known. */
  constructor(bytes: number = FIRST_BYTES, entries: number = FIRST_ENTRIES) {
    const memory = new ArrayBuffer(bytes);
    this.bytes = Buffer.from(memory);
    this.words = new Uint32Array(memory);
    this.starts = new Uint32Array(entries + 1);
    this.hashes = new Uint32Array(entries);
  }

  /** Bytes in use. */
  get length(): number {
    return this.starts[this.count];
  }

  /** Where entry `i` begins; for `i` = count where the last one ends. */
  start(i: number): number {
    return this.starts[i];
  }

  type(i: number): number {
    return this.words[(this.starts[i] >> 2) + TYPE];
  }

  setType(i: number, type: number): void {
    this.words[(this.starts[i] >> 2) + TYPE] = type;
  }

  /** The 32 bits of the name (name-table.ts). */
  hash(i: number): number {
    return this.hashes[i];
  }

  off(i: number): number {
    const at = (this.starts[i] >> 2) + OFF;
    return this.words[at + 1] * HIGH + this.words[at];
  }

  setOff(i: number, off: number): void {
    const at = (this.starts[i] >> 2) + OFF;
    this.words[at] = off >>> 0;
    this.words[at + 1] = Math.floor(off / HIGH);
  }

  ino(i: number): bigint {
    const at = this.starts[i] >> 2;
    return (BigInt(this.words[at + 1]) << 32n) | BigInt(this.words[at]);
  }

  setIno(i: number, ino: bigint): void {
    const at = this.starts[i] >> 2;
    this.words[at] = Number(ino & 0xffffffffn);
    this.words[at + 1] = Number(ino >> 32n);
  }

  isGone(i: number): boolean {
    const at = this.starts[i] >> 2;
    return this.words[at] === 0 && this.words[at + 1] === 0;
  }

  nameLength(i: number): number {
    return this.words[(this.starts[i] >> 2) + NAMELEN];
  }

  name(i: number): ByteString {
    const from = this.starts[i] + DIRENT_HEADER;
    return this.bytes.toString('latin1', from, from + this.nameLength(i));
  }

  /** All names, each a string. */
  *names(): Generator<ByteString> {
    for (let i = 0; i < this.count; i++) yield this.name(i);
  }

  /** Whether the name begins with `prefix`. */
  beginsWith(i: number, prefix: ByteString): boolean {
    const from = this.starts[i] + DIRENT_HEADER;
    if (this.nameLength(i) < prefix.length) return false;
    for (let k = 0; k < prefix.length; k++) if (this.bytes[from + k] !== prefix.charCodeAt(k)) return false;
    return true;
  }

  /** Whether entry `i` has the name of entry `k` of `other`. */
  sameName(i: number, other: DirentList, k: number): boolean {
    const length = this.nameLength(i);
    if (other.nameLength(k) !== length || other.hashes[k] !== this.hashes[i]) return false;
    const a = this.starts[i] + DIRENT_HEADER;
    const b = other.starts[k] + DIRENT_HEADER;
    for (let at = 0; at < length; at++) if (this.bytes[a + at] !== other.bytes[b + at]) return false;
    return true;
  }

  /** Empties it; its memory stays. */
  clear(): void {
    this.count = 0;
  }

  /** Bytes of memory that it has. */
  get room(): number {
    return this.bytes.length;
  }

  /** The same entries in no more memory than they take, to be kept. Their hashes are gone. */
  trimmed(): DirentList {
    const list = new DirentList(0, 0);
    const memory = this.words.buffer.slice(0, this.length);
    list.bytes = Buffer.from(memory);
    list.words = new Uint32Array(memory);
    list.starts = this.starts.slice(0, this.count + 1);
    list.count = this.count;
    return list;
  }

  /**
   * Appends an entry: the name lies in `from` from byte `start` to `end`, the inode number in `words` at
   * word `ino`.
   */
  append(from: Uint8Array, start: number, end: number, words: Uint32Array, ino: number, type: number): void {
    const at = this.starts[this.count];
    const size = (DIRENT_HEADER + end - start + 7) & ~7;
    this.reserve(at + size);
    const word = at >> 2;
    const own = this.words;
    const { bytes } = this;
    own[word] = words[ino];
    own[word + 1] = words[ino + 1];
    own[word + OFF] = 0;
    own[word + OFF + 1] = 0;
    own[word + NAMELEN] = end - start;
    own[word + TYPE] = type;
    // What is not overwritten pads the name.
    own[(at + size - 8) >> 2] = 0;
    own[(at + size - 4) >> 2] = 0;
    let hash = BASIS;
    for (let k = start, to = at + DIRENT_HEADER; k < end; k++, to++) {
      const byte = from[k];
      bytes[to] = byte;
      hash = Math.imul(hash ^ byte, PRIME);
    }
    this.hashes[this.count] = hash >>> 0;
    this.count++;
    this.starts[this.count] = at + size;
  }

  /** Appends entry `i` of `other`. */
  copy(other: DirentList, i: number): void {
    const from = other.starts[i] >> 2;
    const size = other.starts[i + 1] - other.starts[i];
    const at = this.starts[this.count];
    this.reserve(at + size);
    const to = at >> 2;
    for (let k = 0; k < size >> 2; k++) this.words[to + k] = other.words[from + k];
    this.hashes[this.count] = other.hashes[i];
    this.count++;
    this.starts[this.count] = at + size;
  }

  private reserve(bytes: number): void {
    if (bytes > this.bytes.length) {
      const memory = new ArrayBuffer(Math.max(this.bytes.length * 2, bytes));
      const grown = Buffer.from(memory);
      grown.set(this.bytes);
      this.bytes = grown;
      this.words = new Uint32Array(memory);
    }
    if (this.count === this.hashes.length) {
      const { starts, hashes } = this;
      const room = Math.max(hashes.length * 2, FIRST_ENTRIES);
      this.starts = new Uint32Array(room + 1);
      this.starts.set(starts);
      this.hashes = new Uint32Array(room);
      this.hashes.set(hashes);
    }
  }
}
