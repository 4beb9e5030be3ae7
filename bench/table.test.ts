import { describe, expect, it } from 'vitest';
import { geometricMean, median, printTable, type Result, summarise } from './table.ts';

const s = (value: number) => ({ value, unit: 's' as const });
const results: Result[] = [
  { round: 0, workload: 'stat', mounter: 'kernel', metrics: { fresh: s(1), warm: s(0.002) } },
  { round: 0, workload: 'stat', mounter: 'ours', metrics: { fresh: s(4), warm: s(0.002) } },
  { round: 1, workload: 'stat', mounter: 'kernel', metrics: { fresh: s(10) } },
  { round: 1, workload: 'stat', mounter: 'ours', metrics: { fresh: s(20) } },
  { round: 2, workload: 'stat', mounter: 'kernel', metrics: {}, note: 'it broke' },
  { round: 2, workload: 'stat', mounter: 'ours', metrics: { fresh: s(900) } },
  { round: 0, workload: 'memory', mounter: 'ours', metrics: { rss: { value: 50, unit: 'MiB' } } },
];

describe('the table', () => {
  it('takes medians, and ratios within a round only', () => {
    const table = summarise(results, 'kernel');
    expect(table.get('fresh')?.get('ours')).toEqual({ unit: 's', median: 20, ratio: 3 });
    expect(table.get('fresh')?.get('kernel')).toEqual({ unit: 's', median: 5.5, ratio: 1 });
    expect(table.get('rss')?.get('ours')?.ratio).toBeNull();
    expect(geometricMean(table, 'ours')).toBeCloseTo(Math.sqrt(3));
    expect(geometricMean(table, 'nobody')).toBeNull();
    expect(median([4, 1, 3, 2])).toBe(2.5);
  });

  it('is printed as Markdown', () => {
    expect(printTable(summarise(results, 'kernel'), ['kernel', 'ours'], 'kernel')).toBe(
      [
        '| row            | kernel |            ours |',
        '|----------------|-------:|----------------:|',
        '| fresh          | 5.50 s | 20.00 s (3.00x) |',
        '| warm           | 2.0 ms |  2.0 ms (1.00x) |',
        '| rss            |    n/a |        50.0 MiB |',
        '| geometric mean |  1.00x |           1.73x |',
      ].join('\n'),
    );
  });
});
