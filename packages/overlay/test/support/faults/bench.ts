/**
 * Where operations run under faults: two lowers made once, and a fresh upper for each run, on a tmpfs
 * of its own where that can be had. A run ends in one of three ways:
 *
 *   - retry    the fault goes away and the operation is tried again
 *   - remount  the fault goes away; a fresh mount has to see what the old one saw
 *   - crash    the process is gone at that call, as it is: every later call of it fails
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect } from 'vitest';
import type { OpenOptions } from '../../../src/ops/open-overlay.ts';
import type { OverlayOps } from '../../../src/ops/overlay-ops.ts';
import type { OverlayParams } from '../../../src/overlay/params.ts';
import { fromText } from '../../../src/sys/bytes.ts';
import { CLONE_NEWNS, MNT_DETACH, MS_PRIVATE, MS_REC } from '../../../src/sys/constants.ts';
import { EPERM, errnoName } from '../../../src/sys/errno.ts';
import type { Sys } from '../../../src/sys/sys.ts';
import { type FaultPlan, faultSys } from '../../../src/sys/sys-fault.ts';
import { openSys } from '../../../src/sys/sys-koffi.ts';
import { openDescriptors } from '../open-descriptors.ts';
import { isRoot } from '../temp-dir.ts';
import { Union } from '../union.ts';
import { CopyingThread } from './copying-thread.ts';
import { layLowers, layUpper, must, Refused } from './layers.ts';
import type { Operation } from './operation.ts';
import { wholeTree, wholeView } from './whole-view.ts';

export type Ending = 'retry' | 'remount' | 'crash';

export interface Fault {
  /** The counted call that is hit. Infinity: none. */
  at: number;
  errno?: number;
  short?: number;
  forever?: boolean;
  /** Only these calls are counted. */
  calls?: FaultPlan['calls'];
}

/** A set of mount options, for the engine and as mount(8) has them. */
export interface Options {
  params: Partial<OverlayParams>;
  text: string;
  /** The kernel's, where it does not have all of them. */
  kernelText?: string;
  /** What else the engine is opened with. */
  open?: Partial<OpenOptions>;
  /** What the overlay's own attributes begin with, where that is not as for any mount by this user. */
  marks?: string;
  /** The layers are to be on ext4, in memory. */
  onExt4?: boolean;
  /** A thread makes the copies, small ones too: the faults are those of all calls, or of that thread's alone. */
  thread?: 'faulty too' | 'faulty alone';
  /** Ends what an upper may have pending, behind which the kernel has to see what was seen before. */
  settle?(o: OverlayOps): void;
}

/**
 * Without what takes time and is of no matter here: the flush, which shows after a power cut only (that
 * it fails is tried), and mounts of the lowers' own, whose end waits for all processors.
 */
const real: Sys = { ...openSys(), fsync: () => 0, openTree: () => -EPERM };

export class FaultBench {
  readonly #union = new Union();
  readonly #options: Options;
  readonly #lowers: string[] = [];
  /** What is seen before an operation, by each: the same whenever it is prepared. */
  readonly #old = new WeakMap<Operation, string[]>();
  /** Whether the kernel's overlay can be asked. */
  readonly kernel: boolean;
  /** Why nothing can be tried here, or null. */
  readonly unavailable: string | null = null;
  readonly #base: string;

