/** Power cuts during copy-ups: none is torn, and the test sees it where a flush was forgotten. */
import { openSys } from 'stratafs/internal/sys/sys-koffi';
import { afterAll, describe, expect, it } from 'vitest';
import { openBaseDir } from '../base-dir.ts';
import { fuse } from '../targets/fuse.ts';
import { LAZY } from '../targets/lazy.ts';
import { powerCutUnavailable } from './disks.ts';
import { type PowerCutOptions, powerCut } from './power-cut.ts';

const sys = openSys();
const base = openBaseDir(sys);
afterAll(() => base.close(), 60_000);
const reason = powerCutUnavailable(sys, base);

const common: Omit<PowerCutOptions, 'overlay' | 'cuts'> = {
  seed: Number(process.env.STRATA_SEED ?? 1),
  cutsPerLoad: 5,
  subjects: 40,
  disks: ['ext4', 'xfs', 'ext4', 'xfs with reflink'],
  options: [
    ['redirect_dir=on', 'index=off', 'metacopy=off'],
    ['redirect_dir=on', 'index=on', 'metacopy=on'],
  ],
  peer: false,
  progress: () => {},
};

describe('power cuts', () => {
  for (const [name, overlay, cuts] of [
    ['our FUSE mount', fuse, 20],
    ['our engine in process', 'in-process', 20],
  ] as const) {
    it(`${name}: no file is torn`, { timeout: 180_000 }, async (context) => {
      if (reason !== null) context.skip(reason);
      const result = await powerCut(sys, base, { ...common, overlay, cuts });
      expect(result.wrong).toEqual([]);
      expect(result).toMatchObject({ cuts, torn: 0 });
      // Else the load had not begun where the power went, and nothing is proven.
      expect(result.changed).toBeGreaterThan(cuts / 2);
    });
  }

  for (const [name, overlay] of [
    ['our FUSE mount', fuse],
    ['our engine in process', 'in-process'],
  ] as const) {
    it(`${name}, copying up lazily: no file is torn, and the kernel reads none that is not complete`, {
      timeout: 180_000,
    }, async (context) => {
      if (reason !== null) context.skip(reason);
      const options = common.options.map((set) => [...set, ...LAZY]);
      const result = await powerCut(sys, base, { ...common, options, overlay, cuts: 20 });
      expect(result.wrong).toEqual([]);
      expect(result).toMatchObject({ cuts: 20, torn: 0 });
      expect(result.changed).toBeGreaterThan(10);
    });
  }

  for (const disk of ['ext4', 'xfs'] as const) {
    it(`${disk}: copies that are not flushed before they appear are found torn`, {
      timeout: 120_000,
    }, async (context) => {
      if (reason !== null) context.skip(reason);
      const result = await powerCut(sys, base, { ...common, disks: [disk], overlay: 'unflushed', cuts: 10 });
      expect(result.torn).toBeGreaterThan(0);
    });
  }

  it('a volatile mount is found torn', { timeout: 120_000 }, async (context) => {
    if (reason !== null) context.skip(reason);
    const result = await powerCut(sys, base, { ...common, options: [['volatile']], overlay: 'in-process', cuts: 10 });
    expect(result.torn).toBeGreaterThan(0);
  });
});
