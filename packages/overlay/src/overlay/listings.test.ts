import { describe, expect, it } from 'vitest';
import { DirentList } from '../layer/dirent-list.ts';
import { DirInode } from './inode.ts';
import { Listings } from './listings.ts';

const dirOf = (entries: number): DirInode => {
  const dir = new DirInode(null, []);
  const list = new DirentList();
  for (let i = 0; i < entries; i++) list.append(Buffer.from('x'), 0, 1, new Uint32Array([1, 0]), 0, 8);
  dir.listing = { version: 0, entries: list, upper: null, next: entries + 3 };
  return dir;
};

describe('Listings', () => {
  it('keeps the latest within the budget', () => {
    const listings = new Listings(10);
    const [a, b, c] = [dirOf(4), dirOf(4), dirOf(4)];
    for (const dir of [a, b, a, c]) listings.keep(dir);
    expect([a, b, c].map((dir) => dir.listing !== null)).toEqual([true, false, true]);
  });

  it('never takes one that is being read', () => {
    const listings = new Listings(10);
    const [a, b] = [dirOf(8), dirOf(8)];
    listings.keep(a);
    a.listers = 1;
    listings.keep(b);
    expect([a, b].map((dir) => dir.listing !== null)).toEqual([true, false]);
  });

  it('does not keep one that is larger than the budget, and counts the names that have gone', () => {
    const listings = new Listings(10);
    const dir = dirOf(2);
    dir.positions = new Map(Array.from({ length: 11 }, (_, i) => [`n${i}`, i]));
    listings.keep(dir);
    expect([dir.listing, dir.positions]).toEqual([null, null]);
  });
});
