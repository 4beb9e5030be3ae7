/**
 * `Inode`: one object of the union (the kernel's ovl_inode), and the tables that keep one Inode
 * for one object: by real inode, as ovl_get_inode hashes them, and by (parent, name).
 *
 * The upper tree mirrors the merged one name by name, so the upper dentry of an inode always
 * stands below the upper dentry of its parent. An inode with several names (hard links in the
 * upper) has one primary name, by which its layers are reached, and aliases to fall back on when
 * that one is unlinked; with none left it is pinned by a descriptor until it is forgotten.
 */
import type { DirentList } from '../layer/dirent-list.ts';
import type { Dentry } from '../layer/layer.ts';
import type { ByteString } from '../sys/bytes.ts';
import { FS_APPEND_FL, FS_IMMUTABLE_FL, S_IFDIR } from '../sys/constants.ts';
import { packIno } from './inode-table.ts';
import type { LazyFile } from './lazy-file.ts';
import type { Metacopy } from './metacopy.ts';
import type { NameIndex } from './name-index.ts';

/** A further name of an inode. */
export interface Alias {
  parent: DirInode;
  name: ByteString;
}

/** The entry of an inode in the index, and what its link count is reckoned from (nlink.ts). */
export interface IndexEntry {
  readonly name: ByteString;
  /** Links that the lower inode has. */
  readonly lowerNlink: number;
}

/** An entry of the upper, and one whose number has been looked at. */
export const OF_UPPER = 1;
export const LOOKED_AT = 2;

/** A merged listing, and the position that the next new name gets. */
export interface DirListing {
  readonly version: number;
  /** The inode numbers are those to show, filled late where that takes a look at the object. */
  readonly entries: DirentList;
  /** For each entry: 0 of a lower, OF_UPPER, or LOOKED_AT; null where none is of the upper. */
  readonly upper: Uint8Array | null;
  readonly next: number;
}

/** The lowers of what has none, never written. */
const NONE: Dentry[] = [];

/** What few inodes have. */
class Rare {
  metacopy: Metacopy | null = null;
  lazy: LazyFile | null = null;
  redirect: ByteString | null = null;
  aliases: Alias[] | null = null;
  index: IndexEntry | null = null;
}

/** `bits` of an inode: its type, its protection (as FS_*_FL has it), and what is so or not so. */
const TYPE = 0xf;
const COMPLETED = 0x100;
const UNLINKED = 0x200;
const UNNAMED = 0x400;
const ESCAPED_WHITEOUT = 0x800;
const HAS_ORIGIN = 0x1000;
const BARE = 0x2000;

/** There may be millions: what few of them have, and what takes a bit, has no field of its own. */
export class Inode {
  /** Given by ops/ at the first reference. */
  nodeid = 0;
  /** References that the door holds (FUSE: nlookup). */
  nlookup = 0;
  /** Open handles, and child inodes that name this one as a parent: it stays in the tables as long as they do. */
  holds = 0;
  private bits: number;
  upper: Dentry | null;
  /** A list of one, as what it has, unless it is a directory's. */
  private below: Dentry | Dentry[];
  parent: DirInode | null = null;
  name: ByteString = '';
  private shownIno: number | bigint = 0;
  private realIno: number | bigint = 0;
  /** Link count when last seen, kept in step by link and unlink. */
  nlink = 1;
  /** Under which filesystem and real inode it stands in the table (inode-table.ts, which sets them); -1 where in none. */
  tableFs = -1;
  tableIno: number | bigint = 0;
  private rare: Rare | null = null;

  constructor(type: number, upper: Dentry | null, lowers: Dentry[]) {
    this.bits = type >>> 12;
    this.upper = upper;
    this.below = this.packed(lowers);
  }

  private packed(lowers: Dentry[]): Dentry | Dentry[] {
    if (lowers.length === 0) return NONE;
    // A directory's list is known by its identity (name-index.ts).
    return lowers.length > 1 || this.type === S_IFDIR ? lowers : lowers[0];
  }

  /** S_IFDIR, S_IFREG, … Never changes. */
  get type(): number {
    return (this.bits & TYPE) << 12;
  }

  /** Directories: the merged stack below the upper. Others: the one lower that serves, while there is no upper with the data. */
  get lowers(): Dentry[] {
    return Array.isArray(this.below) ? this.below : [this.below];
  }
  set lowers(lowers: Dentry[]) {
    this.below = this.packed(lowers);
  }

  /** The dentry whose attributes are the inode's (kernel: ovl_path_real). */
  get real(): Dentry {
    return this.upper ?? (Array.isArray(this.below) ? this.below[0] : this.below);
  }

  /** The inode number to show (st_ino), constant over copy-up where the kernel's is. */
  get ino(): bigint {
    return BigInt(this.shownIno);
  }
  set ino(ino: bigint) {
    this.shownIno = packIno(ino);
  }

  /** The upper's real inode number, to tell two uppers with one origin apart. */
  get upperIno(): bigint {
    return BigInt(this.realIno);
  }
  set upperIno(ino: bigint) {
    this.realIno = packIno(ino);
  }

