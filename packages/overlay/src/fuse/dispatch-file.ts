/**
 * Requests on open files: OPEN, CREATE, TMPFILE, READ, WRITE, RELEASE, FSYNC, FLUSH, FALLOCATE,
 * LSEEK, COPY_FILE_RANGE. Each handler decodes, makes one call of Ops, encodes; see dispatch.ts.
 *
 * FLUSH is answered ENOSYS: the kernel then never asks again, which saves a waited-for request at
 * each close. There is nothing to flush, as every WRITE has reached the backing file.
 */

import { O_DIRECT } from '../sys/constants.ts';
import { EFBIG, EINVAL, ENOSYS, ENXIO, ESTALE } from '../sys/errno.ts';
import type { Connection } from './connection.ts';
import {
  FOPEN_DIRECT_IO,
  FOPEN_KEEP_CACHE,
  FOPEN_PASSTHROUGH,
  FSYNC_FDATASYNC,
  OPEN_KILL_SUIDGID,
  WRITE_CACHE,
  WRITE_KILL_SUIDGID,
} from './flags.ts';
import {
  copyFileRangeIn,
  copyFileRangeOut,
  createIn,
  entryOut,
  fallocateIn,
  fsyncIn,
  IN_HEADER,
  lseekIn,
  lseekOut,
  OUT_HEADER,
  openIn,
  openOut,
  readIn,
  releaseIn,
  writeIn,
  writeOut,
} from './layout.ts';

const CAPABILITY = 'security.capability';

/** Most that one COPY_FILE_RANGE of the 32-bit kind may report. */
const COPY_MAX_32 = 0x7fff_f000;

export function open(c: Connection): number {
  const { request } = c;
  const flags = request.arg32(openIn.flags);
  const kill = (request.arg32(openIn.openFlags) & OPEN_KILL_SUIDGID) !== 0;
  // First, as what it changes could not be answered for.
  if (c.backing.refuses(request.nodeid, flags)) return split(c);
  const out = c.takeOpen();
  const result = c.ops.open(c.takeCaller(), request.nodeid, flags, kill, out);
  if (result < 0) return result;
  if (!encodeOpen(c, OUT_HEADER, request.nodeid, flags)) {
    c.ops.release(out.fh);
    return split(c);
  }
  // Attributes that the kernel holds were given for long; a store through a mapping would make them wrong.
  if (out.attrChanged || c.backing.hasMappable(request.nodeid)) c.notify.attributes(request.nodeid);
  return openOut.size;
}

/** Has the path walked again, which leads to the same object under another nodeid (passthrough.ts). */
function split(c: Connection): number {
  const { nodeid } = c.request;
  c.ops.split?.(nodeid);
  c.notify.attributes(nodeid);
  return -ESTALE;
}

export function create(c: Connection): number {
  const { request, entry } = c;
  const flags = request.arg32(createIn.flags);
  const caller = c.takeCreator(request.arg32(createIn.umask));
  const mode = request.arg32(createIn.mode);
  const name = request.name(createIn.size);
  const result = c.ops.create(caller, request.nodeid, name, flags, mode, entry, c.takeOpen());
  return result < 0 ? result : replyCreated(c, flags);
}

export function tmpfile(c: Connection): number {
  const { request, entry } = c;
  const flags = request.arg32(createIn.flags);
  const caller = c.takeCreator(request.arg32(createIn.umask));
  const mode = request.arg32(createIn.mode);
  const result = c.ops.tmpfile(caller, request.nodeid, flags, mode, entry, c.takeOpen());
  return result < 0 ? result : replyCreated(c, flags);
}

function replyCreated(c: Connection, flags: number): number {
  encodeOpen(c, OUT_HEADER + entryOut.size, c.entry.nodeid, flags);
  // After encodeOpen: how long the attributes hold depends on how the file was opened.
  return c.replyEntry() + openOut.size;
}

/**
 * struct fuse_open_out. KEEP_CACHE beside PASSTHROUGH would be refused by the kernel. @returns whether the file goes
 * with those that are open.
 */
function encodeOpen(c: Connection, at: number, nodeid: number, flags: number): boolean {
  const { reply, open: out } = c;
  const backingId = c.backing.opened(nodeid, out, flags);
  if (backingId < 0) return false;
  if (backingId > 0 && out.lower) c.ops.stay?.(out.fh);
  reply.set64(at + openOut.fh, out.fh);
  const passthrough = (flags & O_DIRECT) === 0 ? FOPEN_PASSTHROUGH : FOPEN_PASSTHROUGH | FOPEN_DIRECT_IO;
  reply.setU32(at + openOut.openFlags, backingId > 0 ? passthrough : out.keepCache ? FOPEN_KEEP_CACHE : 0);
  reply.setU32(at + openOut.backingId, backingId);
  return true;
}