  constructor(options: Options) {
    this.#options = options;
    const base = mkdtempSync(path.join(tmpdir(), 'stratafs-faults-'));
    this.#union.base = base;
    this.#base = base;
    const apart =
      isRoot && real.unshare(CLONE_NEWNS) === 0 && real.mount('none', '/', '', MS_REC | MS_PRIVATE, null) === 0;
    this.kernel = apart && real.mount('stratafs-faults', fromText(base), 'tmpfs', 0, 'mode=0755') === 0;
    if (options.onExt4) {
      this.unavailable = this.kernel ? mountExt4(base) : 'needs root';
      this.#union.base = path.join(base, 'disk');
      if (this.unavailable !== null) return;
    }
    for (const name of ['l1', 'l2', 'm']) mkdirSync(this.#at(name));
    layLowers(real, this.#at('l1'), this.#at('l2'), options.marks);
    this.#lowers = this.#lowerTrees();
  }

  #at(name: string): string {
    return this.#union.at(name);
  }

  #lowerTrees(): string[] {
    return ['l1', 'l2'].flatMap((name) => wholeTree(real, fromText(this.#at(name)), true));
  }

  /** Throws where a lower has been changed. */
  end(): void {
    const lowers = this.unavailable === null ? this.#lowerTrees() : [];
    this.#union.unmount();
    if (this.kernel) real.umount2(fromText(this.#base), MNT_DETACH);
    rmSync(this.#base, { recursive: true, force: true });
    expect(lowers).toEqual(this.#lowers);
  }

  /** What is seen once the operation has been done without a fault. */
  done(operation: Operation): string[] {
    return this.#run(operation, { at: Number.POSITIVE_INFINITY }, 'retry', null).done;
  }

  /** The same; null where the operation cannot be done at all. */
  tryDone(operation: Operation): string[] | null {
    try {
      return this.done(operation);
    } catch (error) {
      if (error instanceof Refused) return null;
      throw error;
    }
  }

  /** @returns whether the fault was hit; throws where anything is not as it has to be. */
  try(operation: Operation, fault: Fault, ending: Ending, done: readonly string[]): boolean {
    try {
      return this.#run(operation, fault, ending, done).fired;
    } catch (error) {
      const what = fault.short === undefined ? errnoName(-(fault.errno ?? 0)) : `short by ${fault.short}`;
      if (error instanceof Error) {
        error.message = `call ${fault.at} ${what}${fault.forever ? ' for ever' : ''}, ${ending}: ${error.message}`;
      }
      throw error;
    }
  }

  #run(
    operation: Operation,
    fault: Fault,
    ending: Ending,
    expected: readonly string[] | null,
  ): { fired: boolean; done: string[] } {
    const u = this.#union;
    const finishes = operation.finishes === true || this.#options.settle !== undefined;
    for (const name of ['u', 'w']) mkdirSync(this.#at(name));
    try {
      layUpper(real, this.#at('u'), this.#options.marks);
      const before = openDescriptors();
      const plan: FaultPlan = { ...fault, at: Number.POSITIVE_INFINITY };
      const sound = operation.on?.(real) ?? real;
      const faulty = faultSys(sound, plan);
      const { thread } = this.#options;
      const copying = thread === undefined ? null : new CopyingThread(faulty.sys);
      const o = this.#mount(thread === 'faulty alone' ? sound : faulty.sys, copying?.hooks);
      const prepared = operation.prepare(o);
      const run = copying?.awaiting(o, prepared) ?? prepared;
      const old = this.#oldView(o, operation);
      plan.at = faulty.counted + fault.at;
      const result = run();
      const { fired } = faulty;
      if (ending !== 'crash') plan.at = Number.POSITIVE_INFINITY;
      if (expected === null) {
        must(result);
        // Else there is nothing of the thread to see.
        expect(copying?.taken).not.toBe(0);
      }
      const done = expected ?? this.#view(o);
      if (result < 0) this.#judgeErrno(result, fault, operation);
      // What a cleanup could not remove counts as a link until the next mount.
      const counted = (lines: readonly string[]) => (fault.forever ? without(/ links \d+/, lines) : lines);
      const timed = (lines: readonly string[]) => (operation.completes ? without(/ at \w+/, lines) : lines);
      const judge = (answer: number, mask: typeof timed, seen: readonly string[]): void =>
        this.#judge(answer, mask(seen), mask(old), mask(done));
      let again = -1;
      let seen: string[] = [];
      if (ending === 'crash') {
        u.unmount();
        if (this.kernel && !finishes) judge(result, timed, this.#kernelView());
      } else {
        seen = this.#view(o);
        judge(result, (lines) => timed(counted(lines)), seen);
        if (ending === 'retry' && result < 0) {
          again = run();
          // There may be nothing left to do.
          if (again < 0 && !operation.once) expect(timed(counted(seen))).toEqual(timed(counted(done)));
          if (again >= 0) seen = this.#view(o);
          if (again >= 0) expect(timed(counted(seen))).toEqual(timed(counted(done)));
        }
        operation.end?.(o);
        for (let nodeid = 2; nodeid < 1000; nodeid++) o.forget(nodeid, Number.MAX_SAFE_INTEGER);
        expect(o.nodes.size).toBe(1);
        u.unmount();
      }
      expect(openDescriptors()).toBe(before);
      const next = this.#mount(real);
      const fresh = this.#view(next);
      judge(Math.max(result, again), result < 0 ? timed : (lines) => lines, fresh);
      if (ending !== 'crash') expect(counted(fresh)).toEqual(counted(seen));
      if (this.#options.settle) {
        this.#options.settle(next);
        expect(this.#view(next)).toEqual(fresh);
      }
      expect(readdirSync(this.#at('w/work'))).toEqual([]);
      if (ending === 'crash' && this.kernel && finishes) {
        u.unmount();
        expect(this.#kernelView()).toEqual(fresh);
      }
      return { fired, done: [...done] };
    } finally {
      u.unmount();
      for (const name of ['u', 'w']) rmSync(this.#at(name), { recursive: true, force: true });
    }
  }

  #mount(sys: Sys, hooks: Partial<OpenOptions> = {}): OverlayOps {
    const { params, open } = this.#options;
    return this.#union.mount(sys, params, { ...open, ...hooks });
  }

  /** With nfs_export the kernel counts the index entry of a file with one name (docs/differences.md). */
  get #links(): boolean {
    const { index, nfsExport } = this.#options.params;
    return index === true && nfsExport !== true;
  }

  #view(o: OverlayOps): string[] {
    return wholeView(o, this.#links);
  }

  #oldView(o: OverlayOps, operation: Operation): string[] {
    const known = this.#old.get(operation);
    if (known) return known;
    const old = this.#view(o);
    this.#old.set(operation, old);
    return old;
  }

  /** An operation that said so is done; else it is done or it is not. */
  #judge(result: number, seen: readonly string[], old: readonly string[], done: readonly string[]): void {
    if (result >= 0) expect(seen).toEqual(done);
    else if (seen.join('\n') !== old.join('\n')) expect(seen).toEqual(done);
  }

  #judgeErrno(result: number, fault: Fault, { answers }: Operation): void {
    if (result !== -(answers ?? 0)) expect(errnoName(result)).toBe(errnoName(-(fault.errno ?? 0)));
  }

  #kernelView(): string[] {
    const [merged, u, w, l1, l2] = ['m', 'u', 'w', 'l1', 'l2'].map((name) => fromText(this.#at(name)));
    const text = this.#options.kernelText ?? this.#options.text;
    // At its unmounting a disk would be flushed each time; the mark that this leaves goes with the layers.
    const unflushed = this.#options.onExt4 ? ',volatile' : '';
    const data = `lowerdir=${l1}:${l2},upperdir=${u},workdir=${w}${text}${unflushed}`;
    must(real.mount('overlay', merged, 'overlay', 0, data));
    try {
      return wholeTree(real, merged, this.#links);
    } finally {
      must(real.umount2(merged, 0));
    }
  }
}

/** At `disk` in `base`. @returns null, or why not. */
function mountExt4(base: string): string | null {
  const [image, disk] = [path.join(base, 'image'), path.join(base, 'disk')];
  mkdirSync(disk);
  writeFileSync(image, '');
  truncateSync(image, 64 << 20);
  const made = spawnSync('mkfs.ext4', ['-q', '-F', '-b', '4096', image]);
  if (made.status !== 0) return 'no mkfs.ext4';
  return spawnSync('mount', ['-o', 'loop', image, disk]).status === 0 ? null : 'no loop devices';
}

function without(part: RegExp, lines: readonly string[]): string[] {
  return lines.map((line) => line.replace(part, ''));
}
