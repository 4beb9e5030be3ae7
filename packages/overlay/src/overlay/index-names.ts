/**
 * When the names of a merged directory are indexed (name-index.ts), and how. A listing has read them
 * all anyway. Else they are read when looks in vain have cost about as much as reading will: a few
 * lookups in a directory of many layers, and never for one lookup in a huge one.
 */
import type { DirentList } from '../layer/dirent-list.ts';
import { type Dentry, LISTS_ALL } from '../layer/layer.ts';
import { hashBytes, hashName, NameTable } from '../layer/name-table.ts';
import type { ByteString } from '../sys/bytes.ts';
import type { DirInode } from './inode.ts';
import { NameIndex } from './name-index.ts';
import type { Super } from './super.ts';
import { AUFS_PREFIX } from './whiteout.ts';

/** Names of one directory at most, 8 to 16 bytes each; layers beyond that are asked for every name. */
const MOST_NAMES = 1 << 18;
/** Names of all indexes together, an index itself counted as so many. */
const BUDGET = 1 << 20;
const INDEX_COSTS = 64;
/** Opening, reading and closing a directory costs as much as so many looks. */
const LOOKS_PER_LAYER = 4;
/** A look costs as much as reading so many names, several times over. */
const NAMES_PER_LOOK = 256;
/** So many names are read of any layer. */
const FEWEST_NAMES = 256;

const aufsPrefix = Buffer.from(AUFS_PREFIX, 'latin1');

/** The indexes that there are, the least recently made first. */
export class NameIndexes {
  private readonly kept = new Map<DirInode, number>();
  private total = 0;
  private readonly budget: number;

  constructor(budget: number = BUDGET) {
    this.budget = budget;
  }

  keep(dir: DirInode, index: NameIndex): void {
    this.drop(dir);
    dir.names = index;
    const cost = index.size + INDEX_COSTS;
    this.kept.set(dir, cost);
    this.total += cost;
    for (const oldest of this.kept.keys()) {
      if (this.total <= this.budget) break;
      this.drop(oldest);
    }
  }

  drop(dir: DirInode): void {
    this.total -= this.kept.get(dir) ?? 0;
    this.kept.delete(dir);
    dir.names = null;
  }
}

/** The index that answers for `stack`, which is `dir`'s own or the root's; null where there is none. */
export function namesOf(sb: Super, dir: DirInode, stack: readonly Dentry[]): NameIndex | null {
  const { names } = stack === dir.lowers ? dir : sb.root;
  return names?.stack === stack ? names : null;
}

/** Whether the upper directory may hold `name`. */
export function mayHold(dir: Dentry, name: ByteString): boolean {
  const { names } = dir;
  if (names === null) return true;
  if (names.size > MOST_NAMES) dir.names = null;
  return names.has(name);
}

/** The names of a directory that has just been made in the upper, below or to appear below `parent`: none. */
export function noNames(sb: Super, parent: Dentry): NameTable | null {
  // What is made in the workdir folds case if that does, what is made in place if its parent does.
  if (parent.names === null || !sb.workListsAll) return null;
  return new NameTable();
}

/** Before a lookup: indexes `dir` when that is worth it. */
export function expectLooks(sb: Super, dir: DirInode): void {
  const layers = dir.lowers.length + (dir.upper ? 1 : 0);
  if (dir.looksInVain < (dir.patience || LOOKS_PER_LAYER * (layers + 2))) return;
  const limit = Math.min(MOST_NAMES, NAMES_PER_LOOK * dir.looksInVain);
  readAll(sb, dir, limit);
  const done = dir.names?.complete && (dir.upper === null || dir.upper.names !== null);
  dir.patience = done || limit === MOST_NAMES ? Number.POSITIVE_INFINITY : 4 * dir.looksInVain;
}

/** Fills the table of an upper directory that has less than `most` names. @returns how many were read. */
function readUpper(upper: Dentry, most: number): number {
  const table = new NameTable();
  let count = 0;
  const read = upper.layer.readNames(upper, (bytes, start, end) => {
    table.put(hashBytes(bytes, start, end), 1);
    return ++count < most;
  });
  if (read === LISTS_ALL) upper.names = table;
  return count;
}

/** While mounting: of an upper whose root's names are known, so are those of all directories that are made below (noNames). */
export function readUpperRoot(upper: Dentry): void {
  readUpper(upper, FEWEST_NAMES);
}

function readAll(sb: Super, dir: DirInode, limit: number): void {
  let left = limit;
  const { upper, lowers } = dir;
  const allowance = (): number => Math.max(left, FEWEST_NAMES);
  if (upper && upper.names === null) left -= readUpper(upper, allowance());
  const index = new NameIndex(lowers);
  const aufs = sb.config.aufsWhiteouts;
  for (let i = lowers.length - 1; i >= 0; i--) {
    const lower = lowers[i];
    let room = allowance();
    const read = lower.layer.readNames(lower, (bytes, start, end) => {
      index.add(i, hashBytes(bytes, start, end));
      if (aufs && isAufs(bytes, start)) index.add(i, hashBytes(bytes, start + aufsPrefix.length, end));
      left--;
      return --room > 0;
    });
    if (read !== LISTS_ALL) index.leaveOut(i);
  }
  index.finish();
  sb.nameIndexes.keep(dir, index);
}

/** A whiteout is one of the name behind the prefix. */
function isAufs(bytes: Uint8Array, start: number): boolean {
  return aufsPrefix.every((byte, i) => bytes[start + i] === byte);
}

/** What a listing has read of one layer. */
export interface ReadLayer {
  entries: DirentList;
  /** LISTS_ALL, or 0. */
  read: number;
}

/** After a listing: `layers` as it has read them, of the whole stack, the upper first where there is one. */
export function indexListed(sb: Super, dir: DirInode, layers: readonly ReadLayer[]): void {
  // One layer is one look, which most directories will never be asked for.
  if (layers.length < 2) return;
  const { upper, lowers } = dir;
  if (upper) {
    const [{ entries, read }] = layers;
    if (upper.names === null && read === LISTS_ALL && entries.count < MOST_NAMES) {
      const table = new NameTable();
      for (let i = 0; i < entries.count; i++) table.put(entries.hash(i), 1);
      upper.names = table;
    }
  }
  if (namesOf(sb, dir, lowers)?.complete) return;
  const index = new NameIndex(lowers);
  const aufs = sb.config.aufsWhiteouts;
  for (let i = lowers.length - 1; i >= 0; i--) {
    const { entries, read } = layers[upper ? i + 1 : i];
    if (read !== LISTS_ALL || index.size + entries.count > MOST_NAMES) {
      index.leaveOut(i);
      continue;
    }
    for (let k = 0; k < entries.count; k++) {
      index.add(i, entries.hash(k));
      if (aufs && entries.beginsWith(k, AUFS_PREFIX)) {
        index.add(i, hashName(entries.name(k).slice(AUFS_PREFIX.length)));
      }
    }
  }
  index.finish();
  sb.nameIndexes.keep(dir, index);
  if (index.complete && (upper === null || upper.names !== null)) dir.patience = Number.POSITIVE_INFINITY;
}
