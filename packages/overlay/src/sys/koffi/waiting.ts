/** Waiting for descriptors: poll(2), eventfd(2), pipe2(2), inotify(7). */
import { EFD_CLOEXEC, IN_CLOEXEC, O_CLOEXEC } from '../constants.ts';
import type { Sys } from '../sys.ts';
import type { Libc } from './libc.ts';
import { type Scratch, StructBuffer } from './scratch.ts';

/** `struct pollfd`: fd, then events and revents of 16 bits. */
const SIZEOF_POLLFD = 8;

export function waitingCalls(
  libc: Libc,
  scratch: Scratch,
): Pick<Sys, 'poll' | 'eventfd' | 'pipe2' | 'inotifyInit1' | 'inotifyAddWatch' | 'inotifyRmWatch'> {
  const { name1, struct } = scratch;
  const errno = libc.errno;
  const poll = libc.func('poll', 'int', ['uintptr_t', 'size_t', 'int']);
  const eventfd = libc.func('eventfd', 'int', ['uint', 'int']);
  const pipe2 = libc.func('pipe2', 'int', ['uintptr_t', 'int']);
  const inotifyInit1 = libc.func('inotify_init1', 'int', ['int']);
  const inotifyAddWatch = libc.func('inotify_add_watch', 'int', ['int', 'uintptr_t', 'uint']);
  const inotifyRmWatch = libc.func('inotify_rm_watch', 'int', ['int', 'int']);
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
    inotifyInit1(flags) {
      const r = inotifyInit1(flags | IN_CLOEXEC);
      return r < 0 ? -errno() : r;
    },
    inotifyAddWatch(fd, path, mask) {
      const bad = name1.put(path);
      if (bad < 0) return bad;
      const r = inotifyAddWatch(fd, name1.address, mask);
      return r < 0 ? -errno() : r;
    },
    inotifyRmWatch(fd, wd) {
      return inotifyRmWatch(fd, wd) < 0 ? -errno() : 0;
    },
  };
}
