/** A C library on a kernel, or behind a filter, that lacks some calls or some of their flags. */
import { ENOSYS } from '../../src/sys/errno.ts';
import type { Call, Libc, SyscallName } from '../../src/sys/koffi/libc.ts';

/** @param refuse the errno (positive) to answer a call of that name with, or 0 to let it through. */
export function refusing(libc: Libc, refuse: (name: string, args: readonly unknown[]) => number): Libc {
  let errno = 0;
  const guard =
    (name: string, real: Call): Call =>
    (...args) => {
      errno = refuse(name, args);
      return errno === 0 ? real(...args) : -1;
    };
  return {
    ...libc,
    syscall: (name, args) => guard(name, libc.syscall(name, args)),
    func: (name, result, args) => guard(name, libc.func(name, result, args)),
    errno: () => errno || libc.errno(),
  };
}

export function withoutSyscalls(libc: Libc, missing: readonly SyscallName[], errno: number = ENOSYS): Libc {
  return refusing(libc, (name) => ((missing as readonly string[]).includes(name) ? errno : 0));
}
