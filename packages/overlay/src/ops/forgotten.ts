/**
 * Nodes that the door has forgotten and may ask for again by their number, as a file handle does
 * (`nfs_export`, FUSE_EXPORT_SUPPORT): where each was to be found, so that the same object keeps its
 * nodeid. It stays good through renames: those look at what they move, which is then known again, and
 * a directory is remembered by its nodeid, not its path.
 *
 * Only so many are kept. A handle of an older one is -ESTALE, as it is for a file whose known names have gone.
 */
import type { Inode } from '../overlay/inode.ts';
import type { ByteString } from '../sys/bytes.ts';

/** About 200 bytes each. */
const KEPT = 50_000;

export interface ForgottenNode {
  readonly parent: number;
  readonly name: ByteString;
  readonly identity: string;
}

/** null for what is in no table. */
function identity(inode: Inode): string | null {
  return inode.tableFs < 0 ? null : `${inode.tableFs}:${inode.tableIno}`;
}

export class Forgotten {
  /** The oldest first. */
  private readonly byId = new Map<number, ForgottenNode>();
  private readonly byIdentity = new Map<string, number>();
  private readonly kept: number;

  constructor(kept: number = KEPT) {
    this.kept = kept;
  }

  /** Before `inode` leaves the tables. What has no name, or no identity, cannot be found again. */
  remember(inode: Inode): void {
    const known = identity(inode);
    if (inode.nodeid === 0 || inode.unlinked || inode.parent === null || known === null) return;
    const node = { parent: inode.parent.nodeid, name: inode.name, identity: known };
    this.byId.set(inode.nodeid, node);
    this.byIdentity.set(node.identity, inode.nodeid);
    if (this.byId.size <= this.kept) return;
    for (const oldest of this.byId.keys()) {
      this.drop(oldest);
      break;
    }
  }

  get(nodeid: number): ForgottenNode | undefined {
    return this.byId.get(nodeid);
  }

  /** Whether `inode`, found where node `nodeid` was, is the same object. */
  isSame(nodeid: number, inode: Inode): boolean {
    const known = identity(inode);
    return known !== null && this.byIdentity.get(known) === nodeid;
  }

  /** The nodeid that `inode` had; it is known again and no longer forgotten. 0 if it had none. */
  takeNodeid(inode: Inode): number {
    const known = identity(inode);
    const nodeid = known === null ? undefined : this.byIdentity.get(known);
    if (nodeid === undefined) return 0;
    this.drop(nodeid);
    return nodeid;
  }

  private drop(nodeid: number): void {
    const node = this.byId.get(nodeid);
    this.byId.delete(nodeid);
    if (node && this.byIdentity.get(node.identity) === nodeid) this.byIdentity.delete(node.identity);
  }
}
