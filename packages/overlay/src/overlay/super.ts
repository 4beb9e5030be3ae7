/**
 * `Super`: one mounted union (the kernel's ovl_fs): its layers, its configuration, its workdir
 * and its tables. `mountSuper` does what ovl_fill_super does: looks at the workdir, refuses what
 * an earlier mount left behind as incompatible, cleans, and builds the root.
 */
import { Dentry, type Layer } from '../layer/layer.ts';
import type { ByteString } from '../sys/bytes.ts';
import { EEXIST, EINVAL, ENODATA, EOPNOTSUPP } from '../sys/errno.ts';
import { Stat } from '../sys/stat.ts';
import { DirInode, InodeTable } from './inode.ts';
import type { Config, Refusal } from './params.ts';
import { AUFS_OPAQUE, cleanTree } from './whiteout.ts';
import { XattrNames } from './xattrs.ts';

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
}

export interface SuperLayers {
  /** Topmost first. */
  lowers: Layer[];
  upper: Layer | null;
  /** A layer whose root is the workdir, on the upper's mount. */
  work: Layer | null;
}

export class Super {
  readonly config: Config;
  readonly names: XattrNames;
  readonly lowers: readonly Layer[];
  readonly upper: Layer | null;
  readonly hooks: SuperHooks;
  readonly inodes: InodeTable = new InodeTable();
  /** workdir/work: where every new object is built before it appears. */
  work: Dentry | null = null;
  private readonly workLayer: Layer | null;
  root!: DirInode;
  /** The whiteout that others are hard-linked from, as a name in `work`; null until the first. */
  whiteout: ByteString | null = null;
  /** O_TMPFILE works in the workdir. */
  tmpfileWorks = true;
  /** Longest name of all layers, bytes. */
  nameMax = 255;
  /** Filesystem number of each layer: 0 is the upper's, then in order of appearance. */
  private readonly fsNumbers = new Map<number, number>();
  private xinoShift = 64n;
  private readonly xinoOverflow = new Map<string, bigint>();
  private tempCounter = 0;
  /** For looks that nobody keeps. */
  readonly scratch: Stat = new Stat();

  constructor(config: Config, layers: SuperLayers, hooks: SuperHooks) {
    this.config = config;
    this.names = new XattrNames(config.userxattr);
    this.lowers = layers.lowers;
    this.upper = layers.upper;
    this.workLayer = layers.work;
    this.hooks = hooks;
    this.numberFilesystems();
  }

  /** All lowers and the upper lie on one filesystem: inode numbers need no bits of ours. */
  get sameFs(): boolean {
    return this.fsNumbers.size === 1;
  }

  fsNumber(layer: Layer): number {
    return this.fsNumbers.get(layer.dev)!;
  }

  /** Layers of filesystem number `fs` by uuid, for origins. @returns a layer to ask, or null. */
  layerByUuid(uuid: Buffer): Layer | null {
    for (const layer of this.lowers) if (layer.uuid.equals(uuid)) return layer;
    return null;
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
    if (fs === 0 || this.sameFs) return ino;
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
    for (const layer of this.lowers) {
      if (!this.fsNumbers.has(layer.dev))
        this.fsNumbers.set(layer.dev, this.upper ? this.fsNumbers.size : this.fsNumbers.size + 1);
    }
    const all = this.upper ? [this.upper, ...this.lowers] : this.lowers;
    const ino32 = all.every((layer) => {
      const id = layer.fileHandle(layer.root);
      return typeof id !== 'number' && id.type === 1 && id.handle.length === 8;
    });
    const numfs = this.fsNumbers.size + (this.upper ? 0 : 1);
    const bits = ino32 ? 32 : Math.floor(Math.log2(Math.max(1, numfs - 1))) + 2;
    this.xinoShift = BigInt(64 - bits);
  }

  /** Prepares the workdir: kernel ovl_get_workdir and ovl_make_workdir. */
  prepareWork(): Refusal | null {
    const layer = this.workLayer;
    if (!layer || this.config.readOnly) return null;
    const base = layer.root;
    const fail = (errno: number, what: string): Refusal => ({ errno, message: `workdir ${layer.label}: ${what}` });
    const incompat = this.incompatible(base);
    if (incompat) return incompat;
    let err = cleanTree(this, base, 'work', 2);
    if (err < 0) return fail(err, 'what an earlier mount left in work/ cannot be removed');
    err = layer.mkdir(base, 'work', 0);
    if (err < 0 && err !== -EEXIST) return fail(err, 'work/ cannot be made in it');
    this.work = new Dentry(layer, base, 'work');
    err = layer.setxattr(this.work, this.names.opaque, Buffer.from('0'), 0);
    if (err < 0) {
      return fail(
        err,
        `the filesystem takes no ${this.names.prefix}* extended attributes${err === -EOPNOTSUPP ? '' : ' from us'}`,
      );
    }
    layer.removexattr(this.work, this.names.opaque);
    const file = layer.tmpfile(this.work, 2, 0o600);
    this.tmpfileWorks = file >= 0;
    if (file >= 0) layer.close(file);
    if (this.config.fsync === 'volatile') {
      const marker = this.markVolatile(layer);
      if (marker < 0) return fail(marker, 'the marker of a volatile mount cannot be made');
    }
    return null;
  }

