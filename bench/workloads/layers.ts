/** Rows on many layers, on mounting, and on the server's memory. */
import fs from 'node:fs';
import { type Case, Declined, walk } from '../case.ts';
import { missAll, statAll } from '../client.ts';
import { makeFlat, makeTree } from '../trees.ts';

const DEPTHS = [1, 8, 32, 64, 128, 400];

/** `depth` lowers that all have the directory `d`; the last one also has `n` files in it. Topmost first. */
function deepLayers(c: Case, depth: number, n: number): string[] {
  const root = c.template(`depth${depth}-${n}`, (at) => {
    for (let i = 0; i < depth; i++) makeFlat(`${at}/${i}/d`, [`own${i}`]);
    makeFlat(
      `${at}/${depth - 1}/d`,
      Array.from({ length: n }, (_, i) => `f${i}`),
      100,
    );
  });
  return Array.from({ length: depth }, (_, i) => `${root}/${i}`);
}

function noUnion(c: Case): void {
  if (c.mounter.name === 'native') throw new Declined('one layer alone');
}

export async function depth(c: Case): Promise<void> {
  noUnion(c);
  const n = c.count(2_000);
  const names = (m: string, name: string): string[] => Array.from({ length: n }, (_, i) => `${m}/d/${name}${i}`);
  for (const depth of DEPTHS) {
    const label = `depth-${String(depth).padStart(3, '0')}`;
    const lowers = deepLayers(c, depth, n);
    await c.mounted(lowers, 'fresh', (m) => {
      c.measure(label, () => statAll(names(m, 'f')));
      c.measure(`${label}-miss`, () => missAll(names(m, 'none')));
    });
    if (depth !== 128) continue;
    await c.mounted(lowers, 'fresh', (m) => {
      fs.readdirSync(m);
      c.measure(`${label}-listed`, () => statAll(names(m, 'f')));
    });
  }
}

/** From the mount command to a first listing. */
export async function mountTime(c: Case): Promise<void> {
  noUnion(c);
  for (const depth of [1, 32, 128]) {
    await c.mounted(deepLayers(c, depth, 10), 'fresh', (m) => {
      const start = performance.now();
      fs.readdirSync(m);
      c.record(`mount-${String(depth).padStart(3, '0')}`, c.mountSeconds + (performance.now() - start) / 1000);
    });
  }
}

export async function memory(c: Case): Promise<void> {
  const n = c.count(100_000);
  const lower = c.template(`many${n}`, (at) => makeTree(at, n, { size: 0 }));
  await c.mounted([lower], 'fresh', (m) => {
    const { pid } = c;
    if (pid === null) throw new Declined('no server process');
    const resident = (): number => Number(/VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]);
    c.record('rss-idle', resident() / 1024, 'MiB');
    walk(m);
    c.record('rss-walked', resident() / 1024, 'MiB');
  });
}
