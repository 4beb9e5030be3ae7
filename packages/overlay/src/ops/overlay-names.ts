/** The operations on names: lookup, making, removing, renaming, links. See ops.ts for what each means. */
import { getattr, mapAttr } from '../overlay/attr.ts';
import * as creating from '../overlay/create.ts';
import type { DirInode, Inode } from '../overlay/inode.ts';
import { lookup } from '../overlay/lookup.ts';
import { rmdir, unlink } from '../overlay/remove.ts';
import { rename } from '../overlay/rename.ts';
import type { ByteString } from '../sys/bytes.ts';
import { S_IFLNK } from '../sys/constants.ts';
import { EINVAL, ESTALE } from '../sys/errno.ts';
import type { Caller, EntryOut } from './ops.ts';
import { OverlayState } from './overlay-state.ts';

export class OverlayNames extends OverlayState {
  lookup(caller: Caller, parent: number, name: ByteString, out: EntryOut): number {
    // A handle is being opened: `.` is the object itself, whatever it is.
    if (name === '.') {
      const inode = this.nodes.recall(parent);
      return inode ? this.refer(inode, out) : -ESTALE;
    }
    const dir = this.dir(parent);
    if (typeof dir === 'number') return dir;
    if (name === '..') return this.refer(dir.parent ?? dir, out);
    const inode = lookup(this.sb, dir, name, out.attr);
    if (typeof inode === 'number') {
      out.nodeid = 0;
      return inode;
    }
    mapAttr(inode, out.attr);
    if (dir.listing !== null && inode.nlookup === 0) this.lookers.looked(caller.pid);
    this.nodes.refer(inode, out);
    return 0;
  }

  private refer(inode: Inode, out: EntryOut): number {
    const err = getattr(inode, out.attr);
    if (err >= 0) this.nodes.refer(inode, out);
    return err;
  }

  forget(nodeid: number, count: number): void {
    this.nodes.forget(nodeid, count);
  }

  mkdir(caller: Caller, parent: number, name: ByteString, mode: number, out: EntryOut): number {
    return this.made(parent, out, (dir) => creating.mkdir(this.sb, caller, dir, name, mode, out.attr));
  }

  mknod(caller: Caller, parent: number, name: ByteString, mode: number, rdev: number, out: EntryOut): number {
    return this.made(parent, out, (dir) => creating.mknod(this.sb, caller, dir, name, mode, rdev, out.attr));
  }

  symlink(caller: Caller, parent: number, name: ByteString, target: ByteString, out: EntryOut): number {
    return this.made(parent, out, (dir) => creating.symlink(this.sb, caller, dir, name, target, out.attr));
  }

  private made(parent: number, out: EntryOut, make: (dir: DirInode) => Inode | number): number {
    const dir = this.dir(parent);
    if (typeof dir === 'number') return dir;
    const inode = make(dir);
    if (typeof inode === 'number') return inode;
    this.nodes.refer(inode, out);
    return 0;
  }

  unlink(_caller: Caller, parent: number, name: ByteString): number {
    return this.named(parent, name, (dir) => unlink(this.sb, dir, name));
  }

  rmdir(_caller: Caller, parent: number, name: ByteString): number {
    return this.named(parent, name, (dir) => rmdir(this.sb, dir, name));
  }

  rename(
    caller: Caller,
    parent: number,
    name: ByteString,
    newParent: number,
    newName: ByteString,
    flags: number,
  ): number {
    return this.named(parent, name, (dir) =>
      this.named(newParent, newName, (newDir) => rename(this.sb, caller, dir, name, newDir, newName, flags)),
    );
  }

  /** Runs `change`; an inode that it looked up and that nobody refers to does not stay behind. */
  private named(parent: number, name: ByteString, change: (dir: DirInode) => number): number {
    const dir = this.dir(parent);
    if (typeof dir === 'number') return dir;
    const before = dir.children.get(name);
    const result = change(dir);
    if (before) this.nodes.prune(before);
    const after = dir.children.get(name);
    if (after && after !== before) this.nodes.prune(after);
    return result;
  }

  link(_caller: Caller, nodeid: number, newParent: number, newName: ByteString, out: EntryOut): number {
    const inode = this.nodes.get(nodeid);
    if (!inode) return -ESTALE;
    const dir = this.dir(newParent);
    if (typeof dir === 'number') return dir;
    const err = creating.link(this.sb, inode, dir, newName, out.attr);
    if (err >= 0) this.nodes.refer(inode, out);
    return err;
  }

  readlink(_caller: Caller, nodeid: number): ByteString | number {
    const inode = this.nodes.get(nodeid);
    if (!inode) return -ESTALE;
    if (inode.type !== S_IFLNK) return -EINVAL;
    return inode.real.layer.readlink(inode.real);
  }
}
