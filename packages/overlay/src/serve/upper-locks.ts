/** Taking upper and workdir for one server: opens both, locks both, or says who has them. */
import { MountError } from '../mount/mount-error.ts';
import type { MountOptions } from '../mount/options.ts';
import { show } from '../mount/paths.ts';
import { AT_FDCWD, O_DIRECTORY, O_RDONLY } from '../sys/constants.ts';
import { EBUSY, errnoName } from '../sys/errno.ts';
import { Stat } from '../sys/stat.ts';
import type { Sys } from '../sys/sys.ts';
import { lockUpper } from './lock.ts';
import { describe, type InodeKey, inodeKey, mountUsing } from './state.ts';

/** A server whose mount is gone has so long to finish before its upper counts as busy. */
const ENDING_WAIT_MS = 10_000;

/** What is held, until `release`. */
export interface UpperLocks {
  upper: InodeKey | null;
  work: InodeKey | null;
  release(): void;
}

/**
 * Locks what `options` name; nothing, where they name no upper, or none that can be used (which
 * checkMount says better). Waits for a server that is ending until `cancelled` says no.
 * @throws MountError (EBUSY) where a live mount has them.
 */
export function takeUpper(sys: Sys, options: MountOptions, cancelled: () => boolean): UpperLocks {
  const { upperdir, workdir } = options.overlay;
  const nothing: UpperLocks = { upper: null, work: null, release() {} };
  if (upperdir === undefined || workdir === undefined) return nothing;
  const upperFd = sys.openat(AT_FDCWD, upperdir, O_RDONLY | O_DIRECTORY, 0);
  const workFd = sys.openat(AT_FDCWD, workdir, O_RDONLY | O_DIRECTORY, 0);
  const release = (): void => {
    for (const fd of [upperFd, workFd]) if (fd >= 0) sys.close(fd);
  };
  const st = new Stat();
  const keyOf = (fd: number): InodeKey | null => (fd >= 0 && sys.fstat(fd, st) >= 0 ? inodeKey(st) : null);
  const upper = keyOf(upperFd);
  const work = keyOf(workFd);
  // One directory as both would wait for itself.
  if (upper === null || work === null || upper === work) {
    release();
    return nothing;
  }
  const stillEnding = (): boolean => !cancelled() && mountUsing(upper, work) === null;
  const err = lockUpper(sys, upperFd, workFd, ENDING_WAIT_MS, stillEnding);
  if (err >= 0) return { upper, work, release };
  release();
  if (err !== -EBUSY) {
    throw new MountError(err, `upperdir ${show(upperdir)} or its workdir cannot be locked: ${errnoName(err)}`);
  }
  const record = mountUsing(upper, work);
  const by = record === null ? 'another strata server' : describe(record);
  throw new MountError(
    err,
    `upperdir ${show(upperdir)} or workdir ${show(workdir)} is in use by ${by}: unmount that first or take others`,
  );
}
