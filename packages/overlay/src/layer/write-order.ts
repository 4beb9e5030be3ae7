/**
 * Whether a filesystem puts the bytes of a new extent on disk before the extent: then what its map
 * of extents says after a power cut can be believed. So does xfs, which enters an extent when
 * the write has ended, and ext4 where it does the same (delalloc with dioread_nolock), or where the
 * journal orders data before metadata (data=ordered, data=journal). btrfs does it too, but writes zeros
 * into the hole that a file ends in when the file grows, which would then count as data.
 *
 * Ended is not on disk: the device may have the bytes in a cache that loses power with it. A journal
 * empties that cache before it commits the extent; ext4 without one, or without barriers, does not.
 */
import { type ByteString, fromBuffer } from '../sys/bytes.ts';
import { AT_FDCWD, EXT4_SUPER_MAGIC, O_RDONLY, XFS_SUPER_MAGIC } from '../sys/constants.ts';
import { major, minor, StatFs } from '../sys/stat.ts';
import type { Sys } from '../sys/sys.ts';

/**
 * `kept`: an extent that is on disk has its bytes. `cached`: only if the device's cache survived the power cut too.
 * `none`: even then it may not.
 */
export type WriteOrder = 'kept' | 'cached' | 'none';

/** `fd` is open on the filesystem, `dev` its st_dev. */
export function writeOrder(sys: Sys, fd: number, dev: number): WriteOrder {
  const fs = new StatFs();
  if (sys.fstatfs(fd, fs) < 0) return 'none';
  switch (fs.type >>> 0) {
    case XFS_SUPER_MAGIC:
      return 'kept';
    case EXT4_SUPER_MAGIC:
      return ext4Order(sys, dev);
    default:
      return 'none';
  }
}

/** `options`: /proc/fs/ext4/DEVICE/options, one a line, with those that nobody gave too; `data=` is there with a journal only. */
export function orderOf(options: string): WriteOrder {
  const set = new Set(options.split('\n'));
  const ordered = set.has('data=ordered') || set.has('data=journal');
  if (!ordered && !(set.has('delalloc') && set.has('dioread_nolock'))) return 'none';
  return (ordered || set.has('data=writeback')) && !set.has('nobarrier') ? 'kept' : 'cached';
}

function ext4Order(sys: Sys, dev: number): WriteOrder {
  const at = `/sys/dev/block/${major(dev)}:${minor(dev)}`;
  const device = sys.readlinkat(AT_FDCWD, at);
  if (typeof device === 'number') return 'none';
  const options = readSmall(sys, `/proc/fs/ext4/${device.slice(device.lastIndexOf('/') + 1)}/options`);
  const order = options === null ? 'none' : orderOf(options);
  if (order !== 'cached') return order;
  // A partition's is its disk's.
  const cache = readSmall(sys, `${at}/queue/write_cache`) ?? readSmall(sys, `${at}/../queue/write_cache`);
  return cache?.trim() === 'write through' ? 'kept' : 'cached';
}

function readSmall(sys: Sys, path: ByteString): string | null {
  const fd = sys.openat(AT_FDCWD, path, O_RDONLY, 0);
  if (fd < 0) return null;
  const buf = Buffer.alloc(8192);
  const n = sys.pread(fd, buf, 0, buf.length, 0);
  sys.close(fd);
  return n < 0 ? null : fromBuffer(buf, 0, n);
}
