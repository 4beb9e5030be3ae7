/**
 * Merged listings (kernel: fs/overlayfs/readdir.c). A listing is put together once from all layers
 * and kept, numbered, for as long as a handle is open on the unchanged directory; the lowest
 * layer's own names stand first and the upper's last, so that positions stay as they are when
 * something is created. Whiteouts are left out wherever they lie.
 */
import { DirentList } from '../layer/dirent-list.ts';
import { Dentry } from '../layer/layer.ts';
import type { ByteString } from '../sys/bytes.ts';
import { DT_CHR, DT_DIR, DT_REG, DT_UNKNOWN, S_IFMT } from '../sys/constants.ts';
import { ENOENT } from '../sys/errno.ts';
import { Stat } from '../sys/stat.ts';
import { asWhiteoutDevice, isEscapedWhiteout, mayHoldEscapedWhiteouts } from './escaped-whiteout.ts';
import { identify, lowerIdentity } from './identify.ts';
import { indexListed, type ReadLayer } from './index-names.ts';
import { type DirInode, type DirListing, LOOKED_AT, OF_UPPER } from './inode.ts';
import { lookupLayers } from './lookup.ts';
import { SeenNames } from './seen-names.ts';
import type { Super } from './super.ts';
import { isImpure } from './util.ts';
import { AUFS_PREFIX, isWhiteout, whiteoutIno } from './whiteout.ts';
import { isXwhiteout, mayHoldXwhiteouts } from './xwhiteout.ts';

/** The type of a directory entry for a mode. */
function direntType(mode: number): number {
  return (mode & S_IFMT) >>> 12;
}

/** For an entry that shows nothing: no DT_* is this. A whiteout hides its name in the layers below, what has gone does not. */
const WHITEOUT = 0xfe;
const GONE = 0xff;
/** `.wh.NAME` itself: it hides NAME. */
const AUFS_WHITEOUT = 0xfd;

/** Of what was read of one real directory, the whiteouts and what they are (types above). @returns 0 or a negative errno. */
function sortOut(sb: Super, dir: Dentry, entries: DirentList): number {
  const aufs = sb.config.aufsWhiteouts && dir.layer !== sb.upper;
  // Asked when the first regular file comes.
  let escaped: boolean | undefined;
  let files = 0;
  let all = false;
  let known: bigint | undefined;
  for (let i = 0; i < entries.count; i++) {
    if (aufs && entries.beginsWith(i, AUFS_PREFIX)) {
      entries.setType(i, AUFS_WHITEOUT);
      continue;
    }
    const type = entries.type(i);
    if (escaped === undefined && (type === DT_REG || type === DT_UNKNOWN)) {
      escaped = mayHoldEscapedWhiteouts(sb, dir);
      files = mayHoldXwhiteouts(sb, dir);
      if (files < 0) return files;
      all = escaped || files > 0;
    }
    if (type === DT_CHR) {
      known ??= whiteoutIno(sb, dir);
      if (known !== 0n && entries.ino(i) === known) {
        entries.setType(i, WHITEOUT);
        continue;
      }
    }
    if (type !== DT_CHR && type !== DT_UNKNOWN && !(all && type === DT_REG)) continue;
    const shown = lookAt(sb, dir, entries.name(i), escaped === true, files > 0);
    if (shown < 0) return shown;
    entries.setType(i, shown);
  }
  return 0;
}

/** What an entry is that may be a whiteout: DT_*, WHITEOUT, GONE, or a negative errno. */
function lookAt(sb: Super, dir: Dentry, name: ByteString, escaped: boolean, files: boolean): number {
  const st = new Stat();
  const found = dir.layer.lookup(dir, name, st);
  if (found === -ENOENT) return GONE;
  // Were it passed over, a whiteout that could not be looked at would show what it hides.
  if (found < 0) return found;
  const d = new Dentry(dir.layer, dir, name);
  const whiteout = isWhiteout(st) ? 1 : files ? isXwhiteout(sb, d, st) : 0;
  if (whiteout !== 0) return whiteout < 0 ? whiteout : WHITEOUT;
  const device = escaped ? isEscapedWhiteout(sb, d, st) : 0;
  if (device < 0) return device;
  if (device > 0) asWhiteoutDevice(st);
  return direntType(st.mode);
}

