import { mkdirSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { useTempDir } from '../../test/support/temp-dir.ts';
import { AT_FDCWD, LOCK_EX, LOCK_NB, LOCK_UN, O_DIRECTORY, O_RDONLY } from '../sys/constants.ts';
import { EBUSY, ENOLCK } from '../sys/errno.ts';
import { openSys } from '../sys/sys-koffi.ts';
import { lockUpper } from './lock.ts';

describe('lockUpper', () => {
  const sys = openSys();
  const dir = useTempDir(sys);
  const never = (): boolean => false;
  let opened: number[] = [];
  let pairs: [upper: number, work: number][];

  /** The two directories, opened twice over: as two servers would. */
  beforeEach(() => {
    for (const name of ['upper', 'work']) mkdirSync(dir.at(name));
    const open = (name: string): number => sys.openat(AT_FDCWD, dir.at(name), O_RDONLY | O_DIRECTORY, 0);
    pairs = [0, 1].map(() => [open('upper'), open('work')]);
    opened = pairs.flat();
  });
  afterEach(() => {
    for (const fd of opened) sys.close(fd);
  });

  it('takes both, and a second server gets EBUSY', () => {
    expect(lockUpper(sys, ...pairs[0], 0, never)).toBe(0);
    expect(lockUpper(sys, ...pairs[1], 0, never)).toBe(-EBUSY);
  });

  it('one of two that is taken is enough, and the other is not kept', () => {
    sys.flock(pairs[0][1], LOCK_EX);
    expect(lockUpper(sys, ...pairs[1], 0, never)).toBe(-EBUSY);
    expect(sys.flock(pairs[0][0], LOCK_EX | LOCK_NB)).toBe(0);
  });

  it('is free again when the holder has closed its descriptors', () => {
    lockUpper(sys, ...pairs[0], 0, never);
    for (const fd of pairs[0]) sys.close(fd);
    opened = pairs[1];
    expect(lockUpper(sys, ...pairs[1], 0, never)).toBe(0);
  });

  it('waits for a holder that is ending', () => {
    lockUpper(sys, ...pairs[0], 0, never);
    let looks = 0;
    const ending = (): boolean => {
      // It finishes while somebody waits for it.
      if (++looks === 3) for (const fd of pairs[0]) sys.flock(fd, LOCK_UN);
      return true;
    };
    expect(lockUpper(sys, ...pairs[1], 5000, ending)).toBe(0);
    expect(looks).toBe(3);
  });

  it('waits no longer than it was told, and stops when the holder turns out to live', () => {
    lockUpper(sys, ...pairs[0], 0, never);
    const start = performance.now();
    expect(lockUpper(sys, ...pairs[1], 60, () => true)).toBe(-EBUSY);
    expect(performance.now() - start).toBeGreaterThanOrEqual(50);
    let looks = 0;
    expect(lockUpper(sys, ...pairs[1], 60_000, () => ++looks < 3)).toBe(-EBUSY);
    expect(looks).toBe(3);
  });

  it('a filesystem without locks says so', () => {
    const broken = { ...sys, flock: () => -ENOLCK };
    expect(lockUpper(broken, ...pairs[0], 1000, () => true)).toBe(-ENOLCK);
  });
});
