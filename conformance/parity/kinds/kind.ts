/** What a kind of operation is: how it is chosen, run, and said to a shell. */
import type { Chooser } from '../chooser.ts';
import type { Known } from '../known.ts';
import type { Operation } from '../operation.ts';
import type { Turn } from '../turn.ts';

export interface Kind {
  /** How often it is chosen, against all others. */
  readonly weight: number;
  choose(by: Chooser): Partial<Operation>;
  /** @returns what it gave, as text (turn.ts). */
  run(turn: Turn, op: Operation): string;
  /** What is there after it succeeded. */
  learn?(known: Known, op: Operation): void;
  /** The same in a shell in the merged root: a tool that makes this very call, or `sys` and `slot` (perl.ts). */
  shell(op: Operation): string;
}

export type Kinds = Readonly<Record<string, Kind>>;
