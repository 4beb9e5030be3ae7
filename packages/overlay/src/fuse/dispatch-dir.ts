/**
 * Requests on open directories: OPENDIR, READDIR, READDIRPLUS, RELEASEDIR, FSYNCDIR; and SYNCFS.
 * Each handler decodes, makes one call of Ops, encodes; see dispatch.ts for the convention.
 */
import type { Connection } from './connection.ts';
import { FOPEN_CACHE_DIR, FOPEN_KEEP_CACHE, FSYNC_FDATASYNC } from './flags.ts';
import { fsyncIn, OUT_HEADER, openOut, readIn, releaseIn } from './layout.ts';

export function opendir(c: Connection): number {
  const { reply, request } = c;
  const out = c.takeOpen();
  const result = c.ops.opendir(c.takeCaller(), request.nodeid, out);
  if (result < 0) return result;
  reply.set64(OUT_HEADER + openOut.fh, out.fh);
  reply.setU32(OUT_HEADER + openOut.openFlags, FOPEN_CACHE_DIR | (out.keepCache ? FOPEN_KEEP_CACHE : 0));
  reply.setU32(OUT_HEADER + openOut.backingId, 0);
  return openOut.size;
}

export function readdir(c: Connection): number {
  return list(c, false);
}

export function readdirplus(c: Connection): number {
  return list(c, true);
}

function list(c: Connection, plus: boolean): number {
  const { request, listing } = c;
  listing.start(request.arg32(readIn.size), plus);
  const fh = request.arg64(readIn.fh);
  const result = c.ops.readdir(c.takeCaller(), fh, request.arg64(readIn.offset), plus, listing);
  // What was emitted before an error stands: with READDIRPLUS it carries references.
  return result < 0 && listing.length === 0 ? result : listing.length;
}

export function releasedir(c: Connection): number {
  c.ops.releasedir(c.request.arg64(releaseIn.fh));
  return 0;
}

export function fsyncdir(c: Connection): number {
  const { request } = c;
  const dataOnly = (request.arg32(fsyncIn.fsyncFlags) & FSYNC_FDATASYNC) !== 0;
  return c.ops.fsyncdir(c.takeCaller(), request.arg64(fsyncIn.fh), dataOnly);
}

export function syncfs(c: Connection): number {
  return c.ops.syncfs();
}
