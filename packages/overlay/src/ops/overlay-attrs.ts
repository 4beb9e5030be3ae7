/** The operations on attributes: getattr, setattr, statfs, extended attributes, flags. See ops.ts for what each means. */
import { getattr, setattr } from '../overlay/attr.ts';
import { getFileattr, setFileattr } from '../overlay/fileattr.ts';
import type { Inode } from '../overlay/inode.ts';
import * as xattrs from '../overlay/xattr.ts';
import { CAPABILITY, POSIX_ACL_ACCESS } from '../overlay/xattrs.ts';
import type { ByteString } from '../sys/bytes.ts';
import {
  FS_IOC_FSGETXATTR,
  FS_IOC_FSSETXATTR,
  FS_IOC_GETFLAGS,
  FS_IOC_SETFLAGS,
  O_ACCMODE,
  O_RDONLY,
} from '../sys/constants.ts';
import { EPERM, ESTALE } from '../sys/errno.ts';
import type { Stat, StatFs } from '../sys/stat.ts';
import { asksNothing, type Caller, type SetAttr } from './ops.ts';
import { OverlayNames } from './overlay-names.ts';
import { chownIsChmod } from './permissions.ts';
import { aclDropsSgid, dropSgid, dropsSgid, keepsBits, takesPrivileges } from './privilege-bits.ts';

export class OverlayAttrs extends OverlayNames {
  /** Whose file capabilities were removed last: a setattr may belong to it (privilege-bits.ts). */
  private stripped: Inode | null = null;
  /** What the flag ioctls take a pointer to: a long, of which they use half. */
  private readonly flagWord = Buffer.alloc(8);

  getattr(_caller: Caller, nodeid: number, _fh: number, out: Stat): number {
    const inode = this.nodes.get(nodeid);
    return inode ? getattr(inode, out) : -ESTALE;
  }

  setattr(caller: Caller, nodeid: number, set: SetAttr, out: Stat): number {
    const inode = this.nodes.get(nodeid);
    if (!inode) return -ESTALE;
    if (asksNothing(set.valid) && caller.uid !== 0) {
      const err = this.mayLosePriv(caller, inode, out);
      if (err < 0) return err;
    }
    const handle = set.fh !== 0 ? this.files.get(set.fh) : undefined;
    const file = handle && !handle.onLower && (handle.accmode & O_ACCMODE) !== O_RDONLY ? handle.file : -1;
    const stripped = this.stripped === inode;
    this.stripped = null;
    if (stripped && !this.sb.hooks.mereRoot && keepsBits(caller, inode, set, this.files.all()))
      return getattr(inode, out);
    const dropping = takesPrivileges(caller, set) && this.dropsSgid(caller, inode);
    const err = setattr(this.sb, inode, set, file, out);
    return err >= 0 && dropping ? dropSgid(inode, out) : err;
  }

  protected dropsSgid(caller: Caller, inode: Inode): boolean {
    return dropsSgid(caller, inode, this.groupsOf, this.scratch);
  }

  private readonly groupsOf = (pid: number): readonly number[] => this.sb.hooks.groupsOf?.(pid) ?? [];

  /**
   * FUSE does not say whether a request for nothing is a chown, which only an owner makes where suid goes,
   * or comes before a write, which anybody makes who has the file open for it. Only the latter has a writer.
   */
  private mayLosePriv(caller: Caller, inode: Inode, st: Stat): number {
    const err = getattr(inode, st);
    if (err < 0 || caller.uid === st.uid || !(chownIsChmod(st) || this.dropsSgid(caller, inode))) return err;
    for (const handle of this.files.all()) {
      if (handle.inode === inode && (handle.accmode & O_ACCMODE) !== O_RDONLY) return 0;
    }
    return -EPERM;
  }

  /**
   * Who has not the right to remove capabilities asks for it by changing the file; FUSE asks before it looks
   * who owns the file. truncate(2), too, which opens nothing: where others than the owner may write, it is believed.
   */
  private mayLoseCapability(caller: Caller, inode: Inode): number {
    const err = this.mayLosePriv(caller, inode, this.scratch);
    return err === -EPERM && (this.scratch.mode & 0o022) !== 0 ? 0 : err;
  }

  statfs(_caller: Caller, _nodeid: number, out: StatFs): number {
    const layer = this.sb.upper ?? this.sb.lowers[0];
    const err = layer.statfs(out);
    if (err >= 0) out.namelen = this.sb.nameMax;
    return err;
  }

  getxattr(_caller: Caller, nodeid: number, name: ByteString): Buffer | number {
    const inode = this.nodes.get(nodeid);
    return inode ? xattrs.getxattr(this.sb, inode, name) : -ESTALE;
  }

  listxattr(caller: Caller, nodeid: number): ByteString[] | number {
    const inode = this.nodes.get(nodeid);
    return inode ? xattrs.listxattr(this.sb, inode, caller.uid === 0) : -ESTALE;
  }

  setxattr(
    _caller: Caller,
    nodeid: number,
    name: ByteString,
    value: Uint8Array,
    flags: number,
    killSgid: boolean,
  ): number {
    const inode = this.nodes.get(nodeid);
    return inode ? xattrs.setxattr(this.sb, inode, name, value, flags, killSgid, this.scratch) : -ESTALE;
  }

  removexattr(caller: Caller, nodeid: number, name: ByteString): number {
    const inode = this.nodes.get(nodeid);
    if (!inode) return -ESTALE;
    const dropping = name === POSIX_ACL_ACCESS && aclDropsSgid(caller, inode, this.groupsOf, this.scratch);
    let err = name === CAPABILITY && caller.uid !== 0 ? this.mayLoseCapability(caller, inode) : 0;
    if (err >= 0) err = xattrs.removexattr(this.sb, inode, name);
    if (err < 0) return err;
    if (name === CAPABILITY) this.stripped = inode;
    if (!dropping) return 0;
    dropSgid(inode, this.scratch);
    // The request says nothing of a mode, and so the kernel keeps the old one.
    this.sb.hooks.attrChanged?.(nodeid);
    return 0;
  }

  getflags(_caller: Caller, nodeid: number): number {
    const inode = this.nodes.get(nodeid);
    if (!inode) return -ESTALE;
    const err = getFileattr(inode, FS_IOC_GETFLAGS, this.flagWord);
    return err < 0 ? err : this.flagWord.readUInt32LE(0);
  }

  setflags(_caller: Caller, nodeid: number, flags: number): number {
    const inode = this.nodes.get(nodeid);
    if (!inode) return -ESTALE;
    this.flagWord.writeUInt32LE(flags >>> 0, 0);
    return setFileattr(this.sb, inode, FS_IOC_SETFLAGS, this.flagWord);
  }

  getfsxattr(_caller: Caller, nodeid: number, out: Uint8Array): number {
    const inode = this.nodes.get(nodeid);
    return inode ? getFileattr(inode, FS_IOC_FSGETXATTR, out) : -ESTALE;
  }

  setfsxattr(_caller: Caller, nodeid: number, value: Uint8Array): number {
    const inode = this.nodes.get(nodeid);
    return inode ? setFileattr(this.sb, inode, FS_IOC_FSSETXATTR, value) : -ESTALE;
  }

  access(): number {
    return 0;
  }
}
