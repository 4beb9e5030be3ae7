/**
 * The tests of faults for one set of mount options: each operation with its Nth system call failing,
 * for N = 1 to the last. Here each call fails with an errno that takes turns, every other one for ever
 * too; `npm run soak -- faults` (STRATA_SOAK=faults) has every errno at every call, once and for ever.
 */
import { afterAll, describe, test } from 'vitest';
import { EDQUOT, EIO, ENOSPC, EROFS } from '../../../src/sys/errno.ts';
import { movingCalls } from '../../../src/sys/sys-fault.ts';
import { FaultBench, type Options } from './bench.ts';
import type { Operation } from './operation.ts';
import { seed, soak, tallied } from './tally.ts';

const errnos = [EIO, ENOSPC, EDQUOT, EROFS];
/** In bytes: less than a chunk of a copy; and less than any file has. */
const SHORT = 100_000;
const SHORTEST = 5;

export function faultSuite(options: Options, operations: Readonly<Record<string, Operation>>): void {
  const bench = new FaultBench(options);
  afterAll(() => bench.end());
  const reason = bench.unavailable;
  if (reason !== null) {
    test('faults', (ctx) => ctx.skip(reason));
    return;
  }

  const of = options.thread === undefined ? '' : ` (a thread, ${options.thread})`;
  describe.each(Object.entries(operations))('%s', (name, operation) => {
    const part = (what: string): string => `${options.text}${of} ${name}: ${what}`;

    test('each call failing', () => {
      tallied(part('failing'), () => (soak ? failing : sampled)(bench, operation));
    }, 1_200_000);

    test('each call moving less than it should', () => {
      tallied(part('short'), () => shorter(bench, operation), 0);
    }, 1_200_000);

    // It has no thread that lives on.
    if (options.thread === 'faulty alone') return;

    test('the process gone at each call', () => {
      tallied(part('gone'), () => {
        const done = bench.done(operation);
        let at = 1;
        while (bench.try(operation, { at, errno: EIO, forever: true }, 'crash', done)) at++;
        return at - 1;
      });
    }, 1_200_000);
  });
}

/** Each call that moves bytes moves fewer, once, and all of them do. @returns points tried. */
function shorter(bench: FaultBench, operation: Operation): number {
  const done = bench.done(operation);
  let points = 0;
  for (const short of [SHORT, SHORTEST]) {
    const fault = { short, calls: movingCalls };
    let at = 1;
    while (bench.try(operation, { at, ...fault }, at % 2 === 0 ? 'remount' : 'retry', done)) at++;
    points += at - 1;
    // What is long would be moved in very many calls.
    if (at === 1 || (short === SHORTEST && points >= at)) continue;
    bench.try(operation, { at: 1, ...fault, forever: true }, 'retry', done);
    points++;
  }
  return points;
}

/** The errno of the turn at each call; at one of two that follow each other for ever too, by the seed. @returns points tried. */
function sampled(bench: FaultBench, operation: Operation): number {
  const done = bench.done(operation);
  let points = 0;
  for (let at = 1, fired = true; fired; at++) {
    fired = bench.try(operation, { at, errno: errnos[(at + seed) % errnos.length] }, 'retry', done);
    points += fired ? 1 : 0;
    if (!fired || (at + (seed >> 2)) % 2 === 0) continue;
    bench.try(operation, { at, errno: errnos[(at + 1 + seed) % errnos.length], forever: true }, 'remount', done);
    points++;
  }
  return points;
}

/** Every errno at each call, once and for ever; each call has seen each ending after each of the two. @returns points tried. */
function failing(bench: FaultBench, operation: Operation): number {
  const done = bench.done(operation);
  let points = 0;
  for (let at = 1, fired = true; fired; at++) {
    for (const [i, errno] of errnos.entries()) {
      const turn = (i + at + seed) % errnos.length === 0;
      fired = bench.try(operation, { at, errno }, turn ? 'remount' : 'retry', done);
      if (!fired) break;
      bench.try(operation, { at, errno, forever: true }, turn ? 'retry' : 'remount', done);
      points += 2;
    }
  }
  return points;
}