/** Lists that directories are read into, one a layer: each listing needs them for a moment. */
const pool: DirentList[] = [];
/** One that has grown beyond this is not kept. */
const POOLED_BYTES = 1 << 20;

function takeList(i: number): DirentList {
  const list = pool[i] ?? new DirentList();
  pool[i] = list;
  if (list.room > POOLED_BYTES) delete pool[i];
  list.clear();
  return list;
}

/** The merged entries, not numbered yet. */
interface Merged {
  entries: DirentList;
  /** The first and the one behind the last that come from the upper. */
  upperFrom: number;
  upperTo: number;
}

function merge(sb: Super, dir: DirInode, indexes: boolean): Merged | number {
  const stack = dir.upper ? [dir.upper, ...dir.lowers] : dir.lowers;
  const layers: ReadLayer[] = [];
  for (let i = 0; i < stack.length; i++) {
    const entries = takeList(i);
    const read = stack[i].layer.list(stack[i], entries);
    if (read < 0) return read;
    layers.push({ entries, read });
  }
  if (indexes) indexListed(sb, dir, layers);
  const last = stack.length - 1;
  const seen = last > 0 ? new SeenNames() : null;
  for (let i = 0; i <= last; i++) {
    const { entries } = layers[i];
    const err = sortOut(sb, stack[i], entries);
    if (err < 0) return err;
    if (!sb.sameFs) mapInos(sb, sb.fsNumber(stack[i].layer), entries);
    // What is in one layer alone nobody hides.
    if (seen) hide(seen, entries, i === last);
  }
  const total = layers.reduce((sum, { entries }) => sum + entries.length, 0);
  const count = layers.reduce((sum, { entries }) => sum + entries.count, 0);
  const entries = new DirentList(total, count);
  takeShown(entries, layers[last].entries);
  // With nothing below, the upper is the lowest.
  let [upperFrom, upperTo] = [0, dir.upper && last === 0 ? entries.count : 0];
  for (let i = 0; i < last; i++) {
    const from = entries.count;
    takeShown(entries, layers[i].entries);
    if (i === 0 && dir.upper) [upperFrom, upperTo] = [from, entries.count];
  }
  return { entries, upperFrom, upperTo };
}

function takeShown(into: DirentList, from: DirentList): void {
  for (let i = 0; i < from.count; i++) if (from.type(i) < AUFS_WHITEOUT) into.copy(from, i);
}

function mapInos(sb: Super, fs: number, entries: DirentList): void {
  for (let i = 0; i < entries.count; i++) entries.setIno(i, sb.mapIno(fs, entries.ino(i)));
}

