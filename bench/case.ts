/**
 * `Case`: one workload on one mounter, in a process of its own. Mounts come over a new and empty upper,
 * and go whatever happens. States of the caches: `cold` nothing in memory, `fresh` a new mount over layers that
 * the kernel knows, null as it is.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { findServer, type Mounter } from './mounters.ts';

export interface Sizes {
  /** Factor on the number of files. */
  scale: number;
  /** MiB of the big file. */
  data: number;
}

export type Unit = 's' | 'MiB';

export interface Measured {
  value: number;
  unit: Unit;
}

/** This mounter, or machine, cannot do the workload. */
export class Declined extends Error {}

export class Case {
  readonly mounter: Mounter;
  readonly sizes: Sizes;
  readonly metrics: Record<string, Measured> = {};
  /** Of the mount that stands. */
  pid: number | null = null;
  mountSeconds = 0;
  private base: string;
  private dir: string;
  private readonly templates: string;

  constructor(mounter: Mounter, sizes: Sizes, base: string) {
    this.mounter = mounter;
    this.sizes = sizes;
    this.base = base;
    this.templates = 'templates';
    this.dir = this.emptyDir();
  }

  get merged(): string {
    return path.join(this.dir, 'm');
  }

  count(full: number): number {
    return Math.max(10, Math.floor(full * this.sizes.scale));
  }

  private emptyDir(): string {
    const dir = path.join(this.base, 'case');
    fs.rmSync(dir, { recursive: true, force: true });
    fs.mkdirSync(path.join(dir, 'm'), { recursive: true });
    return dir;
  }

  /** Moves to a filesystem of this type, in an image file. */
  useFilesystem(type: string): void {
    if (spawnSync(`mkfs.${type}`, ['-V']).error) throw new Declined(`mkfs.${type} is not installed`);
    const at = path.join(this.base, `fs-${type}`);
    const image = `${at}.img`;
    if (!fs.existsSync(image)) {
      fs.mkdirSync(at);
      fs.writeFileSync(image, '');
      fs.truncateSync(image, (this.sizes.data * 4 + 2048) * 2 ** 20);
      execFileSync(`mkfs.${type}`, ['-q', image]);
      execFileSync('mount', ['-o', 'loop', image, at]);
    }
    this.base = at;
    this.dir = this.emptyDir();
  }

  /** A lower that is made once and only read. */
  template(name: string, build: (dir: string) => void): string {
    const at = path.join(this.base, this.templates, `${name}-${this.sizes.scale}-${this.sizes.data}`);
    if (fs.existsSync(at)) return at;
    const part = path.join(this.base, this.templates, 'part');
    fs.rmSync(part, { recursive: true, force: true });
    fs.mkdirSync(part, { recursive: true });
    build(part);
    spawnSync('sync');
    fs.renameSync(part, at);
    return at;
  }

  /** A lower of this case alone. */
  lower(build?: (dir: string) => void): string {
    const at = path.join(this.dir, `own${fs.readdirSync(this.dir).length}`);
    fs.mkdirSync(at);
    build?.(at);
    spawnSync('sync');
    return at;
  }

  /** Mounts, works, unmounts. */
  async mounted(
    lowers: readonly string[],
    state: 'cold' | 'fresh' | null,
    work: (merged: string) => void | Promise<void>,
  ): Promise<void> {
    const layers = { dir: this.dir, upper: 'u', work: 'w', merged: 'm', lowers: lowers.map((_, i) => `L/${i}`) };
    for (const name of ['u', 'w', 'L']) {
      fs.rmSync(path.join(this.dir, name), { recursive: true, force: true });
      fs.mkdirSync(path.join(this.dir, name));
    }
    for (const [i, lower] of lowers.entries()) fs.symlinkSync(lower, path.join(this.dir, layers.lowers[i]));
    if (state !== null) {
      spawnSync('sync');
      fs.writeFileSync('/proc/sys/vm/drop_caches', state === 'cold' ? '3' : '2');
    }
    if (state === 'fresh') for (const lower of new Set(lowers)) walk(lower);
    const [command, ...args] = this.mounter.mount(layers);
    const start = performance.now();
    const done = spawnSync(command, args, { cwd: this.dir, encoding: 'utf8', stdio: ['ignore', 'ignore', 'pipe'] });
    this.mountSeconds = (performance.now() - start) / 1000;
    if (done.error) throw new Declined(`${command} cannot be started`);
    if (done.status !== 0) throw new Declined(`mount failed: ${done.stderr.trim().slice(0, 200)}`);
    try {
      const pattern = this.mounter.server(this.merged);
      this.pid = pattern === null ? null : findServer(pattern);
      await work(this.merged);
    } finally {
      this.unmount();
    }
  }

  private unmount(): void {
    for (let i = 0; i < 50 && spawnSync('umount', [this.merged]).status !== 0; i++) pause(100);
    for (let i = 0; i < 2000 && this.pid !== null && isRunning(this.pid); i++) pause(5);
    this.pid = null;
  }

  measure(metric: string, work: () => void): void {
    const start = performance.now();
    work();
    this.record(metric, (performance.now() - start) / 1000);
  }

  record(metric: string, value: number, unit: Unit = 's'): void {
    this.metrics[metric] = { value, unit };
  }
}

/** A server that nobody has waited for yet is gone all the same. */
function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(fs.readFileSync(`/proc/${pid}/status`, 'latin1'));
  } catch {
    return false;
  }
}

function pause(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

/** find(1) with an lstat of each entry. @returns how many there were. */
export function walk(dir: string): number {
  const out = execFileSync('find', [dir, '-printf', '%s\\n'], { maxBuffer: 2 ** 30, encoding: 'latin1' });
  return out.split('\n').length - 1;
}

export function expect(condition: boolean, what: string): void {
  if (!condition) throw new Error(`wrong: ${what}`);
}
