/** What the rooms of `OverlayOps` share: the union, the nodes, the open files and directories. */
import type * as files from '../overlay/file.ts';
import { type DirInode, type DirListing, isDir } from '../overlay/inode.ts';
import { settle } from '../overlay/left-whiteout.ts';
import type { Super } from '../overlay/super.ts';
import { ENOTDIR, ESTALE } from '../sys/errno.ts';
import { Stat } from '../sys/stat.ts';
import { Handles } from './handles.ts';
import { Lookers } from './lookers.ts';
import { Nodes } from './nodes.ts';

/** An open directory: its listing as it was when it was last read from the start. */
interface OpenDir {
  inode: DirInode;
  listing: DirListing | null;
}

export class OverlayState {
  readonly sb: Super;
  readonly nodes: Nodes;
  protected readonly files: Handles<files.OpenFile> = new Handles();
  protected readonly dirs: Handles<OpenDir> = new Handles();
  protected readonly lookers: Lookers = new Lookers();
  protected readonly scratch: Stat = new Stat();

  constructor(sb: Super) {
    this.sb = sb;
    this.nodes = new Nodes(sb);
  }

  protected dir(nodeid: number): DirInode | number {
    const inode = this.nodes.get(nodeid);
    if (!inode) return -ESTALE;
    if (!isDir(inode)) return -ENOTDIR;
    const err = this.sb.left.length > 0 ? settle(this.sb, inode) : 0;
    return err < 0 ? err : inode;
  }
}
