/** Objects that are known by a second nodeid: lower files that are read past the server, once somebody writes. */
import { linkSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { me, useUnion, walk } from '../../test/support/union.ts';
import { O_RDONLY, O_RDWR } from '../sys/constants.ts';
import { ESTALE } from '../sys/errno.ts';
import { Stat } from '../sys/stat.ts';
import { OpenOut } from './ops.ts';
import type { OverlayOps } from './overlay-ops.ts';

const union = useUnion();

function mount(): OverlayOps {
  writeFileSync(union.at('l1', 'f'), 'lower');
  return union.mount(undefined, {}, { lowerPassthrough: true, metacopyDefault: true, indexDefault: true });
}

function open(o: OverlayOps, nodeid: number, flags: number): OpenOut | number {
  const out = new OpenOut();
  const err = o.open(me, nodeid, flags, false, out);
  return err < 0 ? err : out;
}

function opened(o: OverlayOps, nodeid: number, flags: number): OpenOut {
  const out = open(o, nodeid, flags);
  if (typeof out === 'number') throw new Error(String(out));
  return out;
}

function read(o: OverlayOps, fh: number): string {
  const buf = Buffer.alloc(100);
  return buf.toString('latin1', 0, o.read(me, fh, buf, 0, 100, 0));
}

const size = (o: OverlayOps, nodeid: number): number => {
  const st = new Stat();
  expect(o.getattr(me, nodeid, 0, st)).toBe(0);
  return st.size;
};

test('the former nodeid is good for all but opens, and goes with its last reference', () => {
  const o = mount();
  const former = walk(o, 'f');
  const reader = opened(o, former, O_RDONLY);
  expect([reader.lower, reader.backingFd >= 0]).toEqual([true, true]);
  o.stay(reader.fh);
  o.split(former);
  expect([O_RDONLY, O_RDWR].map((flags) => open(o, former, flags))).toEqual([-ESTALE, -ESTALE]);
  const now = walk(o, 'f');
  expect(now).not.toBe(former);
  const writer = opened(o, now, O_RDWR);
  expect([writer.lower, writer.backingFd >= 0]).toEqual([false, true]);
  expect(o.write(me, writer.fh, Buffer.from('written above'), 0, 13, 0, false)).toBe(13);
  expect([size(o, former), size(o, now)]).toEqual([13, 13]);
  expect([o.isSplit(former), o.isSplit(now), o.isSplit(1)]).toEqual([true, true, false]);
  // What is read past us is the lower's; so is what comes here by the same handle.
  expect(read(o, reader.fh)).toBe('lower');
  const before = o.nodes.size;
  o.release(reader.fh);
  o.forget(former, 1);
  expect([o.nodes.size, o.isSplit(now), size(o, now)]).toEqual([before - 1, false, 13]);
  expect(open(o, former, O_RDONLY)).toBe(-ESTALE);
  o.release(writer.fh);
  o.forget(now, 1);
  expect(o.nodes.size).toBe(1);
  expect(readFileSync(union.at('l1', 'f'), 'utf8')).toBe('lower');
});

test('one that is split twice is known by three, until each is forgotten', () => {
  const o = mount();
  const ids = [walk(o, 'f')];
  for (let i = 0; i < 2; i++) {
    o.split(ids[i]);
    // Of a former one there is nothing to split.
    o.split(ids[i]);
    ids.push(walk(o, 'f'));
  }
  expect(new Set(ids).size).toBe(3);
  o.forget(ids[1], 1);
  expect([o.isSplit(ids[2]), o.isSplit(ids[0])]).toEqual([true, true]);
  o.forget(ids[0], 1);
  expect(o.isSplit(ids[2])).toBe(false);
  o.forget(ids[2], 1);
  expect(o.nodes.size).toBe(1);
});

test('a forgotten object stays for its former nodeid', () => {
  const o = mount();
  const former = walk(o, 'f');
  o.split(former);
  const now = walk(o, 'f');
  o.forget(now, 1);
  expect([size(o, former), o.isSplit(former)]).toEqual([5, true]);
  expect(walk(o, 'f')).not.toBe(former);
});

test('all names of a hard link get the new nodeid', () => {
  const o = mount();
  linkSync(union.at('l1', 'f'), union.at('l1', 'g'));
  const former = walk(o, 'f');
  expect(walk(o, 'g')).toBe(former);
  o.split(former);
  const now = walk(o, 'g');
  expect([now === former, walk(o, 'f')]).toEqual([false, now]);
});

test('a handle that is not read past us moves to the upper, as ever', () => {
  const o = mount();
  const nodeid = walk(o, 'f');
  const reader = opened(o, nodeid, O_RDONLY);
  const writer = opened(o, nodeid, O_RDWR);
  o.write(me, writer.fh, Buffer.from('WR'), 0, 2, 0, false);
  expect(read(o, reader.fh)).toBe('WRwer');
});

test('data that is longer than the file whose metadata was copied up is not offered', () => {
  const o = mount();
  const nodeid = walk(o, 'f');
  const out = new Stat();
  expect(o.setxattr(me, nodeid, 'user.a', Buffer.from('1'), 0, false)).toBe(0);
  expect(opened(o, nodeid, O_RDONLY).lower).toBe(true);
  union.unmount();
  truncateSync(union.at('u', 'f'), 3);
  const again = union.mount(undefined, { metacopy: true }, { lowerPassthrough: true });
  const short = walk(again, 'f');
  expect(again.getattr(me, short, 0, out)).toBe(0);
  const reader = opened(again, short, O_RDONLY);
  expect([out.size, reader.backingFd, read(again, reader.fh)]).toEqual([3, -1, 'low']);
});
