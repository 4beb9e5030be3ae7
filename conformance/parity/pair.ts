/**
 * Two unions of the same lowers: one mounted by the kernel, one by ours. Each has an upper and a
 * workdir of its own, a store; at a swap the sides exchange their stores.
 *
 * Mount points lie alone in a read-only directory each, so that a symlink that leads out of the
 * mount finds nothing, on either side, and nothing can be made there.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, utimesSync } from 'node:fs';
import type { ByteString } from 'stratafs/internal/sys/bytes';
import { fromText } from 'stratafs/internal/sys/bytes';
import { errnoName } from 'stratafs/internal/sys/errno';
import type { Sys } from 'stratafs/internal/sys/sys';
import type { Backend, View } from '../backend.ts';
import { type Random, random } from '../random.ts';
import { fuse } from '../targets/fuse.ts';
import { kernel } from '../targets/kernel.ts';
import { Filesystems } from './filesystems.ts';
import { LayerMaker } from './layers.ts';
import type { Mode } from './modes.ts';

/** Of both uppers: the merged root shows it. */
export const MADE = 1_300_000_000;

export interface Store {
  readonly upper: ByteString;
  readonly work: ByteString;
}

interface SideState {
  readonly backend: Backend;
  readonly merged: ByteString;
  readonly options: readonly string[];
  view: View | null;
}

export class Pair {
  readonly #sys: Sys;
  readonly #mode: Mode;
  readonly #filesystems: Filesystems = new Filesystems();
  /** One directory for each filesystem that lowers lie on, and one for uppers. */
  readonly #lowerRoots: readonly string[];
  readonly #upperRoot: string;
  readonly #sides: readonly [SideState, SideState];
  #stores: readonly Store[] = [];
  #swapped = false;
  lowers: readonly ByteString[] = [];

  constructor(sys: Sys, mode: Mode) {
    this.#sys = sys;
    this.#mode = mode;
    this.#lowerRoots = mode.lowersOn.map((kind) => this.#filesystems.make(kind));
    this.#upperRoot = this.#filesystems.make(mode.upperOn);
    const side = (backend: Backend, options: readonly string[]): SideState => {
      const around = `${this.#filesystems.base}/${backend.name}`;
      mkdirSync(around);
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'mode=755', 'strata-parity', around]);
      mkdirSync(`${around}/m`);
      execFileSync('mount', ['-o', 'remount,ro', around]);
      return { backend, merged: fromText(`${around}/m`), options, view: null };
    };
    this.#sides = [side(kernel, mode.options), side(fuse, mode.ours ?? mode.options)];
    mkdirSync(`${this.#filesystems.base}/making`);
  }

  /** The kernel's, then ours. */
  get merged(): readonly [ByteString, ByteString] {
    return [this.#sides[0].merged, this.#sides[1].merged];
  }

  /** What the kernel has written to, then ours. */
  get stores(): readonly [Store, Store] {
    const [first, second] = this.#stores;
    return this.#swapped ? [second, first] : [first, second];
  }

  get upperRoot(): ByteString {
    return fromText(this.#upperRoot);
  }

  /** New lowers and empty uppers; unmounted. `plant` may make the lowers in another way. */
  reset(seed: number, plant?: (lower: ByteString) => void): void {
    for (const root of [...this.#lowerRoots, this.#upperRoot]) {
      execFileSync('find', [root, '-mindepth', '1', '-delete']);
    }
    this.#swapped = false;
    this.#stores = [this.#makeStore('s0'), this.#makeStore('s1')];
    if (plant !== undefined) {
      this.lowers = [this.#makeDir(this.#lowerRoots[0], 'lower')];
      plant(this.lowers[0]);
      return;
    }
    const rnd = random(seed);
    this.lowers = this.#makeLowers(rnd);
  }

  #makeLowers(rnd: Random): ByteString[] {
    const roots = Array.from({ length: 2 + rnd.below(3) }, (_, i) => this.#lowerRoots[i % this.#lowerRoots.length]);
    const lowers = roots.map((root, i) => this.#makeDir(root, `l${i}`));
    const scratch = roots.map((root, i) => this.#makeDir(root, `making${i}`));
    const maker = new LayerMaker(this.#sys, rnd);
    maker.make(lowers, this.#mode.making, scratch, fromText(`${this.#filesystems.base}/making`));
    return lowers;
  }

  #makeStore(name: string): Store {
    const at = `${this.#upperRoot}/${name}`;
    mkdirSync(at);
    const store = { upper: this.#makeDir(at, 'u'), work: this.#makeDir(at, 'w') };
    // Whatever this process's umask is by now: everybody makes names in the root.
    chmodSync(`${at}/u`, 0o777);
    utimesSync(`${at}/u`, MADE, MADE);
    return store;
  }

  #makeDir(root: string, name: string): ByteString {
    mkdirSync(`${root}/${name}`);
    return fromText(`${root}/${name}`);
  }

  async mount(): Promise<void> {
    for (const [i, side] of this.#sides.entries()) {
      const { upper, work } = this.stores[i];
      const layers = { lowers: this.lowers, upper, work, merged: side.merged, options: side.options };
      const view = await side.backend.mount(this.#sys, layers);
      if (typeof view === 'number') {
        throw new MountRefused(`${side.backend.name} refuses ${side.options.join(',')}: ${errnoName(view)}`);
      }
      side.view = view;
    }
  }

  /** Says to the watchdog of our server that it lives. */
  alive(): void {
    this.#sides[1].view?.door('').end();
  }

  async unmount(): Promise<void> {
    for (const side of this.#sides) {
      const { view } = side;
      side.view = null;
      await view?.close();
    }
  }

  /** While unmounted. */
  swap(): void {
    this.#swapped = !this.#swapped;
  }

  /** Whatever state it is in. */
  async close(): Promise<void> {
    await this.unmount();
    this.#filesystems.close();
  }
}

/** A side does not mount these layers with these options. */
class MountRefused extends Error {
  override name = 'MountRefused';
}
