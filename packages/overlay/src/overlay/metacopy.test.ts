import { describe, expect, it } from 'vitest';
import { EIO } from '../sys/errno.ts';
import { decodeMetacopy, encodeMetacopy } from './metacopy.ts';

describe('overlay.metacopy', () => {
  const digest = Buffer.alloc(32, 0xab);

  it('is version, length, flags, algorithm and digest', () => {
    const value = encodeMetacopy({ algorithm: 1, digest });
    expect(value.toString('hex')).toBe(`00240001${'ab'.repeat(32)}`);
    expect(decodeMetacopy(value)).toEqual({ algorithm: 1, digest });
  });

  it('empty, or without a digest, says that there is none', () => {
    expect(decodeMetacopy(Buffer.alloc(0))).toBeNull();
    expect(decodeMetacopy(Buffer.from([0, 4, 0, 0]))).toBeNull();
  });

  it.each([
    ['too short', [0, 3, 0]],
    ['of another version', [1, 4, 0, 0]],
    ['of another length than it says', [0, 5, 0, 0]],
  ])('%s is no such value', (_why, bytes) => {
    expect(decodeMetacopy(Buffer.from(bytes))).toBe(-EIO);
  });
});
