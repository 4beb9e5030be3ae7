/** The file flags that both forms know (linux/fs.h): FS_*_FL of FS_IOC_GETFLAGS, FS_XFLAG_* of file_getattr(2). */
import {
  FS_APPEND_FL,
  FS_IMMUTABLE_FL,
  FS_NOATIME_FL,
  FS_SYNC_FL,
  FS_XFLAG_APPEND,
  FS_XFLAG_IMMUTABLE,
  FS_XFLAG_NOATIME,
  FS_XFLAG_SYNC,
} from '../sys/constants.ts';

/** Those that copy-up heeds. */
export const PLAIN_FLAGS: number = FS_SYNC_FL | FS_IMMUTABLE_FL | FS_APPEND_FL | FS_NOATIME_FL;

export function fromXflags(xflags: number): number {
  return (
    (xflags & FS_XFLAG_SYNC ? FS_SYNC_FL : 0) |
    (xflags & FS_XFLAG_IMMUTABLE ? FS_IMMUTABLE_FL : 0) |
    (xflags & FS_XFLAG_APPEND ? FS_APPEND_FL : 0) |
    (xflags & FS_XFLAG_NOATIME ? FS_NOATIME_FL : 0)
  );
}
