/**
 * `npm run bench:echo -- [OPTIONS] [MOUNT OPTIONS…]`: what one request costs a lone client, by the way the
 * server waits for it. All mounts stand at the same time, and take turns by short rows of GETATTR
 * (fstat(2) with attributes that are never kept); between two calls the client computes for 0, 20 or 100 us.
 * Percentiles over all rounds, and the processor time that the server used for a request. `--hogs N`
 * has N processes compute beside it, `--rate N` asks N times in a second instead, and shows the
 * share of a processor that this takes. Needs root.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { O_RDONLY } from 'stratafs/internal/sys/constants';
import { Stat } from 'stratafs/internal/sys/stat';
import { openFile, sys } from './client.ts';
import { findServer, mounterOf } from './mounters.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '7' },
    calls: { type: 'string', default: '1000' },
    think: { type: 'string', default: '0,20,100' },
    hogs: { type: 'string', default: '0' },
    rate: { type: 'string' },
    base: { type: 'string' },
  },
});

/** One mount and what was measured on it, by think time. */
interface Echo {
  name: string;
  merged: string;
  fd: number;
  pid: number;
  latencies: Map<number, number[]>;
  cpuMs: Map<number, number>;
  wallMs: Map<number, number>;
}

const TICK_MS = 10;
const st = new Stat();

/** Processor time of all threads of a process, from schedstat: stat's ticks are too coarse. */
function cpuMs(pid: number): number {
  let ns = 0;
  for (const tid of fs.readdirSync(`/proc/${pid}/task`)) {
    ns += Number(fs.readFileSync(`/proc/${pid}/task/${tid}/schedstat`, 'latin1').split(' ')[0]);
  }
  return ns / 1e6;
}

function compute(us: number): void {
  const end = performance.now() + us / 1000;
  while (performance.now() < end);
}

function add(map: Map<number, number>, key: number, value: number): void {
  map.set(key, (map.get(key) ?? 0) + value);
}

/** One row of calls. The first tenth is not counted: the server may have slept long before. */
function ask(echo: Echo, think: number, calls: number): void {
  const before = Math.floor(calls / 10);
  const latencies = echo.latencies.get(think) ?? [];
  echo.latencies.set(think, latencies);
  let cpu = 0;
  let began = 0;
  for (let i = -before; i < calls; i++) {
    if (i === 0) {
      cpu = cpuMs(echo.pid);
      began = performance.now();
    }
    if (think > 0) compute(think);
    const start = performance.now();
    if (sys.fstat(echo.fd, st) < 0) throw new Error(`${echo.name}: fstat failed`);
    if (i >= 0) latencies.push((performance.now() - start) * 1000);
  }
  add(echo.wallMs, think, performance.now() - began);
  add(echo.cpuMs, think, cpuMs(echo.pid) - cpu);
}

/** As many calls in a second, evenly, for one second. */
function askAtRate(echo: Echo, rate: number): void {
  const latencies = echo.latencies.get(rate) ?? [];
  echo.latencies.set(rate, latencies);
  const cpu = cpuMs(echo.pid);
  const began = performance.now();
  const word = new Int32Array(new SharedArrayBuffer(4));
  for (let i = 0; i < rate; i++) {
    const due = began + (i * 1000) / rate;
    const left = due - performance.now();
    if (left > 0) Atomics.wait(word, 0, 0, left);
    const start = performance.now();
    sys.fstat(echo.fd, st);
    latencies.push((performance.now() - start) * 1000);
  }
  add(echo.wallMs, rate, performance.now() - began);
  add(echo.cpuMs, rate, cpuMs(echo.pid) - cpu);
}

