/**
 * After a target has played its cases: the kernel's overlay plays the same ones, and both uppers
 * are compared, case by case. Then each mounts what the other has written, and both have to see
 * the same tree.
 */
import type { ByteString } from 'stratafs/internal/sys/bytes';
import type { Sys } from 'stratafs/internal/sys/sys';
import { afterAll, beforeAll, describe, it } from 'vitest';
import type { Backend } from './backend.ts';
import type { BaseDir } from './base-dir.ts';
import type { OverlayGroup } from './overlay-case.ts';
import { OverlayPlay, playableCases, playOverlay } from './overlay-suite.ts';
import { PosixPlay } from './posix-suite.ts';
import { differences, type Snapshot, snapshotTree } from './snapshot.ts';
import type { Stage } from './stage.ts';
import { kernel } from './targets/kernel.ts';
import { upperDifferences } from './uppers.ts';

function report(lines: readonly string[], what: string): void {
  if (lines.length > 0) {
    const shown = lines.slice(0, 20).join('\n  ');
    throw new Error(`${what}:\n  ${shown}${lines.length > 20 ? `\n  … and ${lines.length - 20} more` : ''}`);
  }
}

/** Failures of the oracle are its own tests' to tell; what it leaves is compared all the same. */
async function quietly(run: () => void | Promise<void>): Promise<void> {
  try {
    await run();
  } catch {
    // See above.
  }
}

/** `ours` has been played, and is unmounted. */
export function describePosixUppers(sys: Sys, base: BaseDir, ours: PosixPlay, since: number): void {
  const oracle = new PosixPlay(sys, base, kernel, `oracle-of-${ours.backend.name}`, ours.options, ours.positions);
  beforeAll(async () => {
    await oracle.begin();
    for (const position of oracle.positions) {
      for (const name of oracle.playable(position)) {
        await quietly(() => oracle.play(position, name));
      }
    }
    await oracle.stage.close();
  }, 120_000);
  if (ours.positions.every((position) => ours.playable(position).length === 0)) {
    it('no case to compare', (context) => context.skip('none of the chosen cases can be played here'));
    return;
  }
  for (const position of ours.positions.filter((of) => ours.playable(of).length > 0)) {
    describe(position, () => {
      for (const name of ours.playable(position)) {
        it(`${name}: the upper is the kernel's`, () => {
          report(
            upperDifferences(sys, oracle.upperPath(position, name), ours.upperPath(position, name), since),
            'the uppers differ',
          );
        });
      }
    });
  }
  const places = ours.positions.flatMap((position) => ours.playable(position).map((name) => ours.path(position, name)));
  describeSwap(
    sys,
    ours.backend,
    () => ours.stage,
    () => oracle.stage,
    sampled(places, SAMPLE),
  );
}

/** How many directories of cases are looked at after a swap: enough that a run takes seconds. */
const SAMPLE = 300;

/** Some of `all`, others in each run: by the run's seed. */
function sampled<T>(all: readonly T[], count: number): T[] {
  const step = Math.max(1, Math.floor(all.length / count));
  const start = Number(process.env.STRATA_SEED ?? 0) % step;
  return all.filter((_, i) => i % step === start);
}

/** Each of two backends shows the other's layers, and a person must not see which. */
function describeSwap(
  sys: Sys,
  backend: Backend,
  ours: () => Stage,
  oracle: () => Stage,
  places: readonly ByteString[],
): void {
  if (backend.name === 'in-process') {
    return; // there is no directory to look at
  }
  for (const [whose, stageOf] of [
    ['our', ours],
    ["the kernel's", oracle],
  ] as const) {
    it(`the kernel and ${backend.name} show ${whose} layers alike`, { timeout: 60_000 }, async () => {
      const stage = stageOf();
      const seenBy = async (by: Backend): Promise<Snapshot[]> => {
        await stage.mount(by);
        const trees = places.map((path) => snapshotTree(sys, stage.mergedPath(path)));
        await stage.close();
        return trees;
      };
      const byKernel = (await seenBy(kernel)).map(withoutDenied);
      const byOurs = await seenBy(backend);
      const lines = places.flatMap((path, i) =>
        differences(byKernel[i], byOurs[i], 'the kernel’s view', 'ours').map((line) => `${path}/${line}`),
      );
      report(lines, 'the views differ');
    });
  }
}

/** The kernel lists some whiteouts, and denies them: docs/differences.md, its first row. */
function withoutDenied(view: Snapshot): Snapshot {
  return new Map([...view].filter(([, entry]) => entry.error !== 'ENOENT'));
}

export function describeOverlayUppers(
  sys: Sys,
  base: BaseDir,
  backend: Backend,
  groups: Readonly<Record<string, OverlayGroup>>,
  plays: ReadonlyMap<string, OverlayPlay>,
  since: number,
  stacked: BaseDir | null = null,
): void {
  const writable = Object.entries(groups).filter(([, group]) => group.writable !== false);
  if (writable.length === 0) {
    it('no case to compare', (context) => context.skip('none of the chosen cases writes'));
    return;
  }
  for (const [groupName, group] of writable) {
    const ours = plays.get(groupName);
    if (ours === undefined) {
      continue;
    }
    const names = playableCases(group, kernel, base).filter((name) =>
      playableCases(group, backend, stacked ?? base).includes(name),
    );
    if (names.length === 0) {
      continue;
    }
    const oracle = new OverlayPlay(
      sys,
      base,
      kernel,
      `oracle-of-${(stacked ?? base).label}${backend.name}-${groupName}`,
      group,
    );
    describe(groupName, () => {
      beforeAll(async () => {
        await oracle.begin(names);
        for (const name of names) {
          await quietly(() => playOverlay(sys, oracle.stage(name), kernel, oracle.slugOf(name), group.cases[name]));
        }
        await oracle.end();
      }, 120_000);
      afterAll(() => oracle.end(), 60_000);
      for (const name of names) {
        it(`${name}: the upper is the kernel's`, () => {
          report(
            upperDifferences(sys, oracle.upperPath(name), ours.upperPath(name), since, stacked !== null),
            'the uppers differ',
          );
        });
      }
      if (!group.own && stacked === null) {
        describeSwap(
          sys,
          backend,
          () => ours.stage(names[0]),
          () => oracle.stage(names[0]),
          [''],
        );
      }
    });
  }
}
