/**
 * `Super`: one mounted union (the kernel's ovl_fs): its layers, its configuration, its workdir,
 * its tables, and the numbering of filesystems from which inode numbers are made (xino).
 */
import { type Dentry, type Layer, LISTS_ALL } from '../layer/layer.ts';
import type { ByteString } from '../sys/bytes.ts';
import { Stat } from '../sys/stat.ts';
import { ambiguousFilesystems } from './ambiguous-uuids.ts';
import { Asides, type CopyAside } from './asides.ts';
import { NameIndexes } from './index-names.ts';
import type { DirInode } from './inode.ts';
import { InodeTable } from './inode-table.ts';
import { LazyFiles } from './lazy-files.ts';
import type { LeftWhiteout } from './left-whiteout.ts';
import { Listings } from './listings.ts';
import type { Config } from './params.ts';
import { type SyncAside, Syncs } from './syncs.ts';
import { Traps } from './traps.ts';
import { allowsOfflineChanges } from './util.ts';
import { XattrNames } from './xattrs.ts';

const NO_UUID = Buffer.alloc(16);

export interface SuperHooks {
  /** One line for people: what was ignored, repaired, refused. */
  log(line: string): void;
  /** Asked between the chunks of long work: true ends it with -EINTR. */
  cancelled(): boolean;
  /** The ids that objects made by our own process get. */
  uid: number;
  gid: number;
  /** `length` random bytes, for the uuid of a new upper. */
  random(length: number): Buffer;
  /** The supplementary groups of a process, for a door whose requests do not tell them. */
  groupsOf?(pid: number): readonly number[];
  /** The root who calls is that of a user namespace only: as he changes data, suid and sgid go as by anybody (CAP_FSETID). */
  mereRoot?: boolean;
  /** What was said of an inode's attributes no longer holds, by an operation on another one. */
  attrChanged?(nodeid: number): void;
  /** A door that can ask again later has long copies made by another thread (asides.ts). */
  copyAside?: CopyAside;
  /** The same for long flushes (syncs.ts). */
  syncAside?: SyncAside;
  /** The operation has done a part of long work: it answers -ERESTART, and is to be asked again when others have had their turn. */
  goesOn?(): void;
}

export interface SuperLayers {
  /** Topmost first. */
  lowers: Layer[];
  /** Data-only layers, below all lowers. */
  data?: Layer[];
  upper: Layer | null;
  /** A layer whose root is the workdir, on the upper's mount. */
  work: Layer | null;
}

export class Super {
  /** Changed while mounting only, where a feature is not to be had. */
  config: Config;
  readonly names: XattrNames;
  readonly lowers: readonly Layer[];
  readonly dataLayers: readonly Layer[];
  readonly upper: Layer | null;
  readonly hooks: SuperHooks;
  readonly inodes: InodeTable = new InodeTable();
  readonly listings: Listings = new Listings();
  readonly lazy: LazyFiles = new LazyFiles();
  readonly asides: Asides = new Asides(this);
  readonly syncs: Syncs = new Syncs();
  /** Lowers whose files cannot be reflinked into the upper. */
  readonly unclonable: Set<Layer> = new Set();
  readonly nameIndexes: NameIndexes = new NameIndexes();
  /** Where every new object is built before it appears: workdir/work, or the index where there is one. */
  work: Dentry | null = null;
  /** workdir/index; null with `index=off`. */
  indexDir: Dentry | null = null;
  readonly workLayer: Layer | null;
  root!: DirInode;
  readonly traps: Traps = new Traps();
  /** Users' whiteouts that could not be put in their places yet (left-whiteout.ts). */
  readonly left: LeftWhiteout[] = [];
  /** The whiteout that others are hard-linked from, as a name in `work`; null until the first. */
  whiteout: ByteString | null = null;
  /** Its inode number; 0 until a listing has asked for it. */
  whiteoutIno = 0n;
  /** The upper's filesystem knows file capabilities: it has said of a file that it has none. */
  upperHasCapabilities = false;
  /** O_TMPFILE works in the workdir. */
  tmpfileWorks = true;
  /** Longest name of all layers, bytes. */
  nameMax = 255;
  /** Filesystem number of each layer: 0 is the upper's, then in order of appearance. */
  private readonly ambiguous: ReadonlySet<number>;
  private readonly fsNumbers = new Map<number, number>();
  private xinoShift = 64n;
  #workListsAll: boolean | undefined;
  private readonly xinoOverflow = new Map<string, bigint>();
  private tempCounter = 0;
  /** For looks that nobody keeps. */
  readonly scratch: Stat = new Stat();

