/**
 * IOCTL, as far as the kernel's own fuse code makes them (fs/fuse/ioctl.c, fuse_fileattr_get and
 * _set): FS_IOC_GETFLAGS and SETFLAGS, and the FSGETXATTR/FSSETXATTR pair, by which chattr(1) and
 * lsattr(1) arrive. The second pair's flags are the first pair's by other numbers; its extent size
 * hints and project ids are not kept here. Any other ioctl is ENOTTY.
 */
import {
  FS_APPEND_FL,
  FS_IMMUTABLE_FL,
  FS_IOC_GETFLAGS,
  FS_IOC_SETFLAGS,
  FS_NOATIME_FL,
  FS_SYNC_FL,
} from '../sys/constants.ts';
import { EINVAL, ENOTTY, EOPNOTSUPP } from '../sys/errno.ts';
import type { Connection } from './connection.ts';
import { FS_IOC_FSGETXATTR, FS_IOC_FSSETXATTR } from './flags.ts';
import { IN_HEADER, ioctlIn, ioctlOut, OUT_HEADER } from './layout.ts';

const FS_NODUMP_FL = 0x40;
const FS_XFLAG_HASATTR = 0x8000_0000;

/** FS_*_FL beside the FS_XFLAG_* that means the same. */
const flagPairs: readonly (readonly [number, number])[] = [
  [FS_IMMUTABLE_FL, 0x08],
  [FS_APPEND_FL, 0x10],
  [FS_SYNC_FL, 0x20],
  [FS_NOATIME_FL, 0x40],
  [FS_NODUMP_FL, 0x80],
];

/** struct fsxattr. */
const fsxattr = { xflags: 0, extsize: 4, nextents: 8, projid: 12, cowextsize: 16, size: 28 } as const;

export function ioctl(c: Connection): number {
  switch (c.request.arg32(ioctlIn.cmd)) {
    case FS_IOC_GETFLAGS:
      return getFlags(c);
    case FS_IOC_SETFLAGS:
      return setFlags(c);
    case FS_IOC_FSGETXATTR:
      return getXflags(c);
    case FS_IOC_FSSETXATTR:
      return setXflags(c);
    default:
      return -ENOTTY;
  }
}

/** An overlay on top asks at every copy-up: ENOTTY tells it that there are none to copy, other errors fail the copy-up. */
function flagsOf(c: Connection): number {
  const flags = c.ops.getflags(c.takeCaller(), c.request.nodeid);
  return flags === -EOPNOTSUPP ? -ENOTTY : flags;
}

function getFlags(c: Connection): number {
  const flags = flagsOf(c);
  if (flags < 0) return flags;
  c.reply.setU32(OUT_HEADER + ioctlOut.size, flags);
  return done(c, 4);
}

function setFlags(c: Connection): number {
  if (c.request.arg32(ioctlIn.inSize) < 4) return -EINVAL;
  const result = c.ops.setflags(c.takeCaller(), c.request.nodeid, c.request.arg32(ioctlIn.data));
  return result < 0 ? result : done(c, 0);
}

function getXflags(c: Connection): number {
  const flags = flagsOf(c);
  if (flags < 0) return flags;
  let xflags = 0;
  for (const [flag, xflag] of flagPairs) if (flags & flag) xflags |= xflag;
  const at = OUT_HEADER + ioctlOut.size;
  c.reply.bytes.fill(0, at, at + fsxattr.size);
  c.reply.setU32(at + fsxattr.xflags, xflags);
  return done(c, fsxattr.size);
}

function setXflags(c: Connection): number {
  const { request } = c;
  if (request.arg32(ioctlIn.inSize) < fsxattr.size) return -EINVAL;
  const at = IN_HEADER + ioctlIn.data;
  const hints =
    request.u32(at + fsxattr.extsize) | request.u32(at + fsxattr.projid) | request.u32(at + fsxattr.cowextsize);
  if (hints !== 0) return -EOPNOTSUPP;
  const caller = c.takeCaller();
  let flags = c.ops.getflags(caller, request.nodeid);
  if (flags < 0) return flags;
  let rest = request.u32(at + fsxattr.xflags) & ~FS_XFLAG_HASATTR;
  for (const [flag, xflag] of flagPairs) {
    flags = rest & xflag ? flags | flag : flags & ~flag;
    rest &= ~xflag;
  }
  if (rest !== 0) return -EOPNOTSUPP;
  const result = c.ops.setflags(caller, request.nodeid, flags);
  return result < 0 ? result : done(c, 0);
}

/** struct fuse_ioctl_out in front of `size` bytes of answer. */
function done(c: Connection, size: number): number {
  const { reply } = c;
  reply.setU32(OUT_HEADER + ioctlOut.result, 0);
  reply.setU32(OUT_HEADER + ioctlOut.flags, 0);
  reply.setU32(OUT_HEADER + ioctlOut.inIovs, 0);
  reply.setU32(OUT_HEADER + ioctlOut.outIovs, 0);
  return ioctlOut.size + size;
}
