/**
 * Every compound operation with its Nth system call failing, for N = 1 to the last: the answer is the
 * errno or the work is done all the same, what is seen is the old or the new state (also after a
 * remount), the next try works, no descriptor and no node is lost, and the workdir comes clean.
 *
 * Here each call fails with an errno that takes turns, every other one for ever too, and moves less
 * than it was asked to; `npm run soak -- faults` has every errno at every call.
 */
import { afterAll, describe, expect, test } from 'vitest';
import { FaultBench, type Options } from '../../test/support/faults/bench.ts';
import { operations } from '../../test/support/faults/operations.ts';
import { EDQUOT, EIO, ENOSPC, EROFS } from '../sys/errno.ts';

const errnos = [EIO, ENOSPC, EDQUOT, EROFS];
const soak = process.env.STRATA_SOAK === 'faults';
const seed = Number(process.env.STRATA_SEED ?? 1);

const options: Options = { params: {}, text: ',redirect_dir=on' };
const bench = new FaultBench(options);
afterAll(() => bench.end());

describe.each(Object.entries(operations))('%s', (_, operation) => {
  test('each call failing', () => {
    const done = bench.done(operation);
    const turn = (n: number): number[] => (soak ? errnos : [errnos[(n + seed) % errnos.length]]);
    let fired = true;
    let n = 0;
    while (fired) {
      n++;
      for (const errno of turn(n)) fired = bench.try(operation, { at: n, errno }, 'retry', done);
      // One of two that follow each other, by the seed.
      if (!soak && (n + (seed >> 2)) % 2 === 0) continue;
      for (const errno of turn(n + 1)) bench.try(operation, { at: n, errno, forever: true }, 'remount', done);
      if (!soak) continue;
      for (const errno of errnos) {
        bench.try(operation, { at: n, errno }, 'remount', done);
        bench.try(operation, { at: n, errno, forever: true }, 'retry', done);
      }
    }
    expect(n).toBeGreaterThan(2);
  }, 600_000);

  test('each call moving less than it should', () => {
    const done = bench.done(operation);
    for (let at = 1; bench.try(operation, { at, short: 100_000 }, 'remount', done); at++);
    bench.try(operation, { at: 1, short: 100_000, forever: true }, 'retry', done);
  }, 600_000);

  test('the process gone at each call', () => {
    const done = bench.done(operation);
    for (let at = 1; bench.try(operation, { at, errno: EIO, forever: true }, 'crash', done); at++);
  }, 600_000);
});
