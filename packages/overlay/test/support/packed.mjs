// A worker thread that packs itself onto a processor, watched as a server's thread is, and works on without
// a sign of progress until it is rescued. workerData: { words, cpu }. Tells { packed, ms, idle }: whether it was
// packed, how long it took until it was rescued, and whether it is in the idle class then.
import fs from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { allowedCpus, placeOf, RESCUED, STATE } from '../../dist/serve/policy/place.js';
import { SCHED_IDLE } from '../../dist/sys/constants.js';
import { openSys } from '../../dist/sys/sys-koffi.js';

const { words, cpu } = workerData;
const sys = openSys();
const tid = sys.gettid();
const cpus = allowedCpus(sys, tid);
const place = placeOf(sys, tid, cpus, words);
while (!place.ready()) Atomics.wait(words, STATE, 0, 1);

/** proc_pid_stat(5), field 41. */
function idle() {
  const text = fs.readFileSync(`/proc/self/task/${tid}/stat`, 'latin1');
  return Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[38]) === SCHED_IDLE;
}

const start = performance.now();
const packed = place.pack(cpu);
while (packed && Atomics.load(words, STATE) !== RESCUED);
// Written down first, done next.
while (packed && idle());
parentPort.postMessage({ packed, ms: performance.now() - start, idle: idle() });
place.unpack();
place.end();
