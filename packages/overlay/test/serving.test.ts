/** The serving policy on a real machine: nobody starves in the idle class, and load that arrives stops no mount. */
import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, it } from 'vitest';
import { WORDS } from '../src/serve/policy/place.ts';
import { watch } from '../src/serve/policy/watch.ts';
import { openSys } from '../src/sys/sys-koffi.ts';
import { privileged } from './support/privilege.ts';
import { makeStage } from './support/served.ts';
import { isRoot, needsRoot } from './support/temp-dir.ts';

const hogs: ChildProcess[] = [];

/** Processes that do nothing but compute, once they run. */
async function startHogs(count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const hog = spawn(process.execPath, ['-e', "console.log('on'); for (;;);"], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    hogs.push(hog);
    await new Promise((resolve) => hog.stdout?.once('data', resolve));
  }
}

afterEach(() => {
  for (const hog of hogs.splice(0)) hog.kill('SIGKILL');
});

/** proc_pid_stat(5), field 39. */
function cpuOfThisThread(): number {
  const text = fs.readFileSync('/proc/self/stat', 'latin1');
  return Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[36]);
}

describe.runIf(privileged)(privileged ? 'a packed thread' : 'a packed thread (skipped: needs root)', () => {
  it.each([0, 4])('that makes no progress is taken out of the idle class, with %i hogs beside it', async (count) => {
    await startHogs(count);
    const words = new Int32Array(new SharedArrayBuffer(WORDS * Int32Array.BYTES_PER_ELEMENT));
    watch(openSys(), words);
    const worker = new Worker(new URL('./support/packed.mjs', import.meta.url), {
      workerData: { words, cpu: cpuOfThisThread() },
    });
    const said = await new Promise<{ packed: boolean; ms: number; idle: boolean }>((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
    });
    expect(said).toMatchObject({ packed: true, idle: false });
    // Two milliseconds by the clock of a timer, which may have begun the first of them before.
    expect(said.ms).toBeGreaterThan(1);
    // A thread that nobody takes out gets 3 parts in 1,027 of the processor beside one hog.
    expect(said.ms).toBeLessThan(1_000);
  });
});

/** Milliseconds that all threads of `pid` have run (schedstat of proc(5)). */
function processorMs(pid: number): number {
  let ns = 0;
  for (const tid of fs.readdirSync(`/proc/${pid}/task`)) {
    ns += Number(fs.readFileSync(`/proc/${pid}/task/${tid}/schedstat`, 'latin1').split(' ')[0]);
  }
  return ns / 1e6;
}

describe.runIf(isRoot)(needsRoot('what the server uses'), () => {
  it.each(['auto', 'follow', 'spin'])(
    'serving=%s: a quarter of a processor at most below 1,000 requests a second, nothing when nobody asks',
    async (serving) => {
      const stage = makeStage();
      const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
      try {
        fs.writeFileSync(path.join(stage.lower, 'file'), 'lower');
        const { pid } = await stage.mount(`serving=${serving},timeout=0`);
        const file = path.join(stage.merged, 'file');
        const word = new Int32Array(new SharedArrayBuffer(4));
        /** Evenly, or in bursts of 90 that are long enough to be followed. @returns what a second of it took. */
        const second = (size: number): number => {
          const before = processorMs(pid);
          const start = performance.now();
          for (let asked = 0; asked < 900; asked += size) {
            Atomics.wait(word, 0, 0, Math.max(0, start + asked / 0.9 - performance.now()));
            for (let i = 0; i < size; i++) fs.lstatSync(file);
          }
          return (processorMs(pid) - before) / Math.max(1, (performance.now() - start) / 1000);
        };
        // Past the warming up, and the compiling that the first thousands of requests start.
        for (let i = 0; i < 6_000; i++) fs.lstatSync(file);
        await sleep(500);
        expect(second(1)).toBeLessThan(250);
        expect(second(90)).toBeLessThan(250);
        await sleep(100);
        const idle = processorMs(pid);
        await sleep(1_000);
        expect(processorMs(pid) - idle).toBeLessThan(1);
      } finally {
        stage.destroy();
      }
    },
    30_000,
  );
});

describe.runIf(isRoot)(needsRoot('a mount under load that comes and goes'), () => {
  it.each(['auto', 'follow', 'spin', 'block'])('serving=%s answers', async (serving) => {
    const stage = makeStage();
    try {
      for (let i = 0; i < 200; i++) fs.writeFileSync(path.join(stage.lower, `f${i}`), 'lower');
      await stage.mount(`serving=${serving},timeout=0`);
      /** @returns how long the slowest one took, in ms. */
      const askFor = (ms: number): number => {
        let slowest = 0;
        const end = performance.now() + ms;
        for (let i = 0; performance.now() < end; i++) {
          const start = performance.now();
          fs.lstatSync(path.join(stage.merged, `f${i % 200}`));
          slowest = Math.max(slowest, performance.now() - start);
        }
        return slowest;
      };
      // Long enough to be followed, where nothing else runs.
      askFor(300);
      await startHogs(2);
      // Two hogs and the scheduler's slices, on a machine that may have other work: not the seconds of a starved server.
      expect(askFor(700)).toBeLessThan(1_000);
    } finally {
      stage.destroy();
    }
  });
});
