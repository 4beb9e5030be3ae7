/**
 * The other side of place.ts: the main thread, in the normal class, watches over the serving one. While nobody is packed it
 * waits without an end; while the serving thread is, it looks every 2 ms whether a request has come
 * since. If not, the client pauses, a long operation runs, or the thread starves: in all three cases
 * it belongs in the normal class, and on all processors.
 */
import { SCHED_OTHER } from '../../sys/constants.ts';
import type { Sys } from '../../sys/sys.ts';
import { allowedCpus, ENDED, FREE, PACKED, PROGRESS, RESCUED, STATE, TID, WATCHED } from './place.ts';

const LOOK_MS = 2;

/** Atomics.waitAsync, which Node 20 has and TypeScript's es2023 does not know. */
type WaitAsync = (words: Int32Array, index: number, value: number, ms?: number) => { value: string | Promise<string> };
const { waitAsync } = Atomics as unknown as { waitAsync: WaitAsync };

/** Watches until nobody serves any more. Needs an event loop that turns; does not keep it turning. */
export async function watch(sys: Sys, words: Int32Array): Promise<void> {
  // The serving thread was started by this one, and has the same.
  const cpus = allowedCpus(sys, sys.gettid());
  if (cpus === null) return;
  Atomics.store(words, WATCHED, 1);
  for (;;) {
    const state = Atomics.load(words, STATE);
    if (state === ENDED) return;
    if (state === FREE || state === RESCUED) {
      await waitAsync(words, STATE, state).value;
      continue;
    }
    const before = Atomics.load(words, PROGRESS);
    const woken = (await waitAsync(words, STATE, state, LOOK_MS).value) !== 'timed-out';
    if (!woken && Atomics.load(words, PROGRESS) === before) rescue(sys, words, cpus);
  }
}

/** PACKING stays PACKING: that thread may still be on its way into the idle class, and is looked at again. */
function rescue(sys: Sys, words: Int32Array, cpus: Uint8Array): void {
  const tid = Atomics.load(words, TID);
  Atomics.compareExchange(words, STATE, PACKED, RESCUED);
  sys.schedSetscheduler(tid, SCHED_OTHER);
  sys.schedSetaffinity(tid, cpus);
}
