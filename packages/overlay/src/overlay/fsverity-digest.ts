/**
 * The fs-verity digest of a file's content (Documentation/filesystems/fsverity.rst), computed here:
 * the hash of a descriptor of 256 bytes that holds the size and the root of a Merkle tree over
 * blocks of 4096 bytes, without salt. Other block sizes and salts, which a digest alone does not
 * tell, are not here: such digests do not match.
 */
import { createHash } from 'node:crypto';
import { EIO } from '../sys/errno.ts';

const BLOCK = 4096;
const LOG_BLOCK = 12;
const DESCRIPTOR_SIZE = 256;
/** Bytes that are read at a time. */
const CHUNK = 1024 * 1024;

const hashes: ReadonlyMap<number, { name: string; size: number }> = new Map([
  [1, { name: 'sha256', size: 32 }],
  [2, { name: 'sha512', size: 64 }],
]);

/** Bytes of a digest by this algorithm of fs-verity, 0 for one that is not known. */
export function digestSize(algorithm: number): number {
  return hashes.get(algorithm)?.size ?? 0;
}

/**
 * `read` fills `buf` from `pos` on and gives how many bytes, or a negative errno.
 * @returns the digest; what `read` failed with, -EIO where the file is shorter than `size`.
 */
export function fsverityDigest(
  algorithm: number,
  size: number,
  read: (buf: Buffer, pos: number) => number,
): Buffer | number {
  const { name, size: digestSize } = hashes.get(algorithm)!;
  const hash = (bytes: Buffer): Buffer => createHash(name).update(bytes).digest();
  const tree = new MerkleTree(hash, BLOCK / digestSize);
  const buf = Buffer.allocUnsafe(Math.min(CHUNK, Math.ceil(size / BLOCK) * BLOCK));
  for (let pos = 0; pos < size; pos += buf.length) {
    const length = Math.min(buf.length, size - pos);
    for (let have = 0; have < length; ) {
      const n = read(buf.subarray(have, length), pos + have);
      if (n <= 0) return n === 0 ? -EIO : n;
      have += n;
    }
    const end = Math.ceil(length / BLOCK) * BLOCK;
    buf.fill(0, length, end);
    for (let at = 0; at < end; at += BLOCK) tree.add(0, hash(buf.subarray(at, at + BLOCK)));
  }
  const descriptor = Buffer.alloc(DESCRIPTOR_SIZE);
  descriptor.set([1, algorithm, LOG_BLOCK]);
  descriptor.writeBigUInt64LE(BigInt(size), 8);
  tree.root()?.copy(descriptor, 16);
  return hash(descriptor);
}

/** Keeps what is not hashed together yet: at most one block of hashes a level. */
class MerkleTree {
  readonly #levels: Buffer[][] = [];
  readonly #hash: (block: Buffer) => Buffer;
  readonly #perBlock: number;

  constructor(hash: (block: Buffer) => Buffer, perBlock: number) {
    this.#hash = hash;
    this.#perBlock = perBlock;
  }

  add(level: number, hash: Buffer): void {
    this.#levels[level] ??= [];
    this.#levels[level].push(hash);
    if (this.#levels[level].length === this.#perBlock) this.#close(level);
  }

  /** Hashes the block of a level, filled up with zeros, into the level above. */
  #close(level: number): void {
    const block = Buffer.concat(this.#levels[level], BLOCK);
    this.#levels[level] = [];
    this.add(level + 1, this.#hash(block));
  }

  /** null for no data at all. */
  root(): Buffer | null {
    for (let level = 0; level < this.#levels.length; level++) {
      const hashes = this.#levels[level];
      if (level === this.#levels.length - 1 && hashes.length === 1) return hashes[0];
      if (hashes.length > 0) this.#close(level);
    }
    return null;
  }
}
