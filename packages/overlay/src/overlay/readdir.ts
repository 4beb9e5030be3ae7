/**
 * Merged listings (kernel: fs/overlayfs/readdir.c). A listing is put together once from all layers
 * and kept, numbered, for as long as a handle is open on the unchanged directory; the lowest
 * layer's own names stand first and the upper's last, so that positions stay as they are when
 * something is created. Whiteouts are left out wherever they lie.
 */
import { Dentry, type RawDirent } from '../layer/layer.ts';
import type { ByteString } from '../sys/bytes.ts';
import { DT_CHR, DT_DIR, DT_REG, DT_UNKNOWN, S_IFMT } from '../sys/constants.ts';
import { ENOENT } from '../sys/errno.ts';
import { Stat } from '../sys/stat.ts';
import { asWhiteoutDevice, isEscapedWhiteout, mayHoldEscapedWhiteouts } from './escaped-whiteout.ts';
import { identify, lowerIdentity } from './identify.ts';
import { indexListed, type ReadLayer } from './index-names.ts';
import type { DirInode, DirListing, ListedEntry } from './inode.ts';
import { lookupLayers } from './lookup.ts';
import type { Super } from './super.ts';
import { isImpure } from './util.ts';
import { AUFS_PREFIX, isWhiteout, whiteoutIno } from './whiteout.ts';
import { isXwhiteout, mayHoldXwhiteouts } from './xwhiteout.ts';

/** The type of a directory entry for a mode. */
function direntType(mode: number): number {
  return (mode & S_IFMT) >>> 12;
}

/** Of what was read of one real directory, the whiteouts apart from the rest. @returns 0 or a negative errno. */
function sortOut(
  sb: Super,
  dir: Dentry,
  raw: readonly RawDirent[],
  entries: RawDirent[],
  whiteouts: Set<ByteString>,
): number {
  const st = new Stat();
  const aufs = sb.config.aufsWhiteouts && dir.layer !== sb.upper;
  // Asked when the first regular file comes.
  let escaped: boolean | undefined;
  let files = 0;
  let known: bigint | undefined;
  for (const entry of raw) {
    if (aufs && entry.name.startsWith(AUFS_PREFIX)) {
      whiteouts.add(entry.name.slice(AUFS_PREFIX.length));
      continue;
    }
    if (escaped === undefined && (entry.type === DT_REG || entry.type === DT_UNKNOWN)) {
      escaped = mayHoldEscapedWhiteouts(sb, dir);
      files = mayHoldXwhiteouts(sb, dir);
      if (files < 0) return files;
    }
    if (entry.type === DT_CHR) {
      known ??= whiteoutIno(sb, dir);
      if (known !== 0n && entry.ino === known) {
        whiteouts.add(entry.name);
        continue;
      }
    }
    if (entry.type === DT_CHR || entry.type === DT_UNKNOWN || ((escaped || files > 0) && entry.type === DT_REG)) {
      const found = dir.layer.lookup(dir, entry.name, st);
      if (found === -ENOENT) continue;
      // Were it passed over, a whiteout that could not be looked at would show what it hides.
      if (found < 0) return found;
      const d = new Dentry(dir.layer, dir, entry.name);
      const whiteout = isWhiteout(st) ? 1 : files > 0 ? isXwhiteout(sb, d, st) : 0;
      if (whiteout < 0) return whiteout;
      if (whiteout > 0) {
        whiteouts.add(entry.name);
        continue;
      }
      const device = escaped ? isEscapedWhiteout(sb, d, st) : 0;
      if (device < 0) return device;
      if (device > 0) asWhiteoutDevice(st);
      entry.type = direntType(st.mode);
    }
    entries.push(entry);
  }
  return 0;
}

function merge(sb: Super, dir: DirInode, indexes: boolean): ListedEntry[] | number {
  const stack = dir.upper ? [dir.upper, ...dir.lowers] : dir.lowers;
  const layers: ReadLayer[] = [];
  for (const real of stack) {
    const entries: RawDirent[] = [];
    const read = real.layer.readdir(real, entries);
    if (read < 0) return read;
    layers.push({ entries, read });
  }
  if (indexes) indexListed(sb, dir, layers);
  const single = stack.length === 1;
  const seen = new Set<ByteString>();
  const lowest: ListedEntry[] = [];
  const above: ListedEntry[] = [];
  for (let i = 0; i < stack.length; i++) {
    const real = stack[i];
    const raw: RawDirent[] = [];
    const whiteouts = new Set<ByteString>();
    const err = sortOut(sb, real, layers[i].entries, raw, whiteouts);
    if (err < 0) return err;
    const fs = sb.fsNumber(real.layer);
    const into = i === stack.length - 1 ? lowest : above;
    const layer = real === dir.upper ? -1 : i;
    const { sameFs } = sb;
    for (const entry of raw) {
      // The first layer has all its names, and nobody asks for those of the last.
      if (i > 0 && seen.has(entry.name)) continue;
      if (into !== lowest) seen.add(entry.name);
      entry.layer = layer;
      if (!sameFs) entry.ino = sb.mapIno(fs, entry.ino);
      into.push(entry);
    }
    // What a layer whites out it hides in those below only.
    for (const name of whiteouts) seen.add(name);
  }
  return single ? lowest : [...lowest, ...above];
}

