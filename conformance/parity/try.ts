/**
 * `npm run try -- 'SCRIPT' [--lowers DIR] [-o OPTIONS]`: runs a shell script (bash) on the kernel's
 * overlay and on ours, in the merged root, and prints what differs: output, exit code, the trees,
 * the uppers. Both are mounted at the same path, with the same options, on a copy of DIR or on a
 * small tree. Exit code 0: nothing differs.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { toText } from 'stratafs/internal/sys/bytes';
import { openSys } from 'stratafs/internal/sys/sys-koffi';
import { differences } from '../snapshot.ts';
import { LowerNumbers } from './lower-numbers.ts';
import type { Mode } from './modes.ts';
import { inside, runInside, unavailable } from './namespace.ts';
import { Pair } from './pair.ts';
import { Turn } from './turn.ts';
import { UpperView } from './upper-view.ts';
import { View } from './view.ts';

const OPTIONS = 'redirect_dir=on,index=on,metacopy=on,xino=on';

const TREE = `mkdir -p dir/sub empty; echo text > file; echo in > dir/in; echo below > dir/sub/below
  ln file other-name; ln -s file link; mkfifo fifo; chmod 4755 dir/in; touch -d @1000000000 file dir/in dir/sub dir`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { lowers: { type: 'string' }, options: { type: 'string', short: 'o', default: OPTIONS } },
});

/** At one path for both, so that what names the path does not differ. */
const IN_PLACE = 'mount --bind "$1" "$2" && cd "$2" && exec bash -c "$3"';

async function attempt(script: string, options: readonly string[]): Promise<string[]> {
  const sys = openSys();
  const mode: Mode = { about: '', options, lowersOn: ['base'], upperOn: 'base', making: [] };
  const pair = new Pair(sys, mode);
  // Whatever is made from here on, lowers too, is made now.
  const since = Date.now() - 1000;
  try {
    pair.reset(0, (lower) => {
      const fill = values.lowers === undefined ? TREE : 'cp -a "$0/." .';
      execFileSync('bash', ['-c', fill, values.lowers ?? ''], { cwd: toText(lower) });
    });
    const numbers = new LowerNumbers(sys, pair.lowers, pair.upperRoot);
    const yard = { since: [Math.floor(since / 1000), (since % 1000) * 1e6] as const, numbers };
    await pair.mount();
    const outcomes = pair.merged.map((merged) => {
      const args = ['--mount', 'sh', '-c', IN_PLACE, 'sh', toText(merged), '/mnt', script];
      const { status, stdout, stderr } = spawnSync('unshare', args, { encoding: 'latin1' });
      return new Map([['the script', { output: stdout, errors: stderr, 'exit code': String(status) }]]);
    });
    const views = pair.merged.map((merged, i) => {
      const turn = new Turn(sys, i === 0, merged);
      const view = new View(turn, yard);
      turn.end();
      return view;
    });
    views[0].forgive(views[1]);
    views[0].forgiveAtimes(views[1]);
    views[0].forgiveBirths(views[1]);
    await pair.unmount();
    const uppers = pair.stores.map((store) => new UpperView(sys, store, yard).snapshot);
    console.log(
      [...outcomes[0].values()]
        .map(({ output, errors }) => output + errors)
        .join('')
        .trimEnd(),
    );
    return [
      ...differences(outcomes[0], outcomes[1], "the kernel's", 'ours'),
      ...differences(views[0].snapshot, views[1].snapshot, "the kernel's tree", 'ours'),
      ...differences(uppers[0], uppers[1], "the kernel's upper", 'ours'),
    ];
  } finally {
    await pair.close();
  }
}

async function main(): Promise<number> {
  const [script] = positionals;
  const reason = script === undefined ? "usage: npm run try -- 'SCRIPT' [--lowers DIR] [-o OPTIONS]" : unavailable();
  if (reason !== null) {
    console.error(reason);
    return 2;
  }
  if (!inside()) {
    const lowers = values.lowers === undefined ? [] : ['--lowers', resolve(values.lowers)];
    return runInside(false, fileURLToPath(import.meta.url), [script, ...lowers, '-o', values.options]);
  }
  const lines = await attempt(script, values.options.split(','));
  for (const line of lines) {
    console.log(`DIFFERS ${line}`);
  }
  console.log(lines.length === 0 ? 'no difference' : `${lines.length} differences`);
  return lines.length === 0 ? 0 : 1;
}

process.exit(await main());
