/**
 * INIT: what this server and the kernel agree on (fs/fuse/inode.c, process_init_reply). Pure.
 *
 * Only flags that the kernel offered are answered. Left to the kernel, on purpose: file locks
 * (POSIX_LOCKS, FLOCK_LOCKS: nobody else sees these files), the writeback cache (it excludes
 * passthrough and would make mtimes the kernel's), NO_OPEN (opens must be seen: they copy up).
 */
import {
  INIT_ABORT_ERROR,
  INIT_ASYNC_DIO,
  INIT_ASYNC_READ,
  INIT_ATOMIC_O_TRUNC,
  INIT_BIG_WRITES,
  INIT_CACHE_SYMLINKS,
  INIT_DO_READDIRPLUS,
  INIT_DONT_MASK,
  INIT_EXPLICIT_INVAL_DATA,
  INIT_EXPORT_SUPPORT,
  INIT_HANDLE_KILLPRIV_V2,
  INIT_INIT_EXT,
  INIT_MAX_PAGES,
  INIT_PARALLEL_DIROPS,
  INIT_POSIX_ACL,
  INIT_READDIRPLUS_AUTO,
  INIT_SETXATTR_EXT,
  INIT2_CREATE_SUPP_GROUP,
  INIT2_DIRECT_IO_ALLOW_MMAP,
  INIT2_NO_EXPORT_SUPPORT,
  INIT2_PASSTHROUGH,
  KERNEL_MINOR_VERSION,
  KERNEL_VERSION,
} from './flags.ts';
import { IN_HEADER, initIn, initOut, OUT_HEADER } from './layout.ts';
import type { Reply, Request } from './wire.ts';

/** 7.31 is Linux 5.4, from when on no structure that this server uses has changed its layout. */
const MINOR_MIN = 31;
/** Bytes of a WRITE or READ at most: 256 pages, what the kernel allows without a sysctl. */
export const MAX_WRITE: number = 1 << 20;
const MAX_PAGES = 256;
const MAX_BACKGROUND = 64;
const CONGESTION_THRESHOLD = 48;

export interface InitWishes {
  /** Attributes with every listing, with listings whose entries get looked up, or never. */
  readdirplus: 'always' | 'auto' | 'never';
  /** POSIX ACLs are checked by the kernel and stored as xattrs here. */
  posixAcl: boolean;
  /** LOOKUP answers `.` and `..`, so that file handles outlive the kernel's cache. */
  exportSupport: boolean;
  /** Ask for passthrough (the privilege for it is not looked at here). */
  passthrough: boolean;
}

/** What was agreed on. */
export interface Negotiated {
  minor: number;
  flags: number;
  flags2: number;
  /** SETXATTR requests carry the extended structure. */
  setxattrExt: boolean;
  passthrough: boolean;
  maxReadahead: number;
}

/**
 * Reads the INIT request and says what to answer; null when the kernel's protocol is too old or
 * of another major version.
 */
export function negotiate(request: Request, wishes: InitWishes): Negotiated | null {
  if (request.arg32(initIn.major) !== KERNEL_VERSION || request.arg32(initIn.minor) < MINOR_MIN) return null;
  const offered = request.arg32(initIn.flags);
  const extended = (offered & INIT_INIT_EXT) !== 0 && request.length >= IN_HEADER + initIn.flags2 + 4;
  const offered2 = extended ? request.arg32(initIn.flags2) : 0;

  let wanted =
    INIT_ASYNC_READ |
    INIT_ATOMIC_O_TRUNC |
    INIT_BIG_WRITES |
    INIT_DONT_MASK |
    INIT_ASYNC_DIO |
    INIT_PARALLEL_DIROPS |
    INIT_ABORT_ERROR |
    INIT_MAX_PAGES |
    INIT_CACHE_SYMLINKS |
    INIT_EXPLICIT_INVAL_DATA |
    INIT_HANDLE_KILLPRIV_V2 |
    INIT_SETXATTR_EXT |
    INIT_INIT_EXT;
  if (wishes.readdirplus !== 'never') wanted |= INIT_DO_READDIRPLUS;
  if (wishes.readdirplus === 'auto') wanted |= INIT_READDIRPLUS_AUTO;
  if (wishes.posixAcl) wanted |= INIT_POSIX_ACL;
  let wanted2 = INIT2_CREATE_SUPP_GROUP | INIT2_DIRECT_IO_ALLOW_MMAP;
  if (wishes.exportSupport) wanted |= INIT_EXPORT_SUPPORT;
  else wanted2 |= INIT2_NO_EXPORT_SUPPORT;
  if (wishes.passthrough) wanted2 |= INIT2_PASSTHROUGH;

  const flags = offered & wanted;
  const flags2 = offered2 & wanted2;
  return {
    minor: Math.min(request.arg32(initIn.minor), KERNEL_MINOR_VERSION),
    flags,
    flags2,
    setxattrExt: (flags & INIT_SETXATTR_EXT) !== 0,
    passthrough: (flags2 & INIT2_PASSTHROUGH) !== 0,
    maxReadahead: request.arg32(initIn.maxReadahead),
  };
}

/** Writes struct fuse_init_out. @returns its size. */
export function encodeInit(reply: Reply, agreed: Negotiated): number {
  const at = OUT_HEADER;
  reply.bytes.fill(0, at, at + initOut.size);
  reply.setU32(at + initOut.major, KERNEL_VERSION);
  reply.setU32(at + initOut.minor, agreed.minor);
  reply.setU32(at + initOut.maxReadahead, agreed.maxReadahead);
  reply.setU32(at + initOut.flags, agreed.flags);
  reply.setU16(at + initOut.maxBackground, MAX_BACKGROUND);
  reply.setU16(at + initOut.congestionThreshold, CONGESTION_THRESHOLD);
  reply.setU32(at + initOut.maxWrite, MAX_WRITE);
  // Nanoseconds: timestamps are exact.
  reply.setU32(at + initOut.timeGran, 1);
  reply.setU16(at + initOut.maxPages, MAX_PAGES);
  reply.setU32(at + initOut.flags2, agreed.flags2);
  // Backing files may lie on any filesystem that is not itself stacked on another.
  reply.setU32(at + initOut.maxStackDepth, agreed.passthrough ? 1 : 0);
  return initOut.size;
}
