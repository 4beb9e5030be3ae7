/**
 * Twenty workers in four processes on one shared tree, with renames across directories: no errno
 * that the kernel's overlay would not give, no deadlock, and at the end a tree without
 * contradictions, which the kernel's overlay sees in the same way. The load is stress-load.ts.
 */
import { spawn } from 'node:child_process';
import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { toText } from 'stratafs/internal/sys/bytes';
import type { Sys } from 'stratafs/internal/sys/sys';
import type { Backend } from './backend.ts';
import type { BaseDir } from './base-dir.ts';
import { differences, sealed, snapshotTree } from './snapshot.ts';
import { Stage } from './stage.ts';
import {
  allowed,
  BLOCK,
  DIRS,
  FILES,
  LOGS,
  type LoadReport,
  type LoadTask,
  RECORD,
  recordOf,
  TREASURES,
  treasureName,
} from './stress-load.ts';
import { kernel } from './targets/kernel.ts';
import { dir, file, type Node, type Tree } from './tree.ts';

const PROCESSES = 4;
const WORKERS = 5;
/** A load that does not end this long after its time has met a deadlock. */
const DEADLOCK_MS = 60_000;

export interface StressResult {
  operations: number;
  succeeded: Record<string, number>;
  /** One sentence for each thing that is wrong; none when all is well. */
  wrong: string[];
}

/** Two lowers, with something at every place where the load looks. */
function lowers(): Tree[] {
  const files = (layer: string): Tree =>
    Object.fromEntries(
      Array.from({ length: FILES / 2 }, (_, i) => [
        `f${i * 2 + (layer === 'a' ? 0 : 1)}`,
        file(Buffer.alloc(BLOCK, layer)),
      ]),
    );
  const level = (depth: number, layer: string): Tree => ({
    ...files(layer),
    ...Object.fromEntries(
      depth === 0 ? [] : Array.from({ length: DIRS / 2 }, (_, i) => [`d${i}`, dir(level(depth - 1, layer))]),
    ),
  });
  const root: Record<string, Node> = { ...level(2, 'a') };
  for (let log = 0; log < LOGS; log++) {
    root[`log-${log}`] = file(recordOf(99, 0, log));
  }
  for (let p = 0; p < PROCESSES; p++) {
    for (let w = 0; w < WORKERS; w++) {
      for (let i = 0; i < TREASURES; i++) {
        const name = treasureName(p, w, i);
        root[name] = file(`treasure ${name}`);
      }
    }
  }
  return [root, level(2, 'b')];
}

/** Runs the load on `backend` and looks at what it leaves. */
export async function stress(
  sys: Sys,
  base: BaseDir,
  backend: Backend,
  options: { seed: number; seconds: number },
): Promise<StressResult> {
  const stage = new Stage(sys, base, backend, `stress-${backend.name}-${options.seed}`, {
    lowers: 2,
    writable: true,
    options: ['redirect_dir=on'],
  });
  stage.plant('shared', [{ upper: {}, lowers: lowers() }]);
  const before = stage.lowerPaths('').map((lower) => sealed(sys, lower, true));
  await stage.mount();
  const root = toText(stage.mergedPath('shared'));
  const wrong: string[] = [];
  try {
    const reports = await Promise.all(
      Array.from({ length: PROCESSES }, (_, process) => spawnLoad({ root, process, workers: WORKERS, ...options })),
    );
    const total = add(reports);
    for (const [key, count] of Object.entries(total.failed)) {
      const [operation, errno] = key.split(' ');
      if (!allowed[operation]?.includes(errno)) {
        wrong.push(`${key}: ${count} times`);
      }
    }
    wrong.push(...examine(root, total));
    const seen = snapshotTree(sys, stage.mergedPath('shared'));
    await stage.close();
    if (kernel.unavailable(base) === null) {
      await stage.mount(kernel);
      wrong.push(
        ...differences(snapshotTree(sys, stage.mergedPath('shared')), seen, 'the kernel’s view', 'the view at the end'),
      );
      await stage.close();
    }
    for (const [i, lower] of stage.lowerPaths('').entries()) {
      wrong.push(...differences(before[i], sealed(sys, lower, true), 'the lower before', 'the lower after'));
    }
    return { operations: total.operations, succeeded: total.succeeded, wrong };
  } finally {
    await stage.close();
  }
}

