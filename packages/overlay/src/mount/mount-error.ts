/**
 * `MountError`: why a mount was not made, for a person. The message is one sentence that names
 * the path, layer or option and says what to do; `exitStatus` is mount(8)'s.
 */
import { errnoName } from '../sys/errno.ts';

/** 1: bad call or no permission. 2: a system error (memory, forks, descriptors). 32: the mount failed. */
export type MountStatus = 1 | 2 | 32;

const brand: symbol = Symbol.for('stratafs.MountError');

export class MountError extends Error {
  readonly code = 'ERR_MOUNT';
  readonly exitStatus: MountStatus;
  /** Negative errno. */
  readonly errno: number;
  /** `'EINVAL'`, … */
  readonly errnoName: string;

  constructor(errno: number, message: string, exitStatus: MountStatus = 32, options?: ErrorOptions) {
    super(message, options);
    this.name = 'MountError';
    this.exitStatus = exitStatus;
    this.errno = errno;
    this.errnoName = errnoName(errno);
    Object.defineProperty(this, brand, { value: true });
  }
}

/** Whether `error` is a MountError, also one of another copy of this package. */
export function isMountError(error: unknown): error is MountError {
  return typeof error === 'object' && error !== null && brand in error;
}
