import { expect, test } from 'vitest';
import type { Sys } from '../sys/sys.ts';
import { CAP_SYS_RESOURCE, dropCapability, hasCapability } from './privilege.ts';

/** A thread with these effective capabilities. */
function thread(low: number, high: number): Sys {
  return {
    getcap: () => [low, high],
    setcapEffective: (l, h) => {
      [low, high] = [l, h];
      return 0;
    },
  } as Partial<Sys> as Sys;
}

test('dropCapability takes one away and leaves the others', () => {
  const sys = thread(0xffff_ffff, 0x1ff);
  expect(dropCapability(sys, CAP_SYS_RESOURCE)).toBe(0);
  expect(hasCapability(sys, CAP_SYS_RESOURCE)).toBe(false);
  expect(sys.getcap()).toEqual([0xfeff_ffff, 0x1ff]);
});
