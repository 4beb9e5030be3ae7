/**
 * Flag bits of the FUSE protocol and the ioctls of /dev/fuse (include/uapi/linux/fuse.h, 7.45).
 * INIT flags above bit 31 travel in `flags2`; here they are INIT2_*, counted from 0 in that word.
 */
export const KERNEL_VERSION = 7;
export const KERNEL_MINOR_VERSION = 45;
export const ROOT_ID = 1;

// INIT, `flags`
export const INIT_ASYNC_READ: number = 1 << 0;
export const INIT_ATOMIC_O_TRUNC: number = 1 << 3;
export const INIT_EXPORT_SUPPORT: number = 1 << 4;
export const INIT_BIG_WRITES: number = 1 << 5;
export const INIT_DONT_MASK: number = 1 << 6;
export const INIT_DO_READDIRPLUS: number = 1 << 13;
export const INIT_READDIRPLUS_AUTO: number = 1 << 14;
export const INIT_ASYNC_DIO: number = 1 << 15;
export const INIT_PARALLEL_DIROPS: number = 1 << 18;
export const INIT_POSIX_ACL: number = 1 << 20;
export const INIT_ABORT_ERROR: number = 1 << 21;
export const INIT_MAX_PAGES: number = 1 << 22;
export const INIT_CACHE_SYMLINKS: number = 1 << 23;
export const INIT_EXPLICIT_INVAL_DATA: number = 1 << 25;
export const INIT_HANDLE_KILLPRIV_V2: number = 1 << 28;
export const INIT_SETXATTR_EXT: number = 1 << 29;
export const INIT_INIT_EXT: number = 1 << 30;

// INIT, `flags2` (bit 32 of the whole is bit 0 here)
export const INIT2_CREATE_SUPP_GROUP: number = 1 << 2;
export const INIT2_DIRECT_IO_ALLOW_MMAP: number = 1 << 4;
export const INIT2_PASSTHROUGH: number = 1 << 5;
export const INIT2_NO_EXPORT_SUPPORT: number = 1 << 6;

// What OPEN and CREATE are answered with
export const FOPEN_DIRECT_IO: number = 1 << 0;
export const FOPEN_KEEP_CACHE: number = 1 << 1;
export const FOPEN_CACHE_DIR: number = 1 << 3;
export const FOPEN_PASSTHROUGH: number = 1 << 7;

// Requests
export const GETATTR_FH: number = 1 << 0;
export const FATTR_FH: number = 1 << 6;
export const OPEN_KILL_SUIDGID: number = 1 << 0;
export const WRITE_CACHE: number = 1 << 0;
export const WRITE_KILL_SUIDGID: number = 1 << 2;
export const SETXATTR_ACL_KILL_SGID: number = 1 << 0;
export const FSYNC_FDATASYNC: number = 1 << 0;
/** Extension at the end of a request: struct fuse_supp_groups. */
export const EXT_GROUPS = 32;

/** _IOW(229, 1, struct fuse_backing_map) */
export const FUSE_DEV_IOC_BACKING_OPEN = 0x4010e501;
/** _IOW(229, 2, uint32_t) */
export const FUSE_DEV_IOC_BACKING_CLOSE = 0x4004e502;
