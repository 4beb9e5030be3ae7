// The load of stress.test.ts: one process with five threads, each making, writing, reading, renaming and
// deleting at random below DIR for SECONDS. Prints one JSON object: how many operations were done,
// and how often each failed with what. Run as `node stress.mjs DIR SECONDS SEED`.
import fs from 'node:fs';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

const THREADS = 5;

/** A small generator of numbers that repeats with its seed (mulberry32). */
function random(seed) {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

function load({ dir, seconds, seed }) {
  const pick = random(seed);
  const folder = () => `${dir}/d${pick(4)}${pick(3) === 0 ? `/s${pick(3)}` : ''}`;
  const file = () => `${folder()}/f${pick(12)}`;
  /** A record that shows whether it was written as a whole: one letter, a hundred times. */
  const record = () => `${String.fromCharCode(97 + pick(26)).repeat(100)}\n`;
  const operations = {
    append: () => fs.appendFileSync(file(), record()),
    replace: () => fs.writeFileSync(file(), record()),
    read: () => {
      for (const line of fs.readFileSync(file(), 'latin1').split('\n')) {
        // Writes of a record are atomic (O_APPEND, below a page); truncation leaves whole ones or nothing.
        if (line !== '' && line !== line[0].repeat(100)) throw Object.assign(new Error(line), { code: 'TORN' });
      }
    },
    list: () => fs.readdirSync(folder(), { withFileTypes: true }),
    stat: () => fs.lstatSync(file()),
    chmod: () => fs.chmodSync(file(), 0o600 + pick(0o100)),
    rename: () => fs.renameSync(file(), file()),
    renameFolder: () => fs.renameSync(folder(), `${folder()}`),
    link: () => fs.linkSync(file(), file()),
    unlink: () => fs.unlinkSync(file()),
    mkdir: () => fs.mkdirSync(folder()),
    rmdir: () => fs.rmdirSync(folder()),
    symlink: () => fs.symlinkSync('f1', file()),
    truncate: () => fs.truncateSync(file(), 0),
  };
  const names = Object.keys(operations);
  const failures = {};
  let done = 0;
  const end = Date.now() + seconds * 1000;
  while (Date.now() < end) {
    const name = names[pick(names.length)];
    done += 1;
    try {
      operations[name]();
    } catch (error) {
      const key = `${name} ${error.code ?? error.message}`;
      failures[key] = (failures[key] ?? 0) + 1;
    }
  }
  return { done, failures };
}

if (isMainThread) {
  const [dir, seconds, seed] = process.argv.slice(2);
  const results = await Promise.all(
    Array.from(
      { length: THREADS },
      (_, i) =>
        new Promise((resolve, reject) => {
          const worker = new Worker(new URL(import.meta.url), {
            workerData: { dir, seconds: Number(seconds), seed: Number(seed) * THREADS + i },
          });
          worker.once('message', resolve);
          worker.once('error', reject);
        }),
    ),
  );
  console.log(JSON.stringify(results));
} else {
  parentPort.postMessage(load(workerData));
}
