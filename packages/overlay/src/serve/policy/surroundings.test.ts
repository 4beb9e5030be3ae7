import { describe, expect, it } from 'vitest';
import { openSys } from '../../sys/sys-koffi.ts';
import { cpuOfStat, runnableOf, surroundings } from './surroundings.ts';

describe('surroundings', () => {
  it('reads how many tasks want a processor', () => {
    expect(runnableOf('6.56 6.93 4.69 6/215 4753\n')).toBe(6);
    expect(runnableOf('')).toBe(-1);
  });

  it('reads the processor behind any name', () => {
    const fields = Array.from({ length: 50 }, (_, i) => i + 3).join(' ');
    expect(cpuOfStat(`12 (a) b (c) d) ${fields}`)).toBe(39);
    expect(cpuOfStat('')).toBe(-1);
  });

  it('knows this machine', () => {
    const around = surroundings(openSys(), { count: () => 0, close() {} });
    expect(around.runnable()).toBeGreaterThan(0);
    expect(around.cpuOf(process.pid)).toBeGreaterThanOrEqual(0);
    expect(around.cpuOf(2 ** 22 + 1)).toBe(-1);
    expect(around.cpuOf(process.pid)).toBeGreaterThanOrEqual(0);
    const [before, start] = [around.now(), performance.now()];
    while (performance.now() - start < 2);
    // In microseconds.
    expect(around.now() - before).toBeGreaterThanOrEqual(1900);
    expect(around.now() - before).toBeLessThan(1e6);
    around.close();
  });
});
