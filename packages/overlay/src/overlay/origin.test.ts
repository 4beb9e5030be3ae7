import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EINVAL } from '../sys/errno.ts';
import { decodeOrigin, encodeOrigin } from './origin.ts';

// Written by the kernel's overlay on ext4 (kernel 6.18): inode 2400905, generation 0xd745bda4, uuid zero.
const ext4 = Buffer.from(`00fb1d0001${'00'.repeat(16)}89a22400a4bd45d7`, 'hex');

describe('overlay.origin', () => {
  it('reads what the kernel wrote, and writes the same bytes', () => {
    const origin = decodeOrigin(ext4);
    if (origin === null || typeof origin === 'number') throw new Error('not decoded');
    expect(origin.type).toBe(1);
    expect(origin.handle.readUInt32LE(0)).toBe(2400905);
    expect(encodeOrigin(origin)).toEqual(ext4);
  });

  it('ignores what the kernel ignores and refuses what it refuses', () => {
    const changed = (at: number, value: number): Buffer => {
      const copy = Buffer.from(ext4);
      copy[at] = value;
      return copy;
    };
    expect(decodeOrigin(changed(0, 1))).toBeNull();
    expect(decodeOrigin(changed(3, 1))).toBeNull();
    expect(decodeOrigin(changed(3, 8))).toBeNull();
    expect(decodeOrigin(changed(1, 0xfa))).toBe(-EINVAL);
    expect(decodeOrigin(changed(2, 30))).toBe(-EINVAL);
    expect(decodeOrigin(Buffer.alloc(0))).toBe(-EINVAL);
    expect(decodeOrigin(ext4.subarray(0, 20))).toBe(-EINVAL);
  });

  it('takes as much as the header says and no more', () => {
    const more = Buffer.concat([ext4, Buffer.from('more')]);
    expect(decodeOrigin(more)).toEqual(decodeOrigin(ext4));
    more[2] = 3;
    expect(decodeOrigin(more)).toMatchObject({ handle: Buffer.alloc(0) });
  });

  it('a handle too long for the length byte becomes the empty origin', () => {
    expect(encodeOrigin({ type: 1, uuid: Buffer.alloc(16), handle: Buffer.alloc(235) })).toHaveLength(0);
  });

  it('round trips any handle', () => {
    const bytes = (min: number, max: number) => fc.uint8Array({ minLength: min, maxLength: max });
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 255 }), bytes(16, 16), bytes(0, 128), (type, uuid, handle) => {
        const back = decodeOrigin(encodeOrigin({ type, uuid: Buffer.from(uuid), handle: Buffer.from(handle) }));
        expect(back).toEqual({ type, uuid: Buffer.from(uuid), handle: Buffer.from(handle) });
      }),
    );
  });
});
