/** What nobody refers to leaves no node, no table entry and no descriptor behind; and there are always some left. */
import { linkSync, mkdirSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { openDescriptors } from '../../test/support/open-descriptors.ts';
import { me, stat, touch, useUnion, view, walk } from '../../test/support/union.ts';
import { O_RDONLY, O_RDWR } from '../sys/constants.ts';
import { ENFILE, ENOENT } from '../sys/errno.ts';
import { Stat } from '../sys/stat.ts';
import { openSys } from '../sys/sys-koffi.ts';
import { EntryOut, OpenOut } from './ops.ts';

const union = useUnion();

test('descriptors on the way of a redirect', () => {
  mkdirSync(union.at('l1', 'a/b/c/d'), { recursive: true });
  mkdirSync(union.at('u', 'far'));
  const o = union.mount();
  expect(o.rename(me, walk(o, 'a/b/c'), 'd', walk(o, 'far'), 'd', 0)).toBe(0);
  const forget = (): void => {
    for (let nodeid = 2; nodeid < 200; nodeid++) o.forget(nodeid, Number.MAX_SAFE_INTEGER);
    expect(o.nodes.size).toBe(1);
  };
  view(o);
  forget();
  const before = openDescriptors();
  for (let i = 0; i < 10; i++) {
    view(o);
    walk(o, 'far/d');
    forget();
  }
  expect(openDescriptors()).toBe(before);
});

test('an upper directory that a rename replaces without being known', () => {
  mkdirSync(union.at('u', 'from'));
  mkdirSync(union.at('u', 'to'));
  mkdirSync(union.at('l1', 'to'));
  const o = union.mount();
  view(o);
  const before = openDescriptors();
  expect(o.rename(me, 1, 'from', 1, 'to', 0)).toBe(0);
  expect(openDescriptors()).toBe(before);
});

test('so many open files that nothing could be looked at any more are refused', () => {
  for (const name of ['a', 'b', 'c']) writeFileSync(union.at('l1', name), '');
  const o = union.mount(openSys(), {}, { openFiles: 2 });
  const opens = [new OpenOut(), new OpenOut(), new OpenOut()];
  expect(['a', 'b', 'c'].map((name, i) => o.open(me, walk(o, name), O_RDONLY, false, opens[i]))).toEqual([
    0,
    0,
    -ENFILE,
  ]);
  expect(o.create(me, 1, 'd', O_RDWR, 0o644, new EntryOut(new Stat()), opens[2])).toBe(-ENFILE);
  expect(walk(o, 'd')).toBe(-ENOENT);
  o.release(opens[0].fh);
  expect(touch(o, 'c', O_RDONLY)).toBe(0);
});

test('one of two links that is unlinked without being known', () => {
  writeFileSync(union.at('u', 'one'), 'text');
  linkSync(union.at('u', 'one'), union.at('u', 'two'));
  const o = union.mount();
  const { ino } = stat(o, 'two');
  o.forget(walk(o, 'two'), 2);
  expect(o.unlink(me, 1, 'one')).toBe(0);
  expect(o.sb.inodes.get(0, ino)).toBeUndefined();
});
