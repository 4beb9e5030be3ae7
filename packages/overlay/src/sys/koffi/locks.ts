/** Locks on ranges of a file: the commands of fcntl(2) that take a `struct flock`. */
import type { Sys } from '../sys.ts';
import type { Libc } from './libc.ts';
import type { Scratch } from './scratch.ts';

/** `struct flock` in 16-bit words: type 0, whence 1; in 64-bit ones: start 1, length 2; in 32-bit ones: pid 6. */
const PID = 6;

export function lockCalls(libc: Libc, scratch: Scratch): Pick<Sys, 'fcntlLock'> {
  const { struct } = scratch;
  const fcntl = libc.func('fcntl', 'int', ['int', 'int', 'int64']);

  return {
    fcntlLock(fd, cmd, lock) {
      struct.setInt64(0, 0);
      struct.u16[0] = lock.type;
      struct.u16[1] = lock.whence;
      struct.setInt64(1, lock.start);
      struct.setInt64(2, lock.len);
      // An OFD command refuses any other pid than 0.
      struct.setInt64(3, 0);
      if (fcntl(fd, cmd, struct.address) < 0) return -libc.errno();
      lock.type = struct.u16[0];
      lock.whence = struct.u16[1];
      lock.start = struct.getInt64(1);
      lock.len = struct.getInt64(2);
      lock.pid = struct.i32[PID];
      return 0;
    },
  };
}
