/** The operations on open directories. See ops.ts for what each means. */
import type { DirentList } from '../layer/dirent-list.ts';
import { mapAttr } from '../overlay/attr.ts';
import type { DirInode, DirListing } from '../overlay/inode.ts';
import { lookup } from '../overlay/lookup.ts';
import { DOTS, indexAfter, list, lookForIno } from '../overlay/readdir.ts';
import { volatileStatus } from '../overlay/volatile.ts';
import { DT_DIR, O_RDONLY } from '../sys/constants.ts';
import { EBADF, ENOENT } from '../sys/errno.ts';
import { type Caller, type DirSink, EntryOut, type OpenOut } from './ops.ts';
import { OverlayFiles } from './overlay-files.ts';

/** So many names come with attributes before it is known whether the caller wants them; then he is asked again. */
const UNASKED = 200;

/** So many names are looked through before they are handed on: no more than fit into few replies. */
const STRETCH = 1024;

/** As `DirSink.addAll`. */
function addEach(sink: DirSink, entries: DirentList, from: number, to: number): number {
  for (let at = from; at < to; at++) {
    if (!sink.fits(entries.nameLength(at))) return at;
    sink.add(entries.name(at), entries.ino(at), entries.type(at), entries.off(at), null);
  }
  return to;
}

export class OverlayDirs extends OverlayFiles {
  opendir(_caller: Caller, nodeid: number, out: OpenOut): number {
    const dir = this.dir(nodeid);
    if (typeof dir === 'number') return dir;
    out.fh = this.dirs.add({ inode: dir, listing: null });
    out.backingFd = -1;
    // The positions of a listing that the kernel has must be those that it will be given from here on.
    out.keepCache = !dir.renumbered && dir.listing !== null;
    dir.renumbered = false;
    dir.listers++;
    this.nodes.hold(dir);
    return 0;
  }

  readdir(caller: Caller, fh: number, off: number, plus: boolean, sink: DirSink): number {
    const handle = this.dirs.get(fh);
    if (!handle) return -EBADF;
    const dir = handle.inode;
    if (off === 0 || handle.listing === null) {
      const listing = list(this.sb, dir);
      if (typeof listing === 'number') return listing;
      handle.listing = listing;
    }
    for (let at = off; at < DOTS; at++) {
      const name = at === 0 ? '.' : '..';
      if (!sink.fits(name.length)) return 0;
      sink.add(name, (at === 0 ? dir : (dir.parent ?? dir)).ino, DT_DIR, at + 1, null);
    }
    const from = indexAfter(handle.listing.entries, Math.max(off, DOTS));
    if (!plus) {
      this.listNames(dir, handle.listing, from, sink);
      return 0;
    }
    const limit = off === 0 && !this.lookers.looks(caller.pid) ? UNASKED : Number.POSITIVE_INFINITY;
    this.listWithAttributes(dir, handle.listing, from, limit, sink);
    return 0;
  }

  private listNames(dir: DirInode, listing: DirListing, from: number, sink: DirSink): void {
    const { entries } = listing;
    const all = this.sb.manyDevices;
    for (let at = from; at < entries.count; ) {
      // As many as can be handed on at once: their numbers first, and up to the next that has gone.
      let to = at;
      for (; to < entries.count && to - at < STRETCH; to++) {
        lookForIno(this.sb, dir, listing, to, all);
        if (entries.isGone(to)) break;
      }
      const end = sink.addAll ? sink.addAll(entries, at, to) : addEach(sink, entries, at, to);
      if (end < to) return;
      at = to;
      while (at < entries.count && entries.isGone(at)) at++;
    }
  }

  private listWithAttributes(dir: DirInode, { entries }: DirListing, from: number, limit: number, sink: DirSink): void {
    const end = Math.min(entries.count, limit);
    for (let at = from; at < end; at++) {
      if (!sink.fits(entries.nameLength(at))) return;
      const name = entries.name(at);
      const out = new EntryOut(this.scratch);
      const inode = lookup(this.sb, dir, name, out.attr);
      if (inode === -ENOENT) {
        // Nor may the rest of this listing, which the kernel may read without attributes, tell of it.
        entries.setIno(at, 0n);
        continue;
      }
      if (typeof inode === 'number') {
        // It is there, and something is wrong with it: listed, and lookup tells what.
        sink.add(name, entries.ino(at), entries.type(at), entries.off(at), null);
        continue;
      }
      mapAttr(inode, out.attr);
      this.nodes.refer(inode, out);
      sink.add(name, inode.ino, entries.type(at), entries.off(at), out);
    }
  }

  fsyncdir(_caller: Caller, fh: number, dataOnly: boolean): number {
    const handle = this.dirs.get(fh);
    if (!handle) return -EBADF;
    const upper = handle.inode.upper;
    const status = volatileStatus(this.sb, false);
    if (status !== null) return status;
    if (!upper) return 0;
    const file = upper.layer.open(upper, O_RDONLY);
    if (file < 0) return file;
    const err = upper.layer.fsync(file, dataOnly);
    upper.layer.close(file);
    return err;
  }

  releasedir(fh: number): void {
    const handle = this.dirs.take(fh);
    if (!handle) return;
    if (--handle.inode.listers === 0) this.sb.listings.keep(handle.inode);
    this.nodes.unhold(handle.inode);
  }
}
