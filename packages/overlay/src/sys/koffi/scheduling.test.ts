import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { SCHED_IDLE, SCHED_OTHER } from '../constants.ts';
import { EINVAL, ESRCH } from '../errno.ts';
import { openSys } from '../sys-koffi.ts';

const sys = openSys();
/** Field `n` (proc_pid_stat(5)) of a thread, counted behind its name, which may have spaces. */
function field(tid: number, n: number): number {
  const text = readFileSync(`/proc/self/task/${tid}/stat`, 'latin1');
  return Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[n - 3]);
}

function firstCpu(cpus: Uint8Array): number {
  let cpu = 0;
  while (((cpus[cpu >> 3] >> (cpu & 7)) & 1) === 0) cpu++;
  return cpu;
}

describe('scheduling', () => {
  it('pins a thread to a CPU and lets it go again', () => {
    const tid = sys.gettid();
    const all = Buffer.alloc(128);
    const size = sys.schedGetaffinity(tid, all);
    expect(size).toBeGreaterThan(0);
    const before = all.subarray(0, size);
    const cpu = firstCpu(before);
    const one = Buffer.alloc(size);
    one[cpu >> 3] = 1 << (cpu & 7);
    expect(sys.schedSetaffinity(tid, one)).toBe(0);
    const now = Buffer.alloc(size);
    sys.schedGetaffinity(tid, now);
    expect(now).toEqual(one);
    expect(field(tid, 39)).toBe(cpu);
    expect(sys.schedSetaffinity(tid, before)).toBe(0);
    sys.schedGetaffinity(tid, now);
    expect(now).toEqual(before);
    expect(sys.schedSetaffinity(tid, Buffer.alloc(size))).toBe(-EINVAL);
  });

  it('enters and leaves the idle class, as far as this user may', () => {
    const tid = sys.gettid();
    expect(sys.schedSetscheduler(2 ** 22, SCHED_OTHER)).toBe(-ESRCH);
    // Whoever may not leave it must not enter it.
    if (process.geteuid?.() !== 0) return;
    expect(sys.schedSetscheduler(tid, SCHED_IDLE)).toBe(0);
    expect(field(tid, 41)).toBe(SCHED_IDLE);
    expect(sys.schedSetscheduler(tid, SCHED_OTHER)).toBe(0);
    expect(field(tid, 41)).toBe(SCHED_OTHER);
  });
});
