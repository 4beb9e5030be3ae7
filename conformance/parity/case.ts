/** A sequence with the layers that it begins on: what a mismatch is shrunk to, and replayed from. */
import { rmSync } from 'node:fs';
import { type ByteString, toBuffer } from 'stratafs/internal/sys/bytes';
import type { Match, Mismatch } from './match.ts';
import { brief, type Operation, operation } from './operation.ts';

export interface Case {
  readonly mode: string;
  /** Of the lowers (layers.ts). */
  readonly layers: number;
  /** What is taken out of the lowers: `INDEX/PATH`. */
  readonly cuts: readonly ByteString[];
  readonly ops: readonly Operation[];
}

export interface Found {
  readonly mismatch: Mismatch;
  /** How many operations ran before it showed; the last of them is the one. 0: the beginning. */
  readonly steps: number;
}

/** Plays a case to its first mismatch. */
export async function replay(match: Match, { layers, cuts, ops }: Case): Promise<Found | null> {
  const begun = await match.begin(layers, (lowers) => {
    for (const cut of cuts) {
      const slash = cut.indexOf('/');
      rmSync(toBuffer(`${lowers[Number(cut.slice(0, slash))]}${cut.slice(slash)}`), { recursive: true, force: true });
    }
  });
  if (begun !== null) {
    return { mismatch: begun, steps: 0 };
  }
  for (const [i, op] of ops.entries()) {
    const { mismatch, parted } = await match.step(op);
    if (mismatch !== null) {
      return { mismatch, steps: i + 1 };
    }
    if (parted) {
      return null;
    }
  }
  return null;
}

export function toJson({ ops, ...rest }: Case): string {
  const lines = ops.map((op) => `    ${JSON.stringify(brief(op))}`);
  const head = JSON.stringify(rest).slice(0, -1);
  return `${head},\n  "ops": [\n${lines.join(',\n')}\n  ]}\n`;
}

export function fromJson(text: string): Case {
  const { ops, ...rest } = JSON.parse(text) as Case;
  return { ...rest, ops: ops.map(operation) };
}
