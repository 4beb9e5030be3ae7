/**
 * `npm run parity -- --ops N --seed S [--mode NAME|all]`: nobody can tell a strata mount from the
 * kernel's overlay by its behaviour. The same random operations run on both, mounted with the same
 * options on the same lowers, and every result is compared; at times the whole merged tree; at
 * other times both uppers as they lie on disk, after which each side goes on with what the other
 * has written. The kernel is the judge. What may differ is in docs/differences.md, and nothing else
 * is masked but what view.ts and upper-view.ts name at their heads.
 *
 *   --ops N          operations for each mode (100000)
 *   --seed S         the one that a run prints repeats it
 *   --mode NAME      an option set of modes.ts, or `all`
 *   --check-every N  compare the merged trees (1000)
 *   --swap-every N   compare and exchange the uppers
 *   --replay FILE    play the case that a mismatch was shrunk to; with --shrink-seconds N, shrink it further
 *   --times N        so many times (2): a first play may go another way than those that find its caches
 *
 * Reading on: modes.ts the option sets, layers.ts the lowers, kinds/ the operations, match.ts the
 * comparison, run.ts the loop, shrink.ts and script.ts what comes of a mismatch. Exit code 1 when
 * anything differed, a kind of operation was too rare or failed too often to say much, or trees and uppers
 * were not looked at often enough.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { openSys } from 'stratafs/internal/sys/sys-koffi';
import { fromJson, replay, toJson } from './case.ts';
import { Match, SWAP } from './match.ts';
import { modes } from './modes.ts';
import { inside, runInside, unavailable } from './namespace.ts';
import { type RunOptions, run, type Tell } from './run.ts';
import { script } from './script.ts';
import { shrink } from './shrink.ts';

const SHRINK_SECONDS = '120';

const { values } = parseArgs({
  options: {
    ops: { type: 'string', default: '100000' },
    seed: { type: 'string', default: String(1 + Math.floor(Math.random() * 0x7ffffffe)) },
    mode: { type: 'string', default: 'defaults' },
    'check-every': { type: 'string', default: '1000' },
    'swap-every': { type: 'string' },
    shrinks: { type: 'string', default: '3' },
    'shrink-seconds': { type: 'string' },
    limit: { type: 'string', default: '20' },
    replay: { type: 'string' },
    times: { type: 'string', default: '2' },
    'plant-options': { type: 'string' },
  },
});

function usage(problem: string): never {
  console.error(
    `${problem}\nusage: npm run parity -- [--ops N] [--seed S] [--mode ${Object.keys(modes).join('|')}|all]`,
  );
  process.exit(2);
}

function count(
  name: 'ops' | 'seed' | 'check-every' | 'shrinks' | 'limit' | 'shrink-seconds' | 'times',
  text = values[name],
): number {
  const number = Number(text);
  return Number.isSafeInteger(number) && number >= 0 ? number : usage(`--${name} takes a number, not ${text}`);
}

const tell: Tell = {
  progress: (line) => process.stderr.write(`${line}\n`),
  report: (text) => process.stdout.write(`${text}\n`),
  keep(name, json) {
    const dir = `${tmpdir()}/strata-parity-cases`;
    mkdirSync(dir, { recursive: true });
    writeFileSync(`${dir}/${name}`, json);
    return `${dir}/${name}`;
  },
};

/** At least 60 swaps in a million operations, and one in a short run. */
function swapEvery(ops: number): number {
  const asked = values['swap-every'];
  return asked === undefined ? Math.max(500, Math.min(4000, Math.ceil(ops / 2))) : Number(asked);
}

function options(mode: string): RunOptions {
  const ops = count('ops');
  return {
    mode,
    ops,
    seed: count('seed'),
    checkEvery: count('check-every'),
    swapEvery: swapEvery(ops),
    shrinks: count('shrinks'),
    shrinkMs: 1000 * count('shrink-seconds', values['shrink-seconds'] ?? SHRINK_SECONDS),
    limit: count('limit'),
    plant: values['plant-options']?.split(','),
  };
}

async function runMode(mode: string): Promise<boolean> {
  const said = options(mode);
  const { ops, mismatches, swaps, trees, longest, parted, tally } = await run(said, tell);
  console.log(tally.table());
  // A short run is not held to them.
  const few = ops < 10_000 ? [] : tally.tooFew();
  if (few.length > 0) {
    console.log(`too rare, or too often failing: ${few.join(', ')}`);
  }
  const looked = ops < 10_000 || mismatches > 0 || (longest <= 1000 && swaps >= Math.floor(ops / 20_000));
  if (!looked) {
    console.log(`${longest} operations without a look at the whole trees, or fewer swaps than one in 20,000`);
  }
  console.log(`mode ${mode}, ${swaps} swaps each way, ${trees} trees compared, ${parted} rounds ended early`);
  console.log(`ops ${ops}, mismatches ${mismatches}, seed ${said.seed}`);
  return mismatches === 0 && few.length === 0 && looked;
}

async function replayFile(file: string): Promise<boolean> {
  const sys = openSys();
  let played = fromJson(readFileSync(file, 'utf8'));
  const match = new Match(sys, modes[played.mode]);
  try {
    if (values['shrink-seconds'] !== undefined) {
      const shrunk = await shrink(sys, match, played, Date.now() + 1000 * count('shrink-seconds'));
      if (shrunk !== null) {
        played = shrunk.small;
        writeFileSync(file, toJson(played));
        console.log(script(sys, modes[played.mode], match.pair.lowers, played, shrunk.found, file));
      }
    }
    const times = count('times');
    let mismatches = 0;
    for (let play = 1; play <= times; play++) {
      const found = await replay(match, played);
      mismatches += found === null ? 0 : 1;
      const outcome =
        found === null
          ? `no mismatch in ${played.ops.filter(({ kind }) => kind !== SWAP).length} operations`
          : `${found.mismatch.what} at operation ${found.steps}: ${JSON.stringify(played.ops[found.steps - 1])}\n  ${found.mismatch.lines.join('\n  ')}`;
      console.log(`play ${play}: ${outcome}`);
    }
    console.log(`played ${times} times, ${mismatches} with a mismatch`);
    return mismatches === 0;
  } finally {
    await match.close();
  }
}

async function main(): Promise<boolean> {
  if (inside()) {
    return values.replay === undefined ? runMode(values.mode) : replayFile(values.replay);
  }
  const reason = unavailable();
  if (reason !== null) {
    usage(`cannot run here: ${reason}`);
  }
  const file = fileURLToPath(import.meta.url);
  if (values.replay !== undefined) {
    const path = resolve(values.replay);
    const { mode } = fromJson(readFileSync(path, 'utf8'));
    const longer = values['shrink-seconds'];
    const rest = longer === undefined ? [] : ['--shrink-seconds', longer];
    return (
      (await runInside(modes[mode].userns === true, file, ['--replay', path, '--times', values.times, ...rest])) === 0
    );
  }
  const chosen = values.mode === 'all' ? Object.keys(modes) : [values.mode];
  let alike = true;
  for (const mode of chosen) {
    if (modes[mode] === undefined) {
      usage(`there is no mode ${mode}`);
    }
    const rest = Object.entries(values).flatMap(([name, value]) =>
      name === 'mode' || value === undefined ? [] : [`--${name}`, String(value)],
    );
    const code = await runInside(modes[mode].userns === true, file, ['--mode', mode, ...rest]);
    alike &&= code === 0;
  }
  return alike;
}

process.exit((await main()) ? 0 : 1);
