/**
 * Whether two objects of layers are the same to a user: type, mode, owner, times, size, device,
 * target, extended attributes (but the overlay's own) and, where all of that agrees, content.
 * A copy-up that nothing was written to is no change, and of metadata alone the data is the same.
 */
import type { Dentry } from '../layer/layer.ts';
import type { Found } from '../overlay/found.ts';
import { findLazy, USER_GUARD } from '../overlay/lazy-files.ts';
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
  const xattrs = sameXattrs(sb, one, other);
  if (xattrs !== true || aSt.type !== S_IFREG) return xattrs;
  const aData = foundData(sb, one.found);
  if (typeof aData === 'number') return aData;
  const bData = foundData(sb, other.found);
  if (typeof bData === 'number') return bData;
  // Metadata alone over the other object has the other's own data.
  const aReal = new Stat();
  const bReal = new Stat();
  const same = aData.layer.stat(aData, aReal) >= 0 && bData.layer.stat(bData, bReal) >= 0 && sameInode(aReal, bReal);
  return same || sameContent(sb, one, other);
}

function xattrNames(sb: Super, { found }: Look, d: Dentry): ByteString[] | number {
  const names = d.layer.listxattr(d);
  if (typeof names === 'number') return names === -EOPNOTSUPP ? [] : names;
  const isOurs = (name: ByteString): boolean => sb.names.isPrivate(name) || (found.upperLazy && name === USER_GUARD);
  return names.filter((name) => !isOurs(name) && name !== PLACE_LABEL).sort();
}

function sameXattrs(sb: Super, one: Look, other: Look): boolean | number {
  const a = real(one);
  const b = real(other);
  const names = xattrNames(sb, one, a);
  const others = xattrNames(sb, other, b);
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

/** The bytes of a file, from wherever they are. */
interface Content {
  read(buf: Buffer, pos: number): number;
  close(): void;
}

function openContent(sb: Super, { found }: Look): Content | number {
  if (found.upperLazy) {
    const lazy = findLazy(sb, found);
    const err = lazy.attach(found.upper!);
    if (err < 0) return err;
    return { read: (buf, pos) => lazy.read(buf, 0, buf.length, pos), close: () => lazy.detach() };
  }
  const d = foundData(sb, found);
  if (typeof d === 'number') return d;
  const { layer } = d;
  const file = layer.open(d, O_RDONLY);
  if (file < 0) return file;
  return { read: (buf, pos) => layer.read(file, buf, 0, buf.length, pos), close: () => layer.close(file) };
}

function sameContent(sb: Super, a: Look, b: Look): boolean | number {
  const one = openContent(sb, a);
  if (typeof one === 'number') return one;
  const other = openContent(sb, b);
  const same = typeof other === 'number' ? other : sameBytes(one, other);
  one.close();
  if (typeof other !== 'number') other.close();
  return same;
}

function sameBytes(a: Content, b: Content): boolean | number {
  const one = Buffer.allocUnsafe(CHUNK);
  const other = Buffer.allocUnsafe(CHUNK);
  for (let pos = 0; ; ) {
    const n = a.read(one, pos);
    const m = b.read(other, pos);
    if (n < 0 || m < 0) return Math.min(n, m);
    if (n !== m || one.compare(other, 0, n, 0, n) !== 0) return false;
    if (n === 0) return true;
    pos += n;
  }
}
