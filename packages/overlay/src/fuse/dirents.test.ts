import { expect, test } from 'vitest';
import { DirentList } from '../layer/dirent-list.ts';
import { EntryOut } from '../ops/ops.ts';
import { Stat } from '../sys/stat.ts';
import { DirentSink } from './dirents.ts';
import { validity } from './encode.ts';
import { Reply } from './wire.ts';

function sink(limit: number, plus: boolean) {
  const reply = new Reply(8192);
  reply.bytes.fill(0xff);
  const listing = new DirentSink(reply, validity(1), () => validity(2));
  listing.start(limit, plus);
  return { reply, listing };
}

test('records are padded with zeros to 8 bytes', () => {
  const { reply, listing } = sink(4096, false);
  listing.add('ab', 0x8000_0000_0000_0001n, 4, 2 ** 40, null);
  listing.add('12345678', 2n, 8, 7, null);
  expect(listing.length).toBe(64);
  expect(reply.bytes.subarray(16, 80).toString('hex')).toBe(
    '0100000000000080 0000000000010000 02000000 04000000 6162000000000000'.replaceAll(' ', '') +
      '0200000000000000 0700000000000000 08000000 08000000 3132333435363738'.replaceAll(' ', ''),
  );
});

test.each([
  [31, false, false],
  [32, false, true],
  [159, true, false],
  [160, true, true],
])('limit %d, plus %s: a name of 2 bytes fits: %s', (limit, plus, fits) => {
  expect(sink(limit, plus).listing.fits(2)).toBe(fits);
});

test('READDIRPLUS carries the entry with its times', () => {
  const { reply, listing } = sink(4096, true);
  const entry = new EntryOut(new Stat());
  entry.nodeid = 9;
  entry.generation = 1;
  entry.attr.ino = 77n;
  listing.add('x', 77n, 8, 1, entry);
  expect(listing.length).toBe(128 + 32);
  expect(reply.u64(16)).toBe(9);
  expect(reply.u64(32)).toBe(1);
  expect(reply.u64(40)).toBe(2);
  expect(reply.u64(56)).toBe(77);
  expect(reply.bytes.toString('latin1', 16 + 128 + 24, 16 + 128 + 25)).toBe('x');
});

test.each([
  ['no entry', null],
  ['an entry that vanished', new EntryOut(new Stat())],
])('READDIRPLUS with %s is all zeros before the name', (_, entry) => {
  const { reply, listing } = sink(4096, true);
  listing.add('.', 1n, 4, 1, entry);
  expect(reply.bytes.subarray(16, 16 + 128).every((byte) => byte === 0)).toBe(true);
});

test.each([
  [31, 0],
  [32, 1],
  [95, 2],
  [96, 3],
  [4096, 3],
])('of a listing as many entries fit into %d bytes as whole ones do: %d', (limit, fit) => {
  const entries = new DirentList();
  for (const name of ['gone', 'ab', 'cd', 'ef']) {
    entries.append(Buffer.from(name), 0, name.length, new Uint32Array([name.length, 0]), 0, 8);
  }
  const { reply, listing } = sink(limit, false);
  expect(listing.addAll(entries, 1, 4)).toBe(1 + fit);
  expect(listing.length).toBe(32 * fit);
  expect(reply.bytes.subarray(16, 16 + 32 * fit)).toEqual(entries.bytes.subarray(32, 32 + 32 * fit));
});
