/**
 * Whether a directory has the names that getdents64(2) lists, byte by byte, and no others. Then what
 * was listed once answers for names that are missing. Not so where case is folded, where somebody else
 * fills the directory (network, FUSE), or where names are made when they are asked for (procfs): there
 * each name has to be looked up.
 */
import {
  BTRFS_SUPER_MAGIC,
  EROFS_SUPER_MAGIC,
  EXT4_SUPER_MAGIC,
  F2FS_SUPER_MAGIC,
  FS_CASEFOLD_FL,
  FS_IOC_GETFLAGS,
  OVERLAYFS_SUPER_MAGIC,
  SQUASHFS_MAGIC,
  TMPFS_MAGIC,
  XFS_IOC_FSGEOMETRY_V1,
  XFS_SUPER_MAGIC,
} from '../sys/constants.ts';
import { ENOTTY } from '../sys/errno.ts';
import type { Sys } from '../sys/sys.ts';

/** What a filesystem's directories are like: all alike, none, or some of them fold case. */
export type Lists = 'all' | 'none' | 'ask';

/** struct xfs_fsop_geom_v1: `flags` at 92, of 112 bytes. */
const GEOMETRY_SIZE = 112;
const GEOMETRY_FLAGS = 92;
const XFS_FSOP_GEOM_FLAGS_DIRV2CI = 0x2000;

/** @param fd any directory of the filesystem, open for reading; `type` is f_type. */
export function filesystemLists(sys: Sys, type: number, fd: number): Lists {
  switch (type >>> 0) {
    case BTRFS_SUPER_MAGIC:
    case EROFS_SUPER_MAGIC:
    case SQUASHFS_MAGIC:
      return 'all';
    case EXT4_SUPER_MAGIC:
    case F2FS_SUPER_MAGIC:
    case TMPFS_MAGIC:
    case OVERLAYFS_SUPER_MAGIC:
      return 'ask';
    case XFS_SUPER_MAGIC: {
      const geometry = Buffer.alloc(GEOMETRY_SIZE);
      if (sys.ioctl(fd, XFS_IOC_FSGEOMETRY_V1, geometry) < 0) return 'none';
      return geometry.readUInt32LE(GEOMETRY_FLAGS) & XFS_FSOP_GEOM_FLAGS_DIRV2CI ? 'none' : 'all';
    }
    default:
      return 'none';
  }
}

/** The ioctl takes a pointer to long, and fills half of it. */
const flags = Buffer.alloc(8);

/** The answer for directory `fd`, open for reading, of a filesystem that says 'ask'. */
export function directoryLists(sys: Sys, fd: number): boolean {
  const err = sys.ioctl(fd, FS_IOC_GETFLAGS, flags);
  // A filesystem without flags cannot have this one.
  return err < 0 ? err === -ENOTTY : (flags.readUInt32LE(0) & FS_CASEFOLD_FL) === 0;
}
