/**
 * IOCTL, as far as the kernel's own fuse code makes them (fs/fuse/ioctl.c, fuse_fileattr_get and
 * _set): FS_IOC_GETFLAGS and SETFLAGS, and the FSGETXATTR/FSSETXATTR pair, by which chattr(1) and
 * lsattr(1) arrive; and the one of our own (ops/hydration.ts). Any other ioctl is ENOTTY.
 */
import { encodeHydration, HydrationStep, SIZEOF_HYDRATE, STRATA_IOC_HYDRATE } from '../ops/hydration.ts';
import { FS_IOC_FSGETXATTR, FS_IOC_FSSETXATTR, FS_IOC_GETFLAGS, FS_IOC_SETFLAGS } from '../sys/constants.ts';
import { EINVAL, ENOTTY } from '../sys/errno.ts';
import type { Connection } from './connection.ts';
import { IN_HEADER, ioctlIn, ioctlOut, OUT_HEADER } from './layout.ts';

/** struct fsxattr. */
const SIZEOF_FSXATTR = 28;

export function ioctl(c: Connection): number {
  switch (c.request.arg32(ioctlIn.cmd) >>> 0) {
    case FS_IOC_GETFLAGS:
      return getFlags(c);
    case FS_IOC_SETFLAGS:
      return setFlags(c);
    case FS_IOC_FSGETXATTR:
      return getFsxattr(c);
    case FS_IOC_FSSETXATTR:
      return setFsxattr(c);
    case STRATA_IOC_HYDRATE:
      return hydrate(c);
    default:
      return -ENOTTY;
  }
}

function getFlags(c: Connection): number {
  const flags = c.ops.getflags(c.takeCaller(), c.request.nodeid);
  if (flags < 0) return flags;
  c.reply.setU32(OUT_HEADER + ioctlOut.size, flags);
  return done(c, 4);
}

function setFlags(c: Connection): number {
  const { request } = c;
  if (request.arg32(ioctlIn.inSize) < 4) return -EINVAL;
  return changed(c, c.ops.setflags(c.takeCaller(), request.nodeid, request.arg32(ioctlIn.data)));
}

function getFsxattr(c: Connection): number {
  const at = OUT_HEADER + ioctlOut.size;
  const out = c.reply.bytes.subarray(at, at + SIZEOF_FSXATTR);
  out.fill(0);
  const result = c.ops.getfsxattr(c.takeCaller(), c.request.nodeid, out);
  return result < 0 ? result : done(c, SIZEOF_FSXATTR);
}

function setFsxattr(c: Connection): number {
  const { request } = c;
  if (request.arg32(ioctlIn.inSize) < SIZEOF_FSXATTR) return -EINVAL;
  const at = IN_HEADER + ioctlIn.data;
  const value = request.bytes.subarray(at, at + SIZEOF_FSXATTR);
  return changed(c, c.ops.setfsxattr(c.takeCaller(), request.nodeid, value));
}

function hydrate(c: Connection): number {
  const { request } = c;
  if (c.ops.hydrate === undefined) return -ENOTTY;
  if (request.arg32(ioctlIn.inSize) < SIZEOF_HYDRATE) return -EINVAL;
  const step = new HydrationStep();
  const result = c.ops.hydrate(c.takeCaller(), request.arg64(ioctlIn.data), step);
  if (result < 0) return result;
  const at = OUT_HEADER + ioctlOut.size;
  const out = c.reply.bytes.subarray(at, at + SIZEOF_HYDRATE);
  out.fill(0);
  encodeHydration(out, step);
  return done(c, SIZEOF_HYDRATE);
}

/** The kernel's fuse code does not know that flags have a ctime, nor that this may have copied up, even where it failed then. */
function changed(c: Connection, result: number): number {
  c.notify.attributes(c.request.nodeid);
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
