import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Dentry } from '../layer/layer.ts';
import { hashName } from '../layer/name-table.ts';
import { NameIndex } from './name-index.ts';

const LAYERS = 12;
const NAMES = ['a', 'b', 'c', 'd', 'e', 'f'];

test('it leads to the layers that hold a name, and to those that were not read, from the top down', () => {
  const layer = fc.option(fc.subarray(NAMES), { nil: null });
  fc.assert(
    fc.property(fc.array(layer, { minLength: 1, maxLength: LAYERS }), (layers) => {
      const index = new NameIndex(new Array<Dentry>(layers.length));
      for (let i = layers.length - 1; i >= 0; i--) {
        const held = layers[i];
        if (held === null) index.leaveOut(i);
        else for (const name of held) index.add(i, hashName(name));
      }
      index.finish();
      for (const name of NAMES) {
        const asked: number[] = [];
        index.seek(name);
        for (let i = index.next(0); i < layers.length; i = index.next(i + 1)) asked.push(i);
        const expected = layers.flatMap((held, i) => (held === null || held.includes(name) ? [i] : []));
        expect(asked, name).toEqual(expected);
      }
      expect(index.complete).toBe(!layers.includes(null));
    }),
  );
});
