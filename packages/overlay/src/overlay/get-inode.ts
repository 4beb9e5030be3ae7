/**
 * One Inode for one object (kernel: ovl_get_inode and ovl_hash_bylower in fs/overlayfs/inode.c):
 * keyed by the lower where copy-up keeps the identity, else by the upper; and where an upper says
 * it was copied up from.
 */
import type { Dentry } from '../layer/layer.ts';
import { S_IFDIR, S_IFMT } from '../sys/constants.ts';
import { EPERM } from '../sys/errno.ts';
import { Stat } from '../sys/stat.ts';
import { isWhiteoutDevice } from './escaped-whiteout.ts';
import type { Found } from './found.ts';
import { DirInode, Inode } from './inode.ts';
import { decodeOrigin, inoInHandle } from './origin.ts';
import { protectionOf } from './protection.ts';
import type { Super } from './super.ts';

/** kernel ovl_get_inode: one Inode for one object, keyed by the lower where copy-up keeps the identity. */
export function getInode(sb: Super, found: Found, st: Stat): Inode {
  const type = st.mode & S_IFMT;
  const upperFs = 0;
  let keyFs = -1;
  let keyIno = 0n;
  let hasOrigin = false;
  if (found.lowers.length > 0) {
    keyFs = sb.fsNumber(found.lowers[0].layer);
    keyIno = found.lowerIno;
    hasOrigin = true;
    // A hard link in a lower is broken by copy-up, so each of its names is an object of its own.
    if (!found.isDir && found.lowerNlink > 1 && !sb.config.readOnly) keyFs = -1;
  } else if (found.upperHasOrigin && !found.isDir) {
    const origin = originOf(sb, found.upper!);
    if (origin) {
      keyFs = origin.fs;
      keyIno = origin.ino;
      hasOrigin = true;
    }
  }
  if (found.upper) {
    const known = keyFs >= 0 ? sb.inodes.get(keyFs, keyIno) : undefined;
    if (known?.type === type && known.upper && known.upperIno === found.upperIno) return known;
    if (known || keyFs < 0) {
      const own = sb.inodes.get(upperFs, found.upperIno);
      if (own?.type === type && own.upper) return own;
      return enter(
        sb,
        newInode(sb, type, found, st, keyFs >= 0 && hasOrigin ? { fs: keyFs, ino: keyIno } : null),
        upperFs,
        found.upperIno,
      );
    }
    return enter(sb, newInode(sb, type, found, st, { fs: keyFs, ino: keyIno }), keyFs, keyIno);
  }
  if (keyFs >= 0) {
    const known = sb.inodes.get(keyFs, keyIno);
    if (known?.type === type && !known.upper && known.lowers[0]?.layer === found.lowers[0].layer) return known;
    if (!known) return enter(sb, newInode(sb, type, found, st, null), keyFs, keyIno);
  }
  return newInode(sb, type, found, st, null);
}

function enter(sb: Super, inode: Inode, fs: number, ino: bigint): Inode {
  sb.inodes.set(inode, fs, ino);
  return inode;
}

function newInode(sb: Super, type: number, found: Found, st: Stat, origin: { fs: number; ino: bigint } | null): Inode {
  const inode = type === S_IFDIR ? newDir(found) : new Inode(type, found.upper, found.lowers);
  inode.upperIno = found.upperIno;
  inode.hasOrigin = origin !== null;
  inode.escapedWhiteout = isWhiteoutDevice(st.mode, st.rdev);
  inode.protection = protectionOf(st) | found.protection;
  const real = found.upper ?? found.lowers[0];
  inode.ino = origin ? sb.mapIno(origin.fs, origin.ino) : sb.mapIno(sb.fsNumber(real.layer), st.ino);
  return inode;
}

function newDir(found: Found): DirInode {
  const dir = new DirInode(found.upper, found.lowers);
  dir.opaque = found.opaque;
  dir.redirect = found.redirect;
  return dir;
}

/** Where an upper non-directory was copied up from, as (filesystem, inode number); null when it does not say or it is gone. */
export function originOf(sb: Super, upper: Dentry): { fs: number; ino: bigint } | null {
  const value = upper.layer.getxattr(upper, sb.names.origin);
  if (typeof value === 'number') return null;
  const origin = decodeOrigin(value);
  if (origin === null || typeof origin === 'number') return null;
  const layer = sb.layerByUuid(origin.uuid);
  if (!layer) return null;
  const st = new Stat();
  const err = layer.handleIno({ type: origin.type, handle: origin.handle }, st);
  if (err === -EPERM) {
    const ino = inoInHandle(origin.type, origin.handle);
    return ino === null ? null : { fs: sb.fsNumber(layer), ino };
  }
  // An origin with several links was indexed; without the index its number would be shown twice.
  if (err < 0 || ((st.mode & S_IFMT) !== S_IFDIR && st.nlink > 1)) return null;
  return { fs: sb.fsNumber(layer), ino: st.ino };
}
