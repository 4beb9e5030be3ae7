/**
 * Twenty writers and readers in four processes on one tree, with renames across directories, some of
 * which lie in the lower: nothing hangs, nothing is torn, and no error comes that the kernel's overlay does
 * not give under the same load. Afterwards the kernel shows the upper as the server showed it.
 */
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { requireMachine } from './support/require.ts';
import { Sandbox } from './support/sandbox.ts';

const able = requireMachine('findmnt', 'umount');
const seconds = process.env.CI === 'true' || process.env.STRATA_SOAK === '1' ? 60 : 15;
const seed = Number(process.env.STRATA_SEED);
const stress = path.join(import.meta.dirname, 'support/stress.mjs');

/** What may fail when others move, replace and delete at the same time. */
const expected: Record<string, readonly string[]> = {
  append: ['ENOENT', 'EISDIR', 'ELOOP'],
  replace: ['ENOENT', 'EISDIR', 'ELOOP'],
  read: ['ENOENT', 'EISDIR', 'ELOOP'],
  list: ['ENOENT', 'ENOTDIR'],
  stat: ['ENOENT'],
  chmod: ['ENOENT', 'ELOOP'],
  rename: ['ENOENT', 'EISDIR', 'ENOTDIR'],
  renameFolder: ['ENOENT', 'ENOTEMPTY', 'EINVAL', 'EBUSY'],
  link: ['ENOENT', 'EEXIST', 'EPERM'],
  unlink: ['ENOENT', 'EISDIR'],
  mkdir: ['ENOENT', 'EEXIST'],
  rmdir: ['ENOENT', 'ENOTEMPTY'],
  symlink: ['ENOENT', 'EEXIST'],
  truncate: ['ENOENT', 'EISDIR', 'ELOOP', 'EINVAL'],
};

const inventory =
  "(cd merged; find . -mindepth 1 \\( -type d -o -printf '%P %y %m %s %l\\n' \\) | sort; find . -type d -printf '%P %m\\n' | sort; find . -type f -print0 | sort -z | xargs -0r sha256sum)";

describe.each(['kernel', 'fuse'] as const)('twenty writers and readers by the %s backend', (backend) => {
  let box: Sandbox;
  beforeAll(async () => {
    if (able) box = await Sandbox.open();
  });
  afterAll(() => box?.close());

  test(`for ${seconds} s: no unexpected error, no torn record, no hang`, async () => {
    const options = 'redirect_dir=on,lowerdir=$PWD/lower,upperdir=$PWD/upper,workdir=$PWD/work';
    const mount =
      backend === 'kernel'
        ? `mount -t overlay stress -o "${options}" merged`
        : `$STRATA mount --backend fuse -o "${options}" merged`;
    await box.sh(`mkdir -p lower/d{0..3}/s{0,1} upper work merged
      for d in lower/d? lower/d?/s?; do for i in 1 3 5; do printf '%0100d\\n' 0 > $d/f$i; done; done
      ${mount}`);
    const out = await box.sh(
      `for p in 1 2 3 4; do node ${stress} merged ${seconds} $((${seed % 1_000_000} * 4 + p)) & pids="\${pids-} $!"; done
       for p in $pids; do wait $p; done`,
      { timeoutMs: seconds * 1000 + 60_000 },
    );
    const results = out
      .trim()
      .split('\n')
      .flatMap((line) => JSON.parse(line) as { done: number; failures: Record<string, number> }[]);
    expect(results).toHaveLength(20);
    for (const { done, failures } of results) {
      expect(done).toBeGreaterThan(100);
      const surprises = Object.entries(failures).filter(([failure]) => {
        const [operation, code] = failure.split(' ');
        return !expected[operation]?.includes(code);
      });
      expect(surprises).toEqual([]);
    }
    const live = await box.sh(inventory);
    await box.sh(`umount merged; mount -t overlay after -o "${options}" merged`);
    expect(await box.sh(inventory)).toBe(live);
    await box.sh('umount merged');
  });
});
