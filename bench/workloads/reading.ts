/** Rows that only read: stat, misses, listings, find, small files, four clients at once. */
import fs from 'node:fs';
import { type Case, expect, walk } from '../case.ts';
import { lstat, missAll, readAll, statAll } from '../client.ts';
import { inParallel } from '../parallel.ts';
import { makeFlat, makeTree, treeNames } from '../trees.ts';

function smallFiles(c: Case): { lower: string; names: string[] } {
  const n = c.count(20_000);
  return { lower: c.template(`small${n}`, (at) => makeTree(at, n, { size: 4096 })), names: treeNames(n, 100) };
}

export async function stat(c: Case): Promise<void> {
  const { lower, names } = smallFiles(c);
  const paths = names.map((name) => `${c.merged}/${name}`);
  const missing = paths.map((path) => `${path}.none`);
  await c.mounted([lower], 'cold', () => c.measure('stat-cold', () => statAll(paths)));
  await c.mounted([lower], 'fresh', () => {
    c.measure('stat-fresh', () => statAll(paths));
    c.measure('stat-warm', () => statAll(paths));
    c.measure('miss-fresh', () => missAll(missing));
    c.measure('miss-warm', () => missAll(missing));
  });
}

export async function readdir(c: Case): Promise<void> {
  const half = Math.floor(c.count(20_000) / 2);
  const names = (tag: string): string[] => Array.from({ length: half }, (_, i) => `file-${tag}-${i}`);
  const layers = ['a', 'b'].map((tag) => c.template(`flat${half}${tag}`, (at) => makeFlat(`${at}/big`, names(tag))));
  await c.mounted(layers, 'fresh', (m) => {
    let listed: string[] = [];
    c.measure('readdir-fresh', () => {
      listed = fs.readdirSync(`${m}/big`);
    });
    // A native mount shows one layer alone.
    expect(listed.length >= half, `${listed.length} names`);
    c.measure('readdir-warm', () => fs.readdirSync(`${m}/big`));
  });
  await c.mounted(layers, 'fresh', (m) =>
    c.measure('readdir-lstat-fresh', () => {
      for (const name of fs.readdirSync(`${m}/big`)) lstat(`${m}/big/${name}`);
    }),
  );
}

export async function find(c: Case): Promise<void> {
  const n = Math.floor(c.count(30_000) / 3);
  const layers = ['a', 'b', 'c'].map((tag) =>
    c.template(`tree${n}${tag}`, (at) => makeTree(at, n, { perDir: 20, size: 100, tag })),
  );
  await c.mounted(layers, 'cold', (m) => c.measure('find-cold', () => walk(m)));
  await c.mounted(layers, 'fresh', (m) => {
    c.measure('find-fresh', () => walk(m));
    c.measure('find-warm', () => walk(m));
  });
}

export async function openRead(c: Case): Promise<void> {
  const { lower, names } = smallFiles(c);
  const paths = names.map((name) => `${c.merged}/${name}`);
  await c.mounted([lower], 'cold', () => c.measure('open-read-cold', () => readAll(paths)));
  readAll(names.map((name) => `${lower}/${name}`));
  await c.mounted([lower], null, () => {
    c.measure('open-read-fresh', () => readAll(paths));
    c.measure('open-read-warm', () => readAll(paths));
  });
}

export async function parallel(c: Case): Promise<void> {
  const { lower, names } = smallFiles(c);
  readAll(names.map((name) => `${lower}/${name}`));
  const paths = names.map((name) => `${c.merged}/${name}`);
  for (const [metric, work] of [
    ['par4-stat-fresh', 'stat'],
    ['par4-read-fresh', 'read'],
  ] as const) {
    await c.mounted([lower], 'fresh', async () => c.record(metric, await inParallel(4, work, paths)));
  }
}