export function read(c: Connection): number {
  const { request, reply } = c;
  const pos = request.arg64(readIn.offset);
  if (pos > Number.MAX_SAFE_INTEGER) return 0;
  const len = Math.min(request.arg32(readIn.size), reply.bytes.length - OUT_HEADER);
  const n = c.ops.read(c.takeCaller(), request.arg64(readIn.fh), reply.bytes, OUT_HEADER, len, pos);
  // At the end of the file any length will do.
  return n > 0 && c.backing.misaligned(request.nodeid, request.arg32(readIn.flags), pos, len) ? -EINVAL : n;
}

export function write(c: Connection): number {
  const { request, reply } = c;
  const pos = request.arg64(writeIn.offset);
  const len = request.arg32(writeIn.size);
  if (IN_HEADER + writeIn.data + len > request.length) return -EINVAL;
  if (pos + len > Number.MAX_SAFE_INTEGER) return -EFBIG;
  const flags = request.arg32(writeIn.writeFlags);
  const fh = request.arg64(writeIn.fh);
  if (c.backing.misaligned(request.nodeid, request.arg32(writeIn.flags), pos, len)) {
    // As by the kernel's overlay, what a write takes away goes before the disk is asked.
    c.ops.write(c.takeCaller(), fh, request.bytes, 0, 0, pos, (flags & WRITE_KILL_SUIDGID) !== 0);
    c.ops.removexattr(c.caller, request.nodeid, CAPABILITY);
    return -EINVAL;
  }
  const at = IN_HEADER + writeIn.data;
  const result =
    flags & WRITE_CACHE
      ? c.ops.writeback(c.takeCaller(), fh, request.bytes, at, len, pos)
      : c.ops.write(c.takeCaller(), fh, request.bytes, at, len, pos, (flags & WRITE_KILL_SUIDGID) !== 0);
  if (result < 0) return result;
  reply.set64(OUT_HEADER + writeOut.written, result);
  return writeOut.size;
}

export function release(c: Connection): number {
  const { request } = c;
  c.backing.released(request.nodeid, request.arg32(releaseIn.flags));
  c.ops.release(request.arg64(releaseIn.fh));
  return 0;
}

export function flush(): number {
  return -ENOSYS;
}

export function fsync(c: Connection): number {
  const { request } = c;
  const dataOnly = (request.arg32(fsyncIn.fsyncFlags) & FSYNC_FDATASYNC) !== 0;
  return c.ops.fsync(c.takeCaller(), request.arg64(fsyncIn.fh), dataOnly);
}

export function fallocate(c: Connection): number {
  const { request } = c;
  const off = request.arg64(fallocateIn.offset);
  const len = request.arg64(fallocateIn.length);
  if (off + len > Number.MAX_SAFE_INTEGER) return -EFBIG;
  return c.ops.fallocate(c.takeCaller(), request.arg64(fallocateIn.fh), request.arg32(fallocateIn.mode), off, len);
}

export function lseek(c: Connection): number {
  const { request, reply } = c;
  const off = request.arg64(lseekIn.offset);
  if (off > Number.MAX_SAFE_INTEGER) return -ENXIO;
  const result = c.ops.lseek(c.takeCaller(), request.arg64(lseekIn.fh), off, request.arg32(lseekIn.whence));
  if (result < 0) return result;
  reply.set64(OUT_HEADER + lseekOut.offset, result);
  return lseekOut.size;
}

/** Also the 64-bit kind of 7.45, whose answer has the same place for the count, twice as wide. */
export function copyFileRange64(c: Connection): number {
  return copyWithin(c, Number.MAX_SAFE_INTEGER);
}

export function copyFileRange(c: Connection): number {
  return copyWithin(c, COPY_MAX_32);
}

function copyWithin(c: Connection, most: number): number {
  const { request, reply } = c;
  const fhIn = request.arg64(copyFileRangeIn.fhIn);
  const offIn = request.arg64(copyFileRangeIn.offIn);
  const fhOut = request.arg64(copyFileRangeIn.fhOut);
  const offOut = request.arg64(copyFileRangeIn.offOut);
  if (offIn > Number.MAX_SAFE_INTEGER || offOut > Number.MAX_SAFE_INTEGER) return -EFBIG;
  // The protocol keeps the flags of the system call, which has none so far.
  if (request.arg64(copyFileRangeIn.flags) !== 0) return -EINVAL;
  const len = Math.min(request.arg64(copyFileRangeIn.len), most);
  const copied = c.ops.copyFileRange(c.takeCaller(), fhIn, offIn, fhOut, offOut, len);
  if (copied < 0) return copied;
  reply.set64(OUT_HEADER + copyFileRangeOut.copied, copied);
  return copyFileRangeOut.size;
}
