/**
 * What the serving policy looks at, from /proc: how many tasks want a processor (proc_loadavg(5)), and
 * which one a client runs on (proc_pid_stat(5), field 39). Both files stay open, since a look comes
 * with every 32 requests.
 */
import { AT_FDCWD, O_RDONLY } from '../../sys/constants.ts';
import type { Sys } from '../../sys/sys.ts';
import type { Running } from './compilers.ts';

export interface Surroundings {
  /** Microseconds, from any beginning. */
  now(): number;
  /** Tasks that run or could run now, on all processors, this thread among them and V8's own not; negative when unknown. */
  runnable(): number;
  /** The processor that thread `pid` last ran on; negative when unknown. */
  cpuOf(pid: number): number;
  close(): void;
}

export function surroundings(sys: Sys, compilers: Running): Surroundings {
  const loadavg = sys.openat(AT_FDCWD, '/proc/loadavg', O_RDONLY, 0);
  const room = Buffer.alloc(1024);
  let client = 0;
  let stat = -1;

  const read = (fd: number): string => {
    const n = fd < 0 ? fd : sys.pread(fd, room, 0, room.length, 0);
    return n > 0 ? room.toString('latin1', 0, n) : '';
  };
  const forget = (): void => {
    if (stat >= 0) sys.close(stat);
    stat = -1;
    client = 0;
  };
  return {
    now: () => performance.now() * 1000,
    runnable() {
      const all = runnableOf(read(loadavg));
      // One is this thread: no need to look closer.
      if (all <= 1) return all;
      const own = compilers.count();
      // Those that began or ended between the two looks are nobody else's either.
      return Math.max(1, Math.min(all, runnableOf(read(loadavg))) - own);
    },
    cpuOf(pid) {
      if (pid !== client) {
        forget();
        client = pid;
        stat = sys.openat(AT_FDCWD, `/proc/${pid}/stat`, O_RDONLY, 0);
      }
      return cpuOfStat(read(stat));
    },
    close() {
      forget();
      if (loadavg >= 0) sys.close(loadavg);
    },
  };
}

/** `0.20 0.18 0.12 1/80 11206`: the number before the slash. @returns -1 for another text. */
export function runnableOf(loadavg: string): number {
  const match = / (\d+)\//.exec(loadavg);
  return match ? Number(match[1]) : -1;
}

/** The 37th field behind the name, which stands in parentheses and may hold any others. @returns -1 for another text. */
export function cpuOfStat(stat: string): number {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields.length > 36 ? Number(fields[36]) : -1;
}
