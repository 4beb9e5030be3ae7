/**
 * Decoding of `struct statx` (linux/stat.h) and `struct statfs` (asm-generic, 64 bits), whose
 * layouts are the same on all 64-bit little-endian machines that Node runs on.
 */
import { STATX_DIOALIGN } from '../constants.ts';
import { makedev, type Stat, type StatFs } from '../stat.ts';
import type { StructBuffer } from './scratch.ts';

/** Byte offsets in struct statx: mask 0, blksize 4, attributes 8, nlink 16, uid 20, gid 24, mode 28, ino 32, … */
export function decodeStatx(from: StructBuffer, out: Stat): void {
  const { u32, i32 } = from;
  out.mask = u32[0];
  out.blksize = u32[1];
  out.attributes = u32[2];
  out.nlink = u32[4];
  out.uid = u32[5];
  out.gid = u32[6];
  out.mode = from.u16[14];
  out.ino = from.u64[4];
  out.size = u32[11] * 0x1_0000_0000 + u32[10];
  out.blocks = u32[13] * 0x1_0000_0000 + u32[12];
  out.atime = i32[17] * 0x1_0000_0000 + u32[16];
  out.atimeNsec = u32[18];
  out.btime = i32[21] * 0x1_0000_0000 + u32[20];
  out.btimeNsec = u32[22];
  out.ctime = i32[25] * 0x1_0000_0000 + u32[24];
  out.ctimeNsec = u32[26];
  out.mtime = i32[29] * 0x1_0000_0000 + u32[28];
  out.mtimeNsec = u32[30];
  out.rdev = makedev(u32[32], u32[33]);
  out.dev = makedev(u32[34], u32[35]);
  out.dioOffsetAlign = (out.mask & STATX_DIOALIGN) === 0 ? 0 : u32[39];
  out.mntId = u32[37] * 0x1_0000_0000 + u32[36];
}

/** 64-bit words of struct statfs: type, bsize, blocks, bfree, bavail, files, ffree, fsid, namelen, frsize, flags. */
export function decodeStatFs(from: StructBuffer, out: StatFs): void {
  const { u32 } = from;
  // f_type is a long that some filesystems sign-extend (0x9123683E of btrfs): the low word is the number.
  out.type = u32[0];
  out.bsize = from.getInt64(1);
  out.blocks = Number(from.u64[2]);
  out.bfree = Number(from.u64[3]);
  out.bavail = Number(from.u64[4]);
  out.files = Number(from.u64[5]);
  out.ffree = Number(from.u64[6]);
  out.fsid = [u32[14], u32[15]];
  out.namelen = from.getInt64(8);
  out.frsize = from.getInt64(9);
  out.flags = from.getInt64(10);
}
