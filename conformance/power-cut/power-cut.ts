/**
 * Power cuts under a load of copy-ups: the load runs on a union whose layers lie on a filesystem on
 * a disk that logs (disk-server.ts); then the disk is made as it was at a random record of that log,
 * the filesystem is mounted, and the union looked at through the kernel's overlay and through our
 * engine: every subject of the load has to stand in a state that it may be in (subjects.ts).
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { toText } from 'stratafs/internal/sys/bytes';
import * as c from 'stratafs/internal/sys/constants';
import { errnoName } from 'stratafs/internal/sys/errno';
import type { Sys } from 'stratafs/internal/sys/sys';
import { type Backend, type LayerDirs, optionText } from '../backend.ts';
import type { BaseDir } from '../base-dir.ts';
import { names } from '../calls.ts';
import { check } from '../expect.ts';
import { random } from '../random.ts';
import type { Door } from '../target.ts';
import { inProcess } from '../targets/in-process.ts';
import { kernel } from '../targets/kernel.ts';
import { isLazy, withoutLazy } from '../targets/lazy.ts';
import { SysDoor } from '../targets/sys-door.ts';
import { type Node, plant } from '../tree.ts';
import { built, type DiskType, format, LoggingDisk, mountDisk, unmountDisk } from './disks.ts';
import { type Image, readImage, writeImage } from './image.ts';
import { type LoadReport, type LoadTask, planOf } from './load.ts';
import type { Subject } from './subjects.ts';
import { FLUSH, type LogRecord, MARK, marksBefore, readLog, replay } from './write-log.ts';

/** The load of one log takes this long at most; then something hangs. */
const LOAD_MS = 120_000;

export interface PowerCutOptions {
  seed: number;
  cuts: number;
  /** How many cuts one log is good for. */
  cutsPerLoad: number;
  subjects: number;
  disks: readonly DiskType[];
  /** What makes the upper: a mount, or the engine in the process of the load. */
  overlay: Backend | 'in-process' | 'unflushed';
  /** Mount options of the union, under the load: one of these sets for each load. */
  options: readonly (readonly string[])[];
  /**
   * A peer may refuse operations, and marks opaque directories in a way of its own, which nobody else
   * has to read: those subjects are left out. Of ours none may fail.
   */
  peer: boolean;
  /** A line when a log has been looked at. */
  progress(line: string): void;
}

export interface PowerCutResult {
  /** Steps of the loads. */
  operations: number;
  cuts: number;
  /** Cuts that left something that may not be. */
  torn: number;
  /** Cuts that fell after something had reached the upper. */
  changed: number;
  /** What was wrong, with its disk and cut. */
  wrong: string[];
}

export async function powerCut(sys: Sys, base: BaseDir, options: PowerCutOptions): Promise<PowerCutResult> {
  const result: PowerCutResult = { operations: 0, cuts: 0, torn: 0, changed: 0, wrong: [] };
  const r = random(options.seed);
  for (let round = 0; result.cuts < options.cuts; round++) {
    const disk = options.disks[round % options.disks.length];
    const seed = r.below(0x7fffffff);
    const mountOptions = r.pick(options.options);
    const bench = new Bench(sys, toText(base.make(`load-${round}`)), disk, options, mountOptions, seed);
    try {
      const before = { ...result };
      const failed = await bench.run();
      for (const [name, message] of failed) {
        if (!options.peer) result.wrong.push(`${disk}, load ${seed}: ${name}: ${message}`);
      }
      result.operations += bench.steps;
      const cuts = Math.min(options.cutsPerLoad, options.cuts - result.cuts);
      const lost = new Set(failed.map(([name]) => name));
      if (options.peer) for (const { name } of bench.subjects) if (name.startsWith('opaque')) lost.add(name);
      for (let i = 0; i < cuts; i++) await bench.cut(i, lost, result);
      options.progress(
        `${disk}: load ${seed} (${mountOptions.join(',')}): ${bench.records.length} records, ${cuts} cuts, ${result.torn - before.torn} torn`,
      );
    } finally {
      await bench.close();
    }
  }
  return result;
}

/** One load and the cuts through its log. */
class Bench {
  readonly #sys: Sys;
  readonly #at: string;
  readonly #disk: DiskType;
  readonly #options: PowerCutOptions;
  readonly #mountOptions: readonly string[];
  readonly #plan: { all: Subject[]; order: Subject[] };
  readonly #seed: number;
  readonly #r: ReturnType<typeof random>;
  #image: Image = { size: 0, extents: [] };
  #server: LoggingDisk | null = null;
  records: LogRecord[] = [];

  constructor(
    sys: Sys,
    at: string,
    disk: DiskType,
    options: PowerCutOptions,
    mountOptions: readonly string[],
    seed: number,
  ) {
    this.#mountOptions = mountOptions;
    this.#sys = sys;
    this.#at = at;
    this.#disk = disk;
    this.#options = options;
    this.#seed = seed;
    this.#plan = planOf(seed, options.subjects, mountOptions);
    this.#r = random(seed ^ 0xc07);
  }

