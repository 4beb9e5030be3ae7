/** Held against what `fsverity digest` (fsverity-utils) says of the same bytes. */
import { describe, expect, it } from 'vitest';
import { EINTR, EIO } from '../sys/errno.ts';
import { digestSize, fsverityDigest } from './fsverity-digest.ts';

/** Byte i is i * 7 + i div 251, so that no two blocks are alike. */
function content(size: number): Buffer {
  return Buffer.from(Uint8Array.from({ length: size }, (_, i) => (i * 7 + Math.floor(i / 251)) & 255));
}

function digest(algorithm: number, bytes: Buffer): string {
  // Reads give less than asked, as they may.
  const read = (buf: Buffer, pos: number): number => bytes.copy(buf, 0, pos, pos + 300_001);
  return (fsverityDigest(algorithm, bytes.length, read) as Buffer).toString('hex');
}

describe('fsverityDigest', () => {
  it.each([
    ['nothing', 0, '3d248ca542a24fc62d1c43b916eae5016878e2533c88238480b26128a1f1af95'],
    ['one byte', 1, 'b803429503d95915829b29fdbc8bbad142f3abfd11b1cadf5526582e685c0551'],
    ['almost a block', 4095, '841acbc4d3c22ad5f67a748aab2d3e5a4d21de6879a73cb6ec235049dd94dc40'],
    ['a block', 4096, '2b41866549a2f4f4a80ebbb30aa8d8436ce675229143bf493d8dc6fce99081a0'],
    ['a block and a byte', 4097, '2492558cab5973a8b471d3a517cf3fc8ae04bffa6083e7d443e7839b65d94651'],
    ['half a block of hashes', 262144, 'f7656e09d2368042058b8f2c17aad27f2b84adb7d7f654251a4e3067a0325cca'],
    ['a block of hashes', 524288, '6feaceaea1f345a5da49693b409602e6b1878a9484241670db45aef27aaec575'],
    ['one more', 524289, '64272326908c4b8fdd9de8dd28615fcb25d5bb0fca2a9949d29305f6ce54ac6c'],
    ['several', 1572941, '2158d1b08a9c111b79900c3eb9db5859ad583f7d87ceea0ac98bbd43a7438271'],
  ])('SHA-256 of %s', (_name, size, expected) => {
    expect(digest(1, content(size))).toBe(expected);
  });

  it.each([
    [
      4097,
      'ddc0a138af5af46ec8ccbabedfec469b5e51f987e33cf90c103f3d8b6c0aab8349ba966c53b01111444756d7da116e3a09cd7a5c79b2ec9915dc1fc5df78aac4',
    ],
    [
      262144,
      '00ca2d0fef99b8afff05691b01eb6fd10f0ac50259ba3d683d417c2d4065a0d5e368a657e5b725451325171ca6fcb08c56c6676758c5b0f698f8148b46e207e4',
    ],
    [
      1572941,
      'd7646bd93491afe4db77bb869eae49e65938576444a2c92af644ba26fa6ef2f0794b84585d1b9933884381e2da76ce68528a199b1c95d2a161bef5fb305b98c0',
    ],
  ])('SHA-512 of %i bytes', (size, expected) => {
    expect(digest(2, content(size))).toBe(expected);
  });

  it('fails as reading fails, and for a file that has become shorter', () => {
    expect(fsverityDigest(1, 10, () => -EINTR)).toBe(-EINTR);
    expect(fsverityDigest(1, 10, () => 0)).toBe(-EIO);
  });

  it('knows two algorithms', () => {
    expect([0, 1, 2, 3].map(digestSize)).toEqual([0, 32, 64, 0]);
  });
});
