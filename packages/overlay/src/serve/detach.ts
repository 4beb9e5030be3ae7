/** What a server in the background leaves behind of the process that started it: its files, its streams. */
import fs from 'node:fs';
import { AT_FDCWD, F_GETFL, O_ACCMODE, O_RDWR } from '../sys/constants.ts';
import type { Sys } from '../sys/sys.ts';

/**
 * Closes the descriptors above `last` that came from the starter (a lock, a pipe): they would stay open as long as the mount.
 * To be called before this program opens files of its own. What Node itself has by then are epoll and event descriptors,
 * pipes of which it has both ends, and /dev/null.
 */
export function closeInherited(sys: Sys, last: number): void {
  const found: { fd: number; target: string; access: number }[] = [];
  for (const name of fs.readdirSync('/proc/self/fd')) {
    const fd = Number(name);
    const flags = sys.fcntl(fd, F_GETFL, 0);
    // The directory that was just listed is no more.
    if (fd > last && flags >= 0) {
      found.push({ fd, target: fs.readlinkSync(`/proc/self/fd/${name}`), access: flags & O_ACCMODE });
    }
  }
  for (const { fd, target, access } of found) {
    if (target.startsWith('anon_inode:') || target === '/dev/null') continue;
    const otherEnd = found.some((other) => other.target === target && other.access !== access);
    if (target.startsWith('pipe:') && otherEnd) continue;
    sys.close(fd);
  }
}

/** The streams up to `last` lead nowhere from now on. */
export function dropStreams(sys: Sys, last: number): void {
  const nothing = sys.openat(AT_FDCWD, '/dev/null', O_RDWR, 0);
  if (nothing < 0) return;
  for (let fd = 0; fd <= last; fd++) sys.dup(nothing, fd);
  sys.close(nothing);
}
