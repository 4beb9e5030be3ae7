/**
 * Compound operations, one after another, on unions of their own whose layers lie on a disk that logs
 * (power-cut/disk-server.ts). Behind each system call of an operation that changes something a file beside the
 * layers is flushed, which brings the filesystem's journal to the disk, and nothing else: names whose data
 * nobody flushed. Then the disk is made as it was after every flush within an operation, and at points between
 * two flushes, there also without half of the writes that came since the first of them; the filesystem
 * recovers, and the union of the operation is mounted by the engine and by the kernel. Each shows the
 * tree from before the operation or the one after it, and `work` comes empty.
 *
 * It shares the operations with the tests of faults, and so runs from the sources.
 */
import { closeSync, lstatSync, mkdirSync, openSync, readdirSync, rmSync, writeSync } from 'node:fs';
import { fromText } from 'stratafs/internal/sys/bytes';
import { wrapSys } from 'stratafs/internal/sys/calls';
import * as c from 'stratafs/internal/sys/constants';
import { EPERM, errnoName } from 'stratafs/internal/sys/errno';
import { Stat } from 'stratafs/internal/sys/stat';
import type { Sys } from 'stratafs/internal/sys/sys';
import { changingCalls } from 'stratafs/internal/sys/sys-fault';
import type { Options } from '../../packages/overlay/test/support/faults/bench.ts';
import { layLowers, layUpper, must } from '../../packages/overlay/test/support/faults/layers.ts';
import type { Operation } from '../../packages/overlay/test/support/faults/operation.ts';
import { wholeTree, wholeView } from '../../packages/overlay/test/support/faults/whole-view.ts';
import { Union } from '../../packages/overlay/test/support/union.ts';
import { check } from '../expect.ts';
import { type DiskType, format, LoggingDisk, mountDisk, unmountDisk } from '../power-cut/disks.ts';
import { type Image, readImage, writeImage } from '../power-cut/image.ts';
import { FLUSH, type LogRecord, MARK, readLog, replay, WRITE } from '../power-cut/write-log.ts';
import { random } from '../random.ts';

/** What of an operation is flushed: all that it flushes; nothing of it; or only what it flushes, with no file beside. */
export type Flushing = 'each call' | 'nothing' | 'itself';

export interface CrashPlan {
  disk: DiskType;
  options: Options;
  operations: readonly (readonly [name: string, operation: Operation])[];
  flushing: Flushing;
  seed: number;
  /** At most so many crashes for each operation; Infinity: behind every flush. */
  most: number;
}

export interface CrashResult {
  points: number;
  /** One line for each crash that left something that may not be. */
  torn: string[];
}

/** What was seen of an operation's union, and where in the log it ran. */
interface Played {
  name: string;
  operation: Operation;
  old: string[];
  done: string[];
  begin: number;
  end: number;
}

interface Cut {
  at: number;
  /** Writes since the last flush are lost, as often as not. */
  loses: boolean;
}

export class CrashBench {
  readonly #sys: Sys;
  readonly #at: string;
  readonly #plan: CrashPlan;
  readonly #r: ReturnType<typeof random>;
  #image: Image = { size: 0, extents: [] };
  #records: LogRecord[] = [];

  /** `at`: a directory of its own, which goes with `close`. */
  constructor(sys: Sys, at: string, plan: CrashPlan) {
    // The lowers' own mounts take time, and are of no matter here.
    this.#sys = { ...sys, openTree: () => -EPERM };
    this.#at = at;
    this.#plan = plan;
    this.#r = random(plan.seed);
  }

  #path(...parts: string[]): string {
    return [this.#at, ...parts].join('/');
  }

  #mount(file: string): number {
    return mountDisk(this.#sys, this.#plan.disk, fromText(file), fromText(this.#path('fs')));
  }

  #unmount(): void {
    unmountDisk(this.#sys, fromText(this.#path('fs')));
  }

