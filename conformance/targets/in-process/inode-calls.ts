/**
 * What the VFS does with an inode that has been found, whether by path or by descriptor: attributes
 * and xattrs through `Ops`, in a caller's name, with the refusals that no filesystem is asked for.
 */
import * as o from 'stratafs/internal/ops/ops';
import type { ByteString } from 'stratafs/internal/sys/bytes';
import * as c from 'stratafs/internal/sys/constants';
import * as e from 'stratafs/internal/sys/errno';
import { Stat } from 'stratafs/internal/sys/stat';
import type { Time, Who } from '../../target.ts';
import { bytes } from '../../tree.ts';
import { refusedAcl } from './acl.ts';

const XATTR_NAME_MAX = 255;

function badName(name: ByteString): number {
  return name === '' || name.length > XATTR_NAME_MAX ? -e.ERANGE : 0;
}

export class InodeCalls {
  protected readonly ops: o.Ops;
  protected caller: o.Caller;

  constructor(ops: o.Ops, caller: o.Caller) {
    this.ops = ops;
    this.caller = caller;
  }

  protected getattrNode(nodeid: number, fh: number): Stat | number {
    const out = new Stat();
    const err = this.ops.getattr(this.caller, nodeid, fh, out);
    return err < 0 ? err : out;
  }

  protected setattrNode(nodeid: number, fh: number, valid: number, fill: (set: o.SetAttr) => void): number {
    const set = new o.SetAttr();
    set.valid = valid;
    set.fh = fh;
    fill(set);
    return Math.min(0, this.ops.setattr(this.caller, nodeid, set, new Stat()));
  }

  protected chmodNode(nodeid: number, fh: number, mode: number): number {
    return this.setattrNode(nodeid, fh, o.ATTR_MODE, (set) => {
      set.mode = mode & 0o7777;
    });
  }

  protected chownNode(nodeid: number, type: number, fh: number, uid: number, gid: number): number {
    // chown_common: whoever asks, privileges go, but for directories. A chown of nothing is one all the same.
    const nothing = uid === -1 && gid === -1;
    const kill = type === c.S_IFDIR || nothing ? 0 : o.ATTR_KILL_SUIDGID;
    const valid = o.ATTR_CTIME | kill | (uid === -1 ? 0 : o.ATTR_UID) | (gid === -1 ? 0 : o.ATTR_GID);
    return this.setattrNode(nodeid, fh, valid, (set) => {
      set.uid = uid;
      set.gid = gid;
    });
  }

  protected utimensNode(nodeid: number, fh: number, atime: Time, mtime: Time): number {
    if (atime === 'omit' && mtime === 'omit') {
      return 0;
    }
    const both = atime === 'now' && mtime === 'now';
    if (!both && this.caller.uid !== 0) {
      // Only "now for both" is open to those who may merely write.
      const st = this.getattrNode(nodeid, fh);
      if (typeof st === 'number' || st.uid !== this.caller.uid) {
        return typeof st === 'number' ? st : -e.EPERM;
      }
    }
    const bits = (time: Time, set: number, now: number): number => (time === 'omit' ? 0 : time === 'now' ? now : set);
    const valid = bits(atime, o.ATTR_ATIME, o.ATTR_ATIME_NOW) | bits(mtime, o.ATTR_MTIME, o.ATTR_MTIME_NOW);
    return this.setattrNode(nodeid, fh, valid, (set) => {
      if (typeof atime !== 'string') {
        [set.atime, set.atimeNsec] = atime;
      }
      if (typeof mtime !== 'string') {
        [set.mtime, set.mtimeNsec] = mtime;
      }
    });
  }

  protected truncateNode(nodeid: number, size: number, fh: number): number {
    return this.setattrNode(nodeid, fh, o.ATTR_SIZE, (set) => {
      set.size = size;
    });
  }

  protected getxattrNode(nodeid: number, name: ByteString): Buffer | number {
    return badName(name) || this.ops.getxattr(this.caller, nodeid, name);
  }

  protected setxattrNode(nodeid: number, name: ByteString, value: string | Uint8Array, flags: number): number {
    if (name.startsWith('system.')) {
      const st = this.getattrNode(nodeid, 0);
      const refused = typeof st === 'number' ? st : refusedAcl(name, bytes(value), st.type);
      if (refused < 0) {
        return refused;
      }
    }
    return badName(name) || this.ops.setxattr(this.caller, nodeid, name, bytes(value), flags, false);
  }

  protected listxattrNode(nodeid: number): ByteString[] | number {
    return this.ops.listxattr(this.caller, nodeid);
  }

  protected removexattrNode(nodeid: number, name: ByteString): number {
    return badName(name) || this.ops.removexattr(this.caller, nodeid, name);
  }

  umask(mask: number): number {
    const before = this.caller.umask;
    this.caller = { ...this.caller, umask: mask };
    return before;
  }

  as<T>(who: Who, fn: () => T): T {
    const before = this.caller;
    this.caller = { ...before, uid: who.uid, gid: who.gid, groups: who.groups ?? [] };
    try {
      return fn();
    } finally {
      this.caller = before;
    }
  }
}
