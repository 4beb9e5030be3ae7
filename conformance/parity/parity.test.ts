/** The differential runner itself: that it finds what differs, and tells it so that anybody can run it. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { unavailable } from './namespace.ts';

const main = fileURLToPath(new URL('../dist/parity/main.js', import.meta.url));

function parity(...args: string[]): { code: number | null; lines: string[] } {
  const { status, stdout } = spawnSync(process.execPath, [main, ...args], { encoding: 'latin1', timeout: 200_000 });
  return { code: status, lines: stdout.trimEnd().split('\n') };
}

test('sides that are alike are not found out, and their uppers are exchanged', { timeout: 240_000 }, (ctx) => {
  const reason = unavailable();
  if (reason !== null) {
    ctx.skip(reason);
  }
  const seed = process.env.STRATA_SEED ?? '1';
  const { code, lines } = parity('--ops', '2000', '--seed', seed, '--mode', 'defaults', '--shrinks', '0');
  expect(lines.slice(-2)).toEqual([
    expect.stringMatching(/^mode defaults, [1-9]\d* swaps each way/),
    `ops 2000, mismatches 0, seed ${seed}`,
  ]);
  expect(code).toBe(0);
});

test('a side that is mounted with another option is found out, and the case is a short script', {
  timeout: 240_000,
}, (ctx) => {
  const reason = unavailable();
  if (reason !== null) {
    ctx.skip(reason);
  }
  const seed = process.env.STRATA_SEED ?? '1';
  const planted = 'redirect_dir=on,xino=off,index=off,metacopy=off,nfs_export=off';
  const asked = ['--ops', '3000', '--seed', seed, '--mode', 'off', '--limit', '1', '--shrink-seconds', '30'];
  const { code, lines } = parity(...asked, '--plant-options', planted);
  expect(code).toBe(1);
  expect(lines.at(-1)).toMatch(new RegExp(`^ops \\d+, mismatches 1, seed ${seed}$`));
  const start = lines.indexOf('#!/bin/bash');
  expect(start).toBeGreaterThan(0);
  expect(lines.slice(start).join('\n')).toMatch(/^cd merged \|\| exit\n./m);
});
