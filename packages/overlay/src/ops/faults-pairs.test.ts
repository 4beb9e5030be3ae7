/**
 * Two operations, one after the other, with the process gone at each call of the second one that
 * changes something on disk: whatever the first has made of the layers, a mount afterwards shows what
 * was before the second or what it makes. Some pairs, by the seed; `npm run soak -- faults` has all.
 */
import { afterAll, describe, expect, test } from 'vitest';
import { FaultBench } from '../../test/support/faults/bench.ts';
import { linkOperations } from '../../test/support/faults/link-operations.ts';
import type { Operation } from '../../test/support/faults/operation.ts';
import { operations } from '../../test/support/faults/operations.ts';
import { seed, soak, tallied } from '../../test/support/faults/tally.ts';
import { whiteoutOperations } from '../../test/support/faults/whiteout-operations.ts';
import { EIO } from '../sys/errno.ts';
import { changingCalls } from '../sys/sys-fault.ts';

const PAIRS = 24;

const options = { params: { index: true, redirectDir: 'on' }, text: ',redirect_dir=on,index=on' } as const;
const bench = new FaultBench(options);
afterAll(() => bench.end());

const further = [
  'mknod of a whiteout over a whiteout',
  'rename a lower file and leave a whiteout',
  'rename a merged directory and leave a whiteout',
];
const all = Object.entries({
  ...operations,
  ...linkOperations,
  ...Object.fromEntries(further.map((name) => [name, whiteoutOperations[name]])),
});

/** The second one, with the first done before. */
const after = (a: Operation, b: Operation): Operation => ({
  ...b,
  prepare(o) {
    a.prepare(o)();
    return b.prepare(o);
  },
});

/** @returns how many crashes were tried; -1 where the second one cannot be done after the first. */
function tryPair([first, a]: (typeof all)[0], [second, b]: (typeof all)[0]): number {
  const pair = after(a, b);
  const done = bench.tryDone(pair);
  if (done === null) return -1;
  try {
    let at = 1;
    while (bench.try(pair, { at, errno: EIO, forever: true, calls: changingCalls }, 'crash', done)) at++;
    return at - 1;
  } catch (error) {
    if (error instanceof Error) error.message = `${first}, then ${second}: ${error.message}`;
    throw error;
  }
}

function sample(): void {
  test('pairs of operations, the process gone in the second', () => {
    let tried = 0;
    for (let i = 0; i < PAIRS; i++) {
      // A prime steps through all of them before any comes again.
      const n = (seed + i * 7919) % (all.length * all.length);
      if (tryPair(all[Math.floor(n / all.length)], all[n % all.length]) >= 0) tried++;
    }
    expect(tried).toBeGreaterThan(PAIRS / 6);
  }, 600_000);
}

function everyPair(): void {
  for (const first of all) {
    test(`after: ${first[0]}`, () => {
      tallied(`${options.text} pairs after ${first[0]}`, () => {
        let points = 0;
        for (const second of all) points += Math.max(0, tryPair(first, second));
        return points;
      });
    }, 1_200_000);
  }
}

// No test is skipped for the other kind of run: that would count as a skip.
describe('pairs', soak ? everyPair : sample);
