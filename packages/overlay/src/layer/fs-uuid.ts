/**
 * The uuid that origins name a filesystem by: the kernel's s_uuid. Most filesystems tell it by
 * FS_IOC_GETFSUUID (6.9); btrfs does not, and has an ioctl of its own.
 */
import { BTRFS_IOC_FS_INFO, FS_IOC_GETFSUUID } from '../sys/constants.ts';
import type { Sys } from '../sys/sys.ts';

const UUID_SIZE = 16;
/** Enough of a `struct fsuuid2`: the length, then the uuid. */
const SIZEOF_FSUUID2 = 17;
const SIZEOF_BTRFS_FS_INFO = 1024;
/** Where `fsid` lies in it. */
const BTRFS_FSID = 16;

/** `fd` is open on any directory of the filesystem. @returns zeros where it has no uuid or does not tell. */
export function fsUuid(sys: Sys, fd: number): Buffer {
  const answer = Buffer.alloc(SIZEOF_FSUUID2);
  if (sys.ioctl(fd, FS_IOC_GETFSUUID, answer) === 0 && answer[0] === UUID_SIZE) return answer.subarray(1);
  const info = Buffer.alloc(SIZEOF_BTRFS_FS_INFO);
  if (sys.ioctl(fd, BTRFS_IOC_FS_INFO, info) === 0) return info.subarray(BTRFS_FSID, BTRFS_FSID + UUID_SIZE);
  return Buffer.alloc(UUID_SIZE);
}
