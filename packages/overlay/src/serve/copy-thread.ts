/**
 * The thread that makes long copies for the serving one: by the same descriptors, which belong to the
 * process, in the same steps as the serving thread would (overlay/copy-data.ts). Several copies go on
 * at a time, a step of each in turn, so that a small one does not wait for the end of a large one. What programs
 * have flushed is flushed here too, in one step.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { copyExtents } from '../overlay/copy-data.ts';
import { SCHED_OTHER } from '../sys/constants.ts';
import { EINTR, EIO } from '../sys/errno.ts';
import type { Sys } from '../sys/sys.ts';
import { openSys } from '../sys/sys-koffi.ts';
import { CANCEL, type CopyTask, type CopyThreadData, DONE, QUEUED, RUNNING, STATE } from './copy-task.ts';

function* make(sys: Sys, work: CopyTask['work']): Generator<void, number, void> {
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

const { wakeFd, cpus } = workerData as CopyThreadData;
const sys = openSys();
// The serving thread may have been in the idle class, on one processor, when it started this one.
sys.schedSetscheduler(sys.gettid(), SCHED_OTHER);
if (cpus !== null) sys.schedSetaffinity(sys.gettid(), cpus);

const one = Buffer.alloc(8);
one.writeBigUInt64LE(1n);

function step(steps: Generator<void, number, void>, words: Int32Array): number | null {
  if (Atomics.load(words, CANCEL) !== 0) return -EINTR;
  try {
    const { done, value } = steps.next();
    return done ? Math.min(value, 0) : null;
  } catch {
    return -EIO;
  }
}

function goOn(steps: Generator<void, number, void>, words: Int32Array): void {
  const result = step(steps, words);
  if (result === null) {
    setImmediate(goOn, steps, words);
    return;
  }
  Atomics.store(words, STATE, result < 0 ? result : DONE);
  Atomics.notify(words, STATE);
  sys.write(wakeFd, one, 0, one.length);
}

parentPort?.on('message', (task: CopyTask) => {
  // Given up meanwhile: the descriptors are no longer what they were.
  if (Atomics.compareExchange(task.words, STATE, QUEUED, RUNNING) === QUEUED) goOn(make(sys, task.work), task.words);
});
