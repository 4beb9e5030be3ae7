/**
 * The inode table of a door: nodeids and the references that a door holds. A node stays while the
 * door refers to it (nlookup), while an open handle or a known child does (holds), and is then
 * dropped together with its cached descriptors, so that memory follows what the kernel remembers.
 */
import { type DirInode, detach, type Inode, isDir, releaseReal } from '../overlay/inode.ts';
import type { Super } from '../overlay/super.ts';
import { type EntryOut, ROOT_ID } from './ops.ts';

export class Nodes {
  private readonly sb: Super;
  private readonly byId = new Map<number, Inode>();
  private next = ROOT_ID + 1;
  /** How many nodes have been dropped since the beginning. */
  dropped = 0;

  constructor(sb: Super) {
    this.sb = sb;
    sb.root.nodeid = ROOT_ID;
    this.byId.set(ROOT_ID, sb.root);
  }

  get(nodeid: number): Inode | undefined {
    return this.byId.get(nodeid);
  }

  /** How many nodes are known. */
  get size(): number {
    return this.byId.size;
  }

  /** One more reference for the door. */
  refer(inode: Inode, out: EntryOut): void {
    if (inode.nodeid === 0) {
      // Never used twice: a nodeid that comes late (NFS, an old handle) cannot name another object.
      inode.nodeid = this.next++;
      this.byId.set(inode.nodeid, inode);
    }
    inode.nlookup++;
    out.nodeid = inode.nodeid;
    out.generation = 0;
  }

  forget(nodeid: number, count: number): void {
    const inode = this.byId.get(nodeid);
    if (!inode || inode === this.sb.root) return;
    inode.nlookup = Math.max(0, inode.nlookup - count);
    this.prune(inode);
  }

  hold(inode: Inode): void {
    inode.holds++;
  }

  unhold(inode: Inode): void {
    inode.holds--;
    this.prune(inode);
  }

  /** Drops `inode` if nobody refers to it, then its parents as far as they were kept by it. */
  prune(inode: Inode): void {
    const work = [inode];
    for (let at = work.pop(); at; at = work.pop()) {
      if (at.nlookup > 0 || at.holds > 0 || at === this.sb.root) continue;
      if (at.nodeid !== 0) this.byId.delete(at.nodeid);
      this.dropped++;
      this.sb.inodes.delete(at);
      releaseReal(at);
      if (isDir(at)) this.sb.listings.drop(at);
      while (at.parent) {
        const parent: DirInode = at.parent;
        detach(at, parent, at.name);
        work.push(parent);
      }
      at.nodeid = 0;
    }
  }
}
