import { closeSync, openSync } from 'node:fs';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { useTempDir } from '../../test/support/temp-dir.ts';
import { DescriptorCache } from '../layer/descriptor-cache.ts';
import { DiskLayer } from '../layer/disk-layer.ts';
import { fromText } from '../sys/bytes.ts';
import { openSys } from '../sys/sys-koffi.ts';
import { BlockMap, mapsBlocks, readMap } from './lazy-map.ts';

const sys = openSys();
const dir = useTempDir(sys);

test('a map knows what was set, and finds the next block of either kind', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 200 }),
      fc.array(fc.tuple(fc.nat(210), fc.nat(210)), { maxLength: 6 }),
      (blocks, ranges) => {
        const map = new BlockMap(4096, blocks * 4096 - 1);
        const model = new Array<boolean>(blocks).fill(false);
        for (const [a, b] of ranges) {
          map.set(Math.min(a, b), Math.max(a, b));
          for (let i = Math.min(a, b); i < Math.min(blocks, Math.max(a, b)); i++) model[i] = true;
        }
        expect(model.map((_, i) => map.has(i))).toEqual(model);
        expect(map.missing(blocks)).toBe(model.filter((held) => !held).length);
        for (let from = 0; from < blocks; from++) {
          const held = model.indexOf(true, from);
          const missing = model.indexOf(false, from);
          expect(map.nextHeld(from, blocks)).toBe(held < 0 ? blocks : held);
          expect(map.nextMissing(from, blocks)).toBe(missing < 0 ? blocks : missing);
        }
      },
    ),
  );
});

test('a file is mapped by what was written to it: not by what was allocated, nor by what was read since', (ctx) => {
  const layer = DiskLayer.open(sys, new DescriptorCache(sys), {
    path: fromText(dir.path),
    label: 'dir',
    writable: true,
  });
  if (typeof layer === 'number') throw new Error(`open: ${layer}`);
  const probe = openSync(dir.at('probe'), 'w+');
  const file = openSync(dir.at('file'), 'w+');
  try {
    if (!mapsBlocks(layer, probe, 4096)) return ctx.skip('this filesystem has no FIEMAP');
    const blocks = 3000;
    layer.ftruncate(file, blocks * 4096);
    expect(sys.fallocate(file, 1, 100 * 4096, 50 * 4096)).toBe(0);
    // More extents than one call tells of.
    for (let i = 0; i < blocks; i += 4) layer.write(file, Buffer.alloc(4096, 'x'), 0, 4096, i * 4096);
    layer.read(file, Buffer.alloc(blocks * 4096), 0, blocks * 4096, 0);
    const map = readMap(layer, file, 4096, blocks * 4096);
    if (typeof map === 'number') throw new Error(`readMap: ${map}`);
    for (let i = 0; i < blocks; i++) expect(`${i} ${map.has(i)}`).toBe(`${i} ${i % 4 === 0}`);
  } finally {
    closeSync(probe);
    closeSync(file);
    layer.destroy();
  }
});
