/**
 * Our FUSE mount, served by a process of its own as `strata mount` starts it. A server that hangs
 * would hang the test process with it, in a system call that nothing interrupts: a watchdog on
 * another thread kills servers when no case has ended for five minutes (on a busy machine the longest
 * take more than one).
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { MountError } from 'stratafs/internal/mount/mount-error';
import { parseOptions } from 'stratafs/internal/mount/parse-options';
import { spawnServer } from 'stratafs/internal/serve/spawn';
import { ESRCH } from 'stratafs/internal/sys/errno';
import type { Sys } from 'stratafs/internal/sys/sys';
import { type Backend, optionText } from '../backend.ts';
import { check } from '../expect.ts';
import { mountedView } from './mounted.ts';

const HANG_MS = 300_000;

/** [0] counts doors made; the others are the pids of servers, 0 for none. */
const shared = new Int32Array(new SharedArrayBuffer(256));

const watch = `
const { workerData } = require('node:worker_threads');
const shared = new Int32Array(workerData);
let seen = -1;
setInterval(() => {
  const now = Atomics.load(shared, 0);
  for (let at = 1; now === seen && at < shared.length; at++) {
    const pid = Atomics.exchange(shared, at, 0);
    if (pid === 0) continue;
    console.error('no case ended for five minutes: killing FUSE server ' + pid);
    try { process.kill(pid, 'SIGKILL'); } catch {}
  }
  seen = now;
}, ${HANG_MS});
`;

let watchdog: Worker | null = null;

/** @returns the place of `pid` among the guarded. */
function guard(pid: number): number {
  const at = shared.indexOf(0, 1);
  Atomics.store(shared, at, pid);
  watchdog ??= new Worker(watch, { eval: true, workerData: shared.buffer });
  watchdog.unref();
  return at;
}

/** Waits until a server has finished what follows its unmounting. */
async function ended(sys: Sys, pid: number): Promise<void> {
  for (let waited = 0; sys.kill(pid, 0) !== -ESRCH; waited++) {
    if (waited > 3000) {
      throw new Error(`FUSE server ${pid} does not end`);
    }
    await sleep(10);
  }
}

export const fuse: Backend = {
  name: 'fuse',
  unavailable(base) {
    return base.privileged ? null : base.reason;
  },
  async mount(sys, layers) {
    const options = parseOptions([optionText(layers)]);
    const { overlay } = options;
    // What a group does not say is off, as in the kernel that it is compared with.
    if (!overlay.nfsExport) overlay.index ??= false;
    let pid: number;
    try {
      ({ pid } = await spawnServer({ options, source: 'conformance', merged: layers.merged, debug: false }));
    } catch (error) {
      if (error instanceof MountError && error.errno !== 0) {
        return -Math.abs(error.errno);
      }
      throw error;
    }
    const guarded = guard(pid);
    const view = mountedView(sys, layers.merged, async () => {
      Atomics.store(shared, guarded, 0);
      check(sys.umount2(layers.merged, 0), `umount ${layers.merged}`);
      await ended(sys, pid);
    });
    return {
      ...view,
      door(path) {
        Atomics.add(shared, 0, 1);
        return view.door(path);
      },
    };
  },
};
