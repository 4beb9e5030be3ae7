/**
 * `NameTable`: which names a directory may have, and one number with each. It keeps no names but 32
 * bits made of each: what it does not hold is not there, and what it holds may be another name of
 * the same 32 bits, which costs whoever asks a look and nothing else. 8 bytes for a slot, at most
 * three quarters of them used, whatever the names are.
 */
import type { ByteString } from '../sys/bytes.ts';

/** Where all tables begin, never written: those of small directories are many. */
const EMPTY = new Uint32Array(4);
/** FNV-1a: its start and its prime. */
const BASIS = 0x811c9dc5;
const PRIME = 0x01000193;
/** 2^32 divided by the golden ratio: spreads hashes over the upper bits, from which the slot is taken. */
const SPREAD = 0x9e3779b1;

/** The 32 bits of a name. */
export function hashName(name: ByteString): number {
  let hash = BASIS;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), PRIME);
  return hash >>> 0;
}

/** The same of the name that lies in `bytes` from `start` to `end`. */
export function hashBytes(bytes: Uint8Array, start: number, end: number): number {
  let hash = BASIS;
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ bytes[i], PRIME);
  return hash >>> 0;
}

export class NameTable {
  /** How many names (to be exact: hashes) it holds. */
  size = 0;
  #shift = 31;
  /** A hash and its number, one after the other; number 0 is a free slot. */
  #slots = EMPTY;

  /** The number that was put with the hash, 0 for none. */
  get(hash: number): number {
    return this.#slots[this.#slot(hash) + 1];
  }

  /** @param value not 0. */
  put(hash: number, value: number): void {
    const at = this.#slot(hash);
    if (this.#slots[at + 1] === 0) {
      if (this.size >= (this.#slots.length >> 3) * 3) {
        this.#grow();
        this.put(hash, value);
        return;
      }
      this.size++;
      this.#slots[at] = hash;
    }
    this.#slots[at + 1] = value;
  }

  /** Whether the name may be there. */
  has(name: ByteString): boolean {
    return this.get(hashName(name)) !== 0;
  }

  add(name: ByteString): void {
    this.put(hashName(name), 1);
  }

  /** Where the hash is, or where it would go. */
  #slot(hash: number): number {
    const slots = this.#slots;
    const last = slots.length - 2;
    let at = (Math.imul(hash, SPREAD) >>> this.#shift) * 2;
    while (slots[at + 1] !== 0 && slots[at] !== hash) at = (at + 2) & last;
    return at;
  }

  #grow(): void {
    const old = this.#slots;
    this.#slots = new Uint32Array(old.length * 2);
    this.#shift--;
    this.size = 0;
    for (let i = 0; i < old.length; i += 2) if (old[i + 1] !== 0) this.put(old[i], old[i + 1]);
  }
}
