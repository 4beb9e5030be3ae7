import { mkdirSync, renameSync, rmdirSync, statSync, symlinkSync } from 'node:fs';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openDescriptors } from '../../test/support/open-descriptors.ts';
import { useTempDir } from '../../test/support/temp-dir.ts';
import { wrapSys } from '../sys/calls.ts';
import { EACCES, EIO, EMFILE, ESTALE } from '../sys/errno.ts';
import { Stat } from '../sys/stat.ts';
import type { Sys } from '../sys/sys.ts';
import { faultSys } from '../sys/sys-fault.ts';
import { openSys } from '../sys/sys-koffi.ts';
import { DescriptorCache, defaultCapacity } from './descriptor-cache.ts';
import { DiskLayer } from './disk-layer.ts';
import { Dentry } from './layer.ts';

const real = openSys();
const dir = useTempDir(real);
const layers: DiskLayer[] = [];
let before = 0;

beforeEach(() => {
  before = openDescriptors();
});
afterEach(() => {
  for (const layer of layers.splice(0)) layer.destroy();
  expect(openDescriptors()).toBe(before);
});

function open(sys: Sys, cache: DescriptorCache, path = dir.path): DiskLayer {
  const layer = DiskLayer.open(sys, cache, { path, label: 'upper', writable: true });
  if (typeof layer === 'number') throw new Error(`open: ${layer}`);
  layers.push(layer);
  return layer;
}

function inoOf(sys: Sys, fd: number): bigint {
  const s = new Stat();
  expect(sys.fstat(fd, s)).toBe(0);
  return s.ino;
}

/** A chain of `depth` directories named `x`, and its dentries from the top. */
function chain(layer: DiskLayer, depth: number): Dentry[] {
  const all: Dentry[] = [];
  let d = layer.root;
  for (let i = 0; i < depth; i++) {
    if (layer.mkdir(d, 'x', 0o755) < 0) throw new Error(`mkdir failed at depth ${i}`);
    d = new Dentry(layer, d, 'x');
    all.push(d);
  }
  return all;
}

