/** Which policy a mount gets: by its option, by what this thread may do, by the processors there are. */
import { release } from 'node:os';
import type { ServingPolicy } from '../../fuse/session.ts';
import { CAP_SYS_NICE, hasCapability, inInitialUserNamespace } from '../../mount/privilege.ts';
import type { Sys } from '../../sys/sys.ts';
import { AdaptivePolicy } from './adaptive.ts';
import { compilers, running } from './compilers.ts';
import { allowedCpus, countCpus, placeOf } from './place.ts';
import { surroundings } from './surroundings.ts';

/** `auto` follows where it may, spins where it pays, and blocks otherwise; `follow` and `spin` do only the one. */
export type Serving = 'auto' | 'follow' | 'spin' | 'block';

/** A policy, and what is to be done when nobody serves any more. */
export interface ChosenPolicy {
  policy: ServingPolicy;
  end(): void;
}

/**
 * For the calling thread, which is to serve.
 * @param quiet blocks, and says what is done in quiet moments.
 * @param seat the words of place.ts, which the main thread watches.
 */
export function choosePolicy(sys: Sys, serving: Serving, quiet: ServingPolicy, seat: Int32Array): ChosenPolicy {
  const tid = sys.gettid();
  const cpus = allowedCpus(sys, tid);
  // On a single processor server and client take turns anyway.
  if (serving === 'block' || cpus === null || countCpus(cpus) < 2) return { policy: quiet, end() {} };
  const others = compilers(tid);
  const place = serving !== 'spin' && mayLeaveIdle(sys) ? placeOf(sys, tid, cpus, seat, others) : null;
  // The main thread is awake to watch, and to do what a beginning brings.
  const busy = running(sys, [...others, process.pid]);
  const around = surroundings(sys, busy);
  return {
    policy: new AdaptivePolicy(
      around,
      { place, spin: serving !== 'follow', sleepers: countsSleepers(release()) ? 1 : 0 },
      quiet,
    ),
    end() {
      place?.end();
      around.close();
      busy.close();
    },
  };
}

/** Linux 6.12 lets a task that goes to sleep stand in the queue until it has had no more than its share. */
export function countsSleepers(kernel: string): boolean {
  const [major, minor] = kernel.split('.').map(Number);
  return major > 6 || (major === 6 && minor >= 12);
}

/** Anybody may enter the idle class; leaving it takes this right in the namespace that the system started with. */
function mayLeaveIdle(sys: Sys): boolean {
  return hasCapability(sys, CAP_SYS_NICE) && inInitialUserNamespace(sys);
}
