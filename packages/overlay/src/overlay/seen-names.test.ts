import fc from 'fast-check';
import { expect, it } from 'vitest';
import { DirentList } from '../layer/dirent-list.ts';
import { SeenNames } from './seen-names.ts';

function listOf(names: readonly string[]): DirentList {
  const list = new DirentList();
  for (const name of names) list.append(Buffer.from(name), 0, name.length, new Uint32Array([1, 0]), 0, 8);
  return list;
}

it('knows a name from whichever list it came, as a Set does', () => {
  const names = fc.array(fc.integer({ min: 0, max: 300 }).map(String), { maxLength: 200 });
  fc.assert(
    fc.property(names, names, names, fc.array(fc.constantFrom('7', '250', 'z')), (first, second, third, others) => {
      const seen = new SeenNames();
      const model = new Set<string>(others);
      for (const name of others) seen.addName(name);
      for (const list of [first, second].map(listOf)) {
        for (let i = 0; i < list.count; i++) {
          expect(seen.add(list, i)).toBe(!model.has(list.name(i)));
          model.add(list.name(i));
        }
      }
      const asked = listOf(third);
      for (let i = 0; i < asked.count; i++) expect(seen.has(asked, i)).toBe(model.has(asked.name(i)));
    }),
  );
});
