/** An upper and a workdir that lie in a lower, as where a whole system is the lower. */
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { useUnion, walk } from '../../test/support/union.ts';
import { fromText } from '../sys/bytes.ts';
import { AT_FDCWD } from '../sys/constants.ts';
import { ELOOP } from '../sys/errno.ts';
import { openSys } from '../sys/sys-koffi.ts';

const union = useUnion();

function nested(): Parameters<typeof union.mount>[1] {
  for (const dir of ['l1/u', 'l1/w', 'l1/d', 'l2/u']) mkdirSync(union.at(dir));
  writeFileSync(union.at('l1/d/f'), 'lower');
  return { upperdir: fromText(union.at('l1/u')), workdir: fromText(union.at('l1/w')) };
}

test('are not entered through the lower', () => {
  const o = union.mount(undefined, nested());
  for (const name of ['u', 'w', 'u/d', 'w/work']) expect([name, walk(o, name)]).toEqual([name, -ELOOP]);
  expect(walk(o, 'd/f')).toBeGreaterThan(1);
});

test('are not reached by a redirect', () => {
  const params = nested();
  mkdirSync(union.at('l1/u/r'));
  const mark = `${process.getuid!() === 0 ? 'trusted' : 'user'}.overlay.redirect`;
  const marked = openSys().setxattrat(AT_FDCWD, fromText(union.at('l1/u/r')), mark, Buffer.from('/w/work'), 0);
  expect(marked).toBe(0);
  const o = union.mount(undefined, params);
  expect(walk(o, 'r')).toBe(-ELOOP);
  expect(readdirSync(union.at('l1/u'))).toEqual(['r']);
});
