/**
 * The incomplete files of one mount: what makes a file one, which of them are in memory, and how
 * an inode comes to its own.
 *
 * A file is incomplete while it has `overlay.strata.lazy` and `overlay.metacopy`. Its marks:
 *
 *   trusted.overlay.metacopy, user.overlay.metacopy   one byte: any lookup of the kernel's is EIO
 *   overlay.redirect `a/b`                             EINVAL, for kernels that do not look at the length
 *   overlay.strata.lazy                                ours (lazy-record.ts)
 */
import type { Dentry } from '../layer/layer.ts';
import type { ByteString } from '../sys/bytes.ts';
import type { Found } from './found.ts';
import type { Inode } from './inode.ts';
import { LazyFile } from './lazy-file.ts';
import { decodeLazy, type LazyRecord } from './lazy-record.ts';
import { entryName } from './lazy-registry.ts';
import type { Super } from './super.ts';

/** `auto`: where the filesystem cannot share the bytes (reflink), and only what is large. */
export type CopyUpMode = 'full' | 'auto' | 'lazy';

/** Bytes, by mode: below it a stub and its flushes cost as much as the copy. */
export const COPYUP_THRESHOLD: Readonly<Record<CopyUpMode, number>> = {
  full: Number.POSITIVE_INFINITY,
  auto: 16 * 1024 * 1024,
  lazy: 128 * 1024,
};

/** The guard under the prefix that is not the mount's own: a user may know its name, and is not shown it. */
export const USER_GUARD: ByteString = 'user.overlay.metacopy';

export class LazyFiles {
  mode: CopyUpMode = 'full';
  /** Bytes: a smaller file is copied up whole. */
  threshold = 0;
  /** Whether new ones may be made; undefined: not tried yet. */
  usable: boolean | undefined = undefined;
  /** By the inode number in the upper. */
  readonly known: Map<bigint, LazyFile> = new Map();
  /** The one that is being completed, though nobody may know it: to read its map again it would have to be written back. */
  current: LazyFile | null = null;
}

export function hasLazyMarks(sb: Super, names: readonly ByteString[]): boolean {
  return names.includes(sb.names.lazy) && names.includes(sb.names.metacopy);
}

/** What cannot be read is known as incomplete all the same, and every use of its data is EIO. */
const UNREADABLE: LazyRecord = {
  origin: Buffer.alloc(0),
  lower: { size: 0, mtime: 0, mtimeNsec: 0, ctime: 0, ctimeNsec: 0, blocks: 0 },
  limit: 0,
  ino: 0n,
  btime: 0,
  btimeNsec: 0,
  pin: null,
};

function readRecord(sb: Super, d: Dentry): LazyRecord {
  const value = d.layer.getxattr(d, sb.names.lazy);
  return (typeof value === 'number' ? null : decodeLazy(value)) ?? { ...UNREADABLE };
}

/** The incomplete file that lookup has found. */
export function findLazy(sb: Super, found: Found): LazyFile {
  return lazyOf(sb, found.upper!, found.upperIno);
}

export function lazyOf(sb: Super, d: Dentry, ino: bigint): LazyFile {
  const known = sb.lazy.known.get(ino);
  if (known) return known;
  const id = d.layer.fileHandle(d);
  const entry = typeof id === 'number' ? '' : entryName(id);
  const { current } = sb.lazy;
  // A handle is never given to another inode.
  if (current !== null && entry !== '' && current.entry === entry && !current.complete) return current;
  return new LazyFile(sb, readRecord(sb, d), entry, null);
}

/** `inode` shows the file from now on. */
export function adoptLazy(sb: Super, inode: Inode, lazy: LazyFile): void {
  if (lazy.complete) return;
  inode.lazy = lazy;
  lazy.inode = inode;
  sb.lazy.known.set(inode.upperIno, lazy);
}

/** The number may have been given to another file since, whose only map this must not take. */
export function dropKnown(sb: Super, { upperIno }: Inode, lazy: LazyFile): void {
  if (sb.lazy.known.get(upperIno) === lazy) sb.lazy.known.delete(upperIno);
}

/** The file behind `inode` if it is incomplete. */
export function pendingLazy(inode: Inode): LazyFile | null {
  return inode.lazy !== null && !inode.lazy.complete ? inode.lazy : null;
}

/** Runs `use` with the file open. */
export function withLazy(lazy: LazyFile, d: Dentry, use: () => number): number {
  const err = lazy.attach(d);
  if (err < 0) return err;
  const result = use();
  lazy.detach();
  return result;
}
