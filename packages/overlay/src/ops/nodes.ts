/**
 * The inode table of a door: nodeids and the references that a door holds. A node stays while the
 * door refers to it (nlookup), while an open handle or a known child does (holds), and is then
 * dropped together with its cached descriptors, so that memory follows what the kernel remembers.
 *
 * An object has one nodeid, but for one that was split: it is known by its former nodeids too, each with
 * references of its own, for as long as the door has any.
 */
import { type DirInode, detach, type Inode, isDir, releaseReal } from '../overlay/inode.ts';
import { forgetLazy } from '../overlay/lazy-complete.ts';
import { lookup } from '../overlay/lookup.ts';
import type { Super } from '../overlay/super.ts';
import { dirModified } from '../overlay/util.ts';
import { Forgotten } from './forgotten.ts';
import { NodeTable } from './node-table.ts';
import { type EntryOut, ROOT_ID } from './ops.ts';

/**
 * Whether the next lookup of a copied-up file will not find its origin, and so give it another number: its copy
 * notes none where handles cannot be opened. Listings that a door keeps still have the number of before.
 */
function losesNumber(inode: Inode): boolean {
  const { upper } = inode;
  return upper !== null && inode.hasOrigin && !isDir(inode) && !upper.layer.opensHandles();
}

export class Nodes {
  private readonly sb: Super;
  private readonly byId = new NodeTable();
  private next = ROOT_ID + 1;
  /** How many nodes have been dropped since the beginning. */
  dropped = 0;
  /** References to the former nodeids of objects that were split, and how many of those each object has. */
  private readonly former = new Map<number, number>();
  private readonly splits = new Map<Inode, number>();
  /** With nfs_export: nodes that a handle may ask for. */
  private readonly forgotten: Forgotten | null;
  /** Part of each handle: one of an earlier mount, where the nodeid was another object's, is stale. */
  private readonly generation: number;

  constructor(sb: Super) {
    this.sb = sb;
    this.forgotten = sb.config.nfsExport ? new Forgotten() : null;
    this.generation = sb.config.nfsExport ? sb.hooks.random(4).readUInt32LE() : 0;
    sb.root.nodeid = ROOT_ID;
    this.byId.add(ROOT_ID, sb.root);
  }

  get(nodeid: number): Inode | undefined {
    return this.byId.get(nodeid);
  }

  /**
   * A node that may have been forgotten: it is looked up where it was, its directories first.
   * @returns undefined when it is not there any more.
   */
  recall(nodeid: number): Inode | undefined {
    const known = this.byId.get(nodeid);
    if (known) return known.unlinked ? undefined : known;
    const was = this.forgotten?.get(nodeid);
    const parent = was && this.recall(was.parent);
    if (!was || !parent || !isDir(parent)) return undefined;
    const inode = lookup(this.sb, parent, was.name, this.sb.scratch);
    if (typeof inode === 'number') {
      this.prune(parent);
      return undefined;
    }
    // Something else may have the name by now.
    if (inode.nodeid !== 0 || !this.forgotten?.isSame(nodeid, inode)) {
      this.prune(inode);
      return undefined;
    }
    this.forgotten.takeNodeid(inode);
    inode.nodeid = nodeid;
    this.byId.add(nodeid, inode);
    return inode;
  }

  /** How many nodes are known. */
  get size(): number {
    return this.byId.size;
  }

  /** One more reference for the door. */
  refer(inode: Inode, out: EntryOut): void {
    if (inode.nodeid === 0) {
      // Never given to another object: a nodeid that comes late (an old handle) names what it named, or nothing.
      inode.nodeid = this.forgotten?.takeNodeid(inode) || this.next++;
      this.byId.add(inode.nodeid, inode);
    }
    inode.nlookup++;
    out.nodeid = inode.nodeid;
    // Linux gave the root the generation 0, and takes any other for another inode.
    out.generation = inode === this.sb.root ? 0 : this.generation;
  }

  forget(nodeid: number, count: number): void {
    const inode = this.byId.get(nodeid);
    if (!inode || inode === this.sb.root) return;
    if (inode.nodeid === nodeid) {
      inode.nlookup = Math.max(0, inode.nlookup - count);
      this.prune(inode);
      return;
    }
    const left = (this.former.get(nodeid) ?? 0) - count;
    if (left > 0) {
      this.former.set(nodeid, left);
      return;
    }
    this.former.delete(nodeid);
    this.byId.delete(nodeid);
    const others = (this.splits.get(inode) ?? 0) - 1;
    if (others > 0) this.splits.set(inode, others);
    else this.splits.delete(inode);
    this.unhold(inode);
  }

  /** `inode` gets another nodeid with its next reference. */
  split(inode: Inode): void {
    this.former.set(inode.nodeid, inode.nlookup);
    this.splits.set(inode, (this.splits.get(inode) ?? 0) + 1);
    this.hold(inode);
    inode.nodeid = 0;
    inode.nlookup = 0;
  }

  isSplit(nodeid: number): boolean {
    if (this.splits.size === 0) return false;
    const inode = this.byId.get(nodeid);
    return inode !== undefined && this.splits.has(inode);
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
      this.forgotten?.remember(at);
      this.sb.inodes.delete(at);
      if (at.lazy !== null) forgetLazy(this.sb, at);
      releaseReal(at);
      if (isDir(at)) {
        this.sb.listings.drop(at);
        this.sb.nameIndexes.drop(at);
      }
      const renumbered = losesNumber(at);
      while (at.parent) {
        const parent: DirInode = at.parent;
        detach(at, parent, at.name);
        if (renumbered) {
          parent.renumbered = true;
          dirModified(parent);
        }
        work.push(parent);
      }
      at.nodeid = 0;
    }
  }
}
