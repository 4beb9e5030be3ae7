/** Which policy a mount gets: by its option, by what this thread may do, by the processors there are. */
import { Worker } from 'node:worker_threads';
import type { ServingPolicy } from '../../fuse/session.ts';
import { CAP_SYS_NICE, hasCapability, inInitialUserNamespace } from '../../mount/privilege.ts';
import type { Sys } from '../../sys/sys.ts';
import { builtFile } from '../built.ts';
import { AdaptivePolicy } from './adaptive.ts';
import { allowedCpus, countCpus, type Place, placeOf, WORDS } from './place.ts';
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
 */
export function choosePolicy(sys: Sys, serving: Serving, quiet: ServingPolicy): ChosenPolicy {
  const tid = sys.gettid();
  const cpus = allowedCpus(sys, tid);
  // On a single processor server and client take turns anyway.
  if (serving === 'block' || cpus === null || countCpus(cpus) < 2) return { policy: quiet, end() {} };
  const place = serving !== 'spin' && mayLeaveIdle(sys) ? placeHere(sys, tid, cpus) : null;
  const around = surroundings(sys);
  return {
    policy: new AdaptivePolicy(around, { place, spin: serving !== 'follow' }, quiet),
    end() {
      place?.end();
      around.close();
    },
  };
}

/** Anybody may enter the idle class; leaving it takes this right in the namespace that the system started with. */
function mayLeaveIdle(sys: Sys): boolean {
  return hasCapability(sys, CAP_SYS_NICE) && inInitialUserNamespace(sys);
}

function placeHere(sys: Sys, tid: number, cpus: Uint8Array): Place {
  const words = new Int32Array(new SharedArrayBuffer(WORDS * Int32Array.BYTES_PER_ELEMENT));
  // Before there is a mount: by the time it is started it may lie on it, where this thread alone answers.
  const program = builtFile('watcher');
  return placeOf(sys, tid, cpus, words, () => {
    const worker = new Worker(program, {
      workerData: { tid, cpus, words },
      name: 'watch',
      // It holds next to nothing.
      resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 2 },
    });
    // Without it there is no following; the mount works all the same.
    worker.on('error', () => {});
    worker.unref();
  });
}
