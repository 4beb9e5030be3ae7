/**
 * Structures of the FUSE protocol as byte offsets, one table a struct, in the words of
 * include/uapi/linux/fuse.h. Request offsets count from the end of the 40-byte request header,
 * reply offsets from the end of the 16-byte reply header. All integers are in host order, which
 * is little-endian on every machine that this runs on (x86_64, arm64, riscv64).
 *
 * The sizes are those of protocol 7.34 and later; older kernels sent shorter ones and are refused
 * at INIT.
 */

/** struct fuse_in_header, 40 bytes. */
export const IN_HEADER = 40;
export const inHeader = {
  len: 0,
  opcode: 4,
  unique: 8,
  nodeid: 16,
  uid: 24,
  gid: 28,
  pid: 32,
  totalExtlen: 36,
} as const;

/** struct fuse_out_header, 16 bytes. */
export const OUT_HEADER = 16;
export const outHeader = { len: 0, error: 4, unique: 8 } as const;

// ---- requests ----------------------------------------------------------------------------------
export const initIn = { major: 0, minor: 4, maxReadahead: 8, flags: 12, flags2: 16 } as const;
export const forgetIn = { nlookup: 0 } as const;
export const batchForgetIn = { count: 0, size: 8 } as const;
export const forgetOne = { nodeid: 0, nlookup: 8, size: 16 } as const;
export const getattrIn = { flags: 0, fh: 8 } as const;
export const statxIn = { flags: 0, fh: 8, sxFlags: 16, sxMask: 20 } as const;
export const setattrIn = {
  valid: 0,
  fh: 8,
  size: 16,
  lockOwner: 24,
  atime: 32,
  mtime: 40,
  ctime: 48,
  atimeNsec: 56,
  mtimeNsec: 60,
  ctimeNsec: 64,
  mode: 68,
  uid: 76,
  gid: 80,
} as const;
export const mknodIn = { mode: 0, rdev: 4, umask: 8, size: 16 } as const;
export const mkdirIn = { mode: 0, umask: 4, size: 8 } as const;
export const renameIn = { newdir: 0, size: 8 } as const;
export const rename2In = { newdir: 0, flags: 8, size: 16 } as const;
export const linkIn = { oldnodeid: 0, size: 8 } as const;
export const openIn = { flags: 0, openFlags: 4, size: 8 } as const;
export const createIn = { flags: 0, mode: 4, umask: 8, openFlags: 12, size: 16 } as const;
export const readIn = { fh: 0, offset: 8, size: 16, readFlags: 20, lockOwner: 24, flags: 32 } as const;
export const writeIn = { fh: 0, offset: 8, size: 16, writeFlags: 20, lockOwner: 24, flags: 32, data: 40 } as const;
export const releaseIn = { fh: 0, flags: 8, releaseFlags: 12 } as const;
export const flushIn = { fh: 0 } as const;
export const fsyncIn = { fh: 0, fsyncFlags: 8 } as const;
export const setxattrIn = { size: 0, flags: 4, setxattrFlags: 8 } as const;
/** With SETXATTR_EXT, and as every kernel before 7.33 sent it. */
export const SETXATTR_IN_SIZE = 16;
export const SETXATTR_IN_COMPAT_SIZE = 8;
export const getxattrIn = { size: 0, name: 8 } as const;
export const accessIn = { mask: 0 } as const;
export const interruptIn = { unique: 0 } as const;
export const ioctlIn = { fh: 0, flags: 8, cmd: 12, arg: 16, inSize: 24, outSize: 28, data: 32 } as const;
export const fallocateIn = { fh: 0, offset: 8, length: 16, mode: 24 } as const;
export const lseekIn = { fh: 0, offset: 8, whence: 16 } as const;
export const copyFileRangeIn = { fhIn: 0, offIn: 8, nodeidOut: 16, fhOut: 24, offOut: 32, len: 40, flags: 48 } as const;
export const extHeader = { size: 0, type: 4, body: 8 } as const;

// ---- replies -----------------------------------------------------------------------------------
export const attr = {
  ino: 0,
  fileSize: 8,
  blocks: 16,
  atime: 24,
  mtime: 32,
  ctime: 40,
  atimeNsec: 48,
  mtimeNsec: 52,
  ctimeNsec: 56,
  mode: 60,
  nlink: 64,
  uid: 68,
  gid: 72,
  rdev: 76,
  blksize: 80,
  flags: 84,
  size: 88,
} as const;
export const entryOut = {
  nodeid: 0,
  generation: 8,
  entryValid: 16,
  attrValid: 24,
  entryValidNsec: 32,
  attrValidNsec: 36,
  attr: 40,
  size: 128,
} as const;
export const attrOut = { attrValid: 0, attrValidNsec: 8, dummy: 12, attr: 16, size: 104 } as const;
export const statxOut = { attrValid: 0, attrValidNsec: 8, flags: 12, stat: 32, size: 288 } as const;
/** struct fuse_statx, relative to `statxOut.stat`. */
export const statx = {
  mask: 0,
  blksize: 4,
  attributes: 8,
  nlink: 16,
  uid: 20,
  gid: 24,
  mode: 28,
  ino: 32,
  fileSize: 40,
  blocks: 48,
  attributesMask: 56,
  atime: 64,
  btime: 80,
  ctime: 96,
  mtime: 112,
  rdevMajor: 128,
  rdevMinor: 132,
  devMajor: 136,
  devMinor: 140,
} as const;
export const openOut = { fh: 0, openFlags: 8, backingId: 12, size: 16 } as const;
export const writeOut = { written: 0, size: 8 } as const;
export const statfsOut = {
  blocks: 0,
  bfree: 8,
  bavail: 16,
  files: 24,
  ffree: 32,
  bsize: 40,
  namelen: 44,
  frsize: 48,
  size: 80,
} as const;
export const getxattrOut = { valueSize: 0, size: 8 } as const;
export const ioctlOut = { result: 0, flags: 4, inIovs: 8, outIovs: 12, size: 16 } as const;
export const lseekOut = { offset: 0, size: 8 } as const;
export const copyFileRangeOut = { copied: 0, size: 8 } as const;
/** `name` follows at 24; a record is padded to 8 bytes. */
export const dirent = { ino: 0, off: 8, namelen: 16, type: 20, name: 24 } as const;
export const initOut = {
  major: 0,
  minor: 4,
  maxReadahead: 8,
  flags: 12,
  maxBackground: 16,
  congestionThreshold: 18,
  maxWrite: 20,
  timeGran: 24,
  maxPages: 28,
  mapAlignment: 30,
  flags2: 32,
  maxStackDepth: 36,
  size: 64,
} as const;

// ---- notifications -----------------------------------------------------------------------------
export const invalInodeOut = { ino: 0, off: 8, len: 16, size: 24 } as const;
export const invalEntryOut = { parent: 0, namelen: 8, flags: 12, size: 16 } as const;
export const deleteOut = { parent: 0, child: 8, namelen: 16, size: 24 } as const;
export const storeOut = { nodeid: 0, offset: 8, dataSize: 16, size: 24 } as const;

/** struct fuse_backing_map, the argument of FUSE_DEV_IOC_BACKING_OPEN. */
export const backingMap = { fd: 0, flags: 4, size: 16 } as const;
