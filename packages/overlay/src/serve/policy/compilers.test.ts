import { readFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, it } from 'vitest';
import { SCHED_IDLE, SCHED_OTHER } from '../../sys/constants.ts';
import type { Sys } from '../../sys/sys.ts';
import { openSys } from '../../sys/sys-koffi.ts';
import { compilers, running, yieldAtFirst } from './compilers.ts';

const sys = openSys();

describe('compilers', () => {
  it('are the process’s threads but the main and the serving one', () => {
    const tids = compilers(sys.gettid());
    // V8's four, and one that wakes them.
    expect(tids.length).toBeGreaterThan(3);
    expect(tids).not.toContain(process.pid);
    expect(tids).not.toContain(sys.gettid());
    for (const tid of tids) expect(readFileSync(`/proc/self/task/${tid}/comm`, 'latin1')).not.toBe('');
  });
});

describe('running', () => {
  let worker: Worker | null = null;
  afterEach(async () => {
    await worker?.terminate();
  });

  it('counts those that compute, and not those that sleep', async () => {
    const before = new Set(compilers(0));
    const flag = new Int32Array(new SharedArrayBuffer(4));
    worker = new Worker(
      "const { workerData: flag } = require('node:worker_threads'); Atomics.wait(flag, 0, 0); while (Atomics.load(flag, 0) === 1);",
      { eval: true, workerData: flag },
    );
    await new Promise((resolve) => worker!.once('online', resolve));
    const added = compilers(0).filter((tid) => !before.has(tid));
    expect(added.length).toBeGreaterThan(0);
    const look = running(sys, [...added, 2 ** 22]);
    await expect.poll(() => look.count()).toBe(0);
    Atomics.store(flag, 0, 1);
    Atomics.notify(flag, 0);
    await expect.poll(() => look.count()).toBe(1);
    Atomics.store(flag, 0, 2);
    await expect.poll(() => look.count()).toBe(0);
    look.close();
  });
});

describe('yieldAtFirst', () => {
  it('is over after a while, or when it is told', async () => {
    const steps: string[] = [];
    const told = {
      schedSetscheduler: (tid: number, policy: number) => steps.push(`${tid} ${policy}`),
    } as unknown as Sys;
    const end = yieldAtFirst(told, [4, 5]);
    expect(steps.splice(0)).toEqual([`4 ${SCHED_IDLE}`, `5 ${SCHED_IDLE}`]);
    end();
    expect(steps.splice(0)).toEqual([`4 ${SCHED_OTHER}`, `5 ${SCHED_OTHER}`]);
    yieldAtFirst(told, [4]);
    await expect.poll(() => steps, { timeout: 5_000 }).toEqual([`4 ${SCHED_IDLE}`, `4 ${SCHED_OTHER}`]);
  });
});
