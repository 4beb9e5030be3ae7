/**
 * Listings: a DirSink that packs struct fuse_dirent (READDIR) or fuse_direntplus (READDIRPLUS)
 * records into the reply until the size that the kernel asked for is used up.
 *
 * A READDIRPLUS entry with a nodeid hands the kernel a reference, exactly as LOOKUP does; nodeid 0
 * means "only the name", and hands over nothing.
 */

import type { DirSink, EntryOut, PackedEntries } from '../ops/ops.ts';
import type { ByteString } from '../sys/bytes.ts';
import { Stat } from '../sys/stat.ts';
import { encodeEntry, type Validity } from './encode.ts';
import { dirent, entryOut, OUT_HEADER } from './layout.ts';
import type { Reply } from './wire.ts';

const NOTHING = new Stat();

/** Length of a record with a name of `length` bytes: padded to 8. */
function recordSize(length: number): number {
  return (dirent.name + length + 7) & ~7;
}

export class DirentSink implements DirSink {
  /** Bytes of payload so far. */
  length = 0;
  private limit = 0;
  private plus = false;
  private readonly reply: Reply;
  private readonly entryValid: Validity;
  private readonly attrValid: (nodeid: number) => Validity;

  constructor(reply: Reply, entryValid: Validity, attrValid: (nodeid: number) => Validity) {
    this.reply = reply;
    this.entryValid = entryValid;
    this.attrValid = attrValid;
  }

  /** Starts an empty listing of at most `limit` bytes. */
  start(limit: number, plus: boolean): void {
    this.length = 0;
    this.limit = Math.min(limit, this.reply.bytes.length - OUT_HEADER);
    this.plus = plus;
  }

  fits(nameLength: number): boolean {
    return this.length + (this.plus ? entryOut.size : 0) + recordSize(nameLength) <= this.limit;
  }

  addAll(entries: PackedEntries, from: number, to: number): number {
    const start = entries.start(from);
    const room = start + this.limit - this.length;
    // The last that ends within the room; entries are laid out as the reply's are.
    let end = from;
    for (let high = to; end < high; ) {
      const mid = (end + high + 1) >>> 1;
      if (entries.start(mid) <= room) end = mid;
      else high = mid - 1;
    }
    this.reply.bytes.set(entries.bytes.subarray(start, entries.start(end)), OUT_HEADER + this.length);
    this.length += entries.start(end) - start;
    return end;
  }

  add(name: ByteString, ino: bigint, type: number, off: number, entry: EntryOut | null): void {
    const reply = this.reply;
    let at = OUT_HEADER + this.length;
    if (this.plus) {
      if (entry && entry.nodeid !== 0) {
        const { nodeid, generation } = entry;
        encodeEntry(reply, at, nodeid, generation, entry.attr, this.entryValid, this.attrValid(nodeid));
      } else {
        encodeEntry(reply, at, 0, 0, NOTHING, NEVER, NEVER);
      }
      at += entryOut.size;
      this.length += entryOut.size;
    }
    const size = recordSize(name.length);
    reply.setBig(at + dirent.ino, ino);
    reply.set64(at + dirent.off, off);
    reply.setU32(at + dirent.namelen, name.length);
    reply.setU32(at + dirent.type, type);
    reply.bytes.write(name, at + dirent.name, 'latin1');
    for (let i = at + dirent.name + name.length; i < at + size; i++) reply.bytes[i] = 0;
    this.length += size;
  }
}

const NEVER: Validity = { sec: 0, nsec: 0 };
