/**
 * The C library as a small interface: `func` binds a function by its name, `syscall` binds a call
 * by its number where the library has no wrapper for it. This is the only file that knows koffi,
 * and the seam where tests take a system call away to see that its fallback works.
 *
 * koffi is loaded when the first table is opened, not when this file is imported: everything that
 * needs no system calls must run where koffi cannot be installed.
 */
import { createRequire } from 'node:module';

/** Plain C types. `uintptr_t` takes the address of scratch memory, `void *` a caller's buffer. */
export type CType = 'int' | 'uint' | 'int64' | 'size_t' | 'uintptr_t' | 'void *';
export type Call = (...args: (number | bigint | Uint8Array)[]) => number;

export type SyscallName =
  | 'getdents64'
  | 'gettid'
  | 'sched_getaffinity'
  | 'capget'
  | 'capset'
  | 'setfsuid'
  | 'setfsgid'
  | 'setgroups'
  | 'name_to_handle_at'
  | 'open_by_handle_at'
  | 'setns'
  | 'renameat2'
  | 'copy_file_range'
  | 'statx'
  | 'open_tree'
  | 'move_mount'
  | 'fsopen'
  | 'fsconfig'
  | 'fsmount'
  | 'openat2'
  | 'mount_setattr'
  | 'cachestat'
  | 'fchmodat2'
  | 'setxattrat'
  | 'getxattrat'
  | 'listxattrat'
  | 'removexattrat'
  | 'file_getattr';

/** x86_64's number, and the asm-generic one that arm64, riscv64 and loong64 share. */
const numbers: Readonly<Record<SyscallName, readonly [number, number]>> = {
  getdents64: [217, 61],
  gettid: [186, 178],
  sched_getaffinity: [204, 123],
  capget: [125, 90],
  capset: [126, 91],
  setfsuid: [122, 151],
  setfsgid: [123, 152],
  setgroups: [116, 159],
  name_to_handle_at: [303, 264],
  open_by_handle_at: [304, 265],
  setns: [308, 268],
  renameat2: [316, 276],
  copy_file_range: [326, 285],
  statx: [332, 291],
  open_tree: [428, 428],
  move_mount: [429, 429],
  fsopen: [430, 430],
  fsconfig: [431, 431],
  fsmount: [432, 432],
  openat2: [437, 437],
  mount_setattr: [442, 442],
  cachestat: [451, 451],
  fchmodat2: [452, 452],
  setxattrat: [463, 463],
  getxattrat: [464, 464],
  listxattrat: [465, 465],
  removexattrat: [466, 466],
  file_getattr: [468, 468],
};

export interface Libc {
  /** A function of the C library; one that an older or smaller library lacks is called by number. */
  func(name: string, result: CType, args: CType[]): Call;
  /** A system call by number, which acts on the calling thread alone. */
  syscall(name: SyscallName, args: CType[]): Call;
  /** errno of the call that has just answered -1: nothing may run in between. */
  errno(): number;
  /** Where `buf` lies. Valid for as long as the caller holds `buf`: array buffers do not move. */
  address(buf: Uint8Array): number;
}

interface Koffi {
  load(path: null): { func(name: string, result: string, args: string[]): (...args: unknown[]) => number };
  errno(): number;
  address(buf: Uint8Array): bigint;
}

function loadKoffi(): Koffi {
  if (process.platform !== 'linux') {
    throw new Error(`stratafs needs Linux for system calls; this is ${process.platform}`);
  }
  const require = createRequire(import.meta.url);
  try {
    return require('koffi') as Koffi;
  } catch (cause) {
    throw new Error(
      `stratafs cannot load koffi, through which it makes system calls: install it for ${process.platform}-${process.arch} (npm install koffi)`,
      { cause },
    );
  }
}

/** @throws Error when koffi or its binary for this platform is missing. */
export function openLibc(): Libc {
  const koffi = loadKoffi();
  // The running program: node is linked with whichever C library this system has.
  const lib = koffi.load(null);
  const column = process.arch === 'x64' ? 0 : 1;

  const bySyscall = (name: SyscallName, args: CType[]): Call => {
    const raw = lib.func('syscall', 'int64', ['int64', ...args]);
    const number = numbers[name][column];
    // One shape for each count: a rest parameter would cost an array for every call.
    switch (args.length) {
      case 0:
        return () => raw(number);
      case 1:
        return (a) => raw(number, a);
      case 2:
        return (a, b) => raw(number, a, b);
      case 3:
        return (a, b, c) => raw(number, a, b, c);
      case 4:
        return (a, b, c, d) => raw(number, a, b, c, d);
      case 5:
        return (a, b, c, d, e) => raw(number, a, b, c, d, e);
      default:
        return (a, b, c, d, e, f) => raw(number, a, b, c, d, e, f);
    }
  };

  return {
    func: (name, result, args) => {
      try {
        return lib.func(name, result, args);
      } catch (error) {
        if (name in numbers) return bySyscall(name as SyscallName, args);
        throw error;
      }
    },
    syscall: bySyscall,
    errno: koffi.errno,
    address: (buf) => Number(koffi.address(buf)),
  };
}
