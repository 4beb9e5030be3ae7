import { readFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, it } from 'vitest';
import { openSys } from '../../sys/sys-koffi.ts';
import { compilers, running } from './compilers.ts';

const sys = openSys();

describe('compilers', () => {
  it('are the process’s threads but the main and the serving one', () => {
    const tids = compilers(sys.gettid());
    // V8's four, and one that wakes them.
    expect(tids.length).toBeGreaterThan(3);
    expect(tids).not.toContain(process.pid);
    expect(tids).not.toContain(sys.gettid());
    // Another /proc than ours.
    expect(compilers(2 ** 22)).toEqual([]);
    expect(compilers(sys.gettid(), '/proc/none')).toEqual([]);
    for (const tid of tids) expect(readFileSync(`/proc/self/task/${tid}/comm`, 'latin1')).not.toBe('');
  });
});

describe('running', () => {
  let worker: Worker | null = null;
  afterEach(async () => {
    await worker?.terminate();
  });

  it('counts those that compute, and not those that sleep', async () => {
    const before = new Set(compilers(sys.gettid()));
    const flag = new Int32Array(new SharedArrayBuffer(4));
    worker = new Worker(
      "const { workerData: flag } = require('node:worker_threads'); Atomics.wait(flag, 0, 0); while (Atomics.load(flag, 0) === 1);",
      { eval: true, workerData: flag },
    );
    await new Promise((resolve) => worker!.once('online', resolve));
    const added = compilers(sys.gettid()).filter((tid) => !before.has(tid));
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
