/**
 * A stage: one union in which many cases play, each in a directory of its own. Mounting is what
 * costs, so that all cases with the same options share a mount; what their layers hold is put
 * there before. Around each case the stage sees to it that no lower changed, not even an atime.
 */
import type { ByteString } from 'stratafs/internal/sys/bytes';
import * as c from 'stratafs/internal/sys/constants';
import type { Sys } from 'stratafs/internal/sys/sys';
import { type Backend, marksPrefix, type OpenDoor, type View } from './backend.ts';
import type { BaseDir } from './base-dir.ts';
import { check, readable } from './expect.ts';
import { differences, sealed } from './snapshot.ts';
import { kernel } from './targets/kernel.ts';
import { SysDoor } from './targets/sys-door.ts';
import { dir, type Node, plant, type Tree } from './tree.ts';

/** The layers of one case: entries of its group's directory in each layer, the top lower first. */
export interface LayerSet {
  upper: Tree;
  lowers: readonly Tree[];
}

export interface StageOptions {
  /** How many lowers; a case with fewer gets the lowest ones. */
  lowers: number;
  /** How many of them, from the last on, are data-only. */
  dataLayers?: number;
  /** false: no upper. */
  writable: boolean;
  options: readonly string[];
}

/** Our default for metacopy is not the kernel's: who does not say it means none. */
function allSaid(options: readonly string[]): readonly string[] {
  const said = options.some((option) => /^(metacopy|verity|nfs_export|userxattr)\b/.test(option));
  return said ? options : [...options, 'metacopy=off'];
}

export class Stage {
  readonly #sys: Sys;
  readonly #backend: Backend;
  readonly #plan: StageOptions;
  readonly #lowers: ByteString[];
  readonly #upper: ByteString;
  readonly #work: ByteString;
  readonly #merged: ByteString;
  /** How the overlay's own xattrs begin on these layers. */
  readonly prefix: ByteString;
  readonly #privileged: boolean;
  readonly handles: boolean;
  #view: View | null = null;

  constructor(sys: Sys, base: BaseDir, backend: Backend, name: string, plan: StageOptions) {
    this.#sys = sys;
    this.#backend = backend;
    this.#plan = { ...plan, options: allSaid(plan.options) };
    this.#privileged = base.privileged;
    this.handles = base.handles;
    this.prefix = marksPrefix(plan.options);
    const at = base.make(name);
    const make = (part: string): ByteString => {
      check(sys.mkdirat(c.AT_FDCWD, `${at}/${part}`, 0o755), part);
      return `${at}/${part}`;
    };
    this.#lowers = Array.from({ length: plan.lowers }, (_, i) => make(`lower${i + 1}`));
    this.#upper = make('upper');
    this.#work = make('work');
    this.#merged = make('merged');
  }

  /** Puts the layers of cases on disk, below directories called `group`. Before `mount`. */
  plant(group: ByteString, sets: readonly LayerSet[]): void {
    const { prefix } = this;
    const put = (layer: ByteString, trees: readonly Tree[]): void => {
      const entries: Record<ByteString, Node> = {};
      for (const tree of trees) {
        Object.assign(entries, tree);
      }
      if (Object.keys(entries).length > 0) {
        const fd = check(this.#sys.openat(c.AT_FDCWD, layer, c.O_RDONLY | c.O_DIRECTORY, 0), layer);
        plant(this.#sys, fd, { [group]: dir(entries) }, prefix);
        this.#sys.close(fd);
      }
    };
    put(
      this.#upper,
      sets.map((set) => set.upper),
    );
    for (const [i, lower] of this.#lowers.entries()) {
      put(
        lower,
        sets.map((set) => set.lowers[i - (this.#lowers.length - set.lowers.length)] ?? {}),
      );
    }
  }

  /** @returns 0, or the errno with which the backend (by default the stage's own) refuses the layers. */
  async tryMount(by: Backend = this.#backend): Promise<number> {
    const view = await by.mount(this.#sys, {
      lowers: this.#lowers,
      dataLayers: this.#plan.dataLayers ?? 0,
      upper: this.#plan.writable ? this.#upper : null,
      work: this.#work,
      merged: this.#merged,
      options: this.#plan.options,
    });
    if (typeof view === 'number') {
      return view;
    }
    this.#view = view;
    return 0;
  }

  async mount(by: Backend = this.#backend): Promise<void> {
    check(await this.tryMount(by), `${by.name} mount with ${this.#plan.options.join(',')}`);
  }

  /**
   * Has the kernel see all of the union once, where it can: at its first lookup it writes origins
   * onto upper directories that have none. Without this, what an upper holds would depend on which
   * names a case happens to look up (a listing by FUSE looks up more).
   */
  async settle(): Promise<void> {
    if (!this.#privileged || !this.#plan.writable) {
      return;
    }
    await this.mount(kernel);
    sealed(this.#sys, this.#merged, true);
    await this.close();
  }

  async close(): Promise<void> {
    const view = this.#view;
    this.#view = null;
    await view?.close();
  }

  door(path: ByteString): OpenDoor {
    if (this.#view === null) {
      throw new Error('set-up: the stage is not mounted');
    }
    return this.#view.door(path);
  }

  /** The case's own directory in the upper, as it lies on disk. */
  upperDoor(path: ByteString): OpenDoor {
    return new SysDoor(this.#sys, this.upperPath(path));
  }

  upperPath(path: ByteString): ByteString {
    return `${this.#upper}/${path}`;
  }

  /** The whole work directory on disk. */
  workDoor(): OpenDoor {
    return new SysDoor(this.#sys, this.#work);
  }

  mergedPath(path: ByteString): ByteString {
    return `${this.#merged}/${path}`;
  }

  lowerPaths(path: ByteString): ByteString[] {
    return this.#lowers.map((lower) => `${lower}/${path}`);
  }

  /** Plays something that belongs to `paths`; throws when there a lower is not what it was before. */
  async guarded(paths: readonly ByteString[], play: () => void | Promise<void>): Promise<void> {
    const places = paths.flatMap((path) => this.lowerPaths(path));
    const before = places.map((place) => sealed(this.#sys, place, this.#privileged));
    await play();
    for (const [i, place] of places.entries()) {
      const changed = differences(
        before[i],
        sealed(this.#sys, place, this.#privileged),
        'the lower before',
        'the lower after',
      );
      if (changed.length > 0) {
        throw new Error(`${readable(place)} was changed:\n  ${changed.join('\n  ')}`);
      }
    }
  }
}