  /** work/work/incompat/NAME refuses every mount; an empty `incompat` does not count. */
  private incompatible(base: Dentry): Refusal | null {
    const layer = base.layer;
    const incompat = new Dentry(layer, new Dentry(layer, base, 'work'), 'incompat');
    const names: { name: ByteString; ino: bigint; type: number }[] = [];
    const err = layer.readdir(incompat, names);
    layer.release(incompat);
    layer.release(incompat.parent!);
    if (err < 0 || names.length === 0) return null;
    const name = names[0].name;
    const why =
      name === 'volatile'
        ? 'the upper was mounted volatile and not ended cleanly, so it may have lost data; if that is acceptable remove work/incompat/volatile and mount again'
        : `feature '${name}' is not known here`;
    return {
      errno: -EINVAL,
      message: `workdir ${layer.label}: overlay with incompat feature '${name}' cannot be mounted: ${why}`,
    };
  }

  private markVolatile(layer: Layer): number {
    let dir = this.work!;
    for (const name of ['incompat', 'volatile']) {
      const err = layer.mkdir(dir, name, 0o700);
      if (err < 0) return err;
      dir = new Dentry(layer, dir, name);
    }
    const file = layer.create(dir, 'dirty', 1, 0o600);
    if (file < 0) return file;
    layer.close(file);
    return 0;
  }

  /** The root: all layers' roots, merged. */
  prepareRoot(): Refusal | null {
    const st = this.scratch;
    const lowers = this.visibleRoots();
    const root = new DirInode(this.upper?.root ?? null, lowers);
    const err = root.real.layer.stat(root.real, st);
    if (err < 0) return { errno: err, message: `${root.real.layer.label}: the layer's root cannot be read` };
    root.ino = this.mapIno(this.fsNumber(root.real.layer), st.ino);
    root.mode = st.mode;
    root.gid = st.gid;
    if (this.upper) {
      const first = this.lowers[0];
      if (this.sameFs || this.fsNumber(first) !== 0) {
        first.stat(first.root, st);
        root.ino = this.mapIno(this.fsNumber(first), st.ino);
      }
      root.impure = typeof this.upper.getxattr(this.upper.root, this.names.impure) !== 'number';
      if (!this.config.readOnly) this.initUuid(root);
    }
    root.nlookup = 1;
    this.root = root;
    return null;
  }

  /** The lowers' roots, down to one that an aufs mark makes opaque. */
  private visibleRoots(): Dentry[] {
    const roots = this.lowers.map((layer) => layer.root);
    if (!this.config.aufsWhiteouts) return roots;
    const opaque = roots.findIndex((root) => root.layer.lookup(root, AUFS_OPAQUE, this.scratch) >= 0);
    return opaque < 0 ? roots : roots.slice(0, opaque + 1);
  }

  /** kernel ovl_init_uuid_xattr: a fresh upper gets an identity; one that was used without keeps none. */
  private initUuid(root: DirInode): void {
    if (this.config.uuid !== 'auto' && this.config.uuid !== 'on') return;
    const upper = this.upper!;
    const have = upper.getxattr(upper.root, this.names.uuid);
    if (have !== -ENODATA) return;
    if (this.config.uuid === 'auto' && root.impure) return;
    upper.setxattr(upper.root, this.names.uuid, this.hooks.random(16), 0);
  }

  destroy(): void {
    for (const layer of this.lowers) layer.destroy();
    this.workLayer?.destroy();
    this.upper?.destroy();
  }
}

/** Builds a union of opened layers, or says why it cannot be. Layers are destroyed by the caller on refusal. */
export function mountSuper(config: Config, layers: SuperLayers, hooks: SuperHooks): Super | Refusal {
  const sb = new Super(config, layers, hooks);
  return sb.prepareWork() ?? sb.prepareRoot() ?? sb;
}
