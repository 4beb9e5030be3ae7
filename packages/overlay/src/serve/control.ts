/**
 * How the main thread ends the serving thread, which sleeps in poll(2) or works: words in shared
 * memory, and an eventfd that ends the sleep. Stopping has steps because taking the mount away may
 * need the server once more (dirty pages of mappings are written back as WRITEs): first long work
 * gives up, then the mount goes, then the loop ends.
 */
import type { Sys } from '../sys/sys.ts';
import { WORDS } from './policy/place.ts';

/** The word that Session looks at between two requests. */
const STOP = 0;
const CANCEL = 1;
const DETACHED = 2;

/** Crosses threads as it is. */
export interface Control {
  words: Int32Array;
  wakeFd: number;
  /** Of policy/place.ts. */
  seat: Int32Array;
}

export function makeControl(wakeFd: number): Control {
  const shared = (words: number): Int32Array =>
    new Int32Array(new SharedArrayBuffer(words * Int32Array.BYTES_PER_ELEMENT));
  return { words: shared(3), wakeFd, seat: shared(WORDS) };
}

/** Long work gives up with -EINTR from now on. */
export function cancelWork(control: Control): void {
  Atomics.store(control.words, CANCEL, 1);
}

export function isCancelled(control: Control): boolean {
  return Atomics.load(control.words, CANCEL) !== 0;
}

/** The mount has been taken out of the tree; from now on its device number may be another's. */
export function setDetached(control: Control): void {
  Atomics.store(control.words, DETACHED, 1);
}

export function isDetached(control: Control): boolean {
  return Atomics.load(control.words, DETACHED) !== 0;
}

/** The serving loop ends before its next request. */
export function stopServing(sys: Sys, control: Control): void {
  Atomics.store(control.words, STOP, 1);
  const one = Buffer.alloc(8);
  one.writeBigUInt64LE(1n);
  sys.write(control.wakeFd, one, 0, one.length);
}
