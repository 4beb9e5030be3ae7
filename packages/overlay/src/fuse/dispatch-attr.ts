/**
 * Requests on attributes: GETATTR, SETATTR, STATX, STATFS, ACCESS and the xattr family.
 * Each handler decodes, makes one call of Ops, encodes; see dispatch.ts for the convention.
 */

import {
  ATTR_ATIME,
  ATTR_ATIME_NOW,
  ATTR_BY_ROOT,
  ATTR_CTIME,
  ATTR_GID,
  ATTR_KILL_SUIDGID,
  ATTR_MODE,
  ATTR_MTIME,
  ATTR_MTIME_NOW,
  ATTR_SIZE,
  ATTR_UID,
} from '../ops/ops.ts';
import type { ByteString } from '../sys/bytes.ts';
import { EFBIG, EINVAL, ERANGE } from '../sys/errno.ts';
import type { Connection } from './connection.ts';
import { encodeStatfs, encodeStatx } from './encode.ts';
import { FATTR_FH, GETATTR_FH, SETXATTR_ACL_KILL_SGID } from './flags.ts';
import {
  accessIn,
  getattrIn,
  getxattrIn,
  getxattrOut,
  IN_HEADER,
  OUT_HEADER,
  SETXATTR_IN_COMPAT_SIZE,
  SETXATTR_IN_SIZE,
  setattrIn,
  setxattrIn,
  statfsOut,
  statxIn,
  statxOut,
} from './layout.ts';

const ATTR_OWNER: number = ATTR_UID | ATTR_GID;

/** Every FATTR_* bit that SetAttr knows; FH and LOCKOWNER are about the message, not the file. */
const ATTR_ALL: number =
  ATTR_MODE |
  ATTR_UID |
  ATTR_GID |
  ATTR_SIZE |
  ATTR_ATIME |
  ATTR_MTIME |
  ATTR_ATIME_NOW |
  ATTR_MTIME_NOW |
  ATTR_CTIME |
  ATTR_KILL_SUIDGID;

export function getattr(c: Connection): number {
  const { request } = c;
  const fh = request.arg32(getattrIn.flags) & GETATTR_FH ? request.arg64(getattrIn.fh) : 0;
  const result = c.ops.getattr(c.takeCaller(), request.nodeid, fh, c.stat);
  return result < 0 ? result : c.replyAttr(request.nodeid);
}

export function statx(c: Connection): number {
  const { request, reply } = c;
  const fh = request.arg32(statxIn.flags) & GETATTR_FH ? request.arg64(statxIn.fh) : 0;
  const result = c.ops.getattr(c.takeCaller(), request.nodeid, fh, c.stat);
  if (result < 0) return result;
  encodeStatx(reply, OUT_HEADER, c.stat, c.attrValidity(request.nodeid));
  return statxOut.size;
}

export function setattr(c: Connection): number {
  const { request, setAttr } = c;
  const valid = request.arg32(setattrIn.valid);
  setAttr.valid = valid & ATTR_ALL;
  setAttr.fh = valid & FATTR_FH ? request.arg64(setattrIn.fh) : 0;
  setAttr.mode = request.arg32(setattrIn.mode);
  setAttr.uid = request.arg32(setattrIn.uid);
  setAttr.gid = request.arg32(setattrIn.gid);
  setAttr.size = request.arg64(setattrIn.size);
  // A size that a number does not hold exactly is above every filesystem's limit.
  if (valid & ATTR_SIZE && !Number.isSafeInteger(setAttr.size)) return -EFBIG;
  setAttr.atime = request.s64(IN_HEADER + setattrIn.atime);
  setAttr.mtime = request.s64(IN_HEADER + setattrIn.mtime);
  setAttr.atimeNsec = request.arg32(setattrIn.atimeNsec);
  setAttr.mtimeNsec = request.arg32(setattrIn.mtimeNsec);
  const caller = c.takeCaller();
  if (caller.uid === 0 && ((valid & ATTR_OWNER) === ATTR_OWNER || valid & ATTR_SIZE)) setAttr.valid |= ATTR_BY_ROOT;
  const result = c.ops.setattr(caller, request.nodeid, setAttr, c.stat);
  return result < 0 ? result : c.replyAttr(request.nodeid);
}

export function statfs(c: Connection): number {
  const result = c.ops.statfs(c.takeCaller(), c.request.nodeid, c.statfs);
  if (result < 0) return result;
  encodeStatfs(c.reply, OUT_HEADER, c.statfs);
  return statfsOut.size;
}

export function access(c: Connection): number {
  return c.ops.access(c.takeCaller(), c.request.nodeid, c.request.arg32(accessIn.mask));
}

export function getxattr(c: Connection): number {
  const { request } = c;
  const value = c.ops.getxattr(c.takeCaller(), request.nodeid, request.name(getxattrIn.name));
  return typeof value === 'number' ? value : replyValue(c, value);
}

export function listxattr(c: Connection): number {
  const names = c.ops.listxattr(c.takeCaller(), c.request.nodeid);
  return typeof names === 'number' ? names : replyValue(c, Buffer.from(joinNames(names), 'latin1'));
}

/** As listxattr(2) gives them: each name with a NUL behind it. */
function joinNames(names: ByteString[]): ByteString {
  return names.length === 0 ? '' : `${names.join('\0')}\0`;
}

/** The value itself, or its size when the kernel asked with size 0. */
function replyValue(c: Connection, value: Buffer): number {
  const size = c.request.arg32(getxattrIn.size);
  if (size === 0) {
    c.reply.setU32(OUT_HEADER + getxattrOut.valueSize, value.length);
    c.reply.setU32(OUT_HEADER + getxattrOut.valueSize + 4, 0);
    return getxattrOut.size;
  }
  if (value.length > size) return -ERANGE;
  return value.copy(c.reply.bytes, OUT_HEADER);
}

export function setxattr(c: Connection): number {
  const { request } = c;
  const extended = c.agreed?.setxattrExt === true;
  const nameAt = extended ? SETXATTR_IN_SIZE : SETXATTR_IN_COMPAT_SIZE;
  const killSgid = extended && (request.arg32(setxattrIn.setxattrFlags) & SETXATTR_ACL_KILL_SGID) !== 0;
  const start = request.nameEnd(IN_HEADER + nameAt) + 1;
  const end = start + request.arg32(setxattrIn.size);
  if (end > request.bodyEnd) return -EINVAL;
  return c.ops.setxattr(
    c.takeCaller(),
    request.nodeid,
    request.name(nameAt),
    request.bytes.subarray(start, end),
    request.arg32(setxattrIn.flags),
    killSgid,
  );
}

export function removexattr(c: Connection): number {
  return c.ops.removexattr(c.takeCaller(), c.request.nodeid, c.request.name(0));
}
