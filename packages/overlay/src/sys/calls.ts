/**
 * What each argument of each call of the table is: one list that tracing prints by and fault
 * injection matches by. A call added to `Sys` is added here, or the file does not compile.
 */
import type { Sys } from './sys.ts';

export type SysCall = keyof Sys;

export type ArgumentKind =
  | 'fd'
  | 'dirfd'
  /** A name or path that the call acts on. */
  | 'name'
  /** Other bytes: a link target, an xattr's name, mount data; may be null. */
  | 'text'
  /** A buffer that is filled, or sent, from the offset in the next argument, as long as the one after says. */
  | 'room'
  | 'data'
  | 'bufferOffset'
  | 'length'
  /** A buffer that is filled, or sent, as a whole. */
  | 'filled'
  | 'value'
  | 'stat'
  | 'statfs'
  | 'pollfds'
  | 'lock'
  | 'ids'
  | 'number'
  | 'hex'
  | 'mode'
  | 'nsec'
  | 'dev'
  | 'openFlags'
  | 'resolveFlags'
  | 'atFlags'
  | 'unlinkFlags'
  | 'accessFlags'
  | 'accessMode'
  | 'renameFlags'
  | 'xattrFlags'
  | 'fallocateFlags'
  | 'lockOperation'
  | 'whence';

const ioAt: readonly ArgumentKind[] = ['bufferOffset', 'length'];

export const callArguments: Readonly<Record<SysCall, readonly ArgumentKind[]>> = {
  openat: ['dirfd', 'name', 'openFlags', 'mode'],
  openat2: ['dirfd', 'name', 'openFlags', 'mode', 'resolveFlags'],
  close: ['fd'],
  dup: ['fd', 'number'],
  fcntl: ['fd', 'number', 'number'],

  read: ['fd', 'room', ...ioAt],
  write: ['fd', 'data', ...ioAt],
  pread: ['fd', 'room', ...ioAt, 'number'],
  pwrite: ['fd', 'data', ...ioAt, 'number'],
  lseek: ['fd', 'number', 'whence'],
  seekdir: ['fd', 'number'],
  telldir: ['fd'],
  ftruncate: ['fd', 'number'],
  truncate: ['name', 'number'],
  fallocate: ['fd', 'fallocateFlags', 'number', 'number'],
  fsync: ['fd'],
  fdatasync: ['fd'],
  syncfs: ['fd'],
  copyFileRange: ['fd', 'number', 'fd', 'number', 'length'],
  ficlone: ['fd', 'fd'],
  flock: ['fd', 'lockOperation'],
  fcntlLock: ['fd', 'number', 'lock'],
  fadvise: ['fd', 'number', 'number', 'number'],
  cachestat: ['fd'],

  mmap: ['fd', 'number', 'hex', 'hex', 'number'],
  munmap: ['hex', 'number'],
  msync: ['hex', 'number', 'hex'],
  readMemory: ['hex', 'room', ...ioAt],
  writeMemory: ['hex', 'data', ...ioAt],

  statx: ['dirfd', 'name', 'atFlags', 'stat'],
  fstat: ['fd', 'stat'],
  faccessat: ['dirfd', 'name', 'accessMode', 'accessFlags'],
  fchmod: ['fd', 'mode'],
  fchmodat: ['dirfd', 'name', 'mode', 'atFlags'],
  fchownat: ['dirfd', 'name', 'number', 'number', 'atFlags'],
  utimensat: ['dirfd', 'name', 'number', 'nsec', 'number', 'nsec', 'atFlags'],

  mkdirat: ['dirfd', 'name', 'mode'],
  mknodat: ['dirfd', 'name', 'mode', 'dev'],
  unlinkat: ['dirfd', 'name', 'unlinkFlags'],
  renameat2: ['dirfd', 'name', 'dirfd', 'name', 'renameFlags'],
  linkat: ['dirfd', 'name', 'dirfd', 'name', 'atFlags'],
  symlinkat: ['text', 'dirfd', 'name'],
  readlinkat: ['dirfd', 'name'],
  getdents64: ['fd', 'filled'],

  getxattrat: ['dirfd', 'name', 'text', 'filled'],
  setxattrat: ['dirfd', 'name', 'text', 'value', 'xattrFlags'],
  listxattrat: ['dirfd', 'name', 'filled'],
  removexattrat: ['dirfd', 'name', 'text'],
  fgetxattr: ['fd', 'text', 'filled'],
  fsetxattr: ['fd', 'text', 'value', 'xattrFlags'],
  flistxattr: ['fd', 'filled'],
  fremovexattr: ['fd', 'text'],

  statfs: ['name', 'statfs'],
  fstatfs: ['fd', 'statfs'],
  nameToHandleAt: ['dirfd', 'name', 'atFlags'],
  openByHandleAt: ['fd', 'number', 'value', 'openFlags'],
  fileGetattr: ['dirfd', 'name', 'atFlags'],
  ioctlInt: ['fd', 'hex', 'number'],
  ioctl: ['fd', 'hex', 'value'],

  poll: ['pollfds', 'number'],
  eventfd: ['number', 'openFlags'],
  pipe2: ['openFlags'],
  inotifyInit1: ['openFlags'],
  inotifyAddWatch: ['fd', 'name', 'hex'],
  inotifyRmWatch: ['fd', 'number'],

  gettid: [],
  schedSetscheduler: ['number', 'number'],
  schedSetaffinity: ['number', 'value'],
  schedGetaffinity: ['number', 'filled'],

  mount: ['text', 'name', 'text', 'hex', 'text'],
  umount2: ['name', 'hex'],
  fsopen: ['text', 'hex'],
  fsconfig: ['fd', 'number', 'text', 'text', 'number'],
  fsmount: ['fd', 'hex', 'hex'],
  moveMount: ['dirfd', 'name', 'dirfd', 'name', 'hex'],
  openTree: ['dirfd', 'name', 'hex'],
  mountSetattr: ['dirfd', 'name', 'hex', 'hex', 'hex', 'hex'],
  unshare: ['hex'],
  setns: ['fd', 'hex'],

  umask: ['mode'],
  geteuid: [],
  getegid: [],
  setfsuid: ['number'],
  setfsgid: ['number'],
  setgroups: ['ids'],
  getcap: [],
  setcapEffective: ['hex', 'hex'],
  getrlimit: ['number'],
  setrlimit: ['number', 'number', 'number'],
  kill: ['number', 'number'],
};

export const sysCalls: readonly SysCall[] = Object.keys(callArguments) as SysCall[];

/**
 * A table each of whose calls goes through `around`, which may look at the arguments, change them,
 * make the call or answer in its place.
 */
export function wrapSys(
  inner: Sys,
  around: (name: SysCall, args: unknown[], call: (args: unknown[]) => unknown) => unknown,
): Sys {
  const table: Partial<Record<SysCall, unknown>> = {};
  for (const name of sysCalls) {
    const original = inner[name] as (...args: unknown[]) => unknown;
    const call = (args: unknown[]): unknown => original.apply(inner, args);
    table[name] = (...args: unknown[]) => around(name, args, call);
  }
  return table as Sys;
}
