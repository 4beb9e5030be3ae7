/** How inodes are named over several filesystems: where an origin is looked for, and which numbers are shown. */
import { describe, expect, test } from 'vitest';
import type { Layer } from '../layer/layer.ts';
import type { Config } from './params.ts';
import { Super } from './super.ts';

const uuid = (n: number): Buffer => Buffer.alloc(16, n);
const none = uuid(0);
const layer = (label: string, dev: number, id: Buffer): Layer =>
  ({ label, dev, uuid: id, fileHandle: () => -1, root: {} }) as unknown as Layer;

function find(wanted: Buffer, upper: Layer, lowers: Layer[], config: Partial<Config> = {}): string | undefined {
  const hooks = { log: () => {}, cancelled: () => false, uid: 0, gid: 0, random: () => none };
  return new Super({ uuid: 'auto', ...config } as Config, { lowers, upper, work: null }, hooks).layerByUuid(wanted)
    ?.label;
}

describe('layerByUuid', () => {
  const upper = layer('upper', 1, none);

  test('finds the filesystem by its uuid', () => {
    expect(find(uuid(2), upper, [layer('a', 1, none), layer('b', 2, uuid(2))])).toBe('b');
    expect(find(uuid(3), upper, [layer('a', 1, none)])).toBeUndefined();
  });

  test('two filesystems with one uuid, as copies of an image have, are none', () => {
    expect(find(uuid(2), upper, [layer('a', 2, uuid(2)), layer('b', 3, uuid(2))])).toBeUndefined();
    expect(find(uuid(2), upper, [layer('a', 2, uuid(2)), layer('b', 2, uuid(2))])).toBe('a');
  });

  test("no uuid is the upper's own filesystem alone", () => {
    expect(find(none, upper, [layer('a', 2, none), layer('b', 1, none)])).toBe('b');
    expect(find(none, upper, [layer('a', 2, none)])).toBeUndefined();
    expect(find(none, layer('upper', 1, uuid(1)), [layer('a', 1, uuid(1))])).toBeUndefined();
  });

  test.each([{ index: true }, { metacopy: true }, { redirectOn: true }, { xino: 'on' as const }])(
    'no uuid is a filesystem without one, as squashfs is, where lowers may not be changed: %o',
    (config) => {
      expect(find(none, upper, [layer('a', 2, none)], config)).toBe('a');
      expect(find(none, layer('upper', 1, uuid(1)), [layer('a', 1, uuid(1)), layer('b', 2, none)], config)).toBe('b');
      expect(find(none, upper, [layer('a', 2, none), layer('b', 3, none)], config)).toBeUndefined();
    },
  );

  test("of two without, the upper's own filesystem is meant where a lower on it stands above", () => {
    expect(find(none, upper, [layer('a', 1, none), layer('b', 2, none)], { index: true })).toBe('a');
    expect(find(none, upper, [layer('b', 2, none), layer('a', 1, none)], { index: true })).toBeUndefined();
  });

  test('with uuid=off origins carry none, and the one filesystem is meant', () => {
    const one = [layer('a', 1, uuid(1))];
    expect(find(none, layer('upper', 1, uuid(1)), one, { uuid: 'off' })).toBe('a');
    expect(find(uuid(1), layer('upper', 1, uuid(1)), one, { uuid: 'off' })).toBeUndefined();
  });

  test('uuid=off is null over several filesystems', () => {
    expect(find(uuid(2), upper, [layer('a', 2, uuid(2))], { uuid: 'off' })).toBe('a');
  });
});

describe('mapIno', () => {
  const over = (...lowers: Layer[]): Super => {
    const hooks = { log: () => {}, cancelled: () => false, uid: 0, gid: 0, random: () => none };
    return new Super({ uuid: 'auto' } as Config, { lowers, upper: layer('upper', 1, none), work: null }, hooks);
  };

  test('leaves the numbers of one filesystem as they are', () => {
    expect(over(layer('a', 1, none)).mapIno(0, 2n ** 63n)).toBe(2n ** 63n);
  });

  test('puts the number of the filesystem into the high bits', () => {
    const sb = over(layer('a', 2, uuid(2)), layer('b', 3, uuid(3)));
    expect(sb.mapIno(0, 7n)).toBe(7n);
    expect(sb.mapIno(1, 7n)).toBe(2n ** 62n + 7n);
    expect(sb.mapIno(2, 7n)).toBe(2n ** 63n + 7n);
  });

  test('counts numbers that leave no room, each once, on every filesystem', () => {
    const sb = over(layer('a', 2, uuid(2)), layer('b', 3, uuid(3)));
    const big = 2n ** 62n + 7n;
    const seen = [0, 1, 2].map((fs) => sb.mapIno(fs, big));
    expect(new Set([...seen, sb.mapIno(1, 7n)]).size).toBe(4);
    expect([0, 1, 2].map((fs) => sb.mapIno(fs, big))).toEqual(seen);
  });
});
