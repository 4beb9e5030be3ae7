/**
 * One Inode for one object (kernel: ovl_get_inode in fs/overlayfs/inode.c): keyed by the lower where
 * copy-up keeps the identity (identify.ts), else by the upper.
 */
import { S_IFDIR, S_IFMT } from '../sys/constants.ts';
import type { Stat } from '../sys/stat.ts';
import { isWhiteoutDevice } from './escaped-whiteout.ts';
import type { Found, LowerId } from './found.ts';
import { lowerIdentity } from './identify.ts';
import { DirInode, Inode } from './inode.ts';
import { adoptLazy, findLazy } from './lazy-files.ts';
import { metacopyOf } from './metacopy.ts';
import { unionNlink } from './nlink.ts';
import { protectionOf } from './protection.ts';
import type { Super } from './super.ts';

/** kernel ovl_get_inode, for what `identify` has looked at. `st` has the real object's attributes. */
export function getInode(sb: Super, found: Found, st: Stat): Inode {
  const type = st.mode & S_IFMT;
  const upperFs = 0;
  const lower = lowerIdentity(sb, found);
  const known = lower ? sb.inodes.get(lower.fs, lower.ino) : undefined;
  if (found.upper) {
    if (known?.type === type && known.upper && known.upperIno === found.upperIno) return known;
    if (known || !lower) {
      const own = sb.inodes.get(upperFs, found.upperIno);
      if (own?.type === type && own.upper) return own;
      return enter(sb, newInode(sb, type, found, st, lower), upperFs, found.upperIno);
    }
    return enter(sb, newInode(sb, type, found, st, lower), lower.fs, lower.ino);
  }
  if (lower) {
    if (known?.type === type && !known.upper && known.lowers[0]?.layer === found.lowers[0].layer) return known;
    if (!known) return enter(sb, newInode(sb, type, found, st, null), lower.fs, lower.ino);
  }
  return newInode(sb, type, found, st, null);
}

function enter(sb: Super, inode: Inode, fs: number, ino: bigint): Inode {
  sb.inodes.set(inode, fs, ino);
  return inode;
}

function newInode(sb: Super, type: number, found: Found, st: Stat, origin: LowerId | null): Inode {
  const inode = type === S_IFDIR ? newDir(found) : new Inode(type, found.upper, found.lowers.slice(0, 1));
  inode.metacopy = metacopyOf(found);
  inode.redirect = found.redirect;
  inode.upperIno = found.upperIno;
  inode.hasOrigin = origin !== null;
  inode.escapedWhiteout = isWhiteoutDevice(st.mode, st.rdev);
  inode.index = found.index;
  // What lies in the index, lookup has not looked at.
  inode.bare = found.bare && found.index === null;
  inode.nlink = st.nlink;
  inode.protection = protectionOf(st) | found.protection;
  const real = found.upper ?? found.lowers[0];
  if (found.index && type !== S_IFDIR) {
    // Without a count: the names in the upper, which are its links but for the entry itself. A lower hard link may have
    // more: counted too low, the entry would go before the last of them, and what was written with it.
    const { lowerNlink } = found.index;
    inode.nlink = unionNlink(sb, real, st.nlink, lowerNlink, lowerNlink > 1 ? st.nlink : Math.max(1, st.nlink - 1));
  }
  if (found.upperLazy) adoptLazy(sb, inode, findLazy(sb, found));
  inode.ino = origin ? sb.mapIno(origin.fs, origin.ino) : sb.mapIno(sb.fsNumber(real.layer), st.ino);
  return inode;
}

function newDir(found: Found): DirInode {
  const dir = new DirInode(found.upper, found.lowers);
  dir.opaque = found.opaque;
  return dir;
}
