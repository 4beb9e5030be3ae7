/**
 * The thread that makes long copies for the serving one: by the same descriptors, which belong to the
 * process, in the same steps as the serving thread would (copy-steps.ts). Several copies go on
 * at a time, a step of each in turn, so that a small one does not wait for the end of a large one. What programs
 * have flushed is flushed here too, in one step.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { SCHED_OTHER } from '../sys/constants.ts';
import { EINTR } from '../sys/errno.ts';
import { openSys } from '../sys/sys-koffi.ts';
import { copySteps, takeStep } from './copy-steps.ts';
import { CANCEL, type CopyTask, type CopyThreadData, DONE, QUEUED, RUNNING, STATE } from './copy-task.ts';

const { wakeFd, cpus } = workerData as CopyThreadData;
const sys = openSys();
// The serving thread may have been in the idle class, on one processor, when it started this one.
sys.schedSetscheduler(sys.gettid(), SCHED_OTHER);
if (cpus !== null) sys.schedSetaffinity(sys.gettid(), cpus);

const one = Buffer.alloc(8);
one.writeBigUInt64LE(1n);

function goOn(steps: Generator<void, number, void>, words: Int32Array): void {
  const result = Atomics.load(words, CANCEL) !== 0 ? -EINTR : takeStep(steps);
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
  if (Atomics.compareExchange(task.words, STATE, QUEUED, RUNNING) === QUEUED)
    goOn(copySteps(sys, task.work), task.words);
});
