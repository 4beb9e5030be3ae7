/** Where and how eagerly a thread runs: gettid(2), sched_setscheduler(2), sched_setaffinity(2). */
import type { Sys } from '../sys.ts';
import type { Libc } from './libc.ts';

export function schedulingCalls(
  libc: Libc,
): Pick<Sys, 'gettid' | 'schedSetscheduler' | 'schedSetaffinity' | 'schedGetaffinity'> {
  const errno = libc.errno;
  const gettid = libc.syscall('gettid', []);
  const setscheduler = libc.func('sched_setscheduler', 'int', ['int', 'int', 'void *']);
  const setaffinity = libc.func('sched_setaffinity', 'int', ['int', 'size_t', 'void *']);
  // By number: the C library's wrapper answers 0 and not the size that the kernel filled.
  const getaffinity = libc.syscall('sched_getaffinity', ['int64', 'size_t', 'void *']);
  /** struct sched_param: the static priority, 0 for both policies. */
  const priority = new Uint8Array(4);

  return {
    gettid() {
      return gettid();
    },
    schedSetscheduler(tid, policy) {
      return setscheduler(tid, policy, priority) < 0 ? -errno() : 0;
    },
    schedSetaffinity(tid, cpus) {
      return setaffinity(tid, cpus.byteLength, cpus) < 0 ? -errno() : 0;
    },
    schedGetaffinity(tid, cpus) {
      const r = getaffinity(tid, cpus.byteLength, cpus);
      return r < 0 ? -errno() : r;
    },
  };
}
