/**
 * Our own fsx: random operations on a few files, with a model of what each should hold beside them
 * (after the exerciser that Apple and Linux test filesystems with). Every read is compared, and
 * now and then every byte; at the end of each round a remount, the kernel's overlay on the same
 * layers, and the lowers, which have not changed.
 *
 * A run is its seed: the same seed on the same target does the same. It ends at the first thing
 * that is wrong, and says how to do it again.
 */
import type { Sys } from 'stratafs/internal/sys/sys';
import type { Backend } from '../backend.ts';
import type { BaseDir } from '../base-dir.ts';
import { random } from '../random.ts';
import { dataKinds } from './data.ts';
import { directRoom } from './direct.ts';
import { beginning, type Ground, plainGround, ROUND, unionGround } from './ground.ts';
import { compareAll, compareNames, lifeKinds } from './life.ts';
import { mapKinds } from './maps.ts';
import { type FileState, type Kinds, Mismatch, Play } from './play.ts';
import { spaceKinds } from './space.ts';

/** Operations in one directory. */
const EPISODE = 1200;

const kinds: Kinds = { ...dataKinds, ...spaceKinds, ...mapKinds, ...lifeKinds };
const lots: readonly string[] = Object.entries(kinds).flatMap(([name, { weight }]) => Array(weight).fill(name));

export interface FsxOptions {
  seed: number;
  operations: number;
  /** Mount options of a union; `index=on` makes both names of a lower hard link one file. */
  options: readonly string[];
  /** As a person gives it on the command line. */
  target: string;
}

export interface FsxResult {
  operations: number;
  /** How often each kind was done. */
  done: Readonly<Record<string, number>>;
  /** Kinds that the target cannot do. */
  unsupported: readonly string[];
  /** What was wrong, with the last operations and how to repeat them. */
  wrong: readonly string[];
}

/** `backend` null: a plain directory. */
export async function fsx(sys: Sys, base: BaseDir, backend: Backend | null, options: FsxOptions): Promise<FsxResult> {
  const real = backend?.name === 'in-process' ? null : sys;
  const play = new Play(random(options.seed), {
    sys: real,
    // The kernel's mappings stay on the lower when the file is copied up.
    coherent: backend?.name !== 'kernel',
    room: real && directRoom(sys, base.path),
  });
  const linked = backend === null || options.options.includes('index=on');
  const wrong: string[] = [];
  for (let round = 0; wrong.length === 0 && play.operations < options.operations; round++) {
    const name = `fsx-${options.target}-${round}`;
    const ground = backend
      ? await unionGround(sys, base, backend, name, options.options)
      : plainGround(sys, base, name);
    try {
      await playRound(play, ground, linked, options.operations);
    } catch (error) {
      if (!(error instanceof Mismatch)) {
        throw error;
      }
      wrong.push(report(error, play, options));
    } finally {
      play.leave();
      await ground.unmount();
    }
    wrong.push(...ground.changes());
    ground.remove();
  }
  return { operations: play.operations, done: play.done, unsupported: [...play.unsupported], wrong };
}

async function playRound(play: Play, ground: Ground, linked: boolean, operations: number): Promise<void> {
  const left = new Map<string, Map<string, FileState | null>>();
  const compareLeft = (): void => {
    for (const [dir, names] of left) {
      play.names = names;
      play.enter(ground.door(dir));
      compareNames(play);
      play.leave();
    }
  };
  for (const dir of ROUND) {
    if (play.operations >= operations) {
      break;
    }
    play.names = beginning(linked);
    left.set(dir, play.names);
    play.enter(ground.door(dir));
    const until = Math.min(operations, play.operations + EPISODE);
    const remountAt = play.rnd.below(4) === 0 ? play.operations + play.rnd.below(EPISODE) : -1;
    while (play.operations < until) {
      play.step(kinds, lots);
      if (play.operations === remountAt) {
        play.note('close all, mount again');
        play.leave();
        await ground.remount();
        play.enter(ground.door(dir));
      }
    }
    play.note('compare all files');
    compareAll(play);
    play.leave();
  }
  play.note('close all, mount again, compare all files of all directories');
  await ground.remount();
  compareLeft();
  if (ground.remountByKernel !== null) {
    play.note('mount by the kernel, compare all files of all directories');
    await ground.remountByKernel();
    compareLeft();
  }
}

function report(error: Mismatch, play: Play, { target, seed, options }: FsxOptions): string {
  const union = options.length > 0 ? ` --options ${options.join(',')}` : '';
  // One more than were done: the one that was wrong did not count.
  const again = `npm run soak -- fsx --target ${target} --seed ${seed} --ops ${play.operations + 1}${union}`;
  return `${error.message}\n  the last operations:\n    ${play.log.join('\n    ')}\n  again: ${again}`;
}