  get subjects(): readonly Subject[] {
    return this.#plan.all;
  }

  get steps(): number {
    return this.#plan.order.length;
  }

  #path(name: string): string {
    return `${this.#at}/${name}`;
  }

  #mount(file: string): number {
    return mountDisk(this.#sys, this.#disk, file, this.#path('fs'));
  }

  #unmount(): void {
    unmountDisk(this.#sys, this.#path('fs'));
  }

  #layers(options: readonly string[]): LayerDirs {
    const at = this.#path('fs');
    return { lowers: [`${at}/lower`], upper: `${at}/upper`, work: `${at}/work`, merged: this.#path('merged'), options };
  }

  /** Fresh layers; then the load, with all that it does to the disk written down. */
  async run(): Promise<LoadReport['failed']> {
    for (const name of ['fs', 'merged', 'log-disk']) mkdirSync(this.#path(name));
    this.#format();
    closeSync(writeImage(this.#path('image'), this.#image));
    const log = this.#path('log');
    this.#server = await LoggingDisk.start(this.#sys, this.#path('log-disk'), this.#path('image'), log);
    check(this.#mount(`${this.#path('log-disk')}/disk`), `mount ${this.#disk}`);
    const { overlay } = this.#options;
    const layers = this.#layers(this.#mountOptions);
    const view = typeof overlay === 'string' ? null : await overlay.mount(this.#sys, layers);
    if (typeof view === 'number') throw new Error(`mount: ${errnoName(view)}`);
    const report = await this.#load(typeof overlay === 'string' ? overlay : 'mount', layers);
    await view?.close();
    this.#unmount();
    await this.#endServer();
    const all = readLog(log);
    const last = all.findLastIndex((record) => record.kind === MARK);
    this.records = all.slice(0, last + 1);
    rmSync(log);
    return report.failed;
  }

  #format(): void {
    const image = this.#path('image');
    const size = format(this.#disk, image);
    check(this.#mount(image), `mount ${this.#disk}`);
    for (const name of ['lower', 'upper', 'work', 'beside']) mkdirSync(`${this.#path('fs')}/${name}`);
    const lower: Record<string, Node> = {};
    for (const subject of this.#plan.all) Object.assign(lower, subject.lower);
    const fd = check(this.#sys.openat(c.AT_FDCWD, `${this.#path('fs')}/lower`, c.O_RDONLY, 0), 'open lower');
    plant(this.#sys, fd, lower, 'trusted.overlay.');
    this.#sys.close(fd);
    this.#unmount();
    this.#image = readImage(image, size);
  }

  async #load(through: LoadTask['through'], layers: LayerDirs): Promise<LoadReport> {
    const task: LoadTask = {
      seed: this.#seed,
      subjects: this.#options.subjects,
      through,
      layers,
      mark: `${this.#path('log-disk')}/mark`,
      beside: `${this.#path('fs')}/beside`,
    };
    const child = spawn(process.execPath, [built('load-main'), JSON.stringify(task)], {
      stdio: ['ignore', 'pipe', 'inherit'],
      timeout: LOAD_MS,
      killSignal: 'SIGKILL',
    });
    let out = '';
    child.stdout.on('data', (chunk) => {
      out += chunk;
    });
    const [code] = await once(child, 'close');
    if (code !== 0) throw new Error(`the load ended with ${code}`);
    return JSON.parse(out) as LoadReport;
  }

  async #endServer(): Promise<void> {
    const server = this.#server;
    this.#server = null;
    await server?.end();
  }

  /**
   * Cuts the power at a random record, every fourth time right behind a flush, and looks. Every
   * second time some of what the disk had not flushed is lost too.
   */
  async cut(number: number, lost: ReadonlySet<string>, result: PowerCutResult): Promise<void> {
    let at = this.#r.below(this.records.length);
    if (number % 4 === 2) at = 1 + this.records.findIndex(({ kind }, i) => i >= at && kind === FLUSH) || at;
    const name = `${this.#disk}, load ${this.#seed}, cut ${number} at record ${at}`;
    const file = this.#path('replayed');
    const fd = writeImage(file, this.#image);
    replay(fd, this.records, at, number % 2 === 1 ? this.#r : null);
    closeSync(fd);
    result.cuts++;
    const mounted = this.#mount(file);
    if (mounted < 0) {
      result.wrong.push(`${name}: ${this.#disk} itself cannot be mounted: ${errnoName(mounted)}`);
      return;
    }
    const wrong: string[] = [];
    if (readdirSync(`${this.#path('fs')}/upper`).length > 0) result.changed++;
    // What a person does who takes the risk.
    if (this.#mountOptions.includes('volatile')) {
      rmSync(`${this.#path('fs')}/work/work/incompat`, { recursive: true, force: true });
    }
    const done = Math.max(0, marksBefore(this.records, at));
    // Whoever comes first cleans up behind the cut.
    const views = number % 8 < 4 ? [inProcess, kernel] : [kernel, inProcess];
    const layers = this.#layers(this.#mountOptions);
    if (isLazy(layers)) {
      wrong.push(...this.#refused(layers, done, lost));
      // Before anything is completed, and after.
      views.unshift(inProcess);
    }
    for (const by of views) wrong.push(...(await this.#look(by, done, lost)).map((line) => `by ${by.name}: ${line}`));
    this.#unmount();
    if (wrong.length > 0) result.torn++;
    for (const line of wrong) result.wrong.push(`${name}: ${line}`);
  }

  /**
   * What the kernel makes of files that are not complete: it refuses the upper with its workdir, and where it
   * takes the upper as a lower it reads nothing of them, or all.
   */
  #refused(layers: LayerDirs, done: number, lost: ReadonlySet<string>): string[] {
    const wrong: string[] = [];
    const at = this.#path('merged');
    const { upper, lowers, work } = layers;
    const marker = `${work}/work/incompat/strata.lazy`;
    const pending = existsSync(marker) && readdirSync(marker).length > 0;
    const plain = withoutLazy(layers);
    if (pending && this.#sys.mount('overlay', at, 'overlay', 0, optionText(plain)) >= 0) {
      wrong.push('the kernel mounts an upper with files that are not complete');
      this.#sys.umount2(at, c.MNT_DETACH);
    }
    // Metadata alone, as the kernel makes it too, is not known to a mount with the other marks.
    const others = this.#mountOptions.includes('metacopy=on') ? [] : [',userxattr'];
    for (const more of ['', ',metacopy=on', ...others]) {
      const options = `lowerdir=${upper}:${lowers.join(':')}${more}`;
      if (this.#sys.mount('overlay', at, 'overlay', 0, options) < 0) continue;
      const door = new SysDoor(this.#sys, at);
      for (const subject of this.#plan.all) {
        if (lost.has(subject.name)) continue;
        // Redirects are not followed everywhere, and nobody says what the kernel shows of an index without one.
        if (more !== '' || this.#mountOptions.includes('index=on'))
          wrong.push(...this.#neverZeros(subject, door, more));
        else
          for (const line of this.#judge(subject, door, done)) {
            if (!/EIO|EINVAL|EPERM/.test(line)) wrong.push(`as a lower: ${line}`);
          }
      }
      door.end();
      this.#sys.umount2(at, c.MNT_DETACH);
    }
    return wrong;
  }

  /** Where the lower's file begins with data, and texts are without zeros, zeros are a hole of a stub. */
  #neverZeros(subject: Subject, door: Door, options: string): string[] {
    const fd = door.open(subject.name, c.O_RDONLY);
    if (fd < 0) return [];
    const got = door.pread(fd, 4096, 0);
    door.close(fd);
    if (typeof got === 'number' || got.length === 0 || got[0] !== 0) return [];
    const below = `${this.#path('fs')}/lower/${subject.name}`;
    if (!existsSync(below) || !statSync(below).isFile() || readFileSync(below)[0] === 0) return [];
    return [`as a lower with '${options}': ${subject.name} begins with zeros`];
  }

  async #look(by: Backend, done: number, lost: ReadonlySet<string>): Promise<string[]> {
    const options = this.#mountOptions.filter((option) => option !== 'volatile');
    const view = await by.mount(this.#sys, this.#layers(options));
    if (typeof view === 'number') return [`the union cannot be mounted: ${errnoName(view)}`];
    const door = view.door('');
    const wrong: string[] = [];
    try {
      for (const subject of this.#plan.all) {
        if (!lost.has(subject.name)) wrong.push(...this.#judge(subject, door, done));
      }
      const known = names(door, '.').filter((n) => !this.#plan.all.some(({ name }) => n.startsWith(name)));
      if (known.length > 0) wrong.push(`names that nobody made: ${known.join(' ')}`);
      const work = `${this.#path('fs')}/work/work`;
      const entries = statSync(work).isDirectory() ? readdirSync(work) : [];
      const left = entries.filter((entry) => entry !== 'incompat' || !isLazy(this.#layers(options)));
      if (left.length > 0) wrong.push(`work/ holds ${left.join(' ')} after a mount`);
    } finally {
      door.end();
      await view.close();
    }
    return wrong;
  }

  #judge(subject: Subject, door: Door, done: number): string[] {
    let taken = 0;
    let floor = 0;
    for (const next of this.#plan.order.slice(0, done)) {
      if (next !== subject) continue;
      if (subject.steps[taken++].durable) floor = taken;
    }
    const begun = taken + (this.#plan.order[done] === subject ? 1 : 0);
    try {
      const wrong = subject.judge(door, floor, begun);
      return wrong === null ? [] : [wrong];
    } catch (error) {
      return [`${subject.name}: ${error instanceof Error ? error.message : error}`];
    }
  }

  async close(): Promise<void> {
    for (const name of ['merged', 'fs']) this.#sys.umount2(this.#path(name), c.MNT_DETACH);
    await this.#endServer();
    rmSync(this.#at, { recursive: true, force: true });
  }
}
