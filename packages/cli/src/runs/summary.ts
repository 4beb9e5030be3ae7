/** What a run changed, in a few lines for people. */

import type { Change } from 'stratafs/internal/diff/change-set';
import { printable } from 'stratafs/internal/sys/bytes';

/** Lines of changes that are shown; `strata diff` has them all. */
const SHOWN = 10;

const words = { A: 'added', C: 'changed', D: 'deleted' } as const;

/** Lines without their newlines. A directory that only holds a change is counted as changed, as `strata diff` lists it. */
export function summarize(changes: readonly Change[]): string[] {
  if (changes.length === 0) return ['nothing changed'];
  const counts = (['A', 'C', 'D'] as const)
    .map((kind) => [changes.filter((change) => change.kind === kind).length, words[kind]] as const)
    .filter(([count]) => count > 0)
    .map(([count, word]) => `${count} ${word}`);
  const lines = [counts.join(', ')];
  for (const { kind, path } of changes.slice(0, SHOWN)) lines.push(`  ${kind} ${printable(path)}`);
  if (changes.length > SHOWN) lines.push(`  ... and ${changes.length - SHOWN} more`);
  return lines;
}
