/**
 * Encoders of reply payloads that are more than a field or two: attributes, entries, statfs, statx.
 * Each writes at an absolute position of a Wire; offsets are in layout.ts. Pure.
 */
import { S_IFDIR, STATX_BASIC_STATS, STATX_BTIME } from '../sys/constants.ts';
import { major, minor, type Stat, type StatFs } from '../sys/stat.ts';
import { attr, attrOut, entryOut, statfsOut, statx, statxOut } from './layout.ts';
import type { Wire } from './wire.ts';

/** How long the kernel may believe what it was told, split as the protocol wants it. */
export interface Validity {
  sec: number;
  nsec: number;
}

/** Seconds (fractions allowed) as the protocol's pair. */
export function validity(seconds: number): Validity {
  const sec = Math.floor(seconds);
  return { sec, nsec: Math.floor((seconds - sec) * 1e9) };
}

/**
 * What programs are told is the size to read a directory in, whatever the layers say: the C library asks for
 * as much at a time, and the kernel passes that on. Four requests of 32 KiB would carry what one does.
 */
const DIRECTORY_BLKSIZE: number = 128 * 1024;

function blksizeOf(stat: Stat): number {
  return stat.type === S_IFDIR ? Math.max(stat.blksize, DIRECTORY_BLKSIZE) : stat.blksize;
}

/** struct fuse_attr. */
function encodeAttr(wire: Wire, at: number, stat: Stat): void {
  wire.setBig(at + attr.ino, stat.ino);
  wire.set64(at + attr.fileSize, stat.size);
  wire.set64(at + attr.blocks, stat.blocks);
  wire.set64(at + attr.atime, stat.atime);
  wire.set64(at + attr.mtime, stat.mtime);
  wire.set64(at + attr.ctime, stat.ctime);
  wire.setU32(at + attr.atimeNsec, stat.atimeNsec);
  wire.setU32(at + attr.mtimeNsec, stat.mtimeNsec);
  wire.setU32(at + attr.ctimeNsec, stat.ctimeNsec);
  wire.setU32(at + attr.mode, stat.mode);
  wire.setU32(at + attr.nlink, stat.nlink);
  wire.setU32(at + attr.uid, stat.uid);
  wire.setU32(at + attr.gid, stat.gid);
  wire.setU32(at + attr.rdev, stat.rdev);
  wire.setU32(at + attr.blksize, blksizeOf(stat));
  wire.setU32(at + attr.flags, 0);
}

/** struct fuse_entry_out. nodeid 0 says that the name does not exist: then only `entry` counts. */
export function encodeEntry(
  wire: Wire,
  at: number,
  nodeid: number,
  generation: number,
  stat: Stat,
  entryValid: Validity,
  attrValid: Validity,
): void {
  wire.set64(at + entryOut.nodeid, nodeid);
  wire.set64(at + entryOut.generation, generation);
  wire.set64(at + entryOut.entryValid, entryValid.sec);
  wire.set64(at + entryOut.attrValid, attrValid.sec);
  wire.setU32(at + entryOut.entryValidNsec, entryValid.nsec);
  wire.setU32(at + entryOut.attrValidNsec, attrValid.nsec);
  encodeAttr(wire, at + entryOut.attr, stat);
}

/** struct fuse_attr_out. */
export function encodeAttrOut(wire: Wire, at: number, stat: Stat, valid: Validity): void {
  wire.set64(at + attrOut.attrValid, valid.sec);
  wire.setU32(at + attrOut.attrValidNsec, valid.nsec);
  wire.setU32(at + attrOut.dummy, 0);
  encodeAttr(wire, at + attrOut.attr, stat);
}

function encodeSxTime(wire: Wire, at: number, sec: number, nsec: number): void {
  wire.set64(at, sec);
  wire.setU32(at + 8, nsec);
}

/**
 * struct fuse_statx_out. The kernel (6.18) takes the basic fields and the birth time from it; it
 * refuses a mask that lacks what it asked for, so the basic ones are always claimed.
 */
export function encodeStatx(wire: Wire, at: number, stat: Stat, valid: Validity): void {
  wire.bytes.fill(0, at, at + statxOut.size);
  wire.set64(at + statxOut.attrValid, valid.sec);
  wire.setU32(at + statxOut.attrValidNsec, valid.nsec);
  const sx = at + statxOut.stat;
  wire.setU32(sx + statx.mask, STATX_BASIC_STATS | (stat.mask & STATX_BTIME));
  wire.setU32(sx + statx.blksize, blksizeOf(stat));
  wire.set64(sx + statx.attributes, stat.attributes);
  wire.setU32(sx + statx.nlink, stat.nlink);
  wire.setU32(sx + statx.uid, stat.uid);
  wire.setU32(sx + statx.gid, stat.gid);
  wire.setU16(sx + statx.mode, stat.mode);
  wire.setBig(sx + statx.ino, stat.ino);
  wire.set64(sx + statx.fileSize, stat.size);
  wire.set64(sx + statx.blocks, stat.blocks);
  wire.set64(sx + statx.attributesMask, stat.attributes);
  encodeSxTime(wire, sx + statx.atime, stat.atime, stat.atimeNsec);
  encodeSxTime(wire, sx + statx.btime, stat.btime, stat.btimeNsec);
  encodeSxTime(wire, sx + statx.ctime, stat.ctime, stat.ctimeNsec);
  encodeSxTime(wire, sx + statx.mtime, stat.mtime, stat.mtimeNsec);
  wire.setU32(sx + statx.rdevMajor, major(stat.rdev));
  wire.setU32(sx + statx.rdevMinor, minor(stat.rdev));
  wire.setU32(sx + statx.devMajor, major(stat.dev));
  wire.setU32(sx + statx.devMinor, minor(stat.dev));
}

/** struct fuse_statfs_out. */
export function encodeStatfs(wire: Wire, at: number, st: StatFs): void {
  wire.bytes.fill(0, at, at + statfsOut.size);
  wire.set64(at + statfsOut.blocks, st.blocks);
  wire.set64(at + statfsOut.bfree, st.bfree);
  wire.set64(at + statfsOut.bavail, st.bavail);
  wire.set64(at + statfsOut.files, st.files);
  wire.set64(at + statfsOut.ffree, st.ffree);
  wire.setU32(at + statfsOut.bsize, st.bsize);
  wire.setU32(at + statfsOut.namelen, st.namelen);
  wire.setU32(at + statfsOut.frsize, st.frsize);
}
