/**
 * Notifications: what the server tells the kernel unasked (fs/fuse/dev.c, fuse_notify): a message
 * whose unique is 0 and whose error word is the code. -ENOENT says that the kernel does not know
 * the inode or name, which is as good as done.
 *
 * `entry` and `remove` take the parent's inode lock in the kernel: sent while a request on that
 * directory waits for its answer, they would deadlock. `attributes` takes no lock and is safe at
 * any time; `pages` and `store` wait for locked pages, so never send them for a file whose READ
 * is being served.
 */
import type { ByteString } from '../sys/bytes.ts';
import { NAME_MAX } from '../sys/constants.ts';
import { EINVAL } from '../sys/errno.ts';
import { deleteOut, invalEntryOut, invalInodeOut, OUT_HEADER, outHeader, storeOut } from './layout.ts';
import { NOTIFY_DELETE, NOTIFY_INVAL_ENTRY, NOTIFY_INVAL_INODE, NOTIFY_STORE } from './opcodes.ts';
import { Wire } from './wire.ts';

/** Most bytes of one `store`. */
export const STORE_MAX: number = 128 * 1024;

/** Sends the first `length` bytes of a message to the device. @returns a negative errno when it was refused. */
export type Send = (message: Uint8Array, length: number) => number;

export class Notify {
  private readonly wire = new Wire(OUT_HEADER + storeOut.size + STORE_MAX);
  private readonly send: Send;

  constructor(send: Send) {
    this.send = send;
  }

  /** The attributes of `nodeid` are out of date; its pages stay. */
  attributes(nodeid: number): number {
    return this.inode(nodeid, -1, 0);
  }

  /** Attributes and cached pages of [off, off + len) are out of date; len 0 means to the end. */
  pages(nodeid: number, off: number, len: number): number {
    return this.inode(nodeid, off, len);
  }

  /** The name is out of date: the next walk looks it up again. */
  entry(parent: number, name: ByteString): number {
    if (name.length > NAME_MAX) return -EINVAL;
    const { wire } = this;
    wire.set64(OUT_HEADER + invalEntryOut.parent, parent);
    wire.setU32(OUT_HEADER + invalEntryOut.namelen, name.length);
    wire.setU32(OUT_HEADER + invalEntryOut.flags, 0);
    this.putName(OUT_HEADER + invalEntryOut.size, name);
    return this.finish(NOTIFY_INVAL_ENTRY, invalEntryOut.size + name.length + 1);
  }

  /** The name was removed, and `child` was what it named: watchers are told of a deletion. */
  remove(parent: number, child: number, name: ByteString): number {
    if (name.length > NAME_MAX) return -EINVAL;
    const { wire } = this;
    wire.set64(OUT_HEADER + deleteOut.parent, parent);
    wire.set64(OUT_HEADER + deleteOut.child, child);
    wire.setU32(OUT_HEADER + deleteOut.namelen, name.length);
    wire.setU32(OUT_HEADER + deleteOut.namelen + 4, 0);
    this.putName(OUT_HEADER + deleteOut.size, name);
    return this.finish(NOTIFY_DELETE, deleteOut.size + name.length + 1);
  }

  /** Puts `data` into the page cache of `nodeid` at `off`. At most STORE_MAX bytes, else -EINVAL. */
  store(nodeid: number, off: number, data: Uint8Array): number {
    if (data.length > STORE_MAX) return -EINVAL;
    const { wire } = this;
    wire.set64(OUT_HEADER + storeOut.nodeid, nodeid);
    wire.set64(OUT_HEADER + storeOut.offset, off);
    wire.setU32(OUT_HEADER + storeOut.dataSize, data.length);
    wire.setU32(OUT_HEADER + storeOut.dataSize + 4, 0);
    wire.bytes.set(data, OUT_HEADER + storeOut.size);
    return this.finish(NOTIFY_STORE, storeOut.size + data.length);
  }

  private inode(nodeid: number, off: number, len: number): number {
    const { wire } = this;
    wire.set64(OUT_HEADER + invalInodeOut.ino, nodeid);
    wire.set64(OUT_HEADER + invalInodeOut.off, off);
    wire.set64(OUT_HEADER + invalInodeOut.len, len);
    return this.finish(NOTIFY_INVAL_INODE, invalInodeOut.size);
  }

  private putName(at: number, name: ByteString): void {
    this.wire.bytes.write(name, at, 'latin1');
    this.wire.bytes[at + name.length] = 0;
  }

  private finish(code: number, payload: number): number {
    const { wire } = this;
    wire.setU32(outHeader.len, OUT_HEADER + payload);
    wire.setU32(outHeader.error, code);
    wire.set64(outHeader.unique, 0);
    return this.send(wire.bytes, OUT_HEADER + payload);
  }
}
