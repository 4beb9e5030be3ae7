/**
 * Servers that are killed while files whose copy-up is not complete are written at random: the next mount shows all that a
 * write(2) has acknowledged, of the one that was under way any part, and of the rest what the lower has. Then the same again on what is there by then.
 */
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import { beforeAll, beforeEach, expect, it } from 'vitest';
import { enterMountNamespace, hasFuse, root, Stage } from './support/stage.ts';
import { strata } from './support/strata.ts';

const FILES = 3;
const SIZE = 3 * 1024 * 1024 + 77;
const ROUNDS = 8;
let stage: Stage;

beforeAll(enterMountNamespace);
beforeEach((context) => {
  context.skip(!root || !hasFuse, 'needs root that may mount, and /dev/fuse');
  stage = new Stage();
  for (const name of ['lower', 'upper', 'work', 'merged']) stage.dir(name);
  context.onTestFinished(() => stage.destroy());
  const type = execFileSync('stat', ['-f', '-c', '%T', stage.top], { encoding: 'utf8' }).trim();
  context.skip(type !== 'ext2/ext3' && type !== 'xfs', `temporary files are on ${type}`);
});

/** xorshift32: the same row of numbers for the same seed. */
function numbers(seed: number): (below: number) => number {
  let x = seed | 1;
  return (below) => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) % below;
  };
}

async function mount(): Promise<number> {
  const layers = `lowerdir=${stage.at('lower')},upperdir=${stage.at('upper')},workdir=${stage.at('work')}`;
  const done = await strata(['mount', '-o', `${layers},copyup=lazy,copyup_threshold=1`, stage.at('merged')]);
  expect(done).toMatchObject({ code: 0, stderr: '' });
  return Number(stage.processes()[0].split(' ')[0]);
}

it('no byte is wrong after any of them', { timeout: 120_000 }, async () => {
  const seed = Number(process.env.STRATA_SEED ?? 20261122);
  const random = numbers(seed);
  const models = Array.from({ length: FILES }, (_, i) => {
    const bytes = Buffer.alloc(SIZE);
    for (let at = 0; at < SIZE; at++) bytes[at] = 1 + ((at * 7 + (at >> 12) + i) % 250);
    fs.writeFileSync(stage.at(`lower/f${i}`), bytes);
    return bytes;
  });
  let wrong = 0;
  let writes = 0;
  let pending = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const pid = await mount();
    const fds = models.map((_, i) => fs.openSync(stage.at(`merged/f${i}`), 'r+'));
    // From outside: this thread is in write(2).
    const killer = spawn('sh', ['-c', `sleep 0.${1 + random(5)}; kill -9 ${pid}`], { stdio: 'ignore' });
    let unsure: { file: number; at: number; data: Buffer } | null = null;
    while (unsure === null) {
      const file = random(FILES);
      const length = 1 + random(random(4) === 0 ? 200_000 : 9_000);
      const at = random(SIZE - length);
      const data = Buffer.alloc(length, 1 + random(250));
      try {
        const written = fs.writeSync(fds[file], data, 0, length, at);
        data.copy(models[file], at, 0, written);
        writes++;
        // Linux sends a long write in parts: the rest was under way.
        if (written < length) unsure = { file, at: at + written, data: data.subarray(written) };
        else if (random(40) === 0) fs.fsyncSync(fds[file]);
      } catch {
        unsure = { file, at, data };
      }
    }
    for (const fd of fds) {
      try {
        fs.closeSync(fd);
      } catch {
        // Nobody is there to hear of it.
      }
    }
    await new Promise((resolve) => (killer.exitCode === null ? killer.once('exit', resolve) : resolve(null)));
    while (stage.processes().length > 0) await new Promise((resolve) => setTimeout(resolve, 10));
    await mount();
    for (const [file, model] of models.entries()) {
      const seen = fs.readFileSync(stage.at(`merged/f${file}`));
      expect(seen.length).toBe(SIZE);
      const { at, data } = unsure;
      for (let i = 0; i < SIZE; i++) {
        if (seen[i] === model[i]) continue;
        const underWay = file === unsure.file && i >= at && i < at + data.length;
        if (underWay && seen[i] === data[i - at]) continue;
        wrong++;
      }
      // What was there is what there is.
      seen.copy(model);
    }
    pending += fs.existsSync(stage.at('work/work/incompat/strata.lazy')) ? 1 : 0;
    expect((await strata(['umount', '-l', stage.at('merged')])).code).toBe(0);
    while (stage.processes().length > 0) await new Promise((resolve) => setTimeout(resolve, 10));
  }
  console.log(`lazy-killed: ${ROUNDS} servers killed, ${writes} writes, ${wrong} wrong bytes, seed ${seed}`);
  expect(wrong).toBe(0);
  // Else nothing was tried.
  expect([writes > ROUNDS * 10, pending]).toEqual([true, ROUNDS]);
});
