/**
 * `Stat`: what statx(2) tells of one inode, with nothing rounded. Filled in place, so that a hot
 * path can reuse one object; `ino` is a bigint because inode numbers use all 64 bits (xino sets
 * the highest), sizes and block counts are numbers (2^53 bytes is more than any filesystem holds).
 */
import { S_IFMT } from './constants.ts';

export class Stat {
  /** makedev(major, minor) as glibc packs it below 2^32: major << 8 | low minor …; see `makedev`. */
  dev = 0;
  ino = 0n;
  /** Type and permission bits, S_IFMT included. */
  mode = 0;
  nlink = 0;
  uid = 0;
  gid = 0;
  /** The device that a device node stands for, packed as `dev`. */
  rdev = 0;
  /** Bytes. */
  size = 0;
  /** Preferred I/O size in bytes. */
  blksize = 0;
  /** 512-byte units allocated. */
  blocks = 0;
  /** Seconds since 1970, negative before; the matching …Nsec is 0..999,999,999. */
  atime = 0;
  atimeNsec = 0;
  mtime = 0;
  mtimeNsec = 0;
  ctime = 0;
  ctimeNsec = 0;
  /** Birth time; 0/0 where the filesystem keeps none (`mask` then lacks STATX_BTIME). */
  btime = 0;
  btimeNsec = 0;
  /** STATX_* bits that the filesystem filled. */
  mask = 0;
  /** What offsets and lengths of O_DIRECT are multiples of; 0 where it was not asked for, or anything goes. */
  dioOffsetAlign = 0;
  /** STATX_ATTR_* bits (immutable, append, …). */
  attributes = 0;
  mntId = 0;

  /** S_IFREG, S_IFDIR, … */
  get type(): number {
    return this.mode & S_IFMT;
  }

  /** Copies every field of `from`. */
  set(from: Stat): this {
    this.dev = from.dev;
    this.ino = from.ino;
    this.mode = from.mode;
    this.nlink = from.nlink;
    this.uid = from.uid;
    this.gid = from.gid;
    this.rdev = from.rdev;
    this.size = from.size;
    this.blksize = from.blksize;
    this.blocks = from.blocks;
    this.atime = from.atime;
    this.atimeNsec = from.atimeNsec;
    this.mtime = from.mtime;
    this.mtimeNsec = from.mtimeNsec;
    this.ctime = from.ctime;
    this.ctimeNsec = from.ctimeNsec;
    this.btime = from.btime;
    this.btimeNsec = from.btimeNsec;
    this.mask = from.mask;
    this.dioOffsetAlign = from.dioOffsetAlign;
    this.attributes = from.attributes;
    this.mntId = from.mntId;
    return this;
  }
}

/** Packs a device number as the kernel's `new_encode_dev` (what FUSE and statx readers expect in 32 bits). */
export function makedev(major: number, minor: number): number {
  return ((minor & 0xff) | ((major & 0xfff) << 8) | ((minor & 0xfff00) << 12)) >>> 0;
}

export function major(dev: number): number {
  return (dev >>> 8) & 0xfff;
}

export function minor(dev: number): number {
  return (dev & 0xff) | ((dev >>> 12) & 0xfff00);
}

/** What statfs(2) tells. Counts are numbers in units of `bsize` (blocks) or inodes. */
export class StatFs {
  type = 0;
  bsize = 0;
  blocks = 0;
  bfree = 0;
  bavail = 0;
  files = 0;
  ffree = 0;
  /** The two 32-bit words of f_fsid. */
  fsid: [number, number] = [0, 0];
  namelen = 255;
  frsize = 0;
  /** ST_* mount flags. */
  flags = 0;
}
