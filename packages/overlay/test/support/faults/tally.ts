/**
 * The account of a long run: STRATA_FAULTS_TALLY names a file that gets a line of JSON for each part of the run that was
 * tried to its end, with how many faults and crashes that were. A run that is given the file of an earlier one goes on
 * where that ended.
 */
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { expect } from 'vitest';

const file = process.env.STRATA_FAULTS_TALLY;

/** Whether everything is to be tried, not samples. */
export const soak: boolean = process.env.STRATA_SOAK === 'faults';
export const seed: number = Number(process.env.STRATA_SEED ?? 1);

/** Whether an earlier run has tried this part. */
export function isTallied(part: string): boolean {
  if (file === undefined || !existsSync(file)) return false;
  return readFileSync(file, 'utf8').includes(`{"part":${JSON.stringify(part)},`);
}

/** Runs `tryAll`, which says how many points it has tried, unless an earlier run has. @param least how many there are at least */
export function tallied(part: string, tryAll: () => number, least = 1): void {
  if (isTallied(part)) return;
  const points = tryAll();
  expect(points).toBeGreaterThanOrEqual(least);
  if (file !== undefined) appendFileSync(file, `${JSON.stringify({ part, points })}\n`);
}
