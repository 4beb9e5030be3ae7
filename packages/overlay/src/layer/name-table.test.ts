import fc from 'fast-check';
import { expect, test } from 'vitest';
import { hashBytes, hashName, NameTable } from './name-table.ts';

const names = fc.uniqueArray(fc.string({ unit: fc.integer({ min: 1, max: 255 }).map((c) => String.fromCharCode(c)) }));

test('it has every name that was added, with its last number', () => {
  fc.assert(
    fc.property(names, (added) => {
      const table = new NameTable();
      for (const name of added) table.add(name);
      for (const [i, name] of added.entries()) table.put(hashName(name), i + 1);
      expect(added.map((name) => table.get(hashName(name)))).toEqual(added.map((_, i) => i + 1));
      expect(table.size).toBe(added.length);
    }),
  );
});

test('of ten thousand names that were not added it takes hardly any for one of ten thousand that were', () => {
  const table = new NameTable();
  for (let i = 0; i < 10_000; i++) table.add(`file-${i}`);
  let mistaken = 0;
  for (let i = 0; i < 10_000; i++) if (table.has(`other-${i}`)) mistaken++;
  expect(mistaken).toBeLessThan(10);
});

test('a name in bytes is the same name', () => {
  const bytes = Buffer.from('..caf\xe9..', 'latin1');
  expect(hashBytes(bytes, 2, 6)).toBe(hashName('caf\xe9'));
});
