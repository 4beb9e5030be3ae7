/** That a run whose operations say too little is found out. */
import { expect, test } from 'vitest';
import { Tally } from './tally.ts';

function tallied(counts: Readonly<Record<string, readonly [count: number, succeeded: number]>>): Tally {
  const tally = new Tally(Object.keys(counts));
  for (const [kind, [count, succeeded]] of Object.entries(counts)) {
    for (let i = 0; i < count; i++) {
      tally.add(kind, i < succeeded);
    }
  }
  return tally;
}

test('kinds of less than 1 % of the operations, or of which less than 20 % succeed, are named', () => {
  const tally = tallied({ often: [971, 971], rare: [9, 9], enough: [10, 2], failing: [10, 1], never: [0, 0] });
  expect(tally.tooFew()).toEqual(['rare', 'failing', 'never']);
});

test('exactly 1 % and 20 % are enough', () => {
  expect(tallied({ often: [990, 198], enough: [10, 2] }).tooFew()).toEqual([]);
});
