/**
 * V8 compiles what is used often on threads of its own, four of them, a tenth of a second of processor time in the
 * first seconds of a mount: just when somebody asks for one thing after another, and has two processors
 * perhaps. What they want a processor for is never urgent, so they have to let client and server go first:
 *
 *   - for the first two seconds they are in the idle class (the main thread sees to that, and to the end of it: V8 also
 *     collects garbage on them and then waits for them, which may not take long where others compute)
 *   - while the serving thread follows a client they keep off its processor (place.ts)
 *   - they do not count as tasks that want a processor (surroundings.ts)
 */
import { readdirSync } from 'node:fs';
import { AT_FDCWD, O_RDONLY, SCHED_IDLE, SCHED_OTHER } from '../../sys/constants.ts';
import type { Sys } from '../../sys/sys.ts';

/** How long they are in the idle class. */
const FIRST_MS = 2_000;

/** Thread ids of this process but the main thread's and `serving`: to be asked before further workers are started. */
export function compilers(serving: number): readonly number[] {
  return readdirSync('/proc/self/task')
    .map(Number)
    .filter((tid) => tid !== process.pid && tid !== serving);
}

/** Lets all others go first for a while. For who may leave the idle class. @returns ends it at once. */
export function yieldAtFirst(sys: Sys, tids: readonly number[]): () => void {
  const all = (policy: number): void => {
    for (const tid of tids) sys.schedSetscheduler(tid, policy);
  };
  all(SCHED_IDLE);
  const timer = setTimeout(all, FIRST_MS, SCHED_OTHER).unref();
  return () => {
    clearTimeout(timer);
    all(SCHED_OTHER);
  };
}

/** How many of some threads of this process run or could run. */
export interface Running {
  count(): number;
  close(): void;
}

export function running(sys: Sys, tids: readonly number[]): Running {
  const files = tids.map((tid) => sys.openat(AT_FDCWD, `/proc/self/task/${tid}/stat`, O_RDONLY, 0));
  // The state stands behind the name, which is a dozen bytes.
  const room = Buffer.alloc(64);
  return {
    count() {
      let count = 0;
      for (const fd of files) {
        const n = fd < 0 ? 0 : sys.pread(fd, room, 0, room.length, 0);
        if (n > 0 && room.toString('latin1', 0, n).includes(') R')) count++;
      }
      return count;
    },
    close() {
      for (const fd of files) if (fd >= 0) sys.close(fd);
    },
  };
}
