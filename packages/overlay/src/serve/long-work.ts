/**
 * `CopyThread`: the serving thread's side of long copies. A thread is started for the first one; a copy
 * is cancelled when everybody who waits for it has been killed, or the server is to end.
 *
 * Should the thread never come to life, what was queued is given up after a while and made by the
 * serving thread, as all that follows.
 */
import { Worker } from 'node:worker_threads';
import type { LongWork } from '../fuse/session.ts';
import type { CopyAside, RunningCopy } from '../overlay/asides.ts';
import type { Super } from '../overlay/super.ts';
import type { SyncAside } from '../overlay/syncs.ts';
import { EINTR, ERESTART } from '../sys/errno.ts';
import type { Sys } from '../sys/sys.ts';
import { builtFile } from './built.ts';
import { isKilled } from './caller-killed.ts';
import { type Control, isCancelled } from './control.ts';
import { CANCEL, type CopyTask, type CopyThreadData, QUEUED, RUNNING, STATE, WORDS } from './copy-task.ts';

/** Bytes that take the serving thread itself a few milliseconds: fewer are not worth another thread. */
export const ASIDE_BYTES: number = 4 * 1024 * 1024;
/** Between two looks at the callers. */
const LOOK_MS = 50;
/** A thread that has begun nothing by then never will. */
const START_MS = 10_000;
/** Longest wait for the end of a flush, when the server ends. */
const END_MS = 60_000;
const ONE = new Uint8Array(new BigUint64Array([1n]).buffer);

class Copy implements RunningCopy {
  readonly words: Int32Array = new Int32Array(new SharedArrayBuffer(WORDS * Int32Array.BYTES_PER_ELEMENT));
  readonly begun: number = performance.now();
  /** Threads whose requests wait for it. */
  callers: number[] = [];
  private readonly owner: CopyThread;

  constructor(owner: CopyThread) {
    this.owner = owner;
  }

  result(): number | null {
    const state = Atomics.load(this.words, STATE);
    if (state === QUEUED || state === RUNNING) return null;
    return Math.min(state, 0);
  }

  awaited(): void {
    this.owner.asked = this;
  }

  cancel(): void {
    this.giveUp(-EINTR);
    Atomics.store(this.words, CANCEL, 1);
  }

  /** @returns whether it had not begun. */
  giveUp(errno: number): boolean {
    return Atomics.compareExchange(this.words, STATE, QUEUED, errno) === QUEUED;
  }
}

export interface CopyThreadParts {
  sys: Sys;
  control: Control;
  /** The processors that a thread may use; null where that is not known. */
  cpus: Uint8Array | null;
  /** A smaller copy is made by the serving thread. */
  threshold: number;
}

export class CopyThread implements LongWork {
  full = false;
  /** What the operation that is being carried out needs. */
  asked: Copy | null = null;
  private copies: Copy[] = [];
  private looked = 0;
  private more = false;
  /** All copies are made by the serving thread from now on. */
  private broken = false;
  private worker: Worker | null = null;
  /** Looked up before there is a mount: by then it may lie on it, where this thread alone answers. */
  private readonly program: URL = builtFile('copy-thread');
  private readonly parts: CopyThreadParts;
  private sb: Super | null = null;

  constructor(parts: CopyThreadParts) {
    this.parts = parts;
  }

  serve(sb: Super): void {
    this.sb = sb;
  }

  readonly start: CopyAside = (order, data, flush) => this.begin({ order, flush }, data);

  readonly flush: SyncAside = (fd, dataOnly, bytes) => this.begin({ fd, dataOnly }, bytes);

  /** What the serving thread does in pieces has more of them: it is to be tried again without a sleep. */
  readonly goesOn = (): void => {
    this.more = true;
    const { sys, control } = this.parts;
    sys.write(control.wakeFd, ONE, 0, ONE.length);
  };

  private begin(work: CopyTask['work'], bytes: number): Copy | null {
    if (bytes < this.parts.threshold || this.broken || this.full || this.sb === null) return null;
    const copy = new Copy(this);
    this.worker ??= this.startThread();
    const task: CopyTask = { work, words: copy.words };
    this.worker.postMessage(task);
    this.copies.push(copy);
    return copy;
  }

  waits(pid: number): void {
    this.asked?.callers.push(pid);
    this.asked = null;
  }

  ended(): boolean {
    const now = performance.now();
    if (now - this.looked >= LOOK_MS) {
      this.looked = now;
      this.look(now);
    }
    const { more } = this;
    this.more = false;
    if (!more && !this.copies.some((copy) => copy.result() !== null)) return false;
    this.copies = this.copies.filter((copy) => copy.result() === null);
    for (const copy of this.copies) copy.callers = [];
    this.sb?.asides.collect();
    return true;
  }

  tried(): void {
    this.sb?.asides.sweep();
  }

  /** Gives up all that is under way, and comes back when no descriptor is used any more. */
  end(): void {
    this.broken = true;
    for (const copy of this.copies) copy.cancel();
    // A step that is under way holds the files itself, and none begins any more: nothing breaks where this is too short.
    for (const { words } of this.copies) Atomics.wait(words, STATE, RUNNING, END_MS);
    this.copies = [];
    this.sb?.asides.collect();
    this.sb?.asides.sweep();
  }

  private look(now: number): void {
    const { sys, control } = this.parts;
    for (const copy of this.copies) {
      if (isCancelled(control) || copy.callers.every((pid) => isKilled(sys, pid))) copy.cancel();
      else if (now - copy.begun > START_MS && copy.giveUp(-ERESTART)) this.broken = true;
    }
  }

  private startThread(): Worker {
    const { control, cpus } = this.parts;
    const workerData: CopyThreadData = { wakeFd: control.wakeFd, cpus };
    const worker = new Worker(this.program, {
      workerData,
      name: 'copy',
      resourceLimits: { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 4 },
    });
    worker.on('error', () => {});
    worker.unref();
    return worker;
  }
}
