/** No exception of an operation ends a server: the caller gets EIO, the log a line, and serving goes on. */
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { openSys } from '../src/sys/sys-koffi.ts';
import { isRoot, needsRoot } from './support/temp-dir.ts';

interface Told {
  ready?: true;
  log?: string;
  end?: string;
}

/** `stat` in a process of its own: this one serves, and must not wait for itself. */
function stat(file: string): Promise<string> {
  const child = spawn('stat', ['-c', '%F', file], { env: { LC_ALL: 'C', PATH: process.env.PATH } });
  let out = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (out += chunk));
  return new Promise((resolve) => child.once('close', () => resolve(out.trim())));
}

describe.runIf(isRoot)(needsRoot('an engine that throws'), () => {
  it('is EIO for that request alone', async () => {
    const merged = fs.mkdtempSync(path.join(tmpdir(), 'stratafs-'));
    const wakeFd = openSys().eventfd(0, 0);
    const stop = new Int32Array(new SharedArrayBuffer(4));
    const worker = new Worker(new URL('./support/faulty-server.mjs', import.meta.url), {
      workerData: { merged, wakeFd, stop },
    });
    const told: Told[] = [];
    const ended = new Promise((resolve) => worker.once('exit', resolve));
    const ready = new Promise<void>((resolve, reject) => {
      worker.once('error', reject);
      worker.on('message', (message: Told) => {
        told.push(message);
        if (message.ready) resolve();
      });
    });
    try {
      await ready;
      expect(await stat(path.join(merged, 'good'))).toBe('regular empty file');
      for (let i = 0; i < 3; i++) expect(await stat(path.join(merged, 'bad'))).toContain('Input/output error');
      expect(await stat(path.join(merged, 'good'))).toBe('regular empty file');
    } finally {
      spawnSync('umount', ['-l', merged]);
      Atomics.store(stop, 0, 1);
      openSys().write(wakeFd, Buffer.from([1, 0, 0, 0, 0, 0, 0, 0]), 0, 8);
      await ended;
      openSys().close(wakeFd);
      fs.rmdirSync(merged);
    }
    expect(told.at(-1)?.end).toMatch(/unmounted|stopped/);
    const log = told.flatMap((message) => message.log ?? []);
    expect(log.some((line) => /^GETATTR n3 answered EIO: TypeError: a fault of the engine\n\s+at /.test(line))).toBe(
      true,
    );
    expect(log.some((line) => /^(BATCH_)?FORGET .*RangeError: forget is at fault too/.test(line))).toBe(true);
  });
});