/** `.` and `..` come first, at positions 1 and 2. */
export const DOTS = 2;

/** More names than this beside those that are there, and positions begin anew. */
const MOST_GONE = 10_000;

/**
 * Numbers the entries. While an earlier listing is known, a name keeps its position and new ones
 * come after all others: the kernel's cache of a directory may serve the rest of one reader's
 * listing from what another has read since.
 */
function number(dir: DirInode, entries: ListedEntry[]): DirListing {
  const before = dir.listing;
  let next = before?.next ?? DOTS + 1;
  if (dir.positions && dir.positions.size > 2 * entries.length + MOST_GONE) dir.positions = null;
  if (before) dir.positions ??= new Map(before.entries.map((entry) => [entry.name, entry.off]));
  for (const entry of entries) {
    const known = dir.positions?.get(entry.name);
    entry.off = known ?? next++;
    if (known === undefined) dir.positions?.set(entry.name, entry.off);
  }
  if (before) entries.sort((a, b) => a.off - b.off);
  return { version: dir.version, entries, next };
}

/** The index of the first entry behind position `off`. */
export function indexAfter(entries: readonly ListedEntry[], off: number): number {
  let low = 0;
  let high = entries.length;
  while (low < high) {
    const mid = (low + high) >>> 1;
    if (entries[mid].off > off) high = mid;
    else low = mid + 1;
  }
  return low;
}

/** The listing of `dir` without `.` and `..`, as it is now. Shared, never changed after. */
export function list(sb: Super, dir: DirInode): ListedEntry[] | number {
  if (dir.unlinked) return [];
  if (dir.listing && dir.listing.version === dir.version) return dir.listing.entries;
  const entries = merge(sb, dir, true);
  if (typeof entries === 'number') return entries;
  purify(sb, dir, entries);
  dir.listing = number(dir, entries);
  return dir.listing.entries;
}

/**
 * A listing is the opportunity to take the mark from an impure directory that holds nothing with an origin any more,
 * where the mark is what numbers depend on (kernel: ovl_iterate).
 */
function purify(sb: Super, dir: DirInode, entries: readonly ListedEntry[]): void {
  if (dir.isMerge || !dir.upper || sb.config.readOnly || !isImpure(sb, dir)) return;
  if (!sb.sameFs && sb.config.xino === 'off') return;
  for (const entry of entries) {
    const real = entry.ino;
    if (entryIno(sb, dir, entry) !== real) return;
  }
  if (dir.upper.layer.removexattr(dir.upper, sb.names.impure) >= 0) dir.impure = false;
}

/** Whether the merged directory has no entries (kernel: ovl_check_empty_dir). */
export function mergedIsEmpty(sb: Super, dir: DirInode): boolean | number {
  const entries = merge(sb, dir, false);
  return typeof entries === 'number' ? entries : entries.length === 0;
}

/**
 * The inode number to show for an entry: what stat would say. Only entries of an impure upper
 * directory need a look (kernel: ovl_cache_update). 0 where that finds no such name: an xattr
 * whiteout that lies in an upper is not seen before.
 */
export function entryIno(sb: Super, dir: DirInode, entry: ListedEntry): bigint {
  const known = dir.children.get(entry.name);
  if (known) return known.ino;
  if (entry.layer !== -1 || !(dir.isMerge || isImpure(sb, dir))) return entry.ino;
  if (entry.type !== DT_DIR && !isImpure(sb, dir)) return entry.ino;
  const ino = lookIno(sb, dir, entry);
  entry.ino = ino;
  return ino;
}

function lookIno(sb: Super, dir: DirInode, entry: ListedEntry): bigint {
  const st = new Stat();
  const found = lookupLayers(sb, dir, entry.name, st);
  if (found === null) return 0n;
  if (typeof found === 'number') return entry.ino;
  if (identify(sb, found, st) < 0) return entry.ino;
  const lower = lowerIdentity(sb, found);
  return lower ? sb.mapIno(lower.fs, lower.ino) : entry.ino;
}
