/**
 * Completion of lazy copy-ups: the blocks that the upper does not hold are copied, then the marks go.
 *
 * Crash points: what has been copied stays, and the next mount goes on there. The marks go in an order
 * in which each prefix is refused by the kernel or has all the data: the guards, then ours, then the
 * entry in the registry, with a flush before and after.
 */
import type { Dentry } from '../layer/layer.ts';
import type { ByteString } from '../sys/bytes.ts';
import { EINTR, EIO, ENODATA, ENOENT, ERESTART, ESTALE, errnoName } from '../sys/errno.ts';
import { Stat } from '../sys/stat.ts';
import type { Inode } from './inode.ts';
import type { LazyFile } from './lazy-file.ts';
import { dropKnown, hasLazyMarks, lazyOf, USER_GUARD, withLazy } from './lazy-files.ts';
import { dropEmptyMarker, entryHandle, registered, unregister } from './lazy-registry.ts';
import type { Super } from './super.ts';

/** Bytes copied between two looks at whether the work is still wanted. */
const CHUNK = 4 * 1024 * 1024;
/** Bytes copied between two turns of others. */
const PIECE = 4 * 1024 * 1024;

/** Copies at most `budget` bytes of the attached `lazy`. @returns how many; less than `budget` when nothing is missing any more. */
function fill(lazy: LazyFile, d: Dentry, budget: number): number {
  let done = 0;
  let at = 0;
  while (done < budget) {
    if (lazy.sb.hooks.cancelled()) return -EINTR;
    const next = lazy.missing(at);
    if (next === null) return done;
    if (done === 0) {
      const err = lazy.pin(d);
      if (err < 0) return err;
    }
    // A block at least, whatever the budget.
    const room = Math.max(budget - done, lazy.map!.blockSize);
    const n = lazy.fill(next.start, Math.min(next.end - next.start, CHUNK, room));
    if (n < 0) return n;
    done += n;
    at = next.start + n;
  }
  return done;
}

/** All data is there. @returns 0 or a negative errno, after which it can be asked again. */
function finish(lazy: LazyFile, d: Dentry): number {
  const { sb } = lazy;
  const flushes = sb.config.fsync !== 'volatile';
  let err = flushes ? d.layer.fsync(lazy.stub, false) : 0;
  for (const name of [USER_GUARD, sb.names.redirect, sb.names.metacopy, sb.names.lazy]) {
    if (err >= 0) err = removeMark(d, name);
  }
  if (err >= 0 && flushes) err = d.layer.fsync(lazy.stub, false);
  if (err < 0) return err;
  lazy.complete = true;
  const { inode } = lazy;
  if (inode) {
    inode.lazy = null;
    inode.completed = true;
    if (inode.nodeid !== 0) sb.hooks.attrChanged?.(inode.nodeid);
    dropKnown(sb, inode, lazy);
  }
  unregister(sb, lazy.entry);
  return 0;
}

function removeMark(d: Dentry, name: ByteString): number {
  const err = d.layer.removexattr(d, name);
  return err === -ENODATA ? 0 : err;
}

/**
 * Copies at most `budget` bytes of the file at `d`, and takes the marks away when nothing is missing.
 * @returns how many bytes were copied, or a negative errno; `lazy.complete` says whether that was all.
 */
function step(lazy: LazyFile, d: Dentry, budget: number): number {
  return withLazy(lazy, d, () => {
    const done = fill(lazy, d, budget);
    const err = lazy.restore(d);
    if (done < 0 || err < 0) return Math.min(done, err);
    if (done >= budget) return done;
    const finished = finish(lazy, d);
    return finished < 0 ? finished : done;
  });
}

/** Makes `inode` complete now. */
export function completeLazy(lazy: LazyFile, inode: Inode): number {
  return Math.min(0, step(lazy, inode.upper!, Number.POSITIVE_INFINITY));
}

/**
 * The same for a caller who may be asked to wait: where a door can ask again, others have their turn after each piece.
 * @returns 0 when it is complete; -ERESTART when there is more to do; another negative errno.
 */
export function completeInTurns(lazy: LazyFile, inode: Inode): number {
  const { goesOn } = lazy.sb.hooks;
  const done = step(lazy, inode.upper!, goesOn === undefined ? Number.POSITIVE_INFINITY : PIECE);
  if (done < 0 || lazy.complete) return Math.min(0, done);
  goesOn?.();
  return -ERESTART;
}

/** A file of which nothing is the lower's any more. */
export function finishEmptied(lazy: LazyFile, inode: Inode): number {
  return lazy.limit === 0 ? completeLazy(lazy, inode) : 0;
}

/** What is incomplete in the whole upper. */
export interface Pending {
  files: number;
  /** Bytes that have still to be looked at; holes of the lowers count. */
  bytes: number;
}

