import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const lock = JSON.parse(readFileSync('package-lock.json', 'utf8'));
const entries = Object.entries(lock.packages);

test('the lock file names no registry', () => {
  expect(entries.filter(([, entry]) => entry.resolved?.startsWith('http')).map(([key]) => key)).toEqual([]);
});

test('every optional package of every platform is in the lock (else npm 11 refuses it)', () => {
  const wanted = entries.flatMap(([, entry]) => Object.keys(entry.optionalDependencies ?? {}));
  expect(wanted.length).toBeGreaterThan(20);
  expect(wanted.filter((name) => !lock.packages[`node_modules/${name}`])).toEqual([]);
});
