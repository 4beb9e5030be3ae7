/**
 * Numbers of the FUSE protocol, version 7.45 (include/uapi/linux/fuse.h): request opcodes and
 * notification codes, with their names for the trace. Structures are in layout.ts, flags in flags.ts.
 */
export const LOOKUP = 1;
export const FORGET = 2;
export const GETATTR = 3;
export const SETATTR = 4;
export const READLINK = 5;
export const SYMLINK = 6;
export const MKNOD = 8;
export const MKDIR = 9;
export const UNLINK = 10;
export const RMDIR = 11;
export const RENAME = 12;
export const LINK = 13;
export const OPEN = 14;
export const READ = 15;
export const WRITE = 16;
export const STATFS = 17;
export const RELEASE = 18;
export const FSYNC = 20;
export const SETXATTR = 21;
export const GETXATTR = 22;
export const LISTXATTR = 23;
export const REMOVEXATTR = 24;
export const FLUSH = 25;
export const INIT = 26;
export const OPENDIR = 27;
export const READDIR = 28;
export const RELEASEDIR = 29;
export const FSYNCDIR = 30;
export const GETLK = 31;
export const SETLK = 32;
export const SETLKW = 33;
export const ACCESS = 34;
export const CREATE = 35;
export const INTERRUPT = 36;
export const BMAP = 37;
export const DESTROY = 38;
export const IOCTL = 39;
export const POLL = 40;
export const NOTIFY_REPLY = 41;
export const BATCH_FORGET = 42;
export const FALLOCATE = 43;
export const READDIRPLUS = 44;
export const RENAME2 = 45;
export const LSEEK = 46;
export const COPY_FILE_RANGE = 47;
export const SETUPMAPPING = 48;
export const REMOVEMAPPING = 49;
export const SYNCFS = 50;
export const TMPFILE = 51;
export const STATX = 52;
export const COPY_FILE_RANGE_64 = 53;

/** One more than the highest opcode known here: the size of tables indexed by opcode. */
export const OPCODE_MAX = 54;

const names: Readonly<Record<string, number>> = {
  LOOKUP,
  FORGET,
  GETATTR,
  SETATTR,
  READLINK,
  SYMLINK,
  MKNOD,
  MKDIR,
  UNLINK,
  RMDIR,
  RENAME,
  LINK,
  OPEN,
  READ,
  WRITE,
  STATFS,
  RELEASE,
  FSYNC,
  SETXATTR,
  GETXATTR,
  LISTXATTR,
  REMOVEXATTR,
  FLUSH,
  INIT,
  OPENDIR,
  READDIR,
  RELEASEDIR,
  FSYNCDIR,
  GETLK,
  SETLK,
  SETLKW,
  ACCESS,
  CREATE,
  INTERRUPT,
  BMAP,
  DESTROY,
  IOCTL,
  POLL,
  NOTIFY_REPLY,
  BATCH_FORGET,
  FALLOCATE,
  READDIRPLUS,
  RENAME2,
  LSEEK,
  COPY_FILE_RANGE,
  SETUPMAPPING,
  REMOVEMAPPING,
  SYNCFS,
  TMPFILE,
  STATX,
  COPY_FILE_RANGE_64,
};

const byNumber = new Map<number, string>(Object.entries(names).map(([name, number]) => [number, name]));

/** `opcodeName(1)` is 'LOOKUP'; a number that the protocol has not (yet) is 'opcode 99'. */
export function opcodeName(opcode: number): string {
  return byNumber.get(opcode) ?? `opcode ${opcode}`;
}

/** Notifications (server to kernel): the `error` word of a reply header whose unique is 0. */
export const NOTIFY_INVAL_INODE = 2;
export const NOTIFY_INVAL_ENTRY = 3;
export const NOTIFY_STORE = 4;
export const NOTIFY_DELETE = 6;
/** Asks the kernel to send again what an earlier server of this connection had read and not answered (7.40). */
export const NOTIFY_RESEND = 7;
