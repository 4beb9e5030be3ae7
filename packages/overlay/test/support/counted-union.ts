/**
 * A union of three lowers and an upper, mounted by FUSE and served by a thread of this process that
 * counts: what one piece of work costs in requests and in system calls of the server.
 */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { BATCH_FORGET, FORGET, OPCODE_MAX, opcodeName, STATFS } from '../../src/fuse/opcodes.ts';
import { makeControl, stopServing } from '../../src/serve/control.ts';
import { sysCalls } from '../../src/sys/calls.ts';
import { EFD_NONBLOCK } from '../../src/sys/constants.ts';
import { openSys } from '../../src/sys/sys-koffi.ts';

const WIDTH = sysCalls.length + 1;

/** What some work caused. FORGET is left out: nobody waits for it, and the kernel sends it when it pleases. */
export interface Cost {
  /** How often each opcode, and each call of `Sys` while the request was served. */
  requests: Map<string, number>;
  calls: Map<string, number>;
}

export interface CountedUnion {
  /** Topmost first. */
  lowers: string[];
  upper: string;
  merged: string;
  /** Mounts what the layers hold by now. */
  mount(options?: string): Promise<void>;
  /** What the work costs until the server has nothing left to do. */
  during(work: () => void): Cost;
  unmount(): Promise<void>;
  destroy(): void;
}

export function makeCountedUnion(): CountedUnion {
  const dir = fs.mkdtempSync(path.join(tmpdir(), 'stratafs-'));
  const made = (name: string): string => {
    fs.mkdirSync(path.join(dir, name));
    return path.join(dir, name);
  };
  const lowers = ['top', 'middle', 'bottom'].map(made);
  const [upper, work, merged] = ['upper', 'work', 'merged'].map(made);
  const counts = new Int32Array(new SharedArrayBuffer(4 * OPCODE_MAX * WIDTH));
  let end: (() => Promise<void>) | null = null;

  /** The server takes one request at a time, so that all before this one have been served. */
  const settle = (): void => {
    fs.statfsSync(merged);
  };
  return {
    lowers,
    upper,
    merged,
    async mount(options = '') {
      const sys = openSys();
      const control = makeControl(sys.eventfd(0, EFD_NONBLOCK));
      // What the serving policy looks at depends on the time.
      const layers = `serving=block,lowerdir=${lowers.join(':')},upperdir=${upper},workdir=${work}`;
      const worker = new Worker(new URL('./counting-server.mjs', import.meta.url), {
        workerData: { options: [layers, options].filter(Boolean).join(','), merged, control, counts },
      });
      const exited = new Promise((resolve) => worker.once('exit', resolve));
      await new Promise<void>((resolve, reject) => {
        worker.on('message', (message: { ready?: true; failed?: string }) => {
          if (message.ready) resolve();
          if (message.failed) reject(new Error(message.failed));
        });
        worker.once('error', reject);
      });
      end = async () => {
        if (spawnSync('umount', [merged], { timeout: 10_000 }).status !== 0) stopServing(sys, control);
        await exited;
        sys.close(control.wakeFd);
      };
      fs.statSync(merged);
      // By then the server has done what it does for itself (serve/warm.ts).
      await new Promise((resolve) => setTimeout(resolve, 600));
    },
    during(work) {
      settle();
      counts.fill(0);
      work();
      settle();
      return costOf(counts);
    },
    async unmount() {
      await end?.();
      end = null;
    },
    destroy() {
      spawnSync('umount', ['-l', merged], { stdio: 'ignore' });
      fs.rmSync(dir, { recursive: true, force: true });
    },
  };
}

function costOf(counts: Int32Array): Cost {
  const cost: Cost = { requests: new Map(), calls: new Map() };
  for (let opcode = 0; opcode < OPCODE_MAX; opcode++) {
    if (opcode === STATFS || opcode === FORGET || opcode === BATCH_FORGET) continue;
    const row = counts.subarray(opcode * WIDTH, (opcode + 1) * WIDTH);
    if (row[0] > 0) cost.requests.set(opcodeName(opcode), row[0]);
    sysCalls.forEach((name, i) => {
      if (row[i + 1] > 0) cost.calls.set(name, (cost.calls.get(name) ?? 0) + row[i + 1]);
    });
  }
  return cost;
}

/** `LOOKUP 2 OPEN RELEASE | 5: statx 3 openat close` */
export function printCost({ requests, calls }: Cost): string {
  const each = (counted: Map<string, number>): string =>
    [...counted].map(([name, n]) => (n === 1 ? name : `${name} ${n}`)).join(' ');
  const sum = [...calls.values()].reduce((all, n) => all + n, 0);
  return `${each(requests) || 'nothing'} | ${[sum, each(calls)].filter(Boolean).join(': ') || 0}`;
}
