/**
 * One server at a time for an upper and its workdir: flock(2) on both directories, held by the
 * server until everything of the mount is written and closed. The kernel drops the lock of a
 * server that was killed, so there is nothing stale to clean.
 */
import { LOCK_EX, LOCK_NB, LOCK_UN } from '../sys/constants.ts';
import { EAGAIN, EBUSY } from '../sys/errno.ts';
import type { Sys } from '../sys/sys.ts';

/** Between two looks at a lock that another server is about to give up. */
const RETRY_MS = 10;

const sleeper = new Int32Array(new SharedArrayBuffer(4));

/**
 * Locks both directories. While the holder is `stillEnding` (its mount is gone and it only has to
 * finish), this waits for it, at most `waitMs`; a holder whose mount lives is -EBUSY at once.
 * @returns 0; -EBUSY; the errno of flock(2) where the filesystem has no locks. On failure nothing is held.
 */
export function lockUpper(
  sys: Sys,
  upperFd: number,
  workFd: number,
  waitMs: number,
  stillEnding: () => boolean,
): number {
  const until = performance.now() + waitMs;
  for (;;) {
    const result = tryBoth(sys, upperFd, workFd);
    if (result !== -EAGAIN) return result;
    if (!stillEnding() || performance.now() >= until) return -EBUSY;
    Atomics.wait(sleeper, 0, 0, RETRY_MS);
  }
}

function tryBoth(sys: Sys, upperFd: number, workFd: number): number {
  const upper = sys.flock(upperFd, LOCK_EX | LOCK_NB);
  if (upper < 0) return upper;
  const work = sys.flock(workFd, LOCK_EX | LOCK_NB);
  // Holding one and waiting for the other could meet somebody who does it the other way round.
  if (work < 0) sys.flock(upperFd, LOCK_UN);
  return work;
}
