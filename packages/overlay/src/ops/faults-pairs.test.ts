/**
 * Two operations, one after the other, with the process gone at each call of the second one that
 * changes something on disk: whatever the first has made of the layers, a mount afterwards shows what
 * was before the second or what it makes. Some pairs, by the seed; `npm run soak -- faults` has all.
 */
import { afterAll, expect, test } from 'vitest';
import { FaultBench } from '../../test/support/faults/bench.ts';
import { linkOperations, type Operation, operations } from '../../test/support/faults/operations.ts';
import { EIO } from '../sys/errno.ts';
import { changingCalls } from '../sys/sys-fault.ts';

const PAIRS = 24;
const seed = Number(process.env.STRATA_SEED ?? 1);

const bench = new FaultBench({ params: { index: true, redirectDir: 'on' }, text: ',redirect_dir=on,index=on' });
afterAll(() => bench.end());

const all = Object.entries({ ...operations, ...linkOperations });
const pairs = all.flatMap(([first, a]) => all.map(([second, b]) => ({ first, a, second, b })));

function chosen(): typeof pairs {
  if (process.env.STRATA_SOAK === 'faults') return pairs;
  // A prime steps through all of them before any comes again.
  return Array.from({ length: PAIRS }, (_, i) => pairs[(seed + i * 7919) % pairs.length]);
}

/** The second one, with the first done before. */
const after = (a: Operation, b: Operation): Operation => ({
  ...b,
  prepare(o) {
    a.prepare(o)();
    return b.prepare(o);
  },
});

test('pairs of operations, the process gone in the second', () => {
  let tried = 0;
  for (const { first, a, second, b } of chosen()) {
    const pair = after(a, b);
    // What the second one needs may be gone.
    const done = bench.tryDone(pair);
    if (done === null) continue;
    tried++;
    try {
      for (let at = 1; bench.try(pair, { at, errno: EIO, forever: true, calls: changingCalls }, 'crash', done); at++);
    } catch (error) {
      if (error instanceof Error) error.message = `${first}, then ${second}: ${error.message}`;
      throw error;
    }
  }
  expect(tried).toBeGreaterThan(PAIRS / 6);
}, 3_600_000);