  constructor(config: Config, layers: SuperLayers, hooks: SuperHooks) {
    this.names = new XattrNames(config.userxattr);
    this.lowers = layers.lowers;
    this.dataLayers = layers.data ?? [];
    this.upper = layers.upper;
    this.workLayer = layers.work;
    this.hooks = hooks;
    this.ambiguous = ambiguousFilesystems(layers);
    this.numberFilesystems();
    this.config = this.#withUsableUuid(config);
  }

  /** Without their uuids, origins on several filesystems could not be told apart (kernel: ovl_get_fsid). */
  #withUsableUuid(config: Config): Config {
    if (config.uuid !== 'off' || this.sameFs) return config;
    this.hooks.log('uuid=off needs all layers on one filesystem: uuid=null is used');
    return { ...config, uuid: 'null' };
  }

  /** All lowers and the upper lie on one filesystem: inode numbers need no bits of ours. */
  get sameFs(): boolean {
    return this.fsNumbers.size === 1;
  }

  /** Some layer has numbers that its listings do not tell. */
  get manyDevices(): boolean {
    return this.lowers.some((layer) => layer.manyDevices) || this.upper?.manyDevices === true;
  }

  fsNumber(layer: Layer): number {
    return this.fsNumbers.get(layer.dev)!;
  }

  /**
   * A lower of the filesystem that an origin names by `uuid`; null where none has it, or more than one:
   * the handle would be taken for an inode of the wrong one. No uuid can only mean the upper's own
   * filesystem, where lowers may be changed between mounts (kernel: ovl_lower_uuid_ok).
   */
  layerByUuid(uuid: Buffer): Layer | null {
    const off = this.config.uuid === 'off';
    const none = uuid.equals(NO_UUID);
    if (off) return none ? (this.lowers[0] ?? null) : null;
    const named = this.lowers.filter((layer) => {
      if (!layer.uuid.equals(uuid)) return false;
      if (this.upper && this.fsNumber(layer) === 0) return true;
      return !this.ambiguous.has(layer.dev) && !(none && allowsOfflineChanges(this));
    });
    return named.length > 0 && named.every((layer) => layer.dev === named[0].dev) ? named[0] : null;
  }

  /** Names in directories that are made in the workdir are what listings say (lists-all.ts). */
  get workListsAll(): boolean {
    this.#workListsAll ??= this.workLayer?.readNames(this.workLayer.root, () => true) === LISTS_ALL;
    return this.#workListsAll;
  }

  /** Next name for something built in the workdir; `#` and a hex counter, as the kernel's. */
  tempName(): ByteString {
    return `#${(this.tempCounter++).toString(16)}`;
  }

  /**
   * The st_ino to show for real inode `ino` of filesystem `fs`: itself when all is one filesystem,
   * else with the filesystem's number in the high bits (xino; a FUSE mount has one st_dev for all,
   * so numbers of two filesystems must never meet).
   */
  mapIno(fs: number, ino: bigint): bigint {
    if (this.sameFs) return ino;
    if (ino >> this.xinoShift === 0n) return ino | (BigInt(fs) << (this.xinoShift + 1n));
    const key = `${fs}:${ino}`;
    let mapped = this.xinoOverflow.get(key);
    if (mapped === undefined) {
      // The lowest bit of ours marks numbers that are only good for this mount.
      mapped = (1n << this.xinoShift) | BigInt(this.xinoOverflow.size + 1);
      this.xinoOverflow.set(key, mapped);
    }
    return mapped;
  }

  private numberFilesystems(): void {
    if (this.upper) this.fsNumbers.set(this.upper.dev, 0);
    const lowers = [...this.lowers, ...this.dataLayers];
    for (const layer of lowers) {
      if (!this.fsNumbers.has(layer.dev))
        this.fsNumbers.set(layer.dev, this.upper ? this.fsNumbers.size : this.fsNumbers.size + 1);
    }
    const all = this.upper ? [this.upper, ...lowers] : lowers;
    const ino32 = all.every((layer) => {
      const id = layer.fileHandle(layer.root);
      return typeof id !== 'number' && id.type === 1 && id.handle.length === 8;
    });
    const numfs = this.fsNumbers.size + (this.upper ? 0 : 1);
    const bits = ino32 ? 32 : Math.floor(Math.log2(Math.max(1, numfs - 1))) + 2;
    this.xinoShift = BigInt(64 - bits);
  }

  destroy(): void {
    for (const layer of [...this.lowers, ...this.dataLayers]) layer.destroy();
    this.workLayer?.destroy();
    this.upper?.destroy();
  }
}
