import { expect, it } from 'vitest';
import type { Sys } from '../sys/sys.ts';
import { isIdmapped } from './idmapped.ts';

const table = '7 1 8:1 / / rw - ext4 /dev/sda rw\n9 7 8:1 / /m ro,idmapped - ext4 /dev/sda rw\n';

/** A machine that has this mount table and nothing else. */
function machine() {
  const state = { opened: 0, left: '' };
  const sys = {
    openat() {
      state.opened++;
      state.left = table;
      return 3;
    },
    read(_fd: number, buf: Buffer) {
      const n = buf.write(state.left, 'latin1');
      state.left = '';
      return n;
    },
    close: () => 0,
  } as unknown as Sys;
  return { sys, state };
}

it('layers that are opened together have a mount looked up once; each mount is told from the others', () => {
  const { sys, state } = machine();
  const together = {};
  expect([7, 9, 7, 9, 9].map((id) => isIdmapped(sys, id, together))).toEqual([false, true, false, true, true]);
  expect(state.opened).toBe(2);
  expect(isIdmapped(sys, 9, {})).toBe(true);
  expect(state.opened).toBe(3);
});
