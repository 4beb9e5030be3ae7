import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeNlink, encodeNlink } from './nlink.ts';

describe('overlay.nlink', () => {
  it.each([
    ['U+0', 'U', 0],
    ['L-1', 'L', -1],
    ['U+12', 'U', 12],
  ] as const)('%s', (text, to, diff) => {
    expect(encodeNlink(to, diff).toString()).toBe(text);
    expect(decodeNlink(Buffer.from(text))).toEqual({ to, diff });
  });

  it.each(['', 'U', 'U1', 'X+1', 'U+', 'U+1x', 'u+1', 'U 1', '+1', 'U+2147483648', 'U+00000000001'])(
    '%j says nothing',
    (text) => {
      expect(decodeNlink(Buffer.from(text))).toBeNull();
    },
  );

  it('round trips', () => {
    fc.assert(
      fc.property(fc.constantFrom('U' as const, 'L' as const), fc.integer(), (to, diff) => {
        expect(decodeNlink(encodeNlink(to, diff))).toEqual({ to, diff });
      }),
    );
  });
});
