/**
 * What could make a block count as the upper's that was never written whole, or the other way round:
 * failed calls, what filesystems do at the end of a file, flushes. Needs root for the marks.
 */
import fs from 'node:fs';
import { expect, test } from 'vitest';
import { isRoot } from '../../test/support/temp-dir.ts';
import { me, setattr, stat, useUnion, walk } from '../../test/support/union.ts';
import { hydrate } from '../overlay/lazy-complete.ts';
import { holdsStubs } from '../overlay/lazy-stub.ts';
import { ATTR_SIZE } from '../overlay/setattr.ts';
import { wrapSys } from '../sys/calls.ts';
import { FALLOC_FL_KEEP_SIZE, FS_IOC_FSGETXATTR, FS_XFLAG_REALTIME, O_RDONLY, O_RDWR } from '../sys/constants.ts';
import { EIO, EMFILE, ENOSPC } from '../sys/errno.ts';
import type { Sys } from '../sys/sys.ts';
import { openSys } from '../sys/sys-koffi.ts';
import { OpenOut } from './ops.ts';
import type { OverlayOps } from './overlay-ops.ts';

const union = useUnion();
const sys = openSys();
const BLOCK = 4096;
const content = Buffer.alloc(20 * BLOCK + 100, 'lower ');

/** The union with a lower file; null where the filesystem cannot hold incomplete files. */
function begin(on: Sys = sys): OverlayOps | null {
  fs.writeFileSync(union.at('l2', 'f'), content);
  const ops = mount(on);
  return isRoot && holdsStubs(ops.sb) ? ops : null;
}

function mount(on: Sys = sys): OverlayOps {
  return union.mount(on, { index: false, metacopy: false, redirectDir: 'on' }, { copyup: 'lazy', copyupThreshold: 1 });
}

function open(ops: OverlayOps, flags: number): number {
  const out = new OpenOut();
  expect(ops.open(me, walk(ops, 'f'), flags, false, out)).toBe(0);
  return out.fh;
}

function read(ops: OverlayOps, fh: number): Buffer | number {
  const buf = Buffer.alloc(content.length * 2);
  const n = ops.read(me, fh, buf, 0, buf.length, 0);
  return n < 0 ? n : buf.subarray(0, n);
}

function shown(ops: OverlayOps): string {
  const fh = open(ops, O_RDONLY);
  const seen = read(ops, fh);
  ops.release(fh);
  return typeof seen === 'number' ? String(seen) : seen.toString('latin1');
}

const unusable = 'this filesystem cannot hold incomplete files';

test('a reader of the lower that cannot follow to the upper fails each time, and never reads its holes', (ctx) => {
  const ops = begin();
  if (ops === null) return ctx.skip(unusable);
  const reader = open(ops, O_RDONLY);
  ops.release(open(ops, O_RDWR));
  // Nobody uses the stub; when it is opened again the lower is not what it was.
  fs.utimesSync(union.at('l2', 'f'), 1, 1);
  expect(read(ops, reader)).toBe(-EIO);
  expect(read(ops, reader)).toBe(-EIO);
  ops.release(reader);
});

test('a write that fails for want of room leaves no zeros behind the point that it came to', (ctx) => {
  let full = false;
  const tight = wrapSys(sys, (name, args, call) => {
    if (name !== 'pwrite' || !full) return call(args);
    const [fd, , , length, pos] = args as [number, Uint8Array, number, number, number];
    if (length <= BLOCK) return -ENOSPC;
    // As ext4 does it: the blocks that it had got are zeros.
    sys.pwrite(fd, Buffer.alloc(length - BLOCK), 0, length - BLOCK, pos);
    return -ENOSPC;
  });
  let ops = begin(tight);
  if (ops === null) return ctx.skip(unusable);
  const fh = open(ops, O_RDWR);
  full = true;
  expect(ops.write(me, fh, Buffer.alloc(8 * BLOCK, 'x'), 0, 8 * BLOCK, BLOCK, false)).toBe(-ENOSPC);
  full = false;
  ops.release(fh);
  union.unmount();
  ops = mount();
  expect(shown(ops) === content.toString('latin1')).toBe(true);
});

