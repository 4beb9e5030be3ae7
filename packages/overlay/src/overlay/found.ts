import type { Dentry } from '../layer/layer.ts';
import type { ByteString } from '../sys/bytes.ts';
import type { IndexEntry } from './inode.ts';

/** What the layers hold for one name. */
export interface Found {
  upper: Dentry | null;
  /** Of a file: the first that counts and, where that is metadata alone, the one with the data behind it. */
  lowers: Dentry[];
  isDir: boolean;
  opaque: boolean;
  /** Of the upper. */
  redirect: ByteString | null;
  /** The upper is metadata alone. */
  upperMetacopy: boolean;
  /** The upper has only some of the data (lazy-file.ts). */
  upperLazy: boolean;
  /** The length of the attribute of the first object, 0 where it holds its data. */
  metacopySize: number;
  /** The data is looked for in data-only layers, under this path, when it is needed. */
  dataRedirect: ByteString | null;
  upperHasOrigin: boolean;
  upperIno: bigint;
  /** What the upper's overlay.protattr says. */
  protection: number;
  /** The first object is a regular file without any extended attributes. */
  bare: boolean;
  /** The first lower's inode number and link count. */
  lowerIno: bigint;
  lowerNlink: number;
  /** Filled by `identify`: the lower inode that this is, or was copied up from. */
  origin: LowerId | null;
  /** Filled by `identify`: its entry in the index; `upper` is that entry then. */
  index: IndexEntry | null;
}

/** A lower inode. */
export interface LowerId {
  /** The number of its filesystem (Super.fsNumber). */
  fs: number;
  ino: bigint;
  nlink: number;
  /** Its handle as `overlay.origin` holds it, empty where there are none. */
  value: Buffer | null;
}
