/**
 * The real `Sys`: the C library through koffi (glibc, or musl where its library has the calls),
 * on the 64-bit little-endian machines that Node runs on. The calls stand in koffi/, by topic:
 * files, locks, mappings, inodes, names, xattr, filesystems, waiting, mounts, creds, limits, scheduling. Names and
 * structures go through memory that is allocated once (koffi/scratch.ts); koffi itself is behind
 * koffi/libc.ts.
 *
 * A table belongs to the thread that opened it, and no call may be made from inside another.
 */
import { credCalls } from './koffi/creds.ts';
import { fileCalls } from './koffi/files.ts';
import { filesystemCalls } from './koffi/filesystems.ts';
import { inodeCalls } from './koffi/inodes.ts';
import { type Libc, openLibc } from './koffi/libc.ts';
import { limitCalls } from './koffi/limits.ts';
import { lockCalls } from './koffi/locks.ts';
import { mappingCalls } from './koffi/mappings.ts';
import { mountCalls } from './koffi/mounts.ts';
import { nameCalls } from './koffi/names.ts';
import { schedulingCalls } from './koffi/scheduling.ts';
import { Scratch } from './koffi/scratch.ts';
import { waitingCalls } from './koffi/waiting.ts';
import { xattrCalls } from './koffi/xattr.ts';
import type { Sys } from './sys.ts';

/** A table over any C library: how tests take a system call away. */
export function bindSys(libc: Libc): Sys {
  const scratch = new Scratch(libc);
  return {
    ...fileCalls(libc, scratch),
    ...lockCalls(libc, scratch),
    ...mappingCalls(libc, scratch),
    ...inodeCalls(libc, scratch),
    ...nameCalls(libc, scratch),
    ...xattrCalls(libc, scratch),
    ...filesystemCalls(libc, scratch),
    ...waitingCalls(libc, scratch),
    ...mountCalls(libc, scratch),
    ...credCalls(libc, scratch),
    ...limitCalls(libc, scratch),
    ...schedulingCalls(libc),
  };
}

let real: Sys | undefined;

/**
 * This thread's table of real system calls, bound at the first call.
 * @throws Error when koffi, or its binary for this platform, is not installed.
 */
export function openSys(): Sys {
  real ??= bindSys(openLibc());
  return real;
}