describe('DescriptorCache', () => {
  it('holds no more than its capacity, over all layers, and gives the right directory', () => {
    const cache = new DescriptorCache(real, 16);
    mkdirSync(dir.at('a'));
    mkdirSync(dir.at('b'));
    const two = [open(real, cache, dir.at('a')), open(real, cache, dir.at('b'))];
    const dentries = two.flatMap((layer, n) =>
      Array.from({ length: 20 }, (_, i) => {
        expect(layer.mkdir(layer.root, `d${i}`, 0o755)).toBe(0);
        return { d: new Dentry(layer, layer.root, `d${i}`), path: dir.at(`${'ab'[n]}/d${i}`) };
      }),
    );
    const base = openDescriptors();
    fc.assert(
      fc.property(fc.array(fc.nat(dentries.length - 1), { maxLength: 100 }), (picks) => {
        for (const pick of picks) {
          const { d, path } = dentries[pick];
          expect(inoOf(real, cache.dirFd(d))).toBe(statSync(path, { bigint: true }).ino);
          expect(cache.size).toBeLessThanOrEqual(16);
        }
        expect(openDescriptors()).toBe(base + cache.size);
        expect(dentries.filter(({ d }) => d.fd >= 0).length).toBe(cache.size);
      }),
      { numRuns: 50 },
    );
    two[0].destroy();
    expect(dentries.filter(({ d }) => d.layer === two[0] && d.fd >= 0)).toEqual([]);
  });

  it('evicts what was used longest ago', () => {
    const cache = new DescriptorCache(real, 8);
    const layer = open(real, cache);
    const dentries = Array.from({ length: 9 }, (_, i) => {
      layer.mkdir(layer.root, `d${i}`, 0o755);
      return new Dentry(layer, layer.root, `d${i}`);
    });
    for (const d of dentries.slice(0, 8)) cache.dirFd(d);
    cache.dirFd(dentries[0]);
    cache.dirFd(dentries[8]);
    expect(dentries.map((d) => d.fd >= 0)).toEqual([true, false, true, true, true, true, true, true, true]);
  });

  it('reopens deep directories level by level, at a bounded cost', { timeout: 30_000 }, () => {
    const depth = 5000;
    const counter = faultSys(real, { at: Number.POSITIVE_INFINITY, calls: ['openat'] });
    const cache = new DescriptorCache(counter.sys, 256);
    const layer = open(counter.sys, cache);
    const all = chain(layer, depth);
    expect(cache.size).toBe(256);

    // Walking up, as rm -r does: each reopening leaves 64 levels above at hand.
    const start = counter.counted;
    expect(all.toReversed().filter((d) => cache.dirFd(d) < 0)).toEqual([]);
    expect(counter.counted - start).toBeLessThan(((depth / 64) * depth) / 2 + 2 * depth);

    // The deepest from nothing: once through the whole chain, and its neighbours stay.
    cache.dropLayer(layer);
    expect(cache.size).toBe(0);
    const cold = counter.counted;
    expect(cache.dirFd(all[depth - 1])).toBeGreaterThan(0);
    expect(counter.counted - cold).toBe(depth);
    expect(cache.size).toBe(64);
    expect(cache.dirFd(all[depth - 64])).toBeGreaterThan(0);
    expect(counter.counted - cold).toBe(depth);
  });

  it('follows a dentry that was renamed, evicted or not', () => {
    const cache = new DescriptorCache(real, 8);
    const layer = open(real, cache);
    const [a, b] = chain(layer, 2);
    layer.mkdir(layer.root, 'other', 0o755);
    const other = new Dentry(layer, layer.root, 'other');
    const ino = inoOf(real, cache.dirFd(b));
    expect(layer.rename(layer.root, 'x', other, 'moved', 0)).toBe(0);
    a.parent = other;
    a.name = 'moved';
    expect(inoOf(real, cache.dirFd(b))).toBe(ino);
    cache.dropLayer(layer);
    expect(inoOf(real, cache.dirFd(b))).toBe(ino);
  });

  it('answers ESTALE for what is not there any more, and follows no symlink to another place', () => {
    const cache = new DescriptorCache(real, 8);
    const layer = open(real, cache);
    const [a, b] = chain(layer, 2);
    rmdirSync(dir.at('x/x'));
    expect(cache.dirFd(b)).toBe(-ESTALE);
    cache.dropLayer(layer);
    renameSync(dir.at('x'), dir.at('y'));
    mkdirSync(dir.at('elsewhere'));
    symlinkSync('elsewhere', dir.at('x'));
    expect(cache.dirFd(a)).toBe(-ESTALE);
    expect(cache.dirFd(new Dentry(layer, null, 'orphan'))).toBe(-ESTALE);
    expect(cache.dirFd(new Dentry(layer, layer.root, '..'))).toBe(-EACCES);
    expect(cache.dirFd(new Dentry(layer, layer.root, 'y/x'))).toBe(-EACCES);
  });

  it('gives descriptors up where the process has no more', () => {
    let full = false;
    let held = 0;
    const limited = wrapSys(real, (name, args, call) => {
      if (name === 'openat' && full && held >= 20) return -EMFILE;
      const r = call(args) as number;
      if (name === 'openat' && r >= 0) held++;
      if (name === 'close' && r === 0) held--;
      return r;
    });
    const cache = new DescriptorCache(limited, 100);
    const layer = open(limited, cache);
    const all = chain(layer, 30);
    full = true;
    held = cache.size;
    // One more, and then one after the other: each opens although 20 is the limit.
    cache.drop(all[29]);
    expect(cache.dirFd(all[29])).toBeGreaterThan(0);
    for (const d of all) expect(cache.dirFd(d)).toBeGreaterThan(0);
    expect(cache.size).toBeLessThanOrEqual(20);
  });

  it('loses no descriptor when an open in the middle of a chain fails', () => {
    for (let at = 1; at <= 40; at++) {
      const cache = new DescriptorCache(real, 8);
      const builder = open(real, cache);
      if (at === 1) chain(builder, 40);
      const fault = faultSys(real, { at, calls: ['openat'], names: ['x'] });
      const failing = new DescriptorCache(fault.sys, 8);
      const layer = open(fault.sys, failing);
      let d = layer.root;
      for (let i = 0; i < 40; i++) d = new Dentry(layer, d, 'x');
      expect(failing.dirFd(d)).toBe(-EIO);
      expect(failing.dirFd(d)).toBeGreaterThan(0);
      for (const done of layers.splice(0)) done.destroy();
      expect(openDescriptors()).toBe(before);
    }
  });
});

describe('defaultCapacity', () => {
  const limits = (line: string): Sys =>
    wrapSys(real, (name, args, call) => {
      if (name !== 'read') return call(args);
      return (args[1] as Buffer).write(`Limit  Soft Limit  Hard Limit  Units\n${line}\nMax locked memory 1 1 bytes\n`);
    });

  it('is a quarter of the soft limit of open files, within bounds', () => {
    expect(defaultCapacity(limits('Max open files            1024                 4096                 files'))).toBe(
      256,
    );
    expect(defaultCapacity(limits('Max open files            1048576              1048576              files'))).toBe(
      4096,
    );
    expect(defaultCapacity(limits('Max open files            unlimited            unlimited            files'))).toBe(
      4096,
    );
    expect(defaultCapacity(limits('nothing'))).toBe(256);
    expect(defaultCapacity(faultSys(real, { at: 1 }).sys)).toBe(256);
    expect(defaultCapacity(real)).toBeGreaterThanOrEqual(64);
    expect(new DescriptorCache(real, 1).capacity).toBe(8);
  });
});
