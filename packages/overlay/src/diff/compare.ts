/**
 * Whether two objects of layers are the same to a user: type, mode, owner, times, size, device,
 * target, extended attributes (but the overlay's own) and, where all of that agrees, content.
 * A copy-up that nothing was written to is no change, and of metadata alone the data is the same.
 */
import type { Dentry } from '../layer/layer.ts';
import type { Found } from '../overlay/found.ts';
import { foundData } from '../overlay/lower-data.ts';
import type { Super } from '../overlay/super.ts';
import type { ByteString } from '../sys/bytes.ts';
import { O_RDONLY, S_IFBLK, S_IFCHR, S_IFDIR, S_IFLNK, S_IFREG } from '../sys/constants.ts';
import { EOPNOTSUPP } from '../sys/errno.ts';
import { Stat } from '../sys/stat.ts';

/** Bytes that are compared at a time. */
const CHUNK = 128 * 1024;
/** Where the file lies decides it, not what was done to the file. */
const PLACE_LABEL = 'security.selinux';

/** The same inode of the same filesystem: nothing can differ. */
export function sameInode(a: Stat, b: Stat): boolean {
  return a.ino === b.ino && a.dev === b.dev;
}

/** One object, as lookup has found it. */
export interface Look {
  found: Found;
  st: Stat;
}

/** The dentry whose attributes are the object's. */
function real({ found }: Look): Dentry {
  return found.upper ?? found.lowers[0];
}

/** @returns true or false, or a negative errno when one cannot be read. */
export function sameToUser(sb: Super, one: Look, other: Look): boolean | number {
  const { st: aSt } = one;
  const { st: bSt } = other;
  const a = real(one);
  const b = real(other);
  if (sameInode(aSt, bSt)) return true;
  if (aSt.mode !== bSt.mode || aSt.uid !== bSt.uid || aSt.gid !== bSt.gid) return false;
  if (aSt.mtime !== bSt.mtime || aSt.mtimeNsec !== bSt.mtimeNsec) return false;
  switch (aSt.type) {
    case S_IFDIR:
      break;
    case S_IFLNK:
      if (a.layer.readlink(a) !== b.layer.readlink(b)) return false;
      break;
    case S_IFCHR:
    case S_IFBLK:
      if (aSt.rdev !== bSt.rdev) return false;
      break;
    default:
      if (aSt.size !== bSt.size) return false;
  }
  const xattrs = sameXattrs(sb, a, b);
  if (xattrs !== true || aSt.type !== S_IFREG) return xattrs;
  const aData = foundData(sb, one.found);
  if (typeof aData === 'number') return aData;
  const bData = foundData(sb, other.found);
  if (typeof bData === 'number') return bData;
  return sameData(aData, bData);
}

/** Metadata alone over the other object has the other's own data. */
function sameData(a: Dentry, b: Dentry): boolean | number {
  const aSt = new Stat();
  const bSt = new Stat();
  const same = a.layer.stat(a, aSt) >= 0 && b.layer.stat(b, bSt) >= 0 && sameInode(aSt, bSt);
  return same || sameContent(a, b);
}

function xattrNames(sb: Super, d: Dentry): ByteString[] | number {
  const names = d.layer.listxattr(d);
  if (typeof names === 'number') return names === -EOPNOTSUPP ? [] : names;
  return names.filter((name) => !sb.names.isPrivate(name) && name !== PLACE_LABEL).sort();
}

function sameXattrs(sb: Super, a: Dentry, b: Dentry): boolean | number {
  const names = xattrNames(sb, a);
  const others = xattrNames(sb, b);
  if (typeof names === 'number') return names;
  if (typeof others === 'number') return others;
  if (names.length !== others.length || names.some((name, i) => name !== others[i])) return false;
  for (const name of names) {
    const value = a.layer.getxattr(a, name);
    const other = b.layer.getxattr(b, name);
    if (typeof value === 'number' || typeof other === 'number') {
      if (value !== other) return false;
    } else if (!value.equals(other)) return false;
  }
  return true;
}

function sameContent(a: Dentry, b: Dentry): boolean | number {
  const fa = a.layer.open(a, O_RDONLY);
  if (fa < 0) return fa;
  const fb = b.layer.open(b, O_RDONLY);
  if (fb < 0) {
    a.layer.close(fa);
    return fb;
  }
  const one = Buffer.allocUnsafe(CHUNK);
  const other = Buffer.allocUnsafe(CHUNK);
  let result: boolean | number = true;
  for (let pos = 0; ; ) {
    const n = a.layer.read(fa, one, 0, CHUNK, pos);
    const m = b.layer.read(fb, other, 0, CHUNK, pos);
    if (n < 0 || m < 0) result = Math.min(n, m);
    else if (n !== m || one.compare(other, 0, n, 0, n) !== 0) result = false;
    if (result !== true || n === 0) break;
    pos += n;
  }
  a.layer.close(fa);
  b.layer.close(fb);
  return result;
}