  /** The object is metadata alone, and this knows of its data; null for every other. */
  get metacopy(): Metacopy | null {
    return this.rare === null ? null : this.rare.metacopy;
  }
  set metacopy(metacopy: Metacopy | null) {
    if (metacopy !== null || this.rare !== null) this.others().metacopy = metacopy;
  }

  /** The upper has only some of the data, and this knows where the rest is; null for every other. */
  get lazy(): LazyFile | null {
    return this.rare === null ? null : this.rare.lazy;
  }
  set lazy(lazy: LazyFile | null) {
    if (lazy !== null || this.rare !== null) this.others().lazy = lazy;
  }

  /** overlay.redirect of the upper: where to look in the lowers. */
  get redirect(): ByteString | null {
    return this.rare === null ? null : this.rare.redirect;
  }
  set redirect(redirect: ByteString | null) {
    if (redirect !== null || this.rare !== null) this.others().redirect = redirect;
  }

  get aliases(): Alias[] | null {
    return this.rare === null ? null : this.rare.aliases;
  }
  set aliases(aliases: Alias[] | null) {
    if (aliases !== null || this.rare !== null) this.others().aliases = aliases;
  }

  /** Its entry in the index. A non-directory's upper is reached by that, whatever becomes of its names. */
  get index(): IndexEntry | null {
    return this.rare === null ? null : this.rare.index;
  }
  set index(index: IndexEntry | null) {
    if (index !== null || this.rare !== null) this.others().index = index;
  }

  private others(): Rare {
    this.rare ??= new Rare();
    return this.rare;
  }

  /** FS_IMMUTABLE_FL and FS_APPEND_FL: what protection.ts refuses by. */
  get protection(): number {
    return this.bits & (FS_IMMUTABLE_FL | FS_APPEND_FL);
  }
  set protection(protection: number) {
    this.bits = (this.bits & ~(FS_IMMUTABLE_FL | FS_APPEND_FL)) | protection;
  }

  /** It was metadata alone or lazy, and its data has been copied up since (complete.ts). */
  get completed(): boolean {
    return (this.bits & COMPLETED) !== 0;
  }
  set completed(is: boolean) {
    this.mark(COMPLETED, is);
  }

  /** The last name is gone. */
  get unlinked(): boolean {
    return (this.bits & UNLINKED) !== 0;
  }
  set unlinked(is: boolean) {
    this.mark(UNLINKED, is);
  }

  /** Made without a name (O_TMPFILE), and has had none yet. */
  get unnamed(): boolean {
    return (this.bits & UNNAMED) !== 0;
  }
  set unnamed(is: boolean) {
    this.mark(UNNAMED, is);
  }

  /** A user's 0:0 device, which layers hold as a marked file (escaped-whiteout.ts). */
  get escapedWhiteout(): boolean {
    return (this.bits & ESCAPED_WHITEOUT) !== 0;
  }
  set escapedWhiteout(is: boolean) {
    this.mark(ESCAPED_WHITEOUT, is);
  }

  /** The number to show is that of the copy-up origin (kernel: OVL_TYPE_ORIGIN). */
  get hasOrigin(): boolean {
    return (this.bits & HAS_ORIGIN) !== 0;
  }
  set hasOrigin(is: boolean) {
    this.mark(HAS_ORIGIN, is);
  }

  /** A lower regular file without any extended attributes, or an upper one that cannot have file capabilities. */
  get bare(): boolean {
    return (this.bits & BARE) !== 0;
  }
  set bare(is: boolean) {
    this.mark(BARE, is);
  }

  private mark(bit: number, is: boolean): void {
    this.bits = is ? this.bits | bit : this.bits & ~bit;
  }
}

/** A directory of the union. */
export class DirInode extends Inode {
  /** The inodes known by name. */
  readonly children: Map<ByteString, Inode> = new Map();
  /** The upper hides all lowers (overlay.opaque, or made here over a whiteout). */
  opaque = false;
  /** The upper has, or had, children with an origin: listing must look each entry up for its number. undefined: not looked at yet. */
  impure: boolean | undefined = undefined;
  /** Counts changes below this directory, so that listings know when they are out of date. */
  version = 0;
  listing: DirListing | null = null;
  /** The position that each name had since the first listing that is known; null until there is a second. */
  positions: Map<ByteString, number> | null = null;
  /** A child has got another inode number, or may get one, since a door was last told that it may keep a listing. */
  renumbered = false;
  /** Which lowers may hold which names (index-names.ts). */
  names: NameIndex | null = null;
  /** Looks at layers that did not have the name, and after how many names are indexed again; 0 for the first time. */
  looksInVain = 0;
  patience = 0;
  /** How many handles are reading the listing. */
  listers = 0;
  /** POSIX default ACL: undefined not looked at yet, null none. */
  defaultAcl: Buffer | null | undefined = undefined;
  /** FS_*_FL that the upper directory hands down to new children: undefined not looked at yet. */
  heirFlags: number | undefined = undefined;
  /** Cached mode and group, for what new children inherit; mode 0 not known. */
  mode = 0;
  gid = 0;

