/**
 * A server killed before each of its system calls, while it makes a lazy copy-up, writes to it and
 * completes it. The kernel's overlay then refuses the upper, or fails to read the file, or reads what
 * it may be; and the next mount goes on. Power cuts are conformance/power-cut's.
 */
import fs from 'node:fs';
import { expect, test } from 'vitest';
import { isRoot } from '../../test/support/temp-dir.ts';
import { me, useUnion, walk } from '../../test/support/union.ts';
import { hydrate } from '../overlay/lazy-complete.ts';
import { holdsStubs } from '../overlay/lazy-stub.ts';
import { fromText } from '../sys/bytes.ts';
import { wrapSys } from '../sys/calls.ts';
import { CLONE_NEWNS, MNT_DETACH, MS_PRIVATE, MS_REC, O_RDWR } from '../sys/constants.ts';
import type { Sys } from '../sys/sys.ts';
import { openSys } from '../sys/sys-koffi.ts';
import { OpenOut } from './ops.ts';
import type { OverlayOps } from './overlay-ops.ts';

const union = useUnion();
const sys = openSys();
const SIZE = 50_000;
const before = Buffer.alloc(SIZE, 'lower ');
const after = Buffer.from(before);
after.write('written', 30_000);

class Killed extends Error {}

/** System calls that change nothing are no points of their own. */
const changing =
  /^(pwrite|write|ftruncate|truncate|fallocate|fsync|fdatasync|copyFileRange|openat|mkdirat|unlinkat|renameat2|linkat|f?setxattr.*|f?removexattr.*|utimensat|fchownat|fchmod.*)$/;

/** Dies before changing call number `last`; counts all. */
function dying(last: number): { sys: Sys; calls: () => number } {
  let calls = 0;
  const wrapped = wrapSys(sys, (name, args, call) => {
    if (changing.test(name) && calls++ >= last) throw new Killed();
    return call(args);
  });
  return { sys: wrapped, calls: () => calls };
}

/** What the kernel reads of the file with these options; null where it refuses. */
function byKernel(options: string): Buffer | null {
  const at = union.at('kernel');
  fs.mkdirSync(at, { recursive: true });
  if (sys.mount('overlay', fromText(at), 'overlay', 0, fromText(options)) < 0) return null;
  try {
    return fs.readFileSync(`${at}/f`);
  } catch {
    return null;
  } finally {
    sys.umount2(fromText(at), MNT_DETACH);
  }
}

function checkKernel(step: string, states: readonly Buffer[]): void {
  const lower = union.at('l2');
  const upper = union.at('u');
  const fresh = union.at('fresh');
  fs.rmSync(fresh, { recursive: true, force: true });
  fs.mkdirSync(fresh);
  for (const options of [
    `lowerdir=${lower},upperdir=${upper},workdir=${fresh},index=off`,
    `lowerdir=${lower},upperdir=${upper},workdir=${fresh},index=off,metacopy=on`,
    `lowerdir=${lower},upperdir=${upper},workdir=${fresh},index=off,userxattr`,
    `lowerdir=${upper}:${lower}`,
    `lowerdir=${upper}:${lower},metacopy=on`,
    `lowerdir=${upper}:${lower},userxattr`,
    `lowerdir=${lower},upperdir=${upper},workdir=${union.at('w')},metacopy=on`,
  ]) {
    const seen = byKernel(options);
    if (seen !== null && !states.some((state) => state.equals(seen))) {
      throw new Error(`${step}: the kernel reads what the file never was, with ${options}`);
    }
  }
}

function attempt(on: Sys, act: (ops: OverlayOps) => void): void {
  try {
    act(union.mount(on, { index: false, metacopy: false, redirectDir: 'on' }, { copyup: 'lazy', copyupThreshold: 1 }));
  } catch (error) {
    if (!(error instanceof Killed)) throw error;
  }
  union.unmount();
}

function write(ops: OverlayOps): void {
  const out = new OpenOut();
  expect(ops.open(me, walk(ops, 'f'), O_RDWR, false, out)).toBe(0);
  expect(ops.write(me, out.fh, Buffer.from('written'), 0, 7, 30_000, false)).toBe(7);
  expect(ops.fsync(me, out.fh, false)).toBe(0);
}

function complete(ops: OverlayOps): void {
  const failed = new Map<string, number>();
  while (!hydrate(ops.sb, 16_384, failed).done);
  expect(failed.size).toBe(0);
}

function fresh(): void {
  union.remove();
  union.create();
  fs.writeFileSync(union.at('l2', 'f'), before);
}

test('killed at any point, it leaves what the kernel reads rightly or not at all, and the next mount goes on with', (ctx) => {
  if (!isRoot || sys.unshare(CLONE_NEWNS) < 0) return ctx.skip('needs root and a mount namespace of its own');
  expect(sys.mount('none', '/', '', MS_REC | MS_PRIVATE, null)).toBe(0);
  fresh();
  let usable = false;
  attempt(sys, (ops) => {
    usable = holdsStubs(ops.sb);
  });
  if (!usable) return ctx.skip('this filesystem cannot hold incomplete files');
  for (const [what, prepare, act, states] of [
    ['copy-up and write', () => {}, write, [before, after]],
    ['completion', () => attempt(sys, write), complete, [after]],
  ] as const) {
    let points = 0;
    for (let last = 0, ended = false; !ended; last++) {
      fresh();
      prepare();
      const server = dying(last);
      attempt(server.sys, act);
      ended = server.calls() <= last;
      points = last;
      checkKernel(`${what}, killed at call ${last}`, states);
      attempt(sys, complete);
      const seen = byKernel(`lowerdir=${union.at('l2')},upperdir=${union.at('u')},workdir=${union.at('w')},index=off`);
      expect(`${last} ${seen !== null && states.some((state) => state.equals(seen))}`).toBe(`${last} true`);
      if (ended) expect(seen?.equals(after)).toBe(true);
    }
    expect(points).toBeGreaterThan(20);
  }
}, 120_000);
