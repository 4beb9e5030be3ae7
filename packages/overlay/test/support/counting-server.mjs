// A worker thread that serves a real union by FUSE and counts, for each request that it reads, the system
// calls of the engine until the next one. workerData: { options, merged, control, counts }; `counts` is an Int32Array in
// shared memory, one row an opcode: the requests in column 0, then one column for each call of sysCalls.
import { parentPort, workerData } from 'node:worker_threads';
import { parseOptions } from '../../dist/mount/parse-options.js';
import { serveMount } from '../../dist/serve/serve-mount.js';
import { sysCalls, wrapSys } from '../../dist/sys/calls.js';
import { openSys } from '../../dist/sys/sys-koffi.js';

const { options, merged, control, counts } = workerData;
const width = sysCalls.length + 1;
const columns = new Map(sysCalls.map((name, i) => [name, i + 1]));
let device = -1;
let opcode = 0;
/** Long work looks by the clock whether its caller lives, so that these calls are not counted. */
const looks = /^\/proc\/\d+\//;
let looking = -1;

const sys = wrapSys(openSys(), (name, args, call) => {
  const result = call(args);
  if (name === 'openat' && args[1] === '/dev/fuse') device = result;
  if (name === 'openat' && looks.test(args[1])) {
    looking = result;
    return result;
  }
  if (args[0] === looking && (name === 'read' || name === 'close')) {
    if (name === 'close') looking = -1;
    return result;
  }
  if (name === 'read' && args[0] === device) {
    if (result > 0) {
      opcode = args[1].readUInt32LE(args[2] + 4);
      Atomics.add(counts, opcode * width, 1);
    }
  } else if (name !== 'poll' && !(name === 'write' && args[0] === device)) {
    // How often it sleeps is a matter of time, and each request has one answer.
    Atomics.add(counts, opcode * width + columns.get(name), 1);
  }
  return result;
});

const config = { options: parseOptions([options]), source: 'counted', merged, debug: false };
try {
  const end = serveMount(sys, config, control, {
    ready: () => parentPort.postMessage({ ready: true }),
    ending: () => {},
    log: (line) => parentPort.postMessage({ log: line }),
  });
  parentPort.postMessage({ end });
} catch (error) {
  parentPort.postMessage({ failed: String(error?.stack ?? error) });
}
