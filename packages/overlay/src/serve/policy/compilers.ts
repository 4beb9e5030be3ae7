/**
 * V8 compiles what is used often on threads of its own, four of them, a tenth of a second of processor time in the
 * first seconds of a mount: just when somebody asks for one thing after another, and has two processors
 * perhaps. So these threads
 *
 *   - keep off the processor where the serving thread follows a client (place.ts)
 *   - do not count as tasks that want a processor (surroundings.ts)
 *
 * They stay in the normal class: a collection of garbage waits for each that is in the middle of something, and in the
 * idle class beside a program that computes that took 100 ms.
 */
import { existsSync, readdirSync } from 'node:fs';
import { AT_FDCWD, O_RDONLY } from '../../sys/constants.ts';
import type { Sys } from '../../sys/sys.ts';

/**
 * The threads of this process but the main one and `serving`: to be asked before further ones are started. None where there is
 * no /proc, or one of another pid namespace, whose numbers are strangers' here.
 */
export function compilers(serving: number, tasks = '/proc/self/task'): readonly number[] {
  const tids = existsSync(tasks) ? readdirSync(tasks).map(Number) : [];
  if (!tids.includes(process.pid) || !tids.includes(serving)) return [];
  return tids.filter((tid) => tid !== process.pid && tid !== serving);
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
