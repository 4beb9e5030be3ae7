/**
 * `npm run bench:threads -- [--rounds N] [--calls N] [--work US,US]`: whether several serving threads beat one. A server that answers
 * GETATTR from memory, after `work` microseconds of computing for each, has one thread; two that read the same descriptor; or two with
 * a descriptor each (FUSE_DEV_IOC_CLONE). 1, 2 and 4 client processes stat as fast as they can. The table has microseconds
 * a request over all clients, and how busy the processors were: where one thread and its clients leave
 * nothing idle, a second thread has nothing to run on. Such threads share nothing, as those of a real engine could not: it is the most that can be won.
 * Needs root.
 */
import { type ChildProcess, fork } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { attr, attrOut, IN_HEADER, inHeader, initOut, OUT_HEADER, outHeader } from 'stratafs/internal/fuse/layout';
import { FORGET, GETATTR, INIT } from 'stratafs/internal/fuse/opcodes';
import { mountFuse } from 'stratafs/internal/mount/fuse-mount';
import { fromText } from 'stratafs/internal/sys/bytes';
import { MNT_DETACH, O_DIRECTORY, O_PATH, O_RDWR } from 'stratafs/internal/sys/constants';
import { EINTR, ENOENT, ENOSYS } from 'stratafs/internal/sys/errno';
import { Stat } from 'stratafs/internal/sys/stat';
import { openFile, sys } from './client.ts';
import { median } from './table.ts';

const FUSE_DEV_IOC_CLONE = 0x8004e500;
const self = fileURLToPath(import.meta.url);

function compute(us: number): void {
  const end = performance.now() + us / 1000;
  while (performance.now() < end);
}

/** Answers until the mount is gone. */
function serve(fd: number, work: number): void {
  const request = Buffer.alloc((1 << 20) + 4096);
  const reply = Buffer.alloc(256);
  for (;;) {
    const length = sys.read(fd, request, 0, request.length);
    if (length === -EINTR || length === -ENOENT) continue;
    if (length <= 0) return;
    const opcode = request.readUInt32LE(inHeader.opcode);
    if (opcode === FORGET) continue;
    reply.fill(0);
    let size = 0;
    let error = 0;
    if (opcode === INIT) {
      size = initOut.size;
      reply.writeUInt32LE(7, OUT_HEADER + initOut.major);
      reply.writeUInt32LE(Math.min(36, request.readUInt32LE(IN_HEADER + 4)), OUT_HEADER + initOut.minor);
      reply.writeUInt32LE(1 << 20, OUT_HEADER + initOut.maxWrite);
    } else if (opcode === GETATTR) {
      compute(work);
      size = attrOut.size;
      reply.writeUInt32LE(1, OUT_HEADER + attrOut.attr + attr.ino);
      reply.writeUInt32LE(0o40755, OUT_HEADER + attrOut.attr + attr.mode);
      reply.writeUInt32LE(2, OUT_HEADER + attrOut.attr + attr.nlink);
    } else error = -ENOSYS;
    reply.writeUInt32LE(OUT_HEADER + size, outHeader.len);
    reply.writeInt32LE(error, outHeader.error);
    request.copy(reply, outHeader.unique, inHeader.unique, inHeader.unique + 8);
    sys.write(fd, reply, 0, OUT_HEADER + size);
  }
}

/** A client: `calls` times fstat(2) of the root, from `go` on. */
function client(merged: string, calls: number): void {
  const fd = openFile(merged, O_PATH | O_DIRECTORY);
  const st = new Stat();
  for (let i = 0; i < 300; i++) sys.fstat(fd, st);
  process.on('message', () => {
    for (let i = 0; i < calls; i++) if (sys.fstat(fd, st) < 0) process.exit(1);
    process.send?.('done');
  });
  process.send?.('ready');
}

/** Seconds of all processors: in all, and idle. */
function processors(): { all: number; idle: number } {
  const ticks = fs.readFileSync('/proc/stat', 'latin1').split('\n')[0].split(/\s+/).slice(1, 9).map(Number);
  return { all: ticks.reduce((sum, t) => sum + t, 0), idle: ticks[3] + ticks[4] };
}

function message(child: ChildProcess): Promise<unknown> {
  return new Promise((resolve, reject) => {
    child.once('message', resolve);
    child.once('exit', () => reject(new Error('a client ended')));
  });
}

/** @returns microseconds a request, and the share of the processors that was busy. */
async function measure(merged: string, clients: number, calls: number): Promise<{ us: number; busy: number }> {
  const children = Array.from({ length: clients }, () => fork(self, ['client', merged, String(calls)]));
  await Promise.all(children.map(message));
  const before = processors();
  const start = performance.now();
  for (const child of children) child.send('go');
  await Promise.all(children.map(message));
  const us = ((performance.now() - start) * 1000) / (clients * calls);
  const after = processors();
  for (const child of children) child.kill();
  return { us, busy: 1 - (after.idle - before.idle) / Math.max(1, after.all - before.all) };
}

const ways = ['1 thread', '2 threads, one descriptor', '2 threads, cloned descriptors'] as const;

async function mounted<T>(way: (typeof ways)[number], work: number, use: (merged: string) => Promise<T>): Promise<T> {
  const merged = fs.mkdtempSync(path.join(os.tmpdir(), 'stratafs-threads-'));
  const fd = openFile('/dev/fuse', O_RDWR);
  const point = openFile(merged, O_PATH | O_DIRECTORY);
  mountFuse(sys, fd, point, 'threads', {});
  const fds = [fd];
  if (way === ways[1]) fds.push(fd);
  if (way === ways[2]) {
    const clone = openFile('/dev/fuse', O_RDWR);
    const session = Buffer.alloc(4);
    session.writeUInt32LE(fd);
    if (sys.ioctl(clone, FUSE_DEV_IOC_CLONE, session) < 0) throw new Error('FUSE_DEV_IOC_CLONE was refused');
    fds.push(clone);
  }
  const workers = fds.map((fd) => new Worker(new URL(import.meta.url), { workerData: { fd, work } }));
  try {
    return await use(merged);
  } finally {
    sys.umount2(fromText(merged), MNT_DETACH);
    sys.close(point);
    await Promise.all(workers.map((worker) => new Promise((resolve) => worker.once('exit', resolve))));
    for (const one of new Set(fds)) sys.close(one);
    fs.rmdirSync(merged);
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '5' },
      calls: { type: 'string', default: '4000' },
      work: { type: 'string', default: '0,15' },
    },
  });
  const results = new Map<string, { us: number; busy: number }[]>();
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const work of values.work.split(',')) {
      for (const way of ways) {
        await mounted(way, Number(work), async (merged) => {
          for (const clients of [1, 2, 4]) {
            const key = `${work} | ${clients} | ${way}`;
            results.set(key, [...(results.get(key) ?? []), await measure(merged, clients, Number(values.calls))]);
          }
        });
      }
    }
  }
  console.log('| work us | clients | serving | us/request | processors busy |\n|--:|--:|---|--:|--:|');
  for (const [key, all] of [...results].sort(([a], [b]) => a.localeCompare(b, 'en', { numeric: true }))) {
    const busy = (100 * median(all.map((r) => r.busy))).toFixed(0);
    console.log(`| ${key} | ${median(all.map((r) => r.us)).toFixed(1)} | ${busy} % |`);
  }
}

if (!isMainThread)
  serve((workerData as { fd: number; work: number }).fd, (workerData as { fd: number; work: number }).work);
else if (process.argv[2] === 'client') client(process.argv[3], Number(process.argv[4]));
else await main();
