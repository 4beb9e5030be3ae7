import { expect, test } from 'vitest';
import { EINVAL } from '../sys/errno.ts';
import { Notify, STORE_MAX } from './notify.ts';

function notify() {
  const sent: string[] = [];
  const it = new Notify((bytes, length) => {
    sent.push(Buffer.from(bytes.subarray(0, length)).toString('hex'));
    return length;
  });
  return { it, sent };
}
const hex = (text: string): string => text.replaceAll(/\s/g, '');
const head = (length: string, code: string): string => `${length} ${code} 0000000000000000`;

test('attributes only: a negative offset', () => {
  const { it, sent } = notify();
  expect(it.attributes(5)).toBe(40);
  expect(sent[0]).toBe(hex(`${head('28000000', '02000000')} 0500000000000000 ffffffffffffffff 0000000000000000`));
});

test('pages', () => {
  const { it, sent } = notify();
  it.pages(5, 4096, 8192);
  expect(sent[0]).toBe(hex(`${head('28000000', '02000000')} 0500000000000000 0010000000000000 0020000000000000`));
});

test('entry and remove end their names with a NUL', () => {
  const { it, sent } = notify();
  // A longer name before: nothing of it may be left behind the shorter one.
  it.entry(1, 'longer');
  it.entry(1, 'ab');
  it.remove(1, 9, '\xff');
  expect(sent[1]).toBe(hex(`${head('23000000', '03000000')} 0100000000000000 02000000 00000000 616200`));
  expect(sent[2]).toBe(hex(`${head('2a000000', '06000000')} 0100000000000000 0900000000000000 01000000 00000000 ff00`));
});

test('store', () => {
  const { it, sent } = notify();
  it.store(5, 16, Buffer.from('hey'));
  expect(sent[0]).toBe(
    hex(`${head('2b000000', '04000000')} 0500000000000000 1000000000000000 03000000 00000000 686579`),
  );
});

test('what does not fit is refused', () => {
  const { it, sent } = notify();
  expect(it.entry(1, 'n'.repeat(256))).toBe(-EINVAL);
  expect(it.remove(1, 2, 'n'.repeat(256))).toBe(-EINVAL);
  expect(it.store(1, 0, Buffer.alloc(STORE_MAX + 1))).toBe(-EINVAL);
  expect(sent).toEqual([]);
});
