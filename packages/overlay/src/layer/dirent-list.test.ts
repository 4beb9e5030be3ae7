import fc from 'fast-check';
import { expect, it } from 'vitest';
import { DirentList } from './dirent-list.ts';
import { hashName } from './name-table.ts';

const entry = fc.record({
  name: fc
    .array(fc.integer({ min: 1, max: 255 }), { minLength: 1, maxLength: 255 })
    .map((bytes) => String.fromCharCode(...bytes)),
  ino: fc.bigInt(1n, 2n ** 64n - 1n),
  type: fc.constantFrom(4, 8, 10),
  off: fc.integer({ min: 0, max: 2 ** 40 }),
});

function listOf(entries: { name: string; ino: bigint; type: number; off: number }[]): DirentList {
  const list = new DirentList();
  for (const { name, ino, type, off } of entries) {
    const words = new Uint32Array([Number(ino & 0xffffffffn), Number(ino >> 32n)]);
    const bytes = Buffer.from(`##${name}#`, 'latin1');
    list.append(bytes, 2, bytes.length - 1, words, 0, type);
    list.setOff(list.count - 1, off);
  }
  return list;
}

it('gives back what was put in, trimmed and copied too', () => {
  fc.assert(
    fc.property(fc.array(entry, { maxLength: 100 }), (entries) => {
      const list = listOf(entries);
      const copied = new DirentList(0, 0);
      for (let i = 0; i < list.count; i++) {
        expect(list.hash(i)).toBe(hashName(entries[i].name));
        copied.copy(list, i);
      }
      for (const each of [list, copied, list.trimmed()]) {
        const back = Array.from({ length: each.count }, (_, i) => ({
          name: each.name(i),
          ino: each.ino(i),
          type: each.type(i),
          off: each.off(i),
        }));
        expect(back).toEqual(entries);
        expect([...each.names()]).toEqual(entries.map(({ name }) => name));
      }
    }),
  );
});

it('pads names with zeros, also where other entries were', () => {
  const list = listOf([{ name: 'x'.repeat(100), ino: 1n, type: 8, off: 1 }]);
  list.clear();
  list.append(Buffer.from('ab'), 0, 2, new Uint32Array([7, 0]), 0, 4);
  expect(list.bytes.subarray(0, list.start(1)).toString('hex')).toBe(
    '0700000000000000 0000000000000000 02000000 04000000 6162000000000000'.replaceAll(' ', ''),
  );
});

it('tells names apart, and by their beginnings', () => {
  const a = listOf(['same', 'one', '.wh.x'].map((name) => ({ name, ino: 1n, type: 8, off: 0 })));
  const b = listOf(['other', 'same'].map((name) => ({ name, ino: 2n, type: 8, off: 0 })));
  expect([a.sameName(0, b, 1), a.sameName(0, b, 0), a.sameName(1, b, 1)]).toEqual([true, false, false]);
  expect([0, 1, 2].map((i) => a.beginsWith(i, '.wh.'))).toEqual([false, false, true]);
});