test('the block that a file ends in is stored before its size changes', (ctx) => {
  const ops = begin();
  if (ops === null) return ctx.skip(unusable);
  const stored = (): number => (fs.statSync(union.at('u', 'f')).blocks * 512) / BLOCK;
  ops.release(open(ops, O_RDWR));
  const marks = stored();
  expect(setattr(ops, 'f', { valid: ATTR_SIZE, size: content.length + 3 * BLOCK })).toBe(0);
  expect(stored()).toBe(marks + 1);
  expect(setattr(ops, 'f', { valid: ATTR_SIZE, size: 10 * BLOCK + 5 })).toBe(0);
  // The last block went, and another one came.
  expect(stored()).toBe(marks + 1);
  expect(shown(ops)).toBe(content.toString('latin1', 0, 10 * BLOCK + 5));
});

test('blocks that were allocated and never written are taken back, and nothing is seen of it', (ctx) => {
  let ops = begin();
  if (ops === null) return ctx.skip(unusable);
  ops.release(open(ops, O_RDWR));
  const { mtime, mtimeNsec } = stat(ops, 'f');
  const stub = union.at('u', 'f');
  const empty = fs.statSync(stub).blocks;
  union.unmount();
  const fd = sys.openat(-100, stub, O_RDWR, 0);
  expect(sys.fallocate(fd, FALLOC_FL_KEEP_SIZE, BLOCK, 5 * BLOCK)).toBe(0);
  sys.close(fd);
  expect(fs.statSync(stub).blocks).toBeGreaterThan(empty);
  fs.utimesSync(stub, mtime, mtime + mtimeNsec / 1e9);
  const before = fs.statSync(stub).mtimeMs;
  ops = mount();
  expect(shown(ops) === content.toString('latin1')).toBe(true);
  expect(fs.statSync(stub).blocks).toBe(empty);
  expect(fs.statSync(stub).mtimeMs).toBe(before);
});

test('a file that cannot be looked at keeps its entry', (ctx) => {
  let failing = false;
  const ops = begin();
  if (ops === null) return ctx.skip(unusable);
  ops.release(open(ops, O_RDWR));
  union.unmount();
  const entries = (): number => fs.readdirSync(union.at('w', 'work', 'incompat', 'strata.lazy')).length;
  const busy = wrapSys(sys, (name, args, call) => (failing && name === 'openByHandleAt' ? -EMFILE : call(args)));
  const again = mount(busy);
  failing = true;
  expect(hydrate(again.sb, Number.POSITIVE_INFINITY, new Map()).failed.size).toBe(1);
  expect(entries()).toBe(1);
});

test('a stub is flushed before it has a name, its entry before that, and the data before the marks go', (ctx) => {
  const calls: string[] = [];
  const names: Record<string, string> = {
    fsync: 'fsync',
    linkat: 'link',
    removexattrat: 'unmark',
    copyFileRange: 'copy',
    pwrite: 'copy',
    unlinkat: 'unregister',
  };
  const traced = wrapSys(sys, (name, args, call) => {
    if (name in names) calls.push(names[name]);
    return call(args);
  });
  const ops = begin(traced);
  if (ops === null) return ctx.skip(unusable);
  calls.length = 0;
  ops.release(open(ops, O_RDWR));
  // The marker's two directories, the registry, the stub.
  expect(calls.join(' ')).toBe('fsync fsync fsync fsync link');
  calls.length = 0;
  hydrate(ops.sb, Number.POSITIVE_INFINITY, new Map());
  expect(calls.join(' ')).toMatch(/^copy (copy )*fsync (unmark )+fsync unregister/);
});

test('files on a device that the journal knows nothing of are copied up whole', (ctx) => {
  if (begin() === null) return ctx.skip(unusable);
  union.unmount();
  const apart = wrapSys(sys, (name, args, call) => {
    const result = call(args);
    if (name === 'ioctl' && args[1] === FS_IOC_FSGETXATTR) (args[2] as Buffer).writeUInt32LE(FS_XFLAG_REALTIME, 0);
    return result;
  });
  expect(begin(apart)).toBe(null);
});
