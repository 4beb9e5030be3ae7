/**
 * `npm run bench:publish -- RESULTS.json`: puts a table of fsbench (its `--json`) into docs/performance.md, between the two marks
 * there, with the machine, and the geometric means of the ratios: over all rows that are times of operations, so that
 * mounting, memory and differences of rows (depth-per-layer) are left out, as in the peers' figures.
 */
import fs from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type Cell, printTable, type Table } from './table.ts';

interface Published {
  info: {
    kernel: string;
    machine: string;
    cpus: number;
    backing: string;
    rounds: number;
    scale: number;
    data_mib: number;
  };
  summary: Record<string, Record<string, Partial<Cell>>>;
}

const BEGIN = '<!-- table -->';
const END = '<!-- end of table -->';

const { info, summary } = JSON.parse(fs.readFileSync(process.argv[2], 'utf8')) as Published;
const mounters = [...new Set(Object.values(summary).flatMap((row) => Object.keys(row)))];

function tableOf(rows: [string, Record<string, Partial<Cell>>][]): Table {
  return new Map(
    rows.map(([metric, row]) => [
      metric,
      new Map(Object.entries(row).filter((entry): entry is [string, Cell] => entry[1].median !== undefined)),
    ]),
  );
}

const apart = /^(mount-|rss-|depth-per-layer)/;
const rows = Object.entries(summary);
const times = printTable(tableOf(rows.filter(([metric]) => !apart.test(metric))), mounters, 'kernel');
const others = printTable(
  tableOf(rows.filter(([metric]) => apart.test(metric) && !metric.startsWith('depth'))),
  mounters,
  'kernel',
)
  .split('\n')
  // A mean of mounting times says nothing.
  .filter((line) => !line.startsWith('| geometric mean'))
  .join('\n');
// stat -f has one name for all of ext; what a builder appends to the kernel's version says nothing here.
const text = `${BEGIN}
Linux ${info.kernel.split('-')[0]}, ${info.machine}, ${info.cpus} processors, ${info.backing === 'ext2/ext3' ? 'ext4' : info.backing}, Node ${process.versions.node}; ${info.rounds} rounds, \`--scale ${info.scale} --data ${info.data_mib}\`.

${times}

${others}
${END}`;

const page = fileURLToPath(new URL('../../docs/performance.md', import.meta.url));
const before = fs.readFileSync(page, 'utf8');
const from = before.indexOf(BEGIN);
const to = before.indexOf(END);
if (from < 0 || to < from) throw new Error(`${page} has no place for a table: ${BEGIN} and ${END}`);
fs.writeFileSync(page, before.slice(0, from) + text + before.slice(to + END.length));