function mount(dir: string, name: string): Echo {
  const at = path.join(dir, name.replaceAll(/[^a-z0-9]/g, '-'));
  for (const sub of ['L/0', 'u', 'w', 'm']) fs.mkdirSync(path.join(at, sub), { recursive: true });
  fs.writeFileSync(path.join(at, 'L/0/file'), 'file');
  const layers = { dir: at, lowers: ['L/0'], upper: 'u', work: 'w', merged: 'm' };
  const mounter = mounterOf(`strata:timeout=0,${name}`);
  const [command, ...args] = mounter.mount(layers);
  execFileSync(command, args, { cwd: at, stdio: ['ignore', 'ignore', 'inherit'] });
  const merged = path.join(at, 'm');
  const pid = findServer(mounter.server(merged)!)!;
  const fd = openFile(path.join(merged, 'file'), O_RDONLY);
  return { name, merged, fd, pid, latencies: new Map(), cpuMs: new Map(), wallMs: new Map() };
}

function percentile(sorted: readonly number[], p: number): string {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * p))].toFixed(1);
}

function print(echoes: readonly Echo[], rate: boolean): void {
  console.log(
    `| mount options | ${rate ? 'rate /s' : 'think us'} | mean us | p50 | p90 | p99 | max | server cpu us/request | server cpu % |`,
  );
  console.log('|---|--:|--:|--:|--:|--:|--:|--:|--:|');
  for (const key of echoes[0].latencies.keys()) {
    for (const { name, latencies, cpuMs, wallMs } of echoes) {
      const sorted = latencies.get(key)!.toSorted((a, b) => a - b);
      const mean = sorted.reduce((sum, us) => sum + us, 0) / sorted.length;
      const times = [0.5, 0.9, 0.99, 1].map((p) => percentile(sorted, p));
      const cpu = cpuMs.get(key)!;
      const share = ((100 * cpu) / wallMs.get(key)!).toFixed(1);
      console.log(
        `| ${name} | ${key} | ${mean.toFixed(1)} | ${times.join(' | ')} | ${((1000 * cpu) / sorted.length).toFixed(1)} | ${share} |`,
      );
    }
  }
}

async function main(): Promise<number> {
  if (process.geteuid?.() !== 0) {
    console.error('bench:echo: needs root, to mount');
    return 1;
  }
  const names = positionals.length > 0 ? positionals : ['auto', 'follow', 'spin', 'block'].map((p) => `serving=${p}`);
  const dir = fs.mkdtempSync(path.join(values.base ?? os.tmpdir(), 'stratafs-echo-'));
  const hogs: ChildProcess[] = [];
  const echoes: Echo[] = [];
  try {
    for (const name of names) echoes.push(mount(dir, name));
    // Past their warming up.
    await new Promise((resolve) => setTimeout(resolve, 600));
    for (let i = 0; i < Number(values.hogs); i++)
      hogs.push(spawn(process.execPath, ['-e', 'for (;;);'], { stdio: 'ignore' }));
    if (hogs.length > 0) await new Promise((resolve) => setTimeout(resolve, 20 * TICK_MS));
    for (const echo of echoes) ask(echo, 0, 3000);
    for (const echo of echoes) for (const map of [echo.latencies, echo.cpuMs, echo.wallMs]) map.clear();
    for (let round = 0; round < Number(values.rounds); round++) {
      const turn = round % echoes.length;
      const order = [...echoes.slice(turn), ...echoes.slice(0, turn)];
      if (values.rate !== undefined) {
        for (const rate of values.rate.split(',')) for (const echo of order) askAtRate(echo, Number(rate));
        continue;
      }
      for (const think of values.think.split(',')) {
        for (const echo of order) ask(echo, Number(think), Number(values.calls));
      }
    }
  } finally {
    for (const hog of hogs) hog.kill('SIGKILL');
    for (const { fd, merged } of echoes) {
      sys.close(fd);
      spawnSync('umount', ['-l', merged]);
    }
    fs.rmSync(dir, { recursive: true, force: true });
  }
  print(echoes, values.rate !== undefined);
  return 0;
}

process.exitCode = await main();
