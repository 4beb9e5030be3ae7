/** Waiting for descriptors: poll(2), eventfd(2), pipe2(2). */
import { EFD_CLOEXEC, O_CLOEXEC } from '../constants.ts';
import type { Sys } from '../sys.ts';
import type { Libc } from './libc.ts';
import { type Scratch, StructBuffer } from './scratch.ts';

/** `struct pollfd`: fd, then events and revents of 16 bits. */
const SIZEOF_POLLFD = 8;

export function waitingCalls(libc: Libc, scratch: Scratch): Pick<Sys, 'poll' | 'eventfd' | 'pipe2'> {
  const { struct } = scratch;
  const errno = libc.errno;
  const poll = libc.func('poll', 'int', ['uintptr_t', 'size_t', 'int']);
  const eventfd = libc.func('eventfd', 'int', ['uint', 'int']);
  const pipe2 = libc.func('pipe2', 'int', ['uintptr_t', 'int']);
  let pollfds = new StructBuffer(libc, 16 * SIZEOF_POLLFD);

  return {
    poll(fds, timeoutMs) {
      const count = fds.length;
      if (count * SIZEOF_POLLFD > pollfds.bytes.length) pollfds = new StructBuffer(libc, count * SIZEOF_POLLFD);
      const { i32, u16 } = pollfds;
      for (let i = 0; i < count; i++) {
        i32[i * 2] = fds[i].fd;
        u16[i * 4 + 2] = fds[i].events;
        u16[i * 4 + 3] = 0;
      }
      const r = poll(pollfds.address, count, timeoutMs);
      if (r < 0) return -errno();
      for (let i = 0; i < count; i++) fds[i].revents = u16[i * 4 + 3];
      return r;
    },
    eventfd(initial, flags) {
      const r = eventfd(initial, flags | EFD_CLOEXEC);
      return r < 0 ? -errno() : r;
    },
    pipe2(flags) {
      if (pipe2(struct.address, flags | O_CLOEXEC) < 0) return -errno();
      return [struct.i32[0], struct.i32[1]];
    },
  };
}
