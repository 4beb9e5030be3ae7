/**
 * Where the serving thread runs while it follows a client: on one processor, in the idle class, so that the scheduler
 * leaves the client there. A thread in that class starves as soon as two others compute, and could
 * not even take itself out of it. So the main thread, in the normal class, watches (watch.ts) as long as this one is packed, and
 * each step is written down in shared memory before it is done:
 *
 *   FREE ─► PACKING ─► PACKED ─► FREE         by the serving thread
 *                      PACKED ─► RESCUED      by the watcher; the serving thread makes it FREE
 *
 * From PACKED on the serving thread never enters the idle class again by itself, so that a rescue holds.
 */
import { SCHED_IDLE, SCHED_OTHER } from '../../sys/constants.ts';
import type { Sys } from '../../sys/sys.ts';

/** The words: what the thread does, a number that each request changes, whether somebody watches, and over which thread. */
export const STATE = 0;
export const PROGRESS = 1;
export const WATCHED = 2;
export const TID = 3;
export const WORDS = 4;

export const FREE = 0;
export const PACKING = 1;
export const PACKED = 2;
export const RESCUED = 3;
/** Nobody serves any more: the watcher goes. */
export const ENDED = 4;

/** Room for 8,192 processors. */
const CPU_BYTES = 1024;

export interface Place {
  /** Whether somebody watches: else there is no following. */
  ready(): boolean;
  /** Onto `cpu`, in the idle class. @returns false when that was refused; then nothing has changed. */
  pack(cpu: number): boolean;
  /** While packed: onto `cpu`, as far as that is allowed. */
  move(cpu: number): void;
  /** Back to the normal class and the processors of before. */
  unpack(): void;
  /** At each request while packed. @returns whether the watcher has taken the thread out of the idle class. */
  rescued(): boolean;
  /** The end: the watcher goes. */
  end(): void;
}

/** The processors that thread `tid` may use, as bits; null when they cannot be told. */
export function allowedCpus(sys: Sys, tid: number): Uint8Array | null {
  const cpus = Buffer.alloc(CPU_BYTES);
  const size = sys.schedGetaffinity(tid, cpus);
  return size > 0 ? cpus.subarray(0, size) : null;
}

export function countCpus(cpus: Uint8Array): number {
  let count = 0;
  for (const byte of cpus) for (let bits = byte; bits !== 0; bits &= bits - 1) count++;
  return count;
}

/**
 * The place of the calling thread.
 * @param words shared with whoever watches.
 * @param others threads that keep off the processor where it follows.
 */
export function placeOf(
  sys: Sys,
  tid: number,
  cpus: Uint8Array,
  words: Int32Array,
  others: readonly number[] = [],
): Place {
  const one = new Uint8Array(cpus.length);
  const rest = new Uint8Array(cpus.length);
  Atomics.store(words, TID, tid);

  const pin = (cpu: number): boolean => {
    const byte = cpu >> 3;
    const bit = 1 << (cpu & 7);
    if (byte >= cpus.length || (cpus[byte] & bit) === 0) return false;
    one.fill(0);
    one[byte] = bit;
    if (sys.schedSetaffinity(tid, one) !== 0) return false;
    rest.set(cpus);
    rest[byte] &= ~bit;
    for (const other of others) sys.schedSetaffinity(other, rest);
    return true;
  };
  const free = (): void => {
    sys.schedSetscheduler(tid, SCHED_OTHER);
    sys.schedSetaffinity(tid, cpus);
    for (const other of others) sys.schedSetaffinity(other, cpus);
    Atomics.store(words, STATE, FREE);
  };
  return {
    ready() {
      return Atomics.load(words, WATCHED) !== 0;
    },
    pack(cpu) {
      Atomics.store(words, STATE, PACKING);
      Atomics.notify(words, STATE);
      if (!pin(cpu) || sys.schedSetscheduler(tid, SCHED_IDLE) !== 0) {
        free();
        return false;
      }
      Atomics.store(words, STATE, PACKED);
      return true;
    },
    move(cpu) {
      pin(cpu);
    },
    unpack: free,
    rescued() {
      words[PROGRESS]++;
      return Atomics.load(words, STATE) === RESCUED;
    },
    end() {
      if (Atomics.load(words, STATE) !== FREE) free();
      Atomics.store(words, STATE, ENDED);
      Atomics.notify(words, STATE);
    },
  };
}
