/**
 * The tests of faults for one set of mount options: each operation with its Nth system call failing,
 * for N = 1 to the last. Here each call fails with an errno that takes turns, every other one for ever
 * too; `npm run soak -- faults` (STRATA_SOAK=faults) has every errno at every call.
 */
import { afterAll, describe, expect, test } from 'vitest';
import { EDQUOT, EIO, ENOSPC, EROFS } from '../../../src/sys/errno.ts';
import { FaultBench, type Options } from './bench.ts';
import type { Operation } from './operations.ts';

const errnos = [EIO, ENOSPC, EDQUOT, EROFS];
const soak = process.env.STRATA_SOAK === 'faults';
const seed = Number(process.env.STRATA_SEED ?? 1);
/** More than fits into most reads and writes, so that they are left alone, and less than a chunk. */
const SHORT = 100_000;

export function faultSuite(options: Options, operations: Readonly<Record<string, Operation>>): void {
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
      expect(n).toBeGreaterThan(1);
    }, 600_000);

    test('each call moving less than it should', () => {
      const done = bench.done(operation);
      for (let at = 1; bench.try(operation, { at, short: SHORT }, 'remount', done); at++);
      bench.try(operation, { at: 1, short: SHORT, forever: true }, 'retry', done);
    }, 600_000);

    test('the process gone at each call', () => {
      const done = bench.done(operation);
      for (let at = 1; bench.try(operation, { at, errno: EIO, forever: true }, 'crash', done); at++);
    }, 600_000);
  });
}
