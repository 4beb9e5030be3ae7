/**
 * Whether the process that waits for an answer has been killed. The kernel lets it die only when
 * the answer is there, and INTERRUPT is not read while a request is served; so long work (a
 * copy-up of gigabytes) asks here between its chunks and gives up, as the kernel's overlay does.
 */
import { readFile } from '../mount/read-file.ts';
import type { Sys } from '../sys/sys.ts';

/** Between two looks: work goes on for so long at most after a kill. */
const LOOK_MS = 50;
/** SIGKILL in the last 32 bits of a mask of signals. */
const SIGKILL_BIT = 1 << 8;

/** @returns a function that tells of `pid()`'s process; cheap enough for every chunk. */
export function callerKilled(sys: Sys, pid: () => number): () => boolean {
  let looked = 0;
  return () => {
    const now = performance.now();
    if (now - looked < LOOK_MS) return false;
    looked = now;
    return isKilled(sys, pid());
  };
}

/** Of 0, which is nobody, nothing is known. */
export function isKilled(sys: Sys, pid: number): boolean {
  const status = readFile(sys, `/proc/${pid}/status`);
  return typeof status !== 'number' && hasKillPending(status);
}

/** `SigPnd` (this thread) and `ShdPnd` (the process) of /proc/PID/status, in 16 hex digits. */
export function hasKillPending(status: string): boolean {
  for (const [, mask] of status.matchAll(/^(?:SigPnd|ShdPnd):\s*([0-9a-f]+)$/gm)) {
    if (Number.parseInt(mask.slice(-8), 16) & SIGKILL_BIT) return true;
  }
  return false;
}
