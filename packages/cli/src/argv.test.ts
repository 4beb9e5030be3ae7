import { expect, it } from 'vitest';
import { recoverBytes } from './argv.ts';

it('recovers bytes that are no UTF-8', () => {
  const cmdline = Buffer.from('node\0--flag\0/bin/strata\0mount\0/a\xff\xc3(\0\0', 'latin1');
  expect(recoverBytes(['mount', '/a\ufffd\ufffd(', ''], cmdline)).toEqual(['mount', '/a\xff\xc3(', '']);
  expect(recoverBytes([], cmdline)).toEqual([]);
});

it('keeps to argv where the command line is another', () => {
  expect(recoverBytes(['mount', 'é\ufffd'], Buffer.from('strata: serving\0'))).toEqual([
    'mount',
    '\xc3\xa9\xef\xbf\xbd',
  ]);
});
