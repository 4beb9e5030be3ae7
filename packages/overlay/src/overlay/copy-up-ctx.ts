/**
 * One copy-up (kernel: struct ovl_copy_up_ctx): what is copied, from where, and what the copy will be. What
 * makes it is in copy-up-tmpfile.ts and copy-up-workdir.ts; when and in which order, in copy-up.ts.
 */
import { isUnmapped } from '../layer/idmapped.ts';
import type { Dentry } from '../layer/layer.ts';
import type { ByteString } from '../sys/bytes.ts';
import { S_IFDIR, S_IFREG } from '../sys/constants.ts';
import { EOVERFLOW } from '../sys/errno.ts';
import { Stat } from '../sys/stat.ts';
import type { Inode } from './inode.ts';
import type { Stub } from './lazy-stub.ts';
import { realData } from './lower-data.ts';
import { encodeNlink } from './nlink.ts';
import type { Super } from './super.ts';
import { metacopyValue } from './verity.ts';

/** One copy-up. */
export interface Copy {
  readonly inode: Inode;
  readonly lower: Dentry;
  /** Where a regular file's bytes are. */
  readonly data: Dentry;
  /** The lower's attributes. */
  readonly st: Stat;
  /** The copy's, looked at before it appears: nothing may fail after. */
  readonly made: Stat;
  /** Bytes worth copying; of metadata alone none. */
  readonly maxData: number;
  /** The name that it gets in the index, where it is to have one. */
  entry: ByteString | null;
  /** The value of overlay.metacopy for a copy of metadata alone. */
  metacopy: Buffer | null;
  /** Its data stays below for now. */
  stub: Stub | null;
}

export function newCopy(sb: Super, inode: Inode, maxData: number | undefined): Copy | number {
  const data = realData(sb, inode);
  if (typeof data === 'number') return data;
  const [lower] = inode.lowers;
  const copy: Copy = {
    inode,
    lower,
    data,
    st: new Stat(),
    made: new Stat(),
    maxData: maxData ?? Number.POSITIVE_INFINITY,
    entry: null,
    metacopy: null,
    stub: null,
  };
  const err = lower.layer.stat(lower, copy.st);
  if (err < 0) return err;
  if (isUnmapped(copy.st)) return -EOVERFLOW;
  // kernel: ovl_need_meta_copy_up.
  if (maxData === undefined && sb.config.metacopy && inode.type === S_IFREG) {
    const value = metacopyValue(sb, data);
    if (typeof value === 'number') return value;
    copy.metacopy = value;
  }
  return copy;
}

export function wantedSize({ st, maxData }: Copy): number {
  return Math.min(st.size, maxData);
}

/** A hard link that is broken, because there is no index, is no longer the lower's object. */
export function keepsOrigin({ st, entry }: Copy): boolean {
  return st.type === S_IFDIR || st.nlink === 1 || entry !== null;
}

/**
 * overlay.nlink of a copy that has one link, in the index, written before it appears there: found without,
 * it would count as one that has one name, and go with it.
 */
export function firstNlink({ st }: Copy): Buffer {
  return encodeNlink('U', st.nlink - 1);
}
