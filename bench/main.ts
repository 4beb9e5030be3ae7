/**
 * `npm run bench -- [OPTIONS] [MOUNTER…]`: the same workloads on several overlays side by side. In each
 * round every workload runs on every mounter in turn, beginning with another one each time; the table
 * has medians, and the median of the ratios to the reference in the same round, which a noisy machine
 * disturbs less than times. Lower is better. Needs root.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { mounterNames, mounterOf } from './mounters.ts';
import { printTable, type Result, summarise } from './table.ts';
import { rootlessWorkloads, workloads } from './workloads/all.ts';

const usage = `npm run bench -- [OPTIONS] [MOUNTER...]
Mounters: ${mounterNames.join(', ')}; NAME:OPTIONS adds mount options (strata:serving=block).
  --only NAME[,...]   these workloads: ${[...workloads.keys()].join(', ')}
  --rounds N          3
  --scale X           factor on the numbers of files, 1
  --data MIB          size of the big file, 256
  --base DIRECTORY    where to work; its filesystem is below all (a temporary directory)
  --reference NAME    the mounter that ratios are taken to, kernel
  --timeout SECONDS   for one workload on one mounter, 300
  --json FILE         all results`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    only: { type: 'string' },
    rounds: { type: 'string', default: '3' },
    scale: { type: 'string', default: '1' },
    data: { type: 'string', default: '256' },
    base: { type: 'string' },
    reference: { type: 'string', default: 'kernel' },
    timeout: { type: 'string', default: '300' },
    json: { type: 'string' },
    help: { type: 'boolean', short: 'h' },
  },
});

const mounters = positionals.length > 0 ? positionals : ['kernel', 'native', 'fuse-overlayfs', 'strata'];
const chosen = values.only?.split(',') ?? [...workloads.keys()];

let running: ChildProcess | null = null;

/** What a case left mounted, because it was killed. */
function release(base: string): void {
  const mounts = fs.readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  for (const line of mounts.reverse()) {
    const at = line.split(' ')[4];
    if (!at?.startsWith(`${base}/`) || path.basename(at).startsWith('fs-')) continue;
    const abort = `/sys/fs/fuse/connections/${line.split(' ')[2].split(':')[1]}/abort`;
    if (line.includes(' - fuse') && fs.existsSync(abort)) fs.writeFileSync(abort, '1');
    spawnSync('umount', ['-l', at]);
  }
}

function remove(base: string): void {
  release(base);
  for (const name of fs.readdirSync(base).filter((name) => name.startsWith('fs-') && !name.endsWith('.img'))) {
    spawnSync('umount', [path.join(base, name)]);
  }
  execFileSync('rm', ['-rf', base]);
}

async function runCase(workload: string, mounter: string, base: string): Promise<Pick<Result, 'metrics' | 'note'>> {
  const script = fileURLToPath(new URL('./run-case.js', import.meta.url));
  const own = [process.execPath, script, workload, mounter, values.scale, values.data, base];
  const [command, ...args] = rootlessWorkloads.has(workload) ? ['unshare', '-Urm', '--', ...own] : own;
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  running = child;
  let out = '';
  child.stdout.on('data', (chunk) => {
    out += chunk;
  });
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    child.kill('SIGKILL');
    // A client that waits for an answer dies only when the connection does.
    release(base);
  }, Number(values.timeout) * 1000);
  const status = await new Promise((resolve) => child.once('close', resolve));
  clearTimeout(timer);
  release(base);
  if (late) return { metrics: {}, note: `no end after ${values.timeout} s` };
  if (status !== 0) return { metrics: {}, note: `ended with status ${status}` };
  return JSON.parse(out) as Pick<Result, 'metrics' | 'note'>;
}

async function main(): Promise<number> {
  const unknown = chosen.find((name) => !workloads.has(name));
  if (values.help || unknown !== undefined) {
    console.log(unknown === undefined ? usage : `no workload ${unknown}\n\n${usage}`);
    return unknown === undefined ? 0 : 2;
  }
  for (const mounter of mounters) mounterOf(mounter);
  if (process.geteuid?.() !== 0) {
    console.error('bench: needs root, to mount and to drop caches');
    return 1;
  }
  const base = fs.mkdtempSync(path.join(values.base ?? os.tmpdir(), 'stratafs-bench-'));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      running?.kill('SIGKILL');
      remove(base);
      process.exit(130);
    });
  }
  const results: Result[] = [];
  try {
    for (let round = 0; round < Number(values.rounds); round++) {
      const turn = round % mounters.length;
      for (const workload of chosen) {
        for (const mounter of [...mounters.slice(turn), ...mounters.slice(0, turn)]) {
          const start = performance.now();
          const { metrics, note } = await runCase(workload, mounter, base);
          results.push({ round, workload, mounter, metrics, note });
          const seconds = ((performance.now() - start) / 1000).toFixed(1);
          console.error(`round ${round + 1}/${values.rounds} ${workload} ${mounter} ${seconds} s ${note ?? ''}`);
        }
      }
    }
  } finally {
    remove(base);
  }
  console.log(printTable(summarise(results, values.reference), mounters, values.reference));
  const notes = new Set(
    results.flatMap(({ workload, mounter, note }) => (note ? [`${workload} ${mounter}: ${note}`] : [])),
  );
  for (const note of notes) console.log(note);
  if (values.json) {
    const { scale, data, rounds, reference } = values;
    const machine = { kernel: os.release(), arch: os.arch(), cpus: os.availableParallelism(), node: process.version };
    fs.writeFileSync(values.json, `${JSON.stringify({ machine, scale, data, rounds, reference, results }, null, 1)}\n`);
  }
  return 0;
}

process.exitCode = await main();
