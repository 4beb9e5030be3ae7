/** From the results of all rounds to medians, ratios within a round, and a table. Pure. */
import type { Measured, Unit } from './case.ts';

/** What one run of one workload gave. */
export interface Result {
  round: number;
  workload: string;
  mounter: string;
  metrics: Record<string, Measured>;
  /** Why there is nothing, or not everything. */
  note?: string;
}

export interface Cell {
  unit: Unit;
  median: number;
  /** Median over the rounds of the ratio to the reference in the same round; null without both. */
  ratio: number | null;
}

/** Rows by metric, in order of their first appearance; cells by mounter. */
export type Table = Map<string, Map<string, Cell>>;

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

export function summarise(results: readonly Result[], reference: string): Table {
  const table: Table = new Map();
  const metrics = new Set(results.flatMap((result) => Object.keys(result.metrics)));
  const mounters = new Set(results.map((result) => result.mounter));
  for (const metric of metrics) {
    const row = new Map<string, Cell>();
    const of = (mounter: string): Map<number, Measured> =>
      new Map(
        results
          .filter((result) => result.mounter === mounter && metric in result.metrics)
          .map((result) => [result.round, result.metrics[metric]]),
      );
    const others = of(reference);
    for (const mounter of mounters) {
      const rounds = of(mounter);
      if (rounds.size === 0) continue;
      const values = [...rounds.values()];
      const ratios = [...rounds].flatMap(([round, { value }]) => {
        const other = others.get(round);
        return other && other.value > 0 ? [value / other.value] : [];
      });
      row.set(mounter, {
        unit: values[0].unit,
        median: median(values.map(({ value }) => value)),
        ratio: ratios.length > 0 ? median(ratios) : null,
      });
    }
    table.set(metric, row);
  }
  return table;
}

/** The geometric mean of a mounter's ratios over all rows that are times. */
export function geometricMean(table: Table, mounter: string): number | null {
  const logs = [...table.values()].flatMap((row) => {
    const cell = row.get(mounter);
    return cell?.unit === 's' && cell.ratio !== null && cell.ratio > 0 ? [Math.log(cell.ratio)] : [];
  });
  return logs.length === 0 ? null : Math.exp(logs.reduce((sum, log) => sum + log, 0) / logs.length);
}

function formatValue({ median: value, unit }: Cell): string {
  if (unit === 'MiB') return `${value.toFixed(1)} MiB`;
  if (value < 1e-3) return `${(value * 1e6).toFixed(1)} us`;
  return value < 1 ? `${(value * 1e3).toFixed(1)} ms` : `${value.toFixed(2)} s`;
}

/** Markdown: the reference's time, the others' ratios. */
export function printTable(table: Table, mounters: readonly string[], reference: string): string {
  const rows = [['row', ...mounters]];
  for (const [metric, row] of table) {
    rows.push([
      metric,
      ...mounters.map((mounter) => {
        const cell = row.get(mounter);
        if (!cell) return 'n/a';
        const ratio = mounter === reference || cell.ratio === null ? '' : ` (${cell.ratio.toFixed(2)}x)`;
        return formatValue(cell) + ratio;
      }),
    ]);
  }
  const mean = (mounter: string): string => {
    const value = geometricMean(table, mounter);
    return value === null ? 'n/a' : `${value.toFixed(2)}x`;
  };
  rows.push(['geometric mean', ...mounters.map(mean)]);
  const widths = rows[0].map((_, i) => Math.max(...rows.map((row) => row[i].length)));
  const line = (row: string[]): string =>
    `| ${row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join(' | ')} |`;
  const rule = `|${widths.map((width, i) => (i === 0 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`;
  return [line(rows[0]), rule, ...rows.slice(1).map(line)].join('\n');
}
