import { expect, it } from 'vitest';
import { Lookers } from './lookers.ts';

const times = (n: number, act: () => void): void => {
  for (let i = 0; i < n; i++) act();
};

it('takes some lookups for a habit, not one', () => {
  const lookers = new Lookers();
  times(3, () => lookers.looked(7));
  expect(lookers.looks(7)).toBe(false);
  lookers.looked(7);
  expect([7, 8].map((pid) => lookers.looks(pid))).toEqual([true, false]);
});

it('remembers the last callers only', () => {
  const lookers = new Lookers();
  for (let pid = 1; pid <= 65; pid++) times(4, () => lookers.looked(pid));
  expect([1, 2, 65].map((pid) => lookers.looks(pid))).toEqual([false, true, true]);
});
