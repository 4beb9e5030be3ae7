/** What the serving thread and the one that copies for it have in common. Plain data and shared memory. */
import type { CopyOrder } from '../overlay/copy-data.ts';

/** The words of a task: how it stands, and whether it is to be given up. */
export const STATE = 0;
export const CANCEL = 1;
export const WORDS = 2;

/** What STATE says; a negative errno is the end too. Only who changes QUEUED may touch the descriptors. */
export const QUEUED = 0;
export const RUNNING = 1;
export const DONE = 2;

/** A copy, flushed or not. */
export interface Copying {
  order: CopyOrder;
  flush: boolean;
}

/** A flush alone. */
export interface Flushing {
  fd: number;
  dataOnly: boolean;
}

export interface CopyTask {
  work: Copying | Flushing;
  words: Int32Array;
}

export interface CopyThreadData {
  /** An eventfd that is written when a task has ended. */
  wakeFd: number;
  /** The processors that the thread may use; null where that is not known. */
  cpus: Uint8Array | null;
}
