/** The model of a file beside a flat buffer. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BLOCK, Content } from './content.ts';

const MAX = 5 * BLOCK;

/** The same, as simply as it can be said. */
class Flat {
  data: Buffer = Buffer.alloc(0);

  write(off: number, data: Uint8Array): void {
    if (data.length > 0) {
      this.truncate(Math.max(this.data.length, off + data.length));
      this.data.set(data, off);
    }
  }

  truncate(size: number): void {
    const next = Buffer.alloc(size);
    this.data.copy(next);
    this.data = next;
  }

  zero(off: number, length: number): void {
    this.data.fill(0, off, Math.max(off, off + length));
  }

  collapse(off: number, length: number): void {
    this.data = Buffer.concat([this.data.subarray(0, off), this.data.subarray(off + length)]);
  }

  insert(off: number, length: number): void {
    this.data = Buffer.concat([this.data.subarray(0, off), Buffer.alloc(length), this.data.subarray(off)]);
  }
}

const step = fc.record({
  kind: fc.constantFrom('write', 'truncate', 'zero', 'collapse', 'insert'),
  off: fc.nat(MAX),
  length: fc.nat(2 * BLOCK),
  fill: fc.integer({ min: 1, max: 255 }),
});

describe('Content', () => {
  it('holds what a flat buffer holds', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
        const sparse = new Content();
        const flat = new Flat();
        for (const { kind, off, length, fill } of steps) {
          const from = Math.floor(off / BLOCK) * BLOCK;
          if (kind === 'write') {
            sparse.write(off, Buffer.alloc(length, fill));
            flat.write(off, Buffer.alloc(length, fill));
          } else if (kind === 'truncate') {
            sparse.truncate(off);
            flat.truncate(off);
          } else if (kind === 'zero' && off + length <= flat.data.length) {
            sparse.zero(off, length);
            flat.zero(off, length);
          } else if (kind === 'collapse' && from + BLOCK < flat.data.length) {
            sparse.collapse(from, BLOCK);
            flat.collapse(from, BLOCK);
          } else if (kind === 'insert' && from < flat.data.length) {
            sparse.insert(from, BLOCK);
            flat.insert(from, BLOCK);
          }
        }
        expect(sparse.size).toBe(flat.data.length);
        expect(sparse.read(0, sparse.size).equals(flat.data)).toBe(true);
        expect(sparse.blocks.every((block) => block * BLOCK < sparse.size)).toBe(true);
        expect(sparse.read(sparse.size, BLOCK).equals(Buffer.alloc(BLOCK))).toBe(true);
      }),
    );
  });

  it('remembers what is far away at no cost', () => {
    const content = new Content([[2 ** 40, Buffer.from('far')]]);
    expect(content.size).toBe(2 ** 40 + 3);
    expect(content.blocks).toEqual([2 ** 28]);
    expect(content.read(2 ** 40 - 1, 6).toString('latin1')).toBe('\0far\0\0');
  });

  it('copies itself deeply', () => {
    const content = new Content([[0, Buffer.from('one')]]);
    const copy = content.copy();
    content.write(0, Buffer.from('two'));
    expect(copy.read(0, 3).toString()).toBe('one');
  });
});