  constructor(upper: Dentry | null, lowers: Dentry[]) {
    super(S_IFDIR, upper, lowers);
  }

  /** More than one layer holds this directory (kernel: OVL_TYPE_MERGE). */
  get isMerge(): boolean {
    return this.lowers.length + (this.upper ? 1 : 0) > 1;
  }

  /** kernel: ovl_type_merge_or_lower. */
  get isMergeOrLower(): boolean {
    return this.lowers.length > 0;
  }
}

export function isDir(inode: Inode): inode is DirInode {
  return inode instanceof DirInode;
}

/** Makes `inode` known as `name` in `parent`; its first name is its primary one. */
export function attach(inode: Inode, parent: DirInode, name: ByteString): void {
  const children = parent.children;
  if (children.get(name) === inode) return;
  const other = children.get(name);
  if (other) detach(other, parent, name);
  children.set(name, inode);
  parent.holds++;
  inode.unlinked = false;
  inode.unnamed = false;
  if (inode.parent === null) {
    inode.parent = parent;
    inode.name = name;
    // It lived by a descriptor alone (O_TMPFILE, or its known names had gone): from here on by this name.
    if (inode.upper?.pinned) {
      inode.upper.layer.release(inode.upper);
      follow(inode, parent, name);
    }
  } else {
    inode.aliases ??= [];
    inode.aliases.push({ parent, name });
  }
}

/** The upper dentry stands under the primary name, unless a descriptor or the index keeps it. */
export function follow(inode: Inode, parent: DirInode, name: ByteString): void {
  const { upper } = inode;
  if (!upper || upper.pinned || (inode.index !== null && !isDir(inode))) return;
  upper.parent = parent.upper;
  upper.name = name;
}

/**
 * Of the names of an indexed inode, or of one that will be, the one looked up last is the primary one:
 * it is the one that copy-up puts into the upper, as far as a door that knows inodes only can tell.
 */
export function prefer(inode: Inode, parent: DirInode, name: ByteString): void {
  if (inode.aliases === null || (inode.upper !== null && inode.index === null)) return;
  if (inode.parent === null || (inode.parent === parent && inode.name === name)) return;
  const alias = inode.aliases.findLast((a) => a.parent === parent && a.name === name);
  if (!alias) return;
  alias.parent = inode.parent;
  alias.name = inode.name;
  inode.parent = parent;
  inode.name = name;
}

/**
 * Takes the name away. When it was the primary one, an alias takes its place and the upper dentry
 * follows. Whoever calls looks whether the parent can go now (holds).
 */
export function detach(inode: Inode, parent: DirInode, name: ByteString): void {
  if (parent.children.get(name) !== inode) return;
  parent.children.delete(name);
  parent.holds--;
  dropName(inode, parent, name);
}

/** The half of `detach` that concerns the inode. */
function dropName(inode: Inode, parent: DirInode, name: ByteString): void {
  if (inode.parent === parent && inode.name === name) {
    const next = inode.aliases?.pop();
    if (next) {
      inode.parent = next.parent;
      inode.name = next.name;
      follow(inode, next.parent, next.name);
    } else {
      inode.parent = null;
      inode.name = name;
    }
  } else if (inode.aliases) {
    inode.aliases = inode.aliases.filter((a) => a.parent !== parent || a.name !== name);
  }
}

/** Nobody uses `inode` any more: the descriptors go that are cached or pinned for it. */
export function releaseReal(inode: Inode): void {
  const { upper } = inode;
  if (upper && (isDir(inode) || upper.pinned)) upper.layer.release(upper);
  // A lower that a redirect led to has a way of its own from its layer's root.
  const own = (d: Dentry): boolean => !inode.parent?.lowers.includes(d);
  if (!isDir(inode)) {
    const data = inode.metacopy?.data;
    for (let d = data?.parent; d && own(d); d = d.parent) d.layer.release(d);
    return;
  }
  for (const lower of inode.lowers) {
    for (let d: Dentry | null = lower; d && (d === lower || own(d)); d = d.parent) d.layer.release(d);
  }
}

/**
 * A rename has moved (oldParent, oldName) to (parent, name): the inode's own record of its names,
 * its upper dentry and the directories' tables follow.
 */
export function move(inode: Inode, oldParent: DirInode, oldName: ByteString, parent: DirInode, name: ByteString): void {
  oldParent.children.delete(oldName);
  oldParent.holds--;
  // A listing that a door keeps has the old parent's number for `..`.
  if (isDir(inode) && parent !== oldParent) inode.renumbered = true;
  parent.children.set(name, inode);
  parent.holds++;
  if (inode.parent === oldParent && inode.name === oldName) {
    inode.parent = parent;
    inode.name = name;
    follow(inode, parent, name);
    return;
  }
  const alias = inode.aliases?.find((a) => a.parent === oldParent && a.name === oldName);
  if (alias) {
    alias.parent = parent;
    alias.name = name;
  }
}
