/** Flushes and completions that others need not wait for: what is asked again, and what is answered at last. */
import fs from 'node:fs';
import { expect, it } from 'vitest';
import { me, useUnion, walk } from '../../test/support/union.ts';
import { holdsStubs } from '../overlay/lazy-stub.ts';
import type { SyncAside } from '../overlay/syncs.ts';
import { O_RDWR } from '../sys/constants.ts';
import { EBADF, EIO, ERESTART } from '../sys/errno.ts';
import { openSys } from '../sys/sys-koffi.ts';
import { OpenOut } from './ops.ts';
import type { OverlayOps } from './overlay-ops.ts';

const union = useUnion();

function open(o: OverlayOps, name: string): number {
  const out = new OpenOut();
  expect(o.open(me, walk(o, name), O_RDWR, false, out)).toBe(0);
  return out.fh;
}

/** A union whose flushes are played: each ends when the test says so. */
function played() {
  const begun: { dataOnly: boolean; bytes: number; end(result: number): void }[] = [];
  const state = { taken: true, awaited: 0, here: 0 };
  const syncAside: SyncAside = (_fd, dataOnly, bytes) => {
    if (!state.taken) return null;
    let result: number | null = null;
    const end = (value: number): void => {
      result = value;
    };
    begun.push({ dataOnly, bytes, end });
    return { result: () => result, awaited: () => state.awaited++ };
  };
  const real = openSys();
  const sys = {
    ...real,
    fsync(fd: number) {
      state.here++;
      return real.fsync(fd);
    },
  };
  fs.writeFileSync(union.at('u', 'f'), 'upper');
  const o = union.mount(sys, {}, { syncAside });
  return { o, fh: open(o, 'f'), begun, state };
}

const caller = (pid: number) => ({ ...me, pid });

it('is asked again until it has ended, and answers what came of it once', () => {
  const { o, fh, begun, state } = played();
  for (let i = 0; i < 3; i++) expect(o.fsync(caller(7), fh, true)).toBe(-ERESTART);
  expect([begun.length, begun[0].dataOnly, state.awaited, state.here]).toEqual([1, true, 3, 0]);
  begun[0].end(-EIO);
  expect(o.fsync(caller(7), fh, true)).toBe(-EIO);
  expect(o.fsync(caller(7), fh, false)).toBe(-ERESTART);
  begun[1].end(0);
  expect([o.fsync(caller(7), fh, false), begun[1].dataOnly, state.here]).toEqual([0, false, 0]);
});

it('each caller has one of its own, begun after it asked', () => {
  const { o, fh, begun } = played();
  expect(o.fsync(caller(7), fh, false)).toBe(-ERESTART);
  expect(o.fsync(caller(8), fh, false)).toBe(-ERESTART);
  expect(begun.length).toBe(2);
  begun[0].end(0);
  expect([o.fsync(caller(8), fh, false), o.fsync(caller(7), fh, false)]).toEqual([-ERESTART, 0]);
});

it('is made here where nobody takes it, nobody can be told apart, or it never began', () => {
  const { o, fh, begun, state } = played();
  expect([o.fsync(caller(0), fh, false), begun.length, state.here]).toEqual([0, 0, 1]);
  o.fsync(caller(7), fh, false);
  begun[0].end(-ERESTART);
  expect([o.fsync(caller(7), fh, false), state.here]).toEqual([0, 2]);
  state.taken = false;
  expect([o.fsync(caller(7), fh, false), state.here]).toEqual([0, 3]);
  expect(o.fsync(caller(7), 99, false)).toBe(-EBADF);
});

it('is told how much there is to flush', (context) => {
  const { o, fh, begun } = played();
  const data = Buffer.alloc(1 << 20, 1);
  context.skip(fs.statfsSync(union.base).type === 0x01021994, 'tmpfs has nothing to flush');
  o.write(me, fh, data, 0, data.length, 0, false);
  o.fsync(caller(7), fh, false);
  // Some of it may be on the disk already.
  expect(begun[0].bytes).toBeLessThanOrEqual(data.length + 4096);
  expect(begun[0].bytes % 4096).toBe(0);
});

it('a fallocate that completes a lazy copy-up lets others have their turn, and ends', (context) => {
  const size = 20 * 1024 * 1024;
  const content = Buffer.alloc(size);
  for (let i = 0; i < size; i += 4096) content.writeUInt32LE(i + 1, i);
  fs.writeFileSync(union.at('l1', 'large'), content);
  let turns = 0;
  const goesOn = (): void => {
    turns++;
  };
  const o = union.mount(openSys(), {}, { copyup: 'lazy', copyupThreshold: 1, goesOn });
  context.skip(!holdsStubs(o.sb), 'this filesystem cannot hold incomplete files');
  const fh = open(o, 'large');
  o.write(me, fh, Buffer.from('changed'), 0, 7, 5_000_000, false);
  content.write('changed', 5_000_000);
  let answer = -ERESTART;
  for (let asked = 0; answer === -ERESTART && asked < 100; asked++) {
    answer = o.fallocate(me, fh, 0, 0, 1000);
    const seen = Buffer.alloc(8192);
    o.read(me, fh, seen, 0, 8192, 4_997_120);
    expect(seen.equals(content.subarray(4_997_120, 4_997_120 + 8192))).toBe(true);
  }
  expect([answer, turns > 2]).toEqual([0, true]);
  expect(fs.readFileSync(union.at('u', 'large')).equals(content)).toBe(true);
});
