/**
 * Gives memory back. A thread that blocks in the kernel never gets round to the idle-time work of
 * its JavaScript heap, so what a walk over a big tree left behind would stay until somebody asks
 * for much again. After many nodes were forgotten, the first quiet moment collects once.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { blockingPolicy, type ServingPolicy } from '../fuse/session.ts';

/** Forgotten nodes that are worth a collection: some megabytes. */
const WORTH = 5_000;
/** Long enough that a busy client has asked again. */
const QUIET_MS = 50;

/** Made when it is first needed: a context takes milliseconds, at the start of every mount. */
function collector(): () => void {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as () => void;
}

/** `dropped` counts the nodes that have gone. */
export function trimmingPolicy(dropped: () => number): ServingPolicy {
  let collect: (() => void) | undefined;
  let trimmed = 0;
  return {
    ...blockingPolicy,
    quietMs: () => (dropped() - trimmed >= WORTH ? QUIET_MS : -1),
    rest() {
      trimmed = dropped();
      collect ??= collector();
      collect();
    },
  };
}
