/** What a lookup costs and finds in many layers, before and after the names of a directory are known. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { list, me, stat, touch, type Union, useUnion, view, walk } from '../../test/support/union.ts';
import { NameIndexes } from '../overlay/index-names.ts';
import { DirInode } from '../overlay/inode.ts';
import { NameIndex } from '../overlay/name-index.ts';
import { fromText } from '../sys/bytes.ts';
import { wrapSys } from '../sys/calls.ts';
import { O_RDWR } from '../sys/constants.ts';
import { ENOENT } from '../sys/errno.ts';
import { Stat } from '../sys/stat.ts';
import { openSys } from '../sys/sys-koffi.ts';
import { EntryOut, OpenOut } from './ops.ts';
import type { OverlayOps } from './overlay-ops.ts';

const union = useUnion();
const DEPTH = 60;

/** `each` is called for the directory of every layer, the topmost with 0. */
function mountDeep(each: (dir: string, layer: number) => void): { ops: OverlayOps; calls: () => number } {
  const lowerdirs = Array.from({ length: DEPTH }, (_, i) => {
    mkdirSync(union.at(`deep${i}`, 'd'), { recursive: true });
    each(union.at(`deep${i}`, 'd'), i);
    return fromText(union.at(`deep${i}`));
  });
  let made = 0;
  const counting = wrapSys(openSys(), (_name, args, call) => {
    made++;
    return call(args);
  });
  const ops = union.mount(counting, { lowerdirs });
  const calls = (): number => {
    const before = made;
    made = 0;
    return before;
  };
  return { ops, calls };
}

function miss(ops: OverlayOps, dir: number, name: string): void {
  expect(ops.lookup(me, dir, fromText(name), new EntryOut(new Stat()))).toBe(-ENOENT);
}

test('after a few lookups a missing name costs no system call and a found one two, however many layers there are', () => {
  const { ops, calls } = mountDeep((dir, layer) => {
    writeFileSync(`${dir}/own${layer}`, '');
    if (layer === DEPTH - 1) for (let i = 0; i < 50; i++) writeFileSync(`${dir}/f${i}`, 'x');
  });
  const d = walk(ops, 'd');
  for (let i = 0; i < 8; i++) miss(ops, d, `none${i}`);
  calls();
  for (let i = 100; i < 200; i++) miss(ops, d, `none${i}`);
  expect(calls()).toBe(0);
  for (let i = 0; i < 50; i++) expect(walk(ops, `d/f${i}`)).toBeGreaterThan(1);
  expect(calls() / 50).toBeLessThanOrEqual(3);
});

test('a listing makes no trap: the lookups after it are the cheap ones', () => {
  const { ops, calls } = mountDeep((dir, layer) => writeFileSync(`${dir}/own${layer}`, ''));
  list(ops, '');
  list(ops, 'd');
  calls();
  const d = walk(ops, 'd');
  calls();
  for (let i = 0; i < 50; i++) miss(ops, d, `none${i}`);
  expect(calls()).toBe(0);
});

test('what is made, renamed and removed in the mount is found and missed at once', () => {
  const { ops } = mountDeep((dir, layer) => writeFileSync(`${dir}/own${layer}`, String(layer)));
  // What is copied up below a directory whose names are known has known names too.
  list(ops, '');
  list(ops, 'd');
  const d = walk(ops, 'd');
  const out = new EntryOut(new Stat());
  const open = new OpenOut();
  miss(ops, d, 'new');
  expect(ops.create(me, d, 'new', O_RDWR, 0o644, out, open)).toBe(0);
  ops.release(open.fh);
  ops.forget(out.nodeid, 1);
  expect(stat(ops, 'd/new').size).toBe(0);
  expect(ops.rename(me, d, 'new', d, 'newer', 0)).toBe(0);
  miss(ops, d, 'new');
  expect(stat(ops, 'd/newer').size).toBe(0);
  expect(ops.unlink(me, d, 'own7')).toBe(0);
  miss(ops, d, 'own7');
  expect(touch(ops, 'd/own9', O_RDWR)).toBe(0);
  expect(ops.rename(me, d, 'own9', d, 'own7', 0)).toBe(0);
  miss(ops, d, 'own9');
  expect(stat(ops, 'd/own7').size).toBe(1);
  expect(ops.mkdir(me, d, 'sub', 0o755, out)).toBe(0);
  const sub = out.nodeid;
  miss(ops, sub, 'x');
  expect(ops.rename(me, d, 'own7', sub, 'x', 0)).toBe(0);
  expect(stat(ops, 'd/sub/x').size).toBe(1);
  const seen = view(ops);
  union.unmount();
  expect(view(remount(union))).toEqual(seen);
});

test('a few lookups do not read a directory of two layers; more do, once', () => {
  for (let i = 0; i < 500; i++) writeFileSync(union.at('l1', `f${i}`), '');
  let listed = 0;
  const sys = wrapSys(openSys(), (name, args, call) => {
    if (name === 'getdents64') listed++;
    return call(args);
  });
  const ops = union.mount(sys);
  listed = 0;
  for (let i = 0; i < 5; i++) miss(ops, 1, `none${i}`);
  expect(listed).toBe(0);
  for (let i = 0; i < 100; i++) miss(ops, 1, `none${i}`);
  expect(listed).toBeGreaterThan(0);
  listed = 0;
  for (let i = 0; i < 1000; i++) miss(ops, 1, `none-${i}`);
  expect(listed).toBe(0);
  expect(stat(ops, 'f77').size).toBe(0);
});

test('of more indexes than memory is meant for, the oldest go', () => {
  const names = new NameIndexes(130);
  const [small, large] = [new DirInode(null, []), new DirInode(null, [])];
  const index = (count: number): NameIndex => {
    const made = new NameIndex([]);
    for (let i = 0; i < count; i++) made.add(0, i);
    return made;
  };
  names.keep(small, index(1));
  names.keep(large, index(2));
  expect([small.names, large.names?.size]).toEqual([null, 2]);
  names.drop(large);
  names.keep(small, index(1));
  expect(small.names?.size).toBe(1);
});

function remount(union: Union): OverlayOps {
  return union.mount(openSys(), {
    lowerdirs: Array.from({ length: DEPTH }, (_, i) => fromText(union.at(`deep${i}`))),
  });
}