function spawnLoad(task: LoadTask): Promise<LoadReport> {
  // Node 20 runs no TypeScript: the load is always the built file, also when the sources are tested.
  const below = import.meta.url.endsWith('.ts') ? './dist/' : './';
  const main = fileURLToPath(new URL(`${below}stress-load.js`, import.meta.url));
  const child = spawn(process.execPath, [main, JSON.stringify(task)], {
    env: { ...process.env, UV_THREADPOOL_SIZE: String(task.workers) },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return new Promise((resolve, reject) => {
    let out = '';
    child.stdout.on('data', (chunk) => {
      out += chunk;
    });
    const timer = setTimeout(
      () => {
        child.kill('SIGKILL');
        reject(new Error(`deadlock: load ${task.process} did not end within ${DEADLOCK_MS / 1000} s of its time`));
      },
      task.seconds * 1000 + DEADLOCK_MS,
    );
    child.on('error', reject);
    child.on('close', (code) => {
      clearTimeout(timer);
      if (code === 0) {
        resolve(JSON.parse(out) as LoadReport);
      } else {
        reject(new Error(`load ${task.process} ended with ${code}`));
      }
    });
  });
}

function add(reports: readonly LoadReport[]): LoadReport {
  const total: LoadReport = { operations: 0, succeeded: {}, failed: {}, appended: {} };
  for (const report of reports) {
    total.operations += report.operations;
    for (const kind of ['succeeded', 'failed', 'appended'] as const) {
      for (const [key, count] of Object.entries(report[kind])) {
        total[kind][key] = (total[kind][key] ?? 0) + count;
      }
    }
  }
  return total;
}

/** Contradictions in the tree at `root`. */
function examine(root: string, total: LoadReport): string[] {
  const wrong: string[] = [];
  const found = new Map<string, number>();
  const links = new Map<string, { names: number; nlink: number }>();
  const visit = (path: string): void => {
    const entries = readdirSync(path, { withFileTypes: true });
    if (new Set(entries.map((entry) => entry.name)).size !== entries.length) {
      wrong.push(`${path}: a name is listed twice`);
    }
    for (const entry of entries) {
      const at = `${path}/${entry.name}`;
      const st = lstatSync(at, { bigint: true, throwIfNoEntry: false });
      if (st === undefined) {
        wrong.push(`${at} is listed and not there`);
        continue;
      }
      if (st.isDirectory() !== entry.isDirectory() || st.isFile() !== entry.isFile()) {
        wrong.push(`${at}: listing and stat disagree on the type`);
      }
      if (st.isDirectory()) {
        visit(at);
      } else if (st.isFile()) {
        wrong.push(...examineFile(at, entry.name, total));
        if (entry.name.startsWith('t-')) {
          found.set(entry.name, (found.get(entry.name) ?? 0) + 1);
        }
        const link = links.get(String(st.ino)) ?? { names: 0, nlink: Number(st.nlink) };
        link.names++;
        links.set(String(st.ino), link);
      }
    }
  };
  visit(root);
  for (const [ino, { names, nlink }] of links) {
    if (names !== nlink) {
      wrong.push(`inode ${ino} has ${names} names and counts ${nlink} links`);
    }
  }
  for (let p = 0; p < PROCESSES; p++) {
    for (let w = 0; w < WORKERS; w++) {
      for (let i = 0; i < TREASURES; i++) {
        const name = treasureName(p, w, i);
        if (found.get(name) !== 1) {
          wrong.push(`${name} is there ${found.get(name) ?? 0} times`);
        }
      }
    }
  }
  return wrong;
}

function examineFile(path: string, name: string, total: LoadReport): string[] {
  const data = readFileSync(path);
  if (name.startsWith('log-')) {
    const records = data.toString('latin1').split('\n').slice(0, -1);
    const expected = 1 + (total.appended[name] ?? 0);
    if (records.length !== expected || records.some((record) => record.length !== RECORD - 1)) {
      return [`${path}: ${records.length} records, not ${expected}`];
    }
    return new Set(records).size === records.length ? [] : [`${path}: a record is there twice`];
  }
  if (name.startsWith('t-')) {
    return data.toString() === `treasure ${name}` ? [] : [`${path}: the content is lost`];
  }
  const whole = (data.length === 0 || data.length === BLOCK) && data.every((byte) => byte === data[0]);
  return whole ? [] : [`${path}: torn, ${data.length} bytes`];
}
