/**
 * What an upper changes: the difference between the union of the lowers alone and the union with
 * the upper on top, found by walking the upper (and what its index changes: indexed-names.ts). Where an upper directory lies on the lower one of
 * its own path only its own entries are looked at, so the cost follows the changes and not the
 * tree; an opaque or redirected directory is compared name by name.
 */
import type { Dentry, RawDirent } from '../layer/layer.ts';
import type { Found } from '../overlay/found.ts';
import { identify } from '../overlay/identify.ts';
import { DirInode } from '../overlay/inode.ts';
import { lookupLayers } from '../overlay/lookup.ts';
import { list } from '../overlay/readdir.ts';
import type { Super } from '../overlay/super.ts';
import type { ByteString } from '../sys/bytes.ts';
import { Stat } from '../sys/stat.ts';
import { type Look, sameInode, sameToUser } from './compare.ts';
import { indexedNames, type NamesByDirectory } from './indexed-names.ts';

export interface Change {
  /** Added, changed (content, metadata, type, or something below it), deleted. */
  kind: 'A' | 'C' | 'D';
  /** From the root of the union, beginning with `/`. */
  path: ByteString;
}

export interface ChangeOptions {
  /** Directories that are never part of a change, and what is below them: by device and inode. */
  hidden?: readonly { dev: number; ino: bigint }[];
}

export interface ChangeFailure {
  /** Negative. */
  errno: number;
  path: ByteString;
}

export function isChangeFailure(result: readonly Change[] | ChangeFailure): result is ChangeFailure {
  return 'errno' in result;
}

/**
 * The changes sorted by the bytes of their paths. A directory with a change below it is a `C`; the
 * root is never listed, and of what was deleted with a directory only the directory is.
 * @returns why and where it could not be read, when it could not.
 */
export function changeSet(sb: Super, options: ChangeOptions = {}): Change[] | ChangeFailure {
  const walk = new Walk(sb, options.hidden ?? []);
  const { upper, lowers } = sb.root;
  walk.begin();
  walk.directory('', new DirInode(upper, lowers), new DirInode(null, lowers), true);
  if (walk.failure !== null) return walk.failure;
  return walk.changes.sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
}

function asDirectory(look: Look): DirInode {
  return new DirInode(look.found.upper, look.found.lowers);
}

class Walk {
  readonly changes: Change[] = [];
  failure: ChangeFailure | null = null;
  private readonly sb: Super;
  private readonly hidden: readonly { dev: number; ino: bigint }[];
  private indexed: NamesByDirectory = new Map();

  constructor(sb: Super, hidden: readonly { dev: number; ino: bigint }[]) {
    this.sb = sb;
    this.hidden = hidden;
  }

  begin(): void {
    const names = indexedNames(this.sb, (found) => this.isHidden(found));
    if (typeof names === 'number') this.fail(names, '/');
    else this.indexed = names;
  }

  /**
   * Compares one directory of the two unions. `same`: below the upper both are the same stack.
   * @returns whether anything in it changed.
   */
  directory(path: ByteString, now: DirInode, before: DirInode, same: boolean): boolean {
    if (same && now.upper === null && !this.indexed.has(path)) return false;
    const names = same ? this.changedNames(path, now.upper) : this.allNames(path, now, before);
    let changed = false;
    for (const name of names) {
      if (this.failure !== null) return changed;
      const at = `${path}/${name}`;
      const is = this.look(at, now, name, true);
      const was = this.look(at, before, name, false);
      if (this.entry(at, is, was, same)) changed = true;
    }
    return changed;
  }

  private entry(path: ByteString, is: Look | null, was: Look | null, same: boolean): boolean {
    if (is === null || this.isHidden(is.found)) return was !== null && is === null && this.record('D', path);
    if (was === null) return this.added(path, is);
    if (is.st.type !== was.st.type) {
      this.record('C', path);
      this.below(path, is);
      return true;
    }
    const equal = sameToUser(this.sb, is, was);
    if (typeof equal === 'number') return this.fail(equal, path);
    let changed = !equal;
    if (is.found.isDir) {
      const stack = (same && !is.found.opaque && is.found.redirect === null) || this.sameStack(is.found, was.found);
      if (this.directory(path, asDirectory(is), asDirectory(was), stack)) changed = true;
    }
    return changed && this.record('C', path);
  }

  private added(path: ByteString, is: Look): boolean {
    if (this.isHidden(is.found)) return false;
    this.record('A', path);
    this.below(path, is);
    return true;
  }

  /** Everything in a directory that was not there before. */
  private below(path: ByteString, is: Look): void {
    if (!is.found.isDir) return;
    const dir = asDirectory(is);
    const listing = list(this.sb, dir);
    if (typeof listing === 'number') {
      this.fail(listing, path);
      return;
    }
    for (const name of listing.entries.names()) {
      if (this.failure !== null) return;
      const look = this.look(`${path}/${name}`, dir, name, true);
      if (look !== null) this.added(`${path}/${name}`, look);
    }
  }

  /** `now`: in the union with the upper, and so with its index. */
  private look(path: ByteString, dir: DirInode, name: ByteString, now: boolean): Look | null {
    const st = new Stat();
    let found = lookupLayers(this.sb, dir, name, st);
    const err = now && found !== null && typeof found !== 'number' ? identify(this.sb, found, st) : 0;
    if (err < 0) found = err;
    if (typeof found === 'number') {
      this.fail(found, path);
      return null;
    }
    return found && { found, st };
  }

  /** The upper's own entries, whiteouts too, and what the index changes. */
  private changedNames(path: ByteString, upper: Dentry | null): Iterable<ByteString> {
    const raw: RawDirent[] = [];
    const err = upper ? upper.layer.readdir(upper, raw) : 0;
    if (err < 0) this.fail(err, path);
    const names = new Set(this.indexed.get(path));
    for (const { name } of raw) names.add(name);
    return names;
  }

  /** Every name that either union shows. */
  private allNames(path: ByteString, now: DirInode, before: DirInode): ByteString[] {
    const names = new Set<ByteString>();
    for (const dir of [now, before]) {
      const listing = list(this.sb, dir);
      if (typeof listing === 'number') this.fail(listing, path);
      else for (const name of listing.entries.names()) names.add(name);
    }
    return [...names];
  }

  /** Whether two directories have the same real directories below the upper. */
  private sameStack(a: Found, b: Found): boolean {
    if (a.lowers.length !== b.lowers.length) return false;
    const one = new Stat();
    const other = new Stat();
    return a.lowers.every(
      (d, i) => d.layer.stat(d, one) >= 0 && b.lowers[i].layer.stat(b.lowers[i], other) >= 0 && sameInode(one, other),
    );
  }

  private isHidden(found: Found): boolean {
    if (!found.isDir || this.hidden.length === 0) return false;
    const st = new Stat();
    const lowest = found.lowers.at(-1) ?? found.upper!;
    if (lowest.layer.stat(lowest, st) < 0) return false;
    return this.hidden.some((one) => one.dev === st.dev && one.ino === st.ino);
  }

  private record(kind: Change['kind'], path: ByteString): true {
    this.changes.push({ kind, path });
    return true;
  }

  private fail(errno: number, path: ByteString): false {
    this.failure ??= { errno, path: path === '' ? '/' : path };
    return false;
  }
}
