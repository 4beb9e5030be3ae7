/** Disk layers on a temporary directory, destroyed after each test, with no descriptor lost. */
import { afterEach, beforeEach, expect } from 'vitest';
import { DescriptorCache } from '../../src/layer/descriptor-cache.ts';
import { DiskLayer } from '../../src/layer/disk-layer.ts';
import { Dentry, type Layer } from '../../src/layer/layer.ts';
import type { Sys } from '../../src/sys/sys.ts';
import { openDescriptors } from './open-descriptors.ts';

export interface Layers {
  open(path: string, writable: boolean, on?: Sys): DiskLayer;
}

export function useLayers(sys: Sys): Layers {
  const layers: DiskLayer[] = [];
  let cache = new DescriptorCache(sys, 64);
  let before = 0;
  beforeEach(() => {
    before = openDescriptors();
    cache = new DescriptorCache(sys, 64);
  });
  afterEach(() => {
    for (const layer of layers.splice(0)) layer.destroy();
    expect(openDescriptors()).toBe(before);
  });
  return {
    open: (path, writable, on = sys) => {
      const bytes = Buffer.from(path).toString('latin1');
      const layer = DiskLayer.open(on, on === sys ? cache : new DescriptorCache(on, 64), {
        path: bytes,
        label: path,
        writable,
      });
      if (typeof layer === 'number') throw new Error(`${path}: ${layer}`);
      layers.push(layer);
      return layer;
    },
  };
}

/** The dentry of `names` below the root of `layer`. */
export function at(layer: Layer, ...names: string[]): Dentry {
  let d = layer.root;
  for (const name of names) d = new Dentry(layer, d, name);
  return d;
}

/** A file number, or the test fails with its errno. */
export function opened(file: number): number {
  expect(file).toBeGreaterThan(0);
  return file;
}
