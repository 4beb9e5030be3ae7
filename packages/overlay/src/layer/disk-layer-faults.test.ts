/** What a layer answers when a system call of its own fails: that errno, and no descriptor is lost. */
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { beforeEach, describe, expect, it } from 'vitest';
import { at } from '../../test/support/layers.ts';
import { openDescriptors } from '../../test/support/open-descriptors.ts';
import { isRoot, useTempDir } from '../../test/support/temp-dir.ts';
import { sysCalls } from '../sys/calls.ts';
import { O_DIRECTORY, O_RDONLY, O_RDWR } from '../sys/constants.ts';
import { EIO } from '../sys/errno.ts';
import { Stat, StatFs } from '../sys/stat.ts';
import type { Sys } from '../sys/sys.ts';
import { faultSys } from '../sys/sys-fault.ts';
import { openSys } from '../sys/sys-koffi.ts';
import { DescriptorCache } from './descriptor-cache.ts';
import { DiskLayer } from './disk-layer.ts';
import { Dentry } from './layer.ts';

const real = openSys();
/** A failing close(2) comes after the answer is known, and does not change it. */
const allButClose = sysCalls.filter((name) => name !== 'close');
const dir = useTempDir(real);
const s = new Stat();

beforeEach(() => {
  mkdirSync(dir.at('d/e'), { recursive: true });
  writeFileSync(dir.at('d/e/f'), 'text');
  symlinkSync('f', dir.at('d/e/l'));
});

const e = (layer: DiskLayer): Dentry => at(layer, 'd', 'e');
const f = (layer: DiskLayer): Dentry => new Dentry(layer, e(layer), 'f');

/** Each with its own dentries, so that every run opens the way to them again. */
const operations: Record<string, (layer: DiskLayer) => unknown> = {
  lookup: (layer) => layer.lookup(e(layer), 'f', s),
  stat: (layer) => layer.stat(f(layer), s),
  readdir: (layer) => layer.readdir(e(layer), []),
  readlink: (layer) => layer.readlink(new Dentry(layer, e(layer), 'l')),
  listxattr: (layer) => layer.listxattr(f(layer)),
  setxattr: (layer) => layer.setxattr(f(layer), 'user.a', Buffer.from('v'), 0),
  statfs: (layer) => layer.statfs(new StatFs()),
  open: (layer) => {
    const file = layer.open(f(layer), O_RDONLY);
    if (file >= 0) layer.close(file);
    return file;
  },
  openDirectory: (layer) => {
    const file = layer.open(e(layer), O_RDONLY | O_DIRECTORY);
    if (file >= 0) layer.close(file);
    return file;
  },
  create: (layer) => {
    const file = layer.create(e(layer), 'new', O_RDWR, 0o600);
    if (file >= 0) layer.close(file);
    real.unlinkat(dir.fd, 'd/e/new', 0);
    return file;
  },
  tmpfile: (layer) => {
    const file = layer.tmpfile(e(layer), 0, 0o600);
    if (file >= 0) layer.close(file);
    return file;
  },
  anonymous: (layer) => {
    const file = layer.open(f(layer), O_RDONLY);
    if (file < 0) return file;
    const d = layer.anonymous(file);
    layer.close(file);
    return typeof d === 'number' ? d : layer.stat(d, s);
  },
  pin: (layer) => {
    const d = f(layer);
    const r = layer.pin(d);
    layer.release(d);
    return r;
  },
  rename: (layer) => layer.rename(e(layer), 'f', e(layer), 'f', 0),
  chmod: (layer) => layer.chmod(f(layer), 0o600),
  utimens: (layer) => layer.utimens(f(layer), 1, 2, 3, 4),
  syncfs: (layer) => layer.syncfs(),
  ...(isRoot && {
    handleIno: (layer: DiskLayer) => {
      const id = layer.fileHandle(f(layer));
      return typeof id === 'number' ? id : layer.handleIno(id, s);
    },
  }),
};

const open = (sys: Sys, writable: boolean): DiskLayer | number =>
  DiskLayer.open(sys, new DescriptorCache(sys, 8), { path: dir.path, label: 'layer', writable });

describe('a failing system call', () => {
  it.each(Object.keys(operations))('in %s is its answer', (name) => {
    const before = openDescriptors();
    for (let at = 1; ; at++) {
      const plan = { at: Number.POSITIVE_INFINITY, calls: allButClose };
      // What opening the layer takes is not what this test counts.
      const fault = faultSys(real, plan);
      const layer = open(fault.sys, true);
      if (typeof layer === 'number') throw new Error(`open: ${layer}`);
      plan.at = fault.counted + at;
      const answer = operations[name](layer);
      const done = !fault.fired;
      layer.destroy();
      expect(openDescriptors()).toBe(before);
      if (done) {
        if (typeof answer === 'number') expect(answer).toBeGreaterThanOrEqual(0);
        expect(at).toBeGreaterThan(1);
        return;
      }
      // What was listed stands, whether or not it could be asked if lookups find more.
      expect(name === 'readdir' ? [-EIO, 0] : [-EIO]).toContain(answer);
    }
  });

  it.each([true, false])('while opening leaves nothing behind (writable: %s)', (writable) => {
    const before = openDescriptors();
    for (let at = 1; ; at++) {
      const fault = faultSys(real, { at });
      const layer = open(fault.sys, writable);
      if (typeof layer !== 'number') layer.destroy();
      expect(openDescriptors()).toBe(before);
      if (fault.fired) {
        // What it can do without has failed, or it has.
        if (typeof layer === 'number') expect(layer).toBe(-EIO);
        continue;
      }
      expect(typeof layer).toBe('object');
      expect(at).toBeGreaterThan(3);
      return;
    }
  });
});
