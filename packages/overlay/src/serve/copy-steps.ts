/**
 * What the thread for long work does of a task: the bytes of a copy and their flush, or a flush alone. In steps, so that
 * others' go on in between, and by descriptors only, which belong to the process. The files, their names
 * and who waits for them are the serving thread's (overlay/asides.ts).
 */
import { copyExtents } from '../overlay/copy-data.ts';
import { EIO } from '../sys/errno.ts';
import type { Sys } from '../sys/sys.ts';
import type { CopyTask } from './copy-task.ts';

/** @returns in the end 0 or more, or a negative errno, with the target in any state. */
export function* copySteps(sys: Sys, work: CopyTask['work']): Generator<void, number, void> {
  if ('fd' in work) return work.dataOnly ? sys.fdatasync(work.fd) : sys.fsync(work.fd);
  const { order, flush } = work;
  const from = {
    lseek: sys.lseek.bind(sys),
    read: sys.pread.bind(sys),
  };
  const to = {
    write: sys.pwrite.bind(sys),
    ftruncate: sys.ftruncate.bind(sys),
    copyFileRange: sys.copyFileRange.bind(sys),
  };
  let err = yield* copyExtents(from, to, order, false, true);
  if (err >= 0 && order.size > order.length) err = sys.ftruncate(order.target, order.size);
  return err >= 0 && flush ? sys.fsync(order.target) : err;
}

/** Goes on with `steps` by one. @returns null while there are more, then what STATE is to say of the end but DONE: 0 or a negative errno. */
export function takeStep(steps: Generator<void, number, void>): number | null {
  try {
    const { done, value } = steps.next();
    return done ? Math.min(value, 0) : null;
  } catch {
    return -EIO;
  }
}
