/**
 * A crash at every point of every compound operation, with unsynced data dropped: some points of some operations, by the
 * seed; `npm run soak -- crash-points` has all. That a forgotten flush is seen is tried each time.
 */
import { toText } from 'stratafs/internal/sys/bytes';
import type { Sys } from 'stratafs/internal/sys/sys';
import { openSys } from 'stratafs/internal/sys/sys-koffi';
import { afterAll, describe, expect, it } from 'vitest';
import type { Options } from '../../packages/overlay/test/support/faults/bench.ts';
import { furtherOperations } from '../../packages/overlay/test/support/faults/further-operations.ts';
import { must } from '../../packages/overlay/test/support/faults/layers.ts';
import { linkOperations, metacopyOperations } from '../../packages/overlay/test/support/faults/link-operations.ts';
import type { Operation } from '../../packages/overlay/test/support/faults/operation.ts';
import { operations } from '../../packages/overlay/test/support/faults/operations.ts';
import { isTallied, tallied } from '../../packages/overlay/test/support/faults/tally.ts';
import { whiteoutOperations } from '../../packages/overlay/test/support/faults/whiteout-operations.ts';
import { openBaseDir } from '../base-dir.ts';
import { type DiskType, powerCutUnavailable } from '../power-cut/disks.ts';
import { random } from '../random.ts';
import { CrashBench, type CrashPlan, type CrashResult } from './crash-points.ts';

const sys = openSys();
const base = openBaseDir(sys);
afterAll(() => base.close(), 60_000);
const reason = powerCutUnavailable(sys, base);

const soak = process.env.STRATA_SOAK === 'crash-points';
const seed = Number(process.env.STRATA_SEED ?? 1);
/** How many operations one log has. */
const PER_LOG = 12;
const SAMPLE = { operations: 3, points: 6 };

/** What changes a user's own data, which is his to flush, may be cut in two by any filesystem. */
const writing = /^(write|allocate|copy a range|fsync|syncfs|truncate an upper|open an upper)/;
const further = Object.fromEntries(Object.entries(furtherOperations).filter(([name]) => !writing.test(name)));
const directories = Object.fromEntries(
  Object.entries(operations).filter(([name]) => /directory|rmdir|mkdir|file$/.test(name)),
);
const leaving = Object.fromEntries(Object.entries(whiteoutOperations).filter(([name]) => /leave/.test(name)));

/** With the metadata alone copied up, its data comes then. */
const OTHER = 'copy up the other link';

const sets: [options: Options, operations: Readonly<Record<string, Operation>>][] = [
  [
    { params: {}, text: ',redirect_dir=on' },
    { ...operations, ...further, ...whiteoutOperations },
  ],
  [
    { params: { index: true, redirectDir: 'on' }, text: ',redirect_dir=on,index=on' },
    { ...linkOperations, ...directories, ...leaving },
  ],
  [
    { params: { metacopy: true, redirectDir: 'on', index: true }, text: ',redirect_dir=on,metacopy=on,index=on' },
    { ...metacopyOperations, ...linkOperations, [OTHER]: { ...linkOperations[OTHER], completes: true } },
  ],
  [
    { params: { nfsExport: true, redirectDir: 'on', index: true }, text: ',redirect_dir=on,index=on,nfs_export=on' },
    { ...linkOperations, ...directories },
  ],
];
const disks: DiskType[] = ['ext4', 'xfs', 'xfs with reflink'];

/**
 * A clone is not flushed, since the filesystem's journal has it before the name. So it takes a filesystem that clones:
 * what stands in for one where faults are tried copies the data, which a crash would take away.
 */
function on(disk: DiskType, set: Readonly<Record<string, Operation>>): [name: string, operation: Operation][] {
  const entries = Object.entries(set);
  if (disk !== 'xfs with reflink') return entries.filter(([name]) => !BY_CLONE.test(name));
  return entries
    .filter(([name]) => BY_CLONE.test(name) || COPIES.test(name))
    .map(([name, operation]) => [name, BY_CLONE.test(name) ? { ...operation, on: mustClone } : operation]);
}

const BY_CLONE = / by a clone$/;
const COPIES = /^(copy up|complete) /;

function mustClone(it: Sys): Sys {
  const ficlone: Sys['ficlone'] = (dst, src) => {
    must(it.ficlone(dst, src));
    return 0;
  };
  return { ...it, ficlone };
}

async function crashes(plan: CrashPlan, name: string): Promise<CrashResult> {
  const bench = new CrashBench(sys, toText(base.make(name.replaceAll(/[^a-z0-9]+/g, '-'))), plan);
  try {
    return await bench.run();
  } finally {
    bench.close();
  }
}

const all = sets.flatMap(([options, set]) =>
  disks.flatMap((disk) => {
    const entries = on(disk, set);
    const logs = Array.from({ length: Math.ceil(entries.length / PER_LOG) }, (_, i) =>
      entries.slice(i * PER_LOG, (i + 1) * PER_LOG),
    );
    return logs.map((log, i) => ({ name: `${disk}${options.text} ${i + 1}`, disk, options, operations: log }));
  }),
);
const count = all.reduce((sum, log) => sum + log.operations.length, 0);
const cuts = Number(process.env.STRATA_CUTS || Number.POSITIVE_INFINITY);

/** No test is skipped for the other kind of run: that would count as a skip. */
function everyCrash(): void {
  for (const { name, disk, options, operations: log } of all) {
    it(name, { timeout: 3_600_000 }, async () => {
      if (isTallied(name)) return;
      const most = Math.max(1, Math.round(cuts / count));
      const plan: CrashPlan = { disk, options, operations: log, flushing: 'each call', seed, most };
      const { points, torn } = await crashes(plan, name);
      expect(torn).toEqual([]);
      tallied(name, () => points);
    });
  }
}

function sample(): void {
  const r = random(seed);
  for (const disk of disks) {
    for (const [options, set] of sets) {
      it(`${disk}${options.text}`, { timeout: 180_000 }, async (context) => {
        if (reason !== null) context.skip(reason);
        const entries = on(disk, set);
        const log = Array.from(
          { length: Math.min(SAMPLE.operations, entries.length) },
          () => entries.splice(r.below(entries.length), 1)[0],
        );
        const plan: CrashPlan = { disk, options, operations: log, flushing: 'each call', seed, most: SAMPLE.points };
        const { points, torn } = await crashes(plan, `${disk}${options.text}`);
        expect(torn).toEqual([]);
        expect(points).toBeGreaterThan(log.length);
      });
    }
    // Nothing is copied where clones are made.
    if (disk === 'xfs with reflink') continue;
    it(`${disk}: a copy that is not flushed before it appears is found torn`, { timeout: 180_000 }, async (context) => {
      if (reason !== null) context.skip(reason);
      const names = ['copy up a big file in chunks', 'copy up a file'];
      const log = names.map((name): [string, Operation] => [name, operations[name]]);
      const plan: CrashPlan = { disk, options: sets[0][0], operations: log, flushing: 'nothing', seed, most: 4 };
      expect((await crashes(plan, `${disk}-unflushed`)).torn).not.toEqual([]);
    });
  }
}

describe('crash points', soak ? everyCrash : sample);