  async run(): Promise<CrashResult> {
    for (const name of ['fs', 'merged', 'log-disk']) mkdirSync(this.#path(name));
    this.#lay();
    const played = await this.#play();
    const result: CrashResult = { points: 0, torn: [] };
    for (const one of played) {
      for (const cut of this.#cuts(one)) {
        const { disk, options } = this.#plan;
        const where = `${disk}${options.text}: ${one.name}, record ${cut.at} of ${one.begin} to ${one.end}`;
        for (const line of this.#crash(one, cut, result.points % 2 === 0)) {
          result.torn.push(`${where}${cut.loses ? ', writes lost' : ''}: ${line}`);
        }
        result.points++;
      }
    }
    return result;
  }

  /** Two lowers for all, and an upper for each. */
  #lay(): void {
    const image = this.#path('image');
    const size = format(this.#plan.disk, image);
    check(this.#mount(image), `mount ${this.#plan.disk}`);
    for (const name of ['l1', 'l2']) mkdirSync(this.#path('fs', name));
    layLowers(this.#sys, this.#path('fs', 'l1'), this.#path('fs', 'l2'));
    this.#plan.operations.forEach((_, i) => {
      for (const name of ['u', 'w']) mkdirSync(this.#path('fs', `${i}`, name), { recursive: true });
      layUpper(this.#sys, this.#path('fs', `${i}`, 'u'));
    });
    this.#unmount();
    this.#image = readImage(image, size);
  }

  async #play(): Promise<Played[]> {
    const log = this.#path('log');
    const server = await LoggingDisk.start(this.#sys, this.#path('log-disk'), this.#path('image'), log);
    let seen: Omit<Played, 'begin' | 'end'>[] = [];
    try {
      check(this.#mount(this.#path('log-disk', 'disk')), `mount ${this.#plan.disk}`);
      const beside = openSync(this.#path('fs', 'beside'), 'a');
      const mark = openSync(this.#path('log-disk', 'mark'), 'r+');
      try {
        seen = this.#plan.operations.map(([name, operation], i) => this.#playOne(name, operation, i, beside, mark));
      } finally {
        closeSync(mark);
        closeSync(beside);
        this.#unmount();
      }
    } finally {
      await server.end();
    }
    this.#records = readLog(log);
    rmSync(log);
    const marks = this.#records.flatMap(({ kind }, i) => (kind === MARK ? [i] : []));
    return seen.map((one, i) => ({ ...one, begin: marks[2 * i], end: marks[2 * i + 1] }));
  }

  #playOne(
    name: string,
    operation: Operation,
    number: number,
    beside: number,
    mark: number,
  ): Omit<Played, 'begin' | 'end'> {
    const { flushing } = this.#plan;
    const sys = operation.on?.(this.#sys) ?? this.#sys;
    let armed = false;
    const flush = (): void => {
      writeSync(beside, '.');
      check(this.#sys.fsync(beside), 'fsync');
    };
    const st = new Stat();
    const watched = wrapSys(sys, (call, args, make) => {
      if (!armed) return make(args);
      if (flushing === 'nothing') {
        if (call === 'fsync') return 0;
        // xfs hurries to write what was truncated, be it to the size that it has: that would hide the bug.
        if (call === 'ftruncate' && sys.fstat(args[0] as number, st) >= 0 && st.size === args[1]) return 0;
      }
      const result = make(args);
      if (flushing !== 'itself' && changes(call, args)) flush();
      return result;
    });
    const union = this.#union(number);
    try {
      const o = union.mount(watched, this.#params);
      const act = operation.prepare(o);
      const old = wholeView(o, this.#links);
      check(this.#sys.syncfs(beside), 'syncfs');
      writeSync(mark, 'begun', 0);
      armed = true;
      const answer = act();
      armed = false;
      must(answer);
      flush();
      writeSync(mark, 'done', 0);
      const done = wholeView(o, this.#links);
      operation.end?.(o);
      return { name, operation, old, done };
    } finally {
      union.unmount();
    }
  }

  #union(number: number): Union {
    const union = new Union();
    union.base = this.#path('fs', `${number}`);
    return union;
  }

  get #params(): Options['params'] {
    const lowerdirs = ['l1', 'l2'].map((name) => fromText(this.#path('fs', name)));
    return { ...this.#plan.options.params, lowerdirs };
  }

  /** With nfs_export the kernel counts the index entry of a file with one name (docs/differences.md). */
  get #links(): boolean {
    const { index, nfsExport } = this.#plan.options.params;
    return index === true && nfsExport !== true;
  }

  /** Behind every flush that wrote something, and once between it and the next; or as many of them as are wanted. */
  #cuts({ begin, end }: Played): Cut[] {
    const cuts: Cut[] = [{ at: begin + 1, loses: false }];
    for (let flushed = begin + 1, i = begin + 1; i <= end; i++) {
      if (this.#records[i].kind !== FLUSH) continue;
      const wrote = this.#records.slice(flushed, i).filter(({ kind }) => kind === WRITE).length;
      if (wrote > 0) {
        cuts.push({ at: flushed + 1 + this.#r.below(i - flushed), loses: this.#r.below(3) > 0 });
        cuts.push({ at: i + 1, loses: false });
      }
      flushed = i + 1;
    }
    cuts.push({ at: end + 1, loses: true });
    while (cuts.length > this.#plan.most) cuts.splice(this.#r.below(cuts.length - 1), 1);
    return cuts;
  }

  /** @returns what was wrong. */
  #crash(played: Played, { at, loses }: Cut, kernelFirst: boolean): string[] {
    const file = this.#path('replayed');
    const fd = writeImage(file, this.#image);
    replay(fd, this.#records, at, loses ? this.#r : null);
    closeSync(fd);
    const mounted = this.#mount(file);
    if (mounted < 0) return [`${this.#plan.disk} itself cannot be mounted: ${errnoName(mounted)}`];
    const number = this.#plan.operations.findIndex(([name]) => name === played.name);
    const wrong: string[] = [];
    const look = (by: string, see: () => string[]): void => {
      try {
        const line = judge(played, at, this.#records, see());
        if (line !== null) wrong.push(`by ${by}: ${line}`);
      } catch (error) {
        wrong.push(`by ${by}: ${error instanceof Error ? error.message : error}`);
      }
    };
    try {
      // Whoever comes first cleans up behind the crash.
      const first = kernelFirst && !played.operation.finishes;
      if (first) look('the kernel', () => this.#kernelView(number));
      look('ours', () => this.#ourView(number));
      wrong.push(...this.#leftovers(number));
      if (!first) look('the kernel', () => this.#kernelView(number));
    } finally {
      this.#unmount();
    }
    return wrong;
  }

  #ourView(number: number): string[] {
    const union = this.#union(number);
    try {
      return wholeView(union.mount(this.#sys, this.#params), this.#links);
    } finally {
      union.unmount();
    }
  }

  #kernelView(number: number): string[] {
    const [l1, l2, u, w] = ['l1', 'l2', `${number}/u`, `${number}/w`].map((name) => fromText(this.#path('fs', name)));
    const merged = fromText(this.#path('merged'));
    const data = `lowerdir=${l1}:${l2},upperdir=${u},workdir=${w}${this.#plan.options.text}`;
    must(this.#sys.mount('overlay', merged, 'overlay', 0, data));
    try {
      return wholeTree(this.#sys, merged, this.#links);
    } finally {
      must(this.#sys.umount2(merged, 0));
    }
  }

  /** The one whiteout that all others are links to may stay. */
  #leftovers(number: number): string[] {
    const at = (name: string): string => this.#path('fs', `${number}`, 'w', name);
    const left = readdirSync(at('work'));
    if (this.#plan.options.params.index === true) {
      for (const name of readdirSync(at('index'))) {
        if (name.startsWith('#') && !lstatSync(at(`index/${name}`)).isCharacterDevice()) left.push(name);
      }
    }
    return left.length > 0 ? [`left behind a mount of ours: ${left.join(' ')}`] : [];
  }

  close(): void {
    for (const name of ['merged', 'fs', 'log-disk']) this.#sys.umount2(fromText(this.#path(name)), c.MNT_DETACH);
    rmSync(this.#at, { recursive: true, force: true });
  }
}

const changing: ReadonlySet<string> = new Set([...changingCalls, 'ioctl', 'ioctlInt']);

function changes(call: string, args: readonly unknown[]): boolean {
  if (call === 'openat') return ((args[2] as number) & (c.O_CREAT | c.O_TRUNC | c.O_TMPFILE)) !== 0;
  return changing.has(call);
}

function judge(
  { operation, old, done, begin, end }: Played,
  at: number,
  records: LogRecord[],
  seen: string[],
): string | null {
  const text = (lines: string[]): string =>
    lines.map((line) => (operation.completes ? line.replace(/ at \w+/, '') : line)).join('\n');
  // What was written since the last flush may be lost: it is done for sure only behind the flush that followed it.
  const flushed = records.findLastIndex(({ kind }, i) => i < at && kind === FLUSH);
  const may = at <= begin + 1 ? [old] : flushed > begin && at > end ? [done] : [old, done];
  if (may.some((lines) => text(lines) === text(seen))) return null;
  const known = new Set([...may.flat()]);
  const strange = seen.filter((line) => !known.has(line));
  const missing = may[may.length - 1].filter((line) => !seen.includes(line));
  return `neither old nor new: has ${strange.join(' | ') || 'nothing strange'}; has not ${missing.join(' | ')}`;
}
