/**
 * One mode's run: rounds of random operations on layers of their own, to the number that was
 * asked for. A mismatch is counted, shrunk and told; then new layers begin a new round.
 */
import { openSys } from 'stratafs/internal/sys/sys-koffi';
import { random } from '../random.ts';
import { type Case, toJson } from './case.ts';
import { Generator } from './generate.ts';
import { kindsOf } from './kinds/all.ts';
import { CHECK, Match, type Mismatch, SWAP } from './match.ts';
import { modes } from './modes.ts';
import { type Operation, operation } from './operation.ts';
import { script } from './script.ts';
import { shrink } from './shrink.ts';
import { Tally } from './tally.ts';
import { isFailure } from './turn.ts';

export interface RunOptions {
  readonly mode: string;
  readonly ops: number;
  readonly seed: number;
  /** In operations. */
  readonly checkEvery: number;
  readonly swapEvery: number;
  /** How many mismatches are shrunk, and for how long each. */
  readonly shrinks: number;
  readonly shrinkMs: number;
  /** Mismatches after which a run is given up. */
  readonly limit: number;
  /** Options of our side that are not the mode's: to see that differences are found. */
  readonly plant?: readonly string[];
}

export interface Report {
  readonly mode: string;
  readonly ops: number;
  readonly mismatches: number;
  readonly swaps: number;
  /** How often the whole trees were compared, at swaps too. */
  readonly trees: number;
  /** The most operations between two comparisons of whole trees, those at the beginning of rounds among them. */
  readonly longest: number;
  /** Rounds that ended early, since the sides had come to differ as they may. */
  readonly parted: number;
  readonly tally: Tally;
}

/** Swaps in a round: a tree that has been worked on for longer has little left of its lowers. */
const SWAPS = 2;

/** How the run tells what it does, a line at a time. */
export interface Tell {
  progress(line: string): void;
  /** Mismatches, with their scripts. */
  report(text: string): void;
  /** Keeps a replay file. @returns its path */
  keep(name: string, json: string): string;
}

export async function run(options: RunOptions, tell: Tell): Promise<Report> {
  const sys = openSys();
  const said = modes[options.mode];
  const mode = options.plant === undefined ? said : { ...said, ours: options.plant };
  const match = new Match(sys, mode);
  const rnd = random(options.seed);
  const tally = new Tally(kindsOf(mode));
  let [done, mismatches, swaps, trees, endedEarly, comparedAt, longest] = [0, 0, 0, 0, 0, 0, 0];

  const mismatched = async (round: Case, mismatch: Mismatch): Promise<void> => {
    mismatches++;
    const last = round.ops.at(-1);
    tell.report(
      `MISMATCH ${mismatches} after ${done} operations: ${mismatch.what}\n  ${JSON.stringify(last)}\n  ${mismatch.lines.join('\n  ')}`,
    );
    if (mismatches > options.shrinks) {
      return;
    }
    const shrunk = await shrink(sys, match, round, Date.now() + options.shrinkMs);
    const { small, found } = shrunk ?? { small: round, found: { mismatch, steps: round.ops.length } };
    const kept = tell.keep(`${options.mode}-${options.seed}-${mismatches}.json`, toJson(small));
    const again =
      shrunk === null ? 'it did not show again on replay; the whole round' : `shrunk to ${small.ops.length} operations`;
    tell.report(`${again}: npm run parity -- --replay ${kept}`);
    if (shrunk !== null) {
      tell.report(script(sys, mode, match.pair.lowers, small, found, kept));
    }
  };

  /** @returns whether the round came to its end. */
  const round = async (): Promise<void> => {
    const layers = rnd.below(0x7fffffff);
    const ops: Operation[] = [];
    const all = (): Case => ({ mode: options.mode, layers, cuts: [], ops });
    const begun = await match.begin(layers);
    if (begun !== null) {
      await mismatched(all(), begun);
      return;
    }
    const generator = new Generator(rnd, mode);
    generator.seen(match.seen!, false);
    comparedAt = done;
    const took = async (op: Operation): Promise<string | null> => {
      ops.push(op);
      const { mismatch, result, parted } = await match.step(op);
      if (mismatch !== null) {
        await mismatched(all(), mismatch);
      }
      if (parted) {
        endedEarly++;
      }
      return mismatch !== null || parted ? null : result;
    };
    for (let n = 1; n <= SWAPS * options.swapEvery; n++) {
      const op = generator.next();
      const result = await took(op);
      done++;
      longest = Math.max(longest, done - comparedAt);
      if (result === null) {
        tally.add(op.kind, false);
        return;
      }
      tally.add(op.kind, !isFailure(result));
      generator.learn(op, result);
      const ends = done >= options.ops;
      const swap = n % options.swapEvery === 0 || ends;
      if (swap || n % options.checkEvery === 0) {
        if ((await took(operation({ kind: CHECK }))) === null) {
          return;
        }
        trees++;
        comparedAt = done;
        if (swap) {
          if ((await took(operation({ kind: SWAP }))) === null) {
            return;
          }
          swaps++;
        }
        generator.seen(match.seen!, !swap);
      }
      if (ends) {
        return;
      }
    }
  };

  const began = Date.now();
  try {
    while (done < options.ops && mismatches < options.limit) {
      await round();
      const perSecond = Math.round((1000 * done) / (Date.now() - began));
      tell.progress(`${options.mode}: ${done} operations, ${perSecond}/s, ${swaps} swaps, ${mismatches} mismatches`);
    }
  } finally {
    await match.close();
  }
  return { mode: options.mode, ops: done, mismatches, swaps, trees, longest, parted: endedEarly, tally };
}