/** The entries that a layer above has, or has whited out, go; what this one has hides what is below. */
function hide(seen: SeenNames, entries: DirentList, last: boolean): void {
  for (let i = 0; i < entries.count; i++) {
    const type = entries.type(i);
    if (type >= AUFS_WHITEOUT) continue;
    if (last ? seen.has(entries, i) : !seen.add(entries, i)) entries.setType(i, GONE);
  }
  if (last) return;
  // What a layer whites out it hides in those below only.
  for (let i = 0; i < entries.count; i++) {
    const type = entries.type(i);
    if (type === WHITEOUT) seen.add(entries, i);
    else if (type === AUFS_WHITEOUT) seen.addName(entries.name(i).slice(AUFS_PREFIX.length));
  }
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
function number(dir: DirInode, merged: Merged): DirListing {
  const before = dir.listing;
  const { entries } = merged;
  const { count } = entries;
  let next = before?.next ?? DOTS + 1;
  if (dir.positions && dir.positions.size > 2 * count + MOST_GONE) dir.positions = null;
  if (before) dir.positions ??= positionsOf(before.entries);
  const { positions } = dir;
  const { upperFrom, upperTo } = merged;
  const upper = upperTo > upperFrom ? new Uint8Array(count).fill(OF_UPPER, upperFrom, upperTo) : null;
  if (positions === null) {
    for (let i = 0; i < count; i++) entries.setOff(i, next++);
    return { version: dir.version, entries: entries.trimmed(), upper, next };
  }
  for (let i = 0; i < count; i++) {
    const name = entries.name(i);
    const known = positions.get(name);
    entries.setOff(i, known ?? next);
    if (known === undefined) positions.set(name, next++);
  }
  if (!before) return { version: dir.version, entries: entries.trimmed(), upper, next };
  const order = Array.from({ length: count }, (_, i) => i).sort((a, b) => entries.off(a) - entries.off(b));
  const sorted = new DirentList(entries.length, count);
  for (const i of order) sorted.copy(entries, i);
  const sortedUpper = upper && Uint8Array.from(order, (i) => upper[i]);
  return { version: dir.version, entries: sorted.trimmed(), upper: sortedUpper, next };
}

function positionsOf(entries: DirentList): Map<ByteString, number> {
  const positions = new Map<ByteString, number>();
  for (let i = 0; i < entries.count; i++) positions.set(entries.name(i), entries.off(i));
  return positions;
}

/** The number of the first entry behind position `off`. */
export function indexAfter(entries: DirentList, off: number): number {
  let low = 0;
  let high = entries.count;
  while (low < high) {
    const mid = (low + high) >>> 1;
    if (entries.off(mid) > off) high = mid;
    else low = mid + 1;
  }
  return low;
}

const NOTHING: DirListing = { version: 0, entries: new DirentList(0, 0), upper: null, next: DOTS + 1 };

/** The listing of `dir` without `.` and `..`, as it is now. Shared; nothing in it changes after but inode numbers. */
export function list(sb: Super, dir: DirInode): DirListing | number {
  if (dir.unlinked) return NOTHING;
  if (dir.listing && dir.listing.version === dir.version) return dir.listing;
  const merged = merge(sb, dir, true);
  if (typeof merged === 'number') return merged;
  dir.listing = number(dir, merged);
  purify(sb, dir, dir.listing);
  return dir.listing;
}

/**
 * A listing is the opportunity to take the mark from an impure directory that holds nothing with an origin any more,
 * where the mark is what numbers depend on (kernel: ovl_iterate).
 */
function purify(sb: Super, dir: DirInode, listing: DirListing): void {
  if (dir.isMerge || !dir.upper || sb.config.readOnly || !isImpure(sb, dir)) return;
  if (!sb.sameFs && sb.config.xino === 'off') return;
  const { entries } = listing;
  for (let i = 0; i < entries.count; i++) {
    const real = entries.ino(i);
    lookForIno(sb, dir, listing, i, true);
    if (entries.ino(i) !== real) return;
  }
  if (dir.upper.layer.removexattr(dir.upper, sb.names.impure) >= 0) dir.impure = false;
}

/** Whether the merged directory has no entries (kernel: ovl_check_empty_dir). */
export function mergedIsEmpty(sb: Super, dir: DirInode): boolean | number {
  const merged = merge(sb, dir, false);
  return typeof merged === 'number' ? merged : merged.entries.count === 0;
}

/**
 * Before entry `i` is shown: its inode number becomes what stat would say. Only entries of an impure upper
 * directory need a look (kernel: ovl_cache_update). 0 where that finds no such name: an xattr
 * whiteout that lies in an upper is not seen before.
 * @param all the layers' numbers may not be those of stat (`Super.manyDevices`).
 */
export function lookForIno(sb: Super, dir: DirInode, listing: DirListing, i: number, all: boolean): void {
  const { entries, upper } = listing;
  const ofUpper = upper !== null && upper[i] !== 0;
  const isDirectory = entries.type(i) === DT_DIR;
  // A file of a lower has the number that the lower says: a copy-up that gives it another changes the directory.
  if (!ofUpper && !isDirectory && !all) return;
  const known = dir.children.size > 0 ? dir.children.get(entries.name(i)) : undefined;
  if (known) {
    entries.setIno(i, known.ino);
    return;
  }
  if (!ofUpper || upper[i] === LOOKED_AT) return;
  if (!(isDirectory && dir.isMerge) && !isImpure(sb, dir)) return;
  upper[i] = LOOKED_AT;
  const found = lookIno(sb, dir, entries.name(i));
  if (found !== null) entries.setIno(i, found);
}

/** null where the layer's number stands. */
function lookIno(sb: Super, dir: DirInode, name: ByteString): bigint | null {
  const st = new Stat();
  const found = lookupLayers(sb, dir, name, st);
  if (found === null) return 0n;
  if (typeof found === 'number') return null;
  if (identify(sb, found, st) < 0) return null;
  const lower = lowerIdentity(sb, found);
  return lower ? sb.mapIno(lower.fs, lower.ino) : null;
}
