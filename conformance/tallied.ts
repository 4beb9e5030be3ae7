/**
 * Long runs that are unit tests with everything in place of samples: they run from the sources, so by vitest, with
 * STRATA_SOAK and a file in which each part that was tried to its end is written down (tally.ts beside the
 * tests). Every half minute a line says how far it has come; a run that is given the file of one that was
 * stopped goes on where that ended.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const PROGRESS_MS = 30_000;

export interface Tallied {
  operations: number;
  did: string;
  wrong: readonly string[];
  sum: string;
}

/** `name`: what `points` are called in the last line. `also`: for the environment of the tests. */
export async function tallied(
  tests: string,
  seed: number,
  file: string | null,
  name: string,
  also: NodeJS.ProcessEnv = {},
): Promise<Tallied> {
  const dir = file === null ? mkdtempSync(path.join(tmpdir(), 'strata-tally-')) : null;
  const tally = path.resolve(file ?? path.join(dir!, 'tally'));
  const soak = path.basename(tests);
  const env = { ...process.env, ...also, STRATA_SOAK: soak, STRATA_SEED: String(seed), STRATA_FAULTS_TALLY: tally };
  const child = spawn('npx', ['vitest', 'run', '--project', 'unit', '--project', 'conformance', tests], {
    env,
    stdio: 'inherit',
  });
  const progress = setInterval(() => {
    const { parts, points } = read(tally);
    console.log(`${soak}: ${parts} parts, ${points} ${name}`);
  }, PROGRESS_MS);
  const [status] = await once(child, 'close');
  clearInterval(progress);
  const { parts, points } = read(tally);
  if (dir !== null) rmSync(dir, { recursive: true });
  const failed = status !== 0 || points === 0;
  return {
    operations: parts,
    did: 'were tried to their end',
    wrong: failed ? [`${tests} failed: what is torn stands above`] : [],
    sum: failed ? `${points} ${name}, some torn` : `${points} ${name}, 0 torn`,
  };
}

function read(tally: string): { parts: number; points: number } {
  const lines = existsSync(tally) ? readFileSync(tally, 'utf8').trim().split('\n') : [];
  let points = 0;
  for (const line of lines) points += (JSON.parse(line) as { points: number }).points;
  return { parts: lines.length, points };
}
