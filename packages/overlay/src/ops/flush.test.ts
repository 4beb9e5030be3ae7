/** What a copy-up flushes by itself before it appears, for each `fsync=`. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { touch, useUnion } from '../../test/support/union.ts';
import type { FsyncMode } from '../overlay/params.ts';
import { O_WRONLY } from '../sys/constants.ts';
import { EIO } from '../sys/errno.ts';
import type { Sys } from '../sys/sys.ts';
import { openSys } from '../sys/sys-koffi.ts';

const union = useUnion();

test.each<[FsyncMode, number]>([
  ['volatile', 0],
  ['auto', 1],
  ['strict', 3],
])('fsync=%s: %i of a file and its two directories', (fsync, flushes) => {
  mkdirSync(union.at('l1', 'a/b'), { recursive: true });
  writeFileSync(union.at('l1', 'a/b/file'), 'text');
  let flushed = 0;
  const counting: Sys = {
    ...openSys(),
    fsync() {
      flushed++;
      return 0;
    },
  };
  expect(touch(union.mount(counting, { fsync }), 'a/b/file', O_WRONLY)).toBe(0);
  expect(flushed).toBe(flushes);
});

test('what cannot be flushed does not appear', () => {
  mkdirSync(union.at('l1', 'dir'));
  writeFileSync(union.at('l1', 'dir/file'), 'text');
  const failing: Sys = { ...openSys(), fsync: () => -EIO };
  const o = union.mount(failing, { fsync: 'strict' });
  expect(touch(o, 'dir/file', O_WRONLY)).toBe(-EIO);
  expect(() => mkdirSync(union.at('u', 'dir'))).not.toThrow();
});
