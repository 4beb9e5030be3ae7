/**
 * `dispatch`: one request from the wire to Ops and its answer back (the table by opcode; the
 * handlers are in dispatch-*.ts by topic).
 *
 * A handler returns the bytes of payload that it wrote behind the reply header, or a negative
 * errno. Nothing that it throws gets out: the request is answered EIO, the log gets a line with
 * opcode, nodeid and stack, and the next request is served. Opcodes without a handler are ENOSYS,
 * which the kernel remembers: POLL, BMAP and the lock family are never asked twice. ERESTART is no
 * answer: the request needs long work that another thread does, and is dispatched again later.
 */
import { ECONNABORTED, EINTR, EIO, ENOSYS, EPROTO, ERESTART } from '../sys/errno.ts';
import type { Connection } from './connection.ts';
import * as attr from './dispatch-attr.ts';
import * as dir from './dispatch-dir.ts';
import * as file from './dispatch-file.ts';
import { ioctl } from './dispatch-ioctl.ts';
import * as names from './dispatch-names.ts';
import { type Handler, NO_REPLY } from './handler.ts';
import { encodeInit, negotiate } from './init.ts';
import * as op from './opcodes.ts';

/** The kernel refuses a reply whose errno is not above this. */
const ERRNO_MIN = -511;

/**
 * Takes part in INIT once; `agreed` stays null when the kernel's protocol is none of ours, and the
 * kernel then fails everything on the mount.
 */
function init(c: Connection): number {
  const agreed = negotiate(c.request, c.options);
  if (!agreed) return -EPROTO;
  c.agreed = agreed;
  c.backing.enabled = agreed.passthrough;
  return encodeInit(c.reply, agreed);
}

/**
 * A request is answered before the next is read, so what INTERRUPT names has been answered when it
 * arrives. ENOSYS tells the kernel to send none: a signal then waits for the answer, as it does on
 * a disk. Long work looks itself whether its caller was killed (serve/caller-killed.ts).
 */
function interrupt(): number {
  return -ENOSYS;
}

/** The mount is going; what there is to drop goes in Ops.destroy when the device says ENODEV. */
function destroy(): number {
  return 0;
}

function ignore(): number {
  return NO_REPLY;
}

const handlers: (Handler | undefined)[] = new Array(op.OPCODE_MAX).fill(undefined);
handlers[op.INIT] = init;
handlers[op.DESTROY] = destroy;
handlers[op.INTERRUPT] = interrupt;
handlers[op.NOTIFY_REPLY] = ignore;
handlers[op.LOOKUP] = names.lookup;
handlers[op.FORGET] = names.forget;
handlers[op.BATCH_FORGET] = names.batchForget;
handlers[op.MKDIR] = names.mkdir;
handlers[op.MKNOD] = names.mknod;
handlers[op.SYMLINK] = names.symlink;
handlers[op.UNLINK] = names.unlink;
handlers[op.RMDIR] = names.rmdir;
handlers[op.RENAME] = names.rename;
handlers[op.RENAME2] = names.rename2;
handlers[op.LINK] = names.link;
handlers[op.READLINK] = names.readlink;
handlers[op.GETATTR] = attr.getattr;
handlers[op.SETATTR] = attr.setattr;
handlers[op.STATX] = attr.statx;
handlers[op.STATFS] = attr.statfs;
handlers[op.ACCESS] = attr.access;
handlers[op.GETXATTR] = attr.getxattr;
handlers[op.LISTXATTR] = attr.listxattr;
handlers[op.SETXATTR] = attr.setxattr;
handlers[op.REMOVEXATTR] = attr.removexattr;
handlers[op.OPEN] = file.open;
handlers[op.CREATE] = file.create;
handlers[op.TMPFILE] = file.tmpfile;
handlers[op.READ] = file.read;
handlers[op.WRITE] = file.write;
handlers[op.RELEASE] = file.release;
handlers[op.FLUSH] = file.flush;
handlers[op.FSYNC] = file.fsync;
handlers[op.FALLOCATE] = file.fallocate;
handlers[op.LSEEK] = file.lseek;
handlers[op.COPY_FILE_RANGE] = file.copyFileRange;
handlers[op.COPY_FILE_RANGE_64] = file.copyFileRange64;
handlers[op.OPENDIR] = dir.opendir;
handlers[op.READDIR] = dir.readdir;
handlers[op.READDIRPLUS] = dir.readdirplus;
handlers[op.RELEASEDIR] = dir.releasedir;
handlers[op.FSYNCDIR] = dir.fsyncdir;
handlers[op.SYNCFS] = dir.syncfs;
handlers[op.IOCTL] = ioctl;

/** FORGET and its kin: nobody waits for an answer, and none may be sent. */
function wantsReply(opcode: number): boolean {
  return opcode !== op.FORGET && opcode !== op.BATCH_FORGET && opcode !== op.NOTIFY_REPLY;
}

/** Serves the request that `c.request` holds. @returns whether `c.reply` is to be sent. */
export function dispatch(c: Connection): boolean {
  const { opcode } = c.request;
  let result: number;
  try {
    const handler = handlers[opcode];
    result = handler ? handler(c) : -ENOSYS;
  } catch (error) {
    result = fail(c, error instanceof Error ? (error.stack ?? error.message) : String(error));
  }
  c.waits = result === -ERESTART;
  if (c.waits) return false;
  // Work that gave up because the server ends or its caller was killed. EINTR itself would have a
  // shell try again, by then below the mount point.
  if (result === -EINTR) result = -ECONNABORTED;
  if (result < ERRNO_MIN && result !== NO_REPLY) result = fail(c, `no errno: ${result}`);
  if (result === NO_REPLY) return false;
  c.reply.finish(c.request, result);
  return true;
}

function fail(c: Connection, what: string): number {
  const { opcode, nodeid } = c.request;
  const answered = wantsReply(opcode);
  c.log(`${op.opcodeName(opcode)} n${nodeid}${answered ? ' answered EIO' : ''}: ${what}`);
  return answered ? -EIO : NO_REPLY;
}
