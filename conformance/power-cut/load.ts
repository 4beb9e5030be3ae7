/**
 * The load: `node load.js TASK` (JSON) takes the steps of a plan on a mounted union, and says after
 * each one on the disk's mark that it has returned. Now and then it flushes a file of its own beside
 * the union, as a busy machine does: that brings the filesystem's journal to the disk, and with it
 * names whose data is not there yet.
 */

import { SIZEOF_HYDRATE, STRATA_IOC_HYDRATE } from 'stratafs/internal/ops/hydration';
import { wrapSys } from 'stratafs/internal/sys/calls';
import * as c from 'stratafs/internal/sys/constants';
import { Stat } from 'stratafs/internal/sys/stat';
import type { Sys } from 'stratafs/internal/sys/sys';
import { openSys } from 'stratafs/internal/sys/sys-koffi';
import type { LayerDirs, OpenDoor } from '../backend.ts';
import { check } from '../expect.ts';
import { random } from '../random.ts';
import { inProcess } from '../targets/in-process.ts';
import { isLazy } from '../targets/lazy.ts';
import { SysDoor } from '../targets/sys-door.ts';
import { type Subject, schedule, subjects } from './subjects.ts';

export interface LoadTask {
  seed: number;
  subjects: number;
  layers: LayerDirs;
  /**
   * What the load goes through: what is mounted at `merged`, or the engine in the load's own process.
   * `unflushed` is that one with a bug planted: only what the load itself flushes is flushed.
   */
  through: 'mount' | 'in-process' | 'unflushed';
  /** The disk's file of marks. */
  mark: string;
  /** A directory of the same filesystem, outside of all layers. */
  beside: string;
}

export interface LoadReport {
  /** Subjects of which a step failed, with what it said. */
  failed: [name: string, message: string][];
}

/** The same for the load and for those who judge what is left of it. */
export function planOf(seed: number, count: number, options: readonly string[]): { all: Subject[]; order: Subject[] } {
  const r = random(seed);
  const all = subjects(count, r, options.includes('index=on'));
  return { all, order: schedule(all, r) };
}

async function openDoor({ through, layers }: LoadTask): Promise<{ door: OpenDoor; close(): Promise<void> }> {
  const sys = openSys();
  if (through === 'mount') {
    const door = new SysDoor(sys, layers.merged);
    return { door, close: async () => door.end() };
  }
  let asked = false;
  const st = new Stat();
  const unflushed = wrapSys(sys, (name, args, call) => {
    if (name === 'fsync' && !asked) return 0;
    // xfs hurries to write what was truncated, be it to the size that it has: that would hide the bug.
    if (name === 'ftruncate' && sys.fstat(args[0] as number, st) >= 0 && st.size === args[1]) return 0;
    return call(args);
  });
  const view = await inProcess.mount(through === 'unflushed' ? unflushed : sys, layers);
  if (typeof view === 'number') throw new Error(`mount: ${view}`);
  const door = view.door('');
  if (through === 'unflushed') {
    const { fsync } = door;
    door.fsync = (fd) => {
      asked = true;
      const result = fsync.call(door, fd);
      asked = false;
      return result;
    };
  }
  return { door, close: () => view.close() };
}

/** Has the server of a mount complete some of its lazy copy-ups: a part of one, or a few. */
function completeSome(sys: Sys, merged: string, budget: number): void {
  const fd = check(sys.openat(c.AT_FDCWD, merged, c.O_RDONLY | c.O_DIRECTORY, 0), 'open merged');
  const step = Buffer.alloc(SIZEOF_HYDRATE);
  step.writeBigUInt64LE(BigInt(budget));
  check(sys.ioctl(fd, STRATA_IOC_HYDRATE, step), 'hydrate');
  sys.close(fd);
}

export async function runLoad(task: LoadTask): Promise<LoadReport> {
  const sys = openSys();
  const { order } = planOf(task.seed, task.subjects, task.layers.options);
  const r = random(task.seed ^ 0x5eed);
  const { door, close } = await openDoor(task);
  const mark = check(sys.openat(c.AT_FDCWD, task.mark, c.O_WRONLY, 0), 'open mark');
  const beside = check(
    sys.openat(c.AT_FDCWD, `${task.beside}/file`, c.O_CREAT | c.O_WRONLY | c.O_APPEND, 0o644),
    'create',
  );
  const report: LoadReport = { failed: [] };
  const completes = task.through === 'mount' && isLazy(task.layers);
  const lost = new Set<Subject>();
  const taken = new Map<Subject, number>();
  order.forEach((subject, i) => {
    const step = taken.get(subject) ?? 0;
    taken.set(subject, step + 1);
    if (!lost.has(subject)) {
      try {
        subject.steps[step].act(door);
      } catch (error) {
        lost.add(subject);
        report.failed.push([subject.name, `step ${step + 1}: ${error instanceof Error ? error.message : error}`]);
      }
    }
    if (completes && r.below(3) === 0) completeSome(sys, task.layers.merged, 1 + r.below(200_000));
    const said = Buffer.from(`${i + 1}\n`);
    check(sys.pwrite(mark, said, 0, said.length, 0), 'write mark');
    if (r.below(4) === 0) {
      check(sys.write(beside, said, 0, said.length), 'write');
      check(sys.fsync(beside), 'fsync');
    }
  });
  sys.close(beside);
  sys.close(mark);
  await close();
  return report;
}
