/** The index as a default: there where it can be, and never the reason why something is not mounted. */
import { linkSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { isRoot } from '../../test/support/temp-dir.ts';
import { stat, touch, useUnion } from '../../test/support/union.ts';
import { O_WRONLY } from '../sys/constants.ts';
import { EPERM } from '../sys/errno.ts';
import type { Sys } from '../sys/sys.ts';
import { openSys } from '../sys/sys-koffi.ts';

const union = useUnion();
const log: string[] = [];
const byDefault = { indexDefault: true, log: (line: string) => void log.push(line) };

function twoNames(): void {
  log.length = 0;
  writeFileSync(union.at('l1', 'one'), 'text');
  linkSync(union.at('l1', 'one'), union.at('l1', 'two'));
}

function isKept(): boolean {
  const o = union.mounted[union.mounted.length - 1];
  return stat(o, 'one').ino === stat(o, 'two').ino;
}

test.skipIf(!isRoot)('hard links survive copy-up', () => {
  twoNames();
  const o = union.mount(openSys(), {}, byDefault);
  expect(touch(o, 'two', O_WRONLY)).toBe(0);
  expect(isKept()).toBe(true);
  expect(readdirSync(union.at('w'))).toEqual(['index', 'work']);
  expect(log).toEqual([]);
});

test('without the right to open handles there is none, and no word of it', () => {
  twoNames();
  const sys: Sys = Object.create(openSys(), { openByHandleAt: { value: () => -EPERM } });
  const o = union.mount(sys, {}, byDefault);
  expect(touch(o, 'two', O_WRONLY)).toBe(0);
  expect(isKept()).toBe(false);
  expect(readdirSync(union.at('w'))).toEqual(['work']);
  expect(log).toEqual([]);
  union.unmount();
  union.mount(sys, { index: true }, byDefault);
  expect(log).toEqual([expect.stringMatching(/^file handles of upperdir .*: going on with index=off$/)]);
});

test.skipIf(!isRoot)('an upper of other lowers is mounted without; with index=on it is refused', () => {
  twoNames();
  union.mount(openSys(), {}, byDefault);
  union.unmount();
  renameSync(union.at('l1'), union.at('old'));
  mkdirSync(union.at('l1'));
  twoNames();
  const o = union.mount(openSys(), {}, byDefault);
  expect(log).toEqual([expect.stringMatching(/was not made on lowerdir .*\(ESTALE\): going on with index=off$/)]);
  expect(touch(o, 'two', O_WRONLY)).toBe(0);
  expect(isKept()).toBe(false);
  union.unmount();
  expect(() => union.mount(openSys(), { index: true }, byDefault)).toThrow('ESTALE');
  rmSync(union.at('old'), { recursive: true });
});

test.skipIf(!isRoot)('an index that holds what no index should is left alone', () => {
  twoNames();
  mkdirSync(union.at('w', 'index'));
  writeFileSync(union.at('w', 'index/mine'), '');
  const o = union.mount(openSys(), {}, byDefault);
  expect(log.at(-1)).toMatch(/index\/ holds what no index should.*: going on with index=off$/);
  expect(touch(o, 'two', O_WRONLY)).toBe(0);
  expect(isKept()).toBe(false);
  expect(readdirSync(union.at('w', 'index'))).toEqual(['mine']);
});
