/**
 * Credentials of the calling thread, and kill(2). glibc's own setgroups and capset wrappers would
 * change every thread of the process (or are not there), so these go by number: a serving thread
 * may take a caller's ids without lending them to the rest of Node.
 */
import type { Sys } from '../sys.ts';
import type { Libc } from './libc.ts';
import type { Scratch } from './scratch.ts';

const LINUX_CAPABILITY_VERSION_3 = 0x20080522;

export function credCalls(
  libc: Libc,
  scratch: Scratch,
): Pick<
  Sys,
  'umask' | 'geteuid' | 'getegid' | 'setfsuid' | 'setfsgid' | 'setgroups' | 'getcap' | 'setcapEffective' | 'kill'
> {
  const { struct } = scratch;
  const errno = libc.errno;
  const umask = libc.func('umask', 'uint', ['uint']);
  const geteuid = libc.func('geteuid', 'uint', []);
  const getegid = libc.func('getegid', 'uint', []);
  const setfsuid = libc.syscall('setfsuid', ['int64']);
  const setfsgid = libc.syscall('setfsgid', ['int64']);
  const setgroups = libc.syscall('setgroups', ['int64', 'void *']);
  const capget = libc.syscall('capget', ['uintptr_t', 'uintptr_t']);
  const capset = libc.syscall('capset', ['uintptr_t', 'uintptr_t']);
  const kill = libc.func('kill', 'int', ['int', 'int']);

  // The header (version, pid 0 = this thread) in words 0-1; from word 2 on (effective, permitted,
  // inheritable) for the low 32 capabilities, then for the high ones.
  const DATA = 8;
  const loadCaps = (): number => {
    struct.u32[0] = LINUX_CAPABILITY_VERSION_3;
    struct.u32[1] = 0;
    return capget(struct.address, struct.address + DATA) < 0 ? -errno() : 0;
  };

  return {
    umask(mask) {
      return umask(mask);
    },
    geteuid() {
      return geteuid();
    },
    getegid() {
      return getegid();
    },
    setfsuid(uid) {
      return setfsuid(uid);
    },
    setfsgid(gid) {
      return setfsgid(gid);
    },
    setgroups(gids) {
      return setgroups(gids.length, new Uint8Array(Uint32Array.from(gids).buffer)) < 0 ? -errno() : 0;
    },
    getcap() {
      const r = loadCaps();
      return r < 0 ? r : [struct.u32[2], struct.u32[5]];
    },
    setcapEffective(low, high) {
      const r = loadCaps();
      if (r < 0) return r;
      struct.u32[2] = low;
      struct.u32[5] = high;
      return capset(struct.address, struct.address + DATA) < 0 ? -errno() : 0;
    },
    kill(pid, signal) {
      return kill(pid, signal) < 0 ? -errno() : 0;
    },
  };
}
