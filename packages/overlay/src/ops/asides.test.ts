/** Copies that another thread makes (overlay/asides.ts), which is played here: they end when a test says so. */
import fs from 'node:fs';
import { beforeEach, describe, expect, it } from 'vitest';
import { list, me, stat, touch, useUnion, walk } from '../../test/support/union.ts';
import type { CopyAside } from '../overlay/asides.ts';
import { copyExtents } from '../overlay/copy-data.ts';
import { O_RDONLY, O_TRUNC, O_WRONLY } from '../sys/constants.ts';
import { EINTR, ENOENT, ENOSPC, ERESTART } from '../sys/errno.ts';
import { openSys } from '../sys/sys-koffi.ts';
import { OpenOut } from './ops.ts';
import type { OverlayOps } from './overlay-ops.ts';

const union = useUnion();
const sys = openSys();
const content = Buffer.alloc(300_000, 'content');

describe.each([
  ['files without names', true],
  ['files with names in the workdir', false],
])('%s', (_, unnamed) => {
  /** The copies that were begun; each call of one ends it. */
  let begun: ((errno?: number) => void)[];
  let taken: boolean;
  let ops: OverlayOps;

  const copyAside: CopyAside = (order) => {
    if (!taken) return null;
    let result: number | null = null;
    begun.push((errno = 0) => {
      const from = { lseek: sys.lseek.bind(sys), read: sys.pread.bind(sys) };
      const to = {
        write: sys.pwrite.bind(sys),
        ftruncate: sys.ftruncate.bind(sys),
        copyFileRange: sys.copyFileRange.bind(sys),
      };
      for (const _ of copyExtents(from, to, order, false, true));
      result = errno;
    });
    return { result: () => result, awaited() {} };
  };

  beforeEach(() => {
    begun = [];
    taken = true;
    fs.writeFileSync(union.at('l2', 'f'), content);
    fs.chmodSync(union.at('l2', 'f'), 0o640);
    fs.utimesSync(union.at('l2', 'f'), 1000, 2000);
    ops = union.mount(sys, { metacopy: false, index: false }, { copyAside });
    ops.sb.tmpfileWorks &&= unnamed;
  });

  const descriptors = (): number => fs.readdirSync('/proc/self/fd').length;
  const work = (): string[] => fs.readdirSync(union.at('w', 'work'));
  const inUpper = (): Buffer => fs.readFileSync(union.at('u', 'f'));

  it('shows nothing before it is asked again, and the whole file then', () => {
    const before = descriptors();
    expect(touch(ops, 'f', O_WRONLY)).toBe(-ERESTART);
    begun[0]();
    // It has ended, and nobody has been told.
    expect(touch(ops, 'f', O_WRONLY)).toBe(-ERESTART);
    expect(fs.readdirSync(union.at('u'))).toEqual([]);
    ops.sb.asides.collect();
    expect(touch(ops, 'f', O_WRONLY)).toBe(0);
    expect([begun.length, inUpper().equals(content), work()]).toEqual([1, true, []]);
    expect(stat(ops, 'f')).toMatchObject({ mode: 0o100640, mtime: 2000, size: content.length });
    ops.sb.asides.sweep();
    expect(descriptors()).toBeLessThanOrEqual(before + 2);
  });

  it('is copied where it is asked for when no other thread takes it', () => {
    taken = false;
    expect(touch(ops, 'f', O_WRONLY)).toBe(0);
    expect(inUpper().equals(content)).toBe(true);
  });

  it('gives its error to all that wait, and leaves nothing', () => {
    expect([touch(ops, 'f', O_WRONLY), touch(ops, 'f', O_WRONLY)]).toEqual([-ERESTART, -ERESTART]);
    begun[0](-ENOSPC);
    ops.sb.asides.collect();
    expect([touch(ops, 'f', O_WRONLY), touch(ops, 'f', O_WRONLY)]).toEqual([-ENOSPC, -ENOSPC]);
    ops.sb.asides.sweep();
    expect([work(), fs.readdirSync(union.at('u'))]).toEqual([[], []]);
    // The next one begins anew.
    expect([touch(ops, 'f', O_WRONLY), begun.length]).toEqual([-ERESTART, 2]);
  });

  it('begins again when it was never begun', () => {
    touch(ops, 'f', O_WRONLY);
    begun[0](-ERESTART);
    ops.sb.asides.collect();
    taken = false;
    expect([touch(ops, 'f', O_WRONLY), inUpper().equals(content), work()]).toEqual([0, true, []]);
  });

  it.each([
    ['is cancelled', -EINTR],
    ['is not wanted any more', 0],
  ])('leaves nothing when it %s', (_, errno) => {
    const before = descriptors();
    touch(ops, 'f', O_WRONLY);
    begun[0](errno);
    ops.sb.asides.collect();
    ops.sb.asides.sweep();
    expect([work(), fs.readdirSync(union.at('u'))]).toEqual([[], []]);
    expect(descriptors()).toBeLessThanOrEqual(before + 2);
  });

  it('is of no use for a file that was truncated meanwhile', () => {
    touch(ops, 'f', O_WRONLY);
    expect(touch(ops, 'f', O_WRONLY | O_TRUNC)).toBe(0);
    begun[0]();
    ops.sb.asides.collect();
    expect([touch(ops, 'f', O_WRONLY), inUpper().length]).toEqual([0, 0]);
    ops.sb.asides.sweep();
    expect(work()).toEqual([]);
  });

  it('serves a file that was unlinked meanwhile', () => {
    const nodeid = walk(ops, 'f');
    const out = new OpenOut();
    expect(ops.open(me, nodeid, O_WRONLY, false, out)).toBe(-ERESTART);
    expect(ops.unlink(me, 1, 'f')).toBe(0);
    begun[0]();
    ops.sb.asides.collect();
    expect(ops.open(me, nodeid, O_WRONLY, false, out)).toBe(0);
    const reader = new OpenOut();
    expect(ops.open(me, nodeid, O_RDONLY, false, reader)).toBe(0);
    const read = Buffer.alloc(content.length);
    expect(ops.read(me, reader.fh, read, 0, read.length, 0)).toBe(content.length);
    expect(read.equals(content)).toBe(true);
    ops.release(out.fh);
    ops.release(reader.fh);
    ops.sb.asides.sweep();
    expect([walk(ops, 'f'), list(ops, '')]).toEqual([-ENOENT, []]);
    expect(work().filter((name) => fs.statSync(union.at('w', 'work', name)).isFile())).toEqual([]);
  });
});
