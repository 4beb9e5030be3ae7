import { describe, expect, it } from 'vitest';
import { decodeLazy, encodeLazy, type LazyRecord } from './lazy-record.ts';

const record: LazyRecord = {
  origin: Buffer.from('00fb1d0001', 'hex'),
  lower: { size: 2 ** 41, mtime: -3, mtimeNsec: 999_999_999, ctime: 1_700_000_000, ctimeNsec: 1, blocks: 77 },
  limit: 2 ** 40 + 1,
  ino: 0xffff_ffff_ffff_fff0n,
  btime: -1,
  btimeNsec: 5,
  pin: null,
};

describe('overlay.strata.lazy', () => {
  it('is read as it was written', () => {
    expect(decodeLazy(encodeLazy(record))).toEqual(record);
    const pinned = { ...record, pin: { mtime: -7, mtimeNsec: 8, capability: null } };
    expect(decodeLazy(encodeLazy(pinned))).toEqual(pinned);
    const capable = { ...record, pin: { mtime: 7, mtimeNsec: 8, capability: Buffer.from('0100000200200000', 'hex') } };
    expect(decodeLazy(encodeLazy(capable))).toEqual(capable);
  });

  it.each([
    ['cut off', encodeLazy(record).subarray(0, 60)],
    ['of another version', Buffer.concat([Buffer.from([2]), encodeLazy(record).subarray(1)])],
    ['with flags that are not known', Buffer.concat([Buffer.from([1, 4]), encodeLazy(record).subarray(2)])],
    ['shorter than it says', encodeLazy(record).subarray(0, 90)],
  ])('%s says nothing', (_why, value) => {
    expect(decodeLazy(value)).toBeNull();
  });
});