/** A step of completing whatever is pending. */
export interface Hydration {
  /** Bytes copied by this step. */
  copied: number;
  /** Files made complete by this step. */
  completed: number;
  /** Entries that cannot be completed: their errno, negative; '' is all of them, where they cannot be listed. */
  failed: Map<ByteString, number>;
  /** Nothing more can be done. */
  done: boolean;
}

/** Copies at most `budget` bytes, of any incomplete file but those in `skip`, which grows by those that fail. */
export function hydrate(sb: Super, budget: number, skip: Map<ByteString, number>): Hydration {
  const result: Hydration = { copied: 0, completed: 0, failed: skip, done: false };
  const names = sb.config.readOnly ? [] : registered(sb);
  if (typeof names === 'number') {
    // Nobody knows which they are.
    skip.set('', names);
    return { ...result, done: true };
  }
  for (const name of names) {
    if (skip.has(name)) continue;
    if (sb.hooks.cancelled() || result.copied >= budget) return result;
    const left = hydrateEntry(sb, name, budget - result.copied, result);
    if (left === -EINTR) return result;
    if (left < 0) {
      skip.set(name, left);
      sb.hooks.log(`a copy-up cannot be completed (${name}): ${errnoName(left)}`);
    }
  }
  return { ...result, done: result.copied < budget };
}

function hydrateEntry(sb: Super, name: ByteString, budget: number, into: Hydration): number {
  return withEntry(sb, name, (d, lazy) => {
    if (lazy === null) return 0;
    sb.lazy.current = lazy;
    const n = step(lazy, d, budget);
    if (n < 0 || lazy.complete) sb.lazy.current = null;
    if (n < 0) return n;
    into.copied += n;
    if (lazy.complete) into.completed++;
    return 0;
  });
}

/** Runs `use` on the file that an entry names; null for one that is no longer incomplete, whose entry goes. */
function withEntry(sb: Super, name: ByteString, use: (d: Dentry, lazy: LazyFile | null) => number): number {
  const id = entryHandle(name);
  const upper = sb.upper!;
  const d = id ? upper.byHandle(id) : -EIO;
  if (typeof d === 'number') {
    // Only the file that is gone needs none: of any other nothing is known, for want of a right, a descriptor, memory.
    if (d !== -ESTALE && d !== -ENOENT) return id ? d : 0;
    unregister(sb, name);
    return 0;
  }
  const result = withFile(sb, name, d, use);
  upper.release(d);
  return result;
}

function withFile(sb: Super, name: ByteString, d: Dentry, use: (d: Dentry, lazy: LazyFile | null) => number): number {
  const st = new Stat();
  const names = d.layer.listxattr(d);
  if (typeof names === 'number') return names;
  const err = d.layer.stat(d, st);
  if (err < 0) return err;
  if (st.nlink > 0 && hasLazyMarks(sb, names)) return use(d, lazyOf(sb, d, st.ino));
  // The last step of completion did not come to pass.
  if (names.includes(sb.names.lazy) && !names.includes(sb.names.metacopy)) removeMark(d, sb.names.lazy);
  unregister(sb, name);
  return use(d, null);
}

/** How much is pending. */
export function pendingOf(sb: Super): Pending {
  const pending: Pending = { files: 0, bytes: 0 };
  const names = registered(sb);
  if (typeof names === 'number') return pending;
  for (const name of names) {
    withEntry(sb, name, (d, lazy) => {
      if (lazy === null) return 0;
      pending.files++;
      return withLazy(lazy, d, () => {
        const { map } = lazy;
        pending.bytes += Math.min(map!.missing(Math.ceil(lazy.limit / map!.blockSize)) * map!.blockSize, lazy.limit);
        return 0;
      });
    });
  }
  return pending;
}

/** Completes all that can be, unless it is cancelled. */
export function completeAll(sb: Super): void {
  const failed = new Map<ByteString, number>();
  while (!sb.hooks.cancelled() && !hydrate(sb, Number.POSITIVE_INFINITY, failed).done);
}

/** At a mount: what a crash has left of completions under way is put right; no data is copied. */
export function resumeLazy(sb: Super): void {
  const names = registered(sb);
  if (typeof names === 'number') return;
  if (names.length === 0) dropEmptyMarker(sb);
  for (const name of names) {
    withEntry(sb, name, (d, lazy) => {
      if (lazy === null || lazy.record.pin === null) return 0;
      return lazy.restore(d);
    });
  }
}

/** Nobody knows `inode` any more: a file without names needs no entry. */
export function forgetLazy(sb: Super, inode: Inode): void {
  const { lazy, upper } = inode;
  if (lazy === null || upper === null) return;
  dropKnown(sb, inode, lazy);
  lazy.inode = null;
  if (sb.lazy.current === null && !inode.unlinked) sb.lazy.current = lazy;
  if (!inode.unlinked || lazy.entry === '') return;
  const st = new Stat();
  if (upper.layer.stat(upper, st) >= 0 && st.nlink === 0) unregister(sb, lazy.entry);
}
