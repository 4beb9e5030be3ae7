/**
 * What a file holds, as it should be: a sparse map of blocks, so that offsets beyond 4 GiB cost
 * nothing. A block that is not in the map is zeros. Nothing beyond the size is ever remembered.
 */
export const BLOCK = 4096;

export class Content {
  size = 0;
  readonly #blocks = new Map<number, Buffer>();

  constructor(extents: readonly (readonly [off: number, data: Uint8Array])[] = [], size = 0) {
    for (const [off, data] of extents) {
      this.write(off, data);
    }
    this.size = Math.max(this.size, size);
  }

  /** The blocks that may hold something else than zeros, in order. */
  get blocks(): number[] {
    return [...this.#blocks.keys()].sort((a, b) => a - b);
  }

  /** `length` bytes from `off`; zeros where there is nothing, beyond the size too. */
  read(off: number, length: number): Buffer {
    const out = Buffer.alloc(length);
    for (let pos = off; pos < off + length; ) {
      const within = pos % BLOCK;
      const step = Math.min(BLOCK - within, off + length - pos);
      this.#blocks.get((pos - within) / BLOCK)?.copy(out, pos - off, within, within + step);
      pos += step;
    }
    return out;
  }

  write(off: number, data: Uint8Array): void {
    for (let done = 0; done < data.length; ) {
      const pos = off + done;
      const within = pos % BLOCK;
      const step = Math.min(BLOCK - within, data.length - done);
      const index = (pos - within) / BLOCK;
      let block = this.#blocks.get(index);
      if (block === undefined) {
        block = Buffer.alloc(BLOCK);
        this.#blocks.set(index, block);
      }
      block.set(data.subarray(done, done + step), within);
      done += step;
    }
    if (data.length > 0) {
      this.size = Math.max(this.size, off + data.length);
    }
  }

  truncate(size: number): void {
    if (size < this.size) {
      // To the end of the last block, which goes as a whole.
      this.zero(size, Math.ceil(this.size / BLOCK) * BLOCK - size);
    }
    this.size = size;
  }

  /** Punches a hole; the size stays. */
  zero(off: number, length: number): void {
    const end = off + length;
    for (const [index, block] of this.#blocks) {
      const start = index * BLOCK;
      if (start >= off && start + BLOCK <= end) {
        this.#blocks.delete(index);
      } else if (start < end && start + BLOCK > off) {
        block.fill(0, Math.max(0, off - start), Math.min(BLOCK, end - start));
      }
    }
  }

  /** FALLOC_FL_COLLAPSE_RANGE; both are multiples of the block size, and the range ends before the size. */
  collapse(off: number, length: number): void {
    this.#shift(off, length, -length);
    this.size -= length;
  }

  /** FALLOC_FL_INSERT_RANGE. */
  insert(off: number, length: number): void {
    this.#shift(off, 0, length);
    this.size += length;
  }

  /** Forgets `dropped` bytes at `off` and moves what follows by `by` bytes. */
  #shift(off: number, dropped: number, by: number): void {
    const moved = [...this.#blocks].filter(([index]) => index * BLOCK >= off);
    for (const [index] of moved) {
      this.#blocks.delete(index);
    }
    for (const [index, block] of moved) {
      if (index * BLOCK >= off + dropped) {
        this.#blocks.set(index + by / BLOCK, block);
      }
    }
  }

  copy(): Content {
    const other = new Content();
    for (const [index, block] of this.#blocks) {
      other.#blocks.set(index, Buffer.from(block));
    }
    other.size = this.size;
    return other;
  }
}
