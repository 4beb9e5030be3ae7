/**
 * Requests on names: LOOKUP, FORGET, MKDIR, MKNOD, SYMLINK, UNLINK, RMDIR, RENAME, LINK, READLINK.
 * Each handler decodes, makes one call of Ops, encodes; see dispatch.ts for the convention.
 */
import { EEXIST, ENOENT, ENOTEMPTY } from '../sys/errno.ts';
import type { Connection } from './connection.ts';
import { NO_REPLY } from './handler.ts';
import {
  batchForgetIn,
  forgetIn,
  forgetOne,
  linkIn,
  mkdirIn,
  mknodIn,
  OUT_HEADER,
  rename2In,
  renameIn,
} from './layout.ts';

export function lookup(c: Connection): number {
  const { request } = c;
  const result = c.ops.lookup(c.takeCaller(), request.nodeid, request.name(0), c.entry);
  if (result === 0) return c.replyEntry();
  const { sec, nsec } = c.negativeValid;
  return result === -ENOENT && (sec > 0 || nsec > 0) ? c.replyNegative() : result;
}

export function forget(c: Connection): number {
  c.ops.forget(c.request.nodeid, c.request.arg64(forgetIn.nlookup));
  return NO_REPLY;
}

export function batchForget(c: Connection): number {
  const { request } = c;
  const count = request.arg32(batchForgetIn.count);
  let at = batchForgetIn.size;
  for (let i = 0; i < count; i++, at += forgetOne.size) {
    c.ops.forget(request.arg64(at + forgetOne.nodeid), request.arg64(at + forgetOne.nlookup));
  }
  return NO_REPLY;
}

export function mkdir(c: Connection): number {
  const { request } = c;
  const caller = c.takeCreator(request.arg32(mkdirIn.umask));
  const mode = request.arg32(mkdirIn.mode);
  const result = c.ops.mkdir(caller, request.nodeid, request.name(mkdirIn.size), mode, c.entry);
  return result < 0 ? result : c.replyEntry();
}

export function mknod(c: Connection): number {
  const { request } = c;
  const caller = c.takeCreator(request.arg32(mknodIn.umask));
  const mode = request.arg32(mknodIn.mode);
  const rdev = request.arg32(mknodIn.rdev);
  const result = c.ops.mknod(caller, request.nodeid, request.name(mknodIn.size), mode, rdev, c.entry);
  return result < 0 ? result : c.replyEntry();
}

export function symlink(c: Connection): number {
  const { request } = c;
  const result = c.ops.symlink(c.takeCreator(0), request.nodeid, request.name(0), request.secondName(0), c.entry);
  return result < 0 ? result : c.replyEntry();
}

export function unlink(c: Connection): number {
  return c.ops.unlink(c.takeCaller(), c.request.nodeid, c.request.name(0));
}

export function rmdir(c: Connection): number {
  return c.ops.rmdir(c.takeCaller(), c.request.nodeid, c.request.name(0));
}

export function rename(c: Connection): number {
  return renameWith(c, renameIn.size, 0);
}

export function rename2(c: Connection): number {
  return renameWith(c, rename2In.size, c.request.arg32(rename2In.flags));
}

function renameWith(c: Connection, names: number, flags: number): number {
  const { request } = c;
  const newParent = request.arg64(renameIn.newdir);
  const oldName = request.name(names);
  const result = c.ops.rename(c.takeCreator(0), request.nodeid, oldName, newParent, request.secondName(names), flags);
  // ext4 moves the old parent's times before it finds something in the target; after a failure Linux asks for none.
  if (result === -ENOTEMPTY || result === -EEXIST) c.notify.attributes(request.nodeid);
  return result;
}

export function link(c: Connection): number {
  const { request } = c;
  const nodeid = request.arg64(linkIn.oldnodeid);
  const result = c.ops.link(c.takeCaller(), nodeid, request.nodeid, request.name(linkIn.size), c.entry);
  return result < 0 ? result : c.replyEntry();
}

export function readlink(c: Connection): number {
  const target = c.ops.readlink(c.takeCaller(), c.request.nodeid);
  return typeof target === 'number' ? target : c.reply.bytes.write(target, OUT_HEADER, 'latin1');
}
