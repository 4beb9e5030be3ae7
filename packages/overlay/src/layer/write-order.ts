/**
 * Whether a filesystem puts the bytes of a new extent on disk before the extent: then what its map
 * of extents says after a power cut can be believed. So does xfs, which enters an extent when
 * the write has ended, and ext4 where it does the same (delalloc with dioread_nolock), or where the
 * journal orders data before metadata (data=ordered, data=journal). btrfs does it too, but writes zeros
 * into the hole that a file ends in when the file grows, which would then count as data.
 */
import { type ByteString, fromBuffer } from '../sys/bytes.ts';
import { AT_FDCWD, EXT4_SUPER_MAGIC, O_RDONLY, XFS_SUPER_MAGIC } from '../sys/constants.ts';
import { major, minor, StatFs } from '../sys/stat.ts';
import type { Sys } from '../sys/sys.ts';

/** `fd` is open on the filesystem, `dev` its st_dev. */
export function writesDataFirst(sys: Sys, fd: number, dev: number): boolean {
  const fs = new StatFs();
  if (sys.fstatfs(fd, fs) < 0) return false;
  switch (fs.type >>> 0) {
    case XFS_SUPER_MAGIC:
      return true;
    case EXT4_SUPER_MAGIC: {
      const options = ext4Options(sys, dev);
      return options !== null && ordersExtents(options);
    }
    default:
      return false;
  }
}

/** `options`: /proc/fs/ext4/DEVICE/options, one a line, with those that nobody gave too. */
export function ordersExtents(options: string): boolean {
  const set = new Set(options.split('\n'));
  if (set.has('data=ordered') || set.has('data=journal')) return true;
  return set.has('delalloc') && set.has('dioread_nolock');
}

function ext4Options(sys: Sys, dev: number): string | null {
  const device = sys.readlinkat(AT_FDCWD, `/sys/dev/block/${major(dev)}:${minor(dev)}`);
  if (typeof device === 'number') return null;
  return readSmall(sys, `/proc/fs/ext4/${device.slice(device.lastIndexOf('/') + 1)}/options`);
}

function readSmall(sys: Sys, path: ByteString): string | null {
  const fd = sys.openat(AT_FDCWD, path, O_RDONLY, 0);
  if (fd < 0) return null;
  const buf = Buffer.alloc(8192);
  const n = sys.pread(fd, buf, 0, buf.length, 0);
  sys.close(fd);
  return n < 0 ? null : fromBuffer(buf, 0, n);
}
