/** The operations on open directories. See ops.ts for what each means. */
import { mapAttr } from '../overlay/attr.ts';
import { lookup } from '../overlay/lookup.ts';
import { DOTS, entryIno, indexAfter, list } from '../overlay/readdir.ts';
import { volatileStatus } from '../overlay/volatile.ts';
import { DT_DIR, O_RDONLY } from '../sys/constants.ts';
import { EBADF, ENOENT } from '../sys/errno.ts';
import { type Caller, type DirSink, EntryOut, type OpenOut } from './ops.ts';
import { OverlayFiles } from './overlay-files.ts';

/** So many names come with attributes before it is known whether the caller wants them; then he is asked again. */
const UNASKED = 200;

export class OverlayDirs extends OverlayFiles {
  opendir(_caller: Caller, nodeid: number, out: OpenOut): number {
    const dir = this.dir(nodeid);
    if (typeof dir === 'number') return dir;
    out.fh = this.dirs.add({ inode: dir, entries: null });
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
    if (off === 0 || handle.entries === null) {
      const entries = list(this.sb, dir);
      if (typeof entries === 'number') return entries;
      handle.entries = entries;
    }
    for (let at = off; at < DOTS; at++) {
      const name = at === 0 ? '.' : '..';
      if (!sink.fits(name.length)) return 0;
      sink.add(name, (at === 0 ? dir : (dir.parent ?? dir)).ino, DT_DIR, at + 1, null);
    }
    const { entries } = handle;
    const end =
      plus && off === 0 && !this.lookers.looks(caller.pid) ? Math.min(entries.length, UNASKED) : entries.length;
    for (let at = indexAfter(entries, Math.max(off, DOTS)); at < end; at++) {
      const entry = entries[at];
      if (!sink.fits(entry.name.length)) return 0;
      if (!plus) {
        const ino = entryIno(this.sb, dir, entry);
        if (ino !== 0n) sink.add(entry.name, ino, entry.type, entry.off, null);
        continue;
      }
      const out = new EntryOut(this.scratch);
      const inode = lookup(this.sb, dir, entry.name, out.attr);
      if (inode === -ENOENT) {
        // Nor may the rest of this listing, which the kernel may read without attributes, tell of it.
        entry.ino = 0n;
        continue;
      }
      if (typeof inode === 'number') {
        // It is there, and something is wrong with it: listed, and lookup tells what.
        sink.add(entry.name, entry.ino, entry.type, entry.off, null);
        continue;
      }
      mapAttr(inode, out.attr);
      this.nodes.refer(inode, out);
      sink.add(entry.name, inode.ino, entry.type, entry.off, out);
    }
    return 0;
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
