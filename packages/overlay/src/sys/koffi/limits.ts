/** The limits of this process: getrlimit(2), setrlimit(2). */
import type { Sys } from '../sys.ts';
import type { Libc } from './libc.ts';
import type { Scratch } from './scratch.ts';

export function limitCalls(libc: Libc, scratch: Scratch): Pick<Sys, 'getrlimit' | 'setrlimit'> {
  const { struct } = scratch;
  const getrlimit = libc.func('getrlimit', 'int', ['int', 'uintptr_t']);
  const setrlimit = libc.func('setrlimit', 'int', ['int', 'uintptr_t']);

  return {
    getrlimit(resource) {
      if (getrlimit(resource, struct.address) < 0) return -libc.errno();
      return [struct.getInt64(0), struct.getInt64(1)];
    },
    setrlimit(resource, soft, hard) {
      struct.setInt64(0, soft);
      struct.setInt64(1, hard);
      return setrlimit(resource, struct.address) < 0 ? -libc.errno() : 0;
    },
  };
}
