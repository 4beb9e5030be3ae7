/** A sample of the stress run, on the kernel's overlay (which the table of errnos is judged by) and on ours. */
import { openSys } from 'stratafs/internal/sys/sys-koffi';
import { afterAll, describe, expect, it } from 'vitest';
import { openBaseDir } from './base-dir.ts';
import { stress } from './stress.ts';
import { fuse } from './targets/fuse.ts';
import { kernel } from './targets/kernel.ts';

const sys = openSys();
const base = openBaseDir(sys);
afterAll(() => base.close(), 60_000);

describe('twenty workers on one tree', () => {
  for (const [backend, seconds] of [
    [kernel, 3],
    [fuse, 8],
  ] as const) {
    it(backend.name, { timeout: 180_000 }, async (context) => {
      const reason = backend.unavailable(base);
      if (reason !== null) {
        context.skip(reason);
      }
      const { operations, succeeded, wrong } = await stress(sys, base, backend, {
        seed: Number(process.env.STRATA_SEED ?? 1),
        seconds,
      });
      expect(wrong).toEqual([]);
      // Every kind of operation has to have done something, or the run proves nothing.
      expect(Object.keys(succeeded).sort()).toEqual([
        'append',
        'chmod',
        'create',
        'link',
        'mkdir',
        'read',
        'readdir',
        'readlink',
        'rename',
        'rename-dir',
        'rmdir',
        'stat',
        'symlink',
        'treasure',
        'truncate',
        'unlink',
        'write',
      ]);
      expect(operations).toBeGreaterThan(1000);
    });
  }
});
