/**
 * `undo`: takes back what a reply gave, when the kernel did not take the reply (-ENOENT: the
 * request was given up in the meantime). Such a reply's references were never counted by the
 * kernel and no FORGET or RELEASE comes for them; without this they would be kept for ever, and a
 * node would stay in one passthrough mode.
 *
 * Everything is read back out of the reply buffer, so that requests that go well pay nothing.
 */
import type { Connection } from './connection.ts';
import { createIn, dirent, entryOut, OUT_HEADER, openIn, openOut } from './layout.ts';
import * as op from './opcodes.ts';

export function undo(c: Connection): void {
  const { reply, request, ops } = c;
  if (reply.i32(4) !== 0) return;
  switch (request.opcode) {
    case op.LOOKUP:
    case op.MKDIR:
    case op.MKNOD:
    case op.SYMLINK:
    case op.LINK:
      forgetEntry(c, OUT_HEADER);
      return;
    case op.CREATE:
    case op.TMPFILE:
      c.backing.released(reply.u64(OUT_HEADER + entryOut.nodeid), request.arg32(createIn.flags));
      ops.release(reply.u64(OUT_HEADER + entryOut.size + openOut.fh));
      forgetEntry(c, OUT_HEADER);
      return;
    case op.OPEN:
      c.backing.released(request.nodeid, request.arg32(openIn.flags));
      ops.release(reply.u64(OUT_HEADER + openOut.fh));
      return;
    case op.OPENDIR:
      ops.releasedir(reply.u64(OUT_HEADER + openOut.fh));
      return;
    case op.READDIRPLUS:
      for (let at = OUT_HEADER; at < reply.length; ) {
        forgetEntry(c, at);
        const namelen = reply.u32(at + entryOut.size + dirent.namelen);
        at += entryOut.size + ((dirent.name + namelen + 7) & ~7);
      }
      return;
  }
}

function forgetEntry(c: Connection, at: number): void {
  const nodeid = c.reply.u64(at + entryOut.nodeid);
  if (nodeid !== 0) c.ops.forget(nodeid, 1);
}
