/**
 * The thread for long work (serve/copy-thread.ts), played: it takes every copy and every flush, and makes them to the end,
 * in the steps of the real one and by system calls of its own, while the serving thread waits to be asked again.
 */
import type { OpenOptions } from '../../../src/ops/open-overlay.ts';
import type { OverlayOps } from '../../../src/ops/overlay-ops.ts';
import type { RunningCopy } from '../../../src/overlay/asides.ts';
import { copySteps, takeStep } from '../../../src/serve/copy-steps.ts';
import type { CopyTask } from '../../../src/serve/copy-task.ts';
import { ERESTART } from '../../../src/sys/errno.ts';
import type { Sys } from '../../../src/sys/sys.ts';

/** No operation copies as many files. */
const MOST_TRIES = 10;

export class CopyingThread {
  /** How many tasks it was given. */
  taken = 0;
  readonly #queue: (() => void)[] = [];
  readonly #sys: Sys;

  constructor(sys: Sys) {
    this.#sys = sys;
  }

  /** How an engine hands its work over. */
  readonly hooks: Pick<OpenOptions, 'copyAside' | 'syncAside'> = {
    copyAside: (order, _data, flush) => this.#take({ order, flush }),
    syncAside: (fd, dataOnly) => this.#take({ fd, dataOnly }),
  };

  #take(work: CopyTask['work']): RunningCopy {
    let result: number | null = null;
    this.taken++;
    this.#queue.push(() => {
      const steps = copySteps(this.#sys, work);
      while (result === null) result = takeStep(steps);
    });
    return { result: () => result, awaited() {} };
  }

  /** `run`, tried again behind each task that it waits for, as the serving thread does (fuse/session.ts). */
  awaiting(o: OverlayOps, run: () => number): () => number {
    return () => {
      let result = run();
      for (let tries = 1; result === -ERESTART; tries++) {
        if (tries > MOST_TRIES) throw new Error('it waits for ever: what was copied for it is not found again');
        for (const make of this.#queue.splice(0)) make();
        o.sb.asides.collect();
        result = run();
        o.sb.asides.sweep();
      }
      return result;
    };
  }
}
