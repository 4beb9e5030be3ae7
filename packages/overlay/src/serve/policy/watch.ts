/**
 * The other side of place.ts: the thread in the normal class that watches. While nobody is packed it
 * sleeps without an end; while the serving thread is, it looks every 2 ms whether a request has come
 * since. If not, the client pauses, a long operation runs, or the thread starves: in all three cases
 * it belongs in the normal class, and on all processors.
 */
import { SCHED_OTHER } from '../../sys/constants.ts';
import type { Sys } from '../../sys/sys.ts';
import { ENDED, FREE, PACKED, PROGRESS, RESCUED, STATE, WATCHED } from './place.ts';

const LOOK_MS = 2;

export interface Watched {
  /** The serving thread. */
  tid: number;
  /** The processors that it may use when it is not packed. */
  cpus: Uint8Array;
  words: Int32Array;
}

/** Watches until nobody serves any more. */
export function watch(sys: Sys, watched: Watched): void {
  const { words } = watched;
  Atomics.store(words, WATCHED, 1);
  for (;;) {
    const state = Atomics.load(words, STATE);
    if (state === ENDED) return;
    if (state === FREE || state === RESCUED) {
      Atomics.wait(words, STATE, state);
      continue;
    }
    const before = Atomics.load(words, PROGRESS);
    const woken = Atomics.wait(words, STATE, state, LOOK_MS) !== 'timed-out';
    if (!woken && Atomics.load(words, PROGRESS) === before) rescue(sys, watched);
  }
}

/** PACKING stays PACKING: that thread may still be on its way into the idle class, and is looked at again. */
function rescue(sys: Sys, { tid, cpus, words }: Watched): void {
  Atomics.compareExchange(words, STATE, PACKED, RESCUED);
  sys.schedSetscheduler(tid, SCHED_OTHER);
  sys.schedSetaffinity(tid, cpus);
}
