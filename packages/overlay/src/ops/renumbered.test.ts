/** A lower hard link that copy-up breaks off has another inode number, and so has a copy without an origin later; listings say so too. */
import { linkSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { me, stat, touch, useUnion, walk } from '../../test/support/union.ts';
import { O_WRONLY } from '../sys/constants.ts';
import { EPERM } from '../sys/errno.ts';
import { openSys } from '../sys/sys-koffi.ts';
import { OpenOut } from './ops.ts';
import type { OverlayOps } from './overlay-ops.ts';

const union = useUnion();

function listed(o: OverlayOps, fh: number, name: string): bigint | undefined {
  let found: bigint | undefined;
  o.readdir(me, fh, 0, false, {
    fits: () => true,
    add(entry, ino) {
      if (entry === name) found = ino;
    },
  });
  return found;
}

test('in what a reader has kept of a directory', () => {
  writeFileSync(union.at('l1', 'a'), 'text');
  linkSync(union.at('l1', 'a'), union.at('l1', 'b'));
  const o = union.mount();
  const [first, kept, after] = [new OpenOut(), new OpenOut(), new OpenOut()];
  o.opendir(me, 1, first);
  // Nothing has been listed yet, so whatever a reader has kept is of another life.
  expect(first.keepCache).toBe(false);
  listed(o, first.fh, 'a');
  o.opendir(me, 1, kept);
  expect(kept.keepCache).toBe(true);
  expect(listed(o, kept.fh, 'a')).toBe(stat(o, 'b').ino);
  expect(touch(o, 'a', O_WRONLY)).toBe(0);
  const { ino } = stat(o, 'a');
  o.forget(walk(o, 'a'), 1000);
  o.opendir(me, 1, after);
  expect(after.keepCache).toBe(false);
  expect(listed(o, after.fh, 'a')).toBe(ino);
  expect(ino).not.toBe(stat(o, 'b').ino);
});

test('a copy without an origin, once it has been forgotten', () => {
  writeFileSync(union.at('l1', 'a'), 'text');
  const o = union.mount({ ...openSys(), openByHandleAt: () => -EPERM });
  const [first, kept, after] = [new OpenOut(), new OpenOut(), new OpenOut()];
  expect(touch(o, 'a', O_WRONLY)).toBe(0);
  const { ino } = stat(o, 'a');
  o.opendir(me, 1, first);
  expect(listed(o, first.fh, 'a')).toBe(ino);
  o.opendir(me, 1, kept);
  expect(kept.keepCache).toBe(true);
  o.forget(walk(o, 'a'), 1000);
  o.opendir(me, 1, after);
  expect(after.keepCache).toBe(false);
  expect(listed(o, after.fh, 'a')).toBe(stat(o, 'a').ino);
  expect(stat(o, 'a').ino).not.toBe(ino);
});
