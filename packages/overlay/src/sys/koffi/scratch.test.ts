import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EFAULT, EINVAL, ENAMETOOLONG } from '../errno.ts';
import { openLibc } from './libc.ts';
import { NameBuffer, StructBuffer, slice } from './scratch.ts';

const libc = openLibc();

describe('NameBuffer', () => {
  const name = new NameBuffer(libc);

  it('stores every byte but NUL, and ends with one', () => {
    const all = Buffer.from(Array.from({ length: 255 }, (_, i) => i + 1)).toString('latin1');
    expect(name.put(all)).toBe(0);
    expect(Buffer.from(name.bytes.subarray(0, 256)).toString('latin1')).toBe(`${all}\0`);
    expect(name.put('ab')).toBe(0);
    expect(Buffer.from(name.bytes.subarray(0, 4)).toString('latin1')).toBe('ab\0\x04');
  });

  it('refuses what is no C string', () => {
    expect(name.put('\0')).toBe(-EINVAL);
    expect(name.put('a\0b')).toBe(-EINVAL);
    expect(name.put('\u0100')).toBe(-EINVAL);
    expect(name.put('x'.repeat(4095))).toBe(0);
    expect(name.put('x'.repeat(4096))).toBe(-ENAMETOOLONG);
  });
});

describe('StructBuffer', () => {
  it('keeps whole numbers of 53 bits and their sign', () => {
    const struct = new StructBuffer(libc, 16);
    fc.assert(
      fc.property(fc.maxSafeInteger(), (value) => {
        struct.setInt64(1, value);
        expect(struct.getInt64(1)).toBe(value);
        expect(struct.bytes.readBigInt64LE(8)).toBe(BigInt(value));
      }),
    );
  });
});

describe('slice', () => {
  it('never reaches outside of the buffer', () => {
    const buf = new Uint8Array(8);
    expect(slice(buf, 0, 8)).toBe(buf);
    expect((slice(buf, 8, 0) as Uint8Array).byteOffset).toBe(8);
    for (const [off, len] of [
      [0, 9],
      [9, 0],
      [-1, 1],
      [4, 5],
      [1, -1],
    ]) {
      expect(slice(buf, off, len)).toBe(-EFAULT);
    }
  });
});
