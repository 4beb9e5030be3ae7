/** How tracing shows values: names and data quoted as in C, flags by their names, structures by their fields. */
import type { ByteString } from './bytes.ts';
import type { ArgumentKind } from './calls.ts';
import * as c from './constants.ts';
import { major, minor, type Stat, type StatFs } from './stat.ts';
import type { FileLock, PollFd } from './sys.ts';

/** Of data; names are shown whole. */
const SHOWN_BYTES = 32;

type Bits = Readonly<Record<string, number>>;

const openFlags: Bits = {
  O_TMPFILE: c.O_TMPFILE,
  O_SYNC: c.O_SYNC,
  O_WRONLY: c.O_WRONLY,
  O_RDWR: c.O_RDWR,
  O_CREAT: c.O_CREAT,
  O_EXCL: c.O_EXCL,
  O_NOCTTY: c.O_NOCTTY,
  O_TRUNC: c.O_TRUNC,
  O_APPEND: c.O_APPEND,
  O_NONBLOCK: c.O_NONBLOCK,
  O_DSYNC: c.O_DSYNC,
  O_DIRECT: c.O_DIRECT,
  O_LARGEFILE: c.O_LARGEFILE,
  O_DIRECTORY: c.O_DIRECTORY,
  O_NOFOLLOW: c.O_NOFOLLOW,
  O_NOATIME: c.O_NOATIME,
  O_CLOEXEC: c.O_CLOEXEC,
  O_PATH: c.O_PATH,
};

const bitNames: Partial<Record<ArgumentKind, Bits>> = {
  resolveFlags: {
    RESOLVE_NO_XDEV: c.RESOLVE_NO_XDEV,
    RESOLVE_NO_MAGICLINKS: c.RESOLVE_NO_MAGICLINKS,
    RESOLVE_NO_SYMLINKS: c.RESOLVE_NO_SYMLINKS,
    RESOLVE_BENEATH: c.RESOLVE_BENEATH,
    RESOLVE_IN_ROOT: c.RESOLVE_IN_ROOT,
  },
  atFlags: {
    AT_SYMLINK_NOFOLLOW: c.AT_SYMLINK_NOFOLLOW,
    AT_SYMLINK_FOLLOW: c.AT_SYMLINK_FOLLOW,
    AT_NO_AUTOMOUNT: c.AT_NO_AUTOMOUNT,
    AT_EMPTY_PATH: c.AT_EMPTY_PATH,
    AT_STATX_DONT_SYNC: c.AT_STATX_DONT_SYNC,
  },
  unlinkFlags: { AT_REMOVEDIR: c.AT_REMOVEDIR },
  accessFlags: {
    AT_EACCESS: c.AT_EACCESS,
    AT_SYMLINK_NOFOLLOW: c.AT_SYMLINK_NOFOLLOW,
    AT_EMPTY_PATH: c.AT_EMPTY_PATH,
  },
  accessMode: { R_OK: c.R_OK, W_OK: c.W_OK, X_OK: c.X_OK },
  renameFlags: {
    RENAME_NOREPLACE: c.RENAME_NOREPLACE,
    RENAME_EXCHANGE: c.RENAME_EXCHANGE,
    RENAME_WHITEOUT: c.RENAME_WHITEOUT,
  },
  xattrFlags: { XATTR_CREATE: c.XATTR_CREATE, XATTR_REPLACE: c.XATTR_REPLACE },
  fallocateFlags: {
    FALLOC_FL_KEEP_SIZE: c.FALLOC_FL_KEEP_SIZE,
    FALLOC_FL_PUNCH_HOLE: c.FALLOC_FL_PUNCH_HOLE,
    FALLOC_FL_COLLAPSE_RANGE: c.FALLOC_FL_COLLAPSE_RANGE,
    FALLOC_FL_ZERO_RANGE: c.FALLOC_FL_ZERO_RANGE,
    FALLOC_FL_INSERT_RANGE: c.FALLOC_FL_INSERT_RANGE,
  },
  lockOperation: { LOCK_SH: c.LOCK_SH, LOCK_EX: c.LOCK_EX, LOCK_NB: c.LOCK_NB, LOCK_UN: c.LOCK_UN },
};

const fileTypes = new Map([
  [c.S_IFREG, 'S_IFREG'],
  [c.S_IFDIR, 'S_IFDIR'],
  [c.S_IFLNK, 'S_IFLNK'],
  [c.S_IFCHR, 'S_IFCHR'],
  [c.S_IFBLK, 'S_IFBLK'],
  [c.S_IFIFO, 'S_IFIFO'],
  [c.S_IFSOCK, 'S_IFSOCK'],
]);

const lockTypes = ['F_RDLCK', 'F_WRLCK', 'F_UNLCK'];
const whences = ['SEEK_SET', 'SEEK_CUR', 'SEEK_END', 'SEEK_DATA', 'SEEK_HOLE'];

/** Set bits by name, the rest in hexadecimal. Names of several bits come first in `names`. */
function printBits(names: Bits, value: number): string {
  const parts: string[] = [];
  let rest = value;
  for (const [name, bits] of Object.entries(names)) {
    if ((rest & bits) !== bits) continue;
    parts.push(name);
    rest &= ~bits;
  }
  if (rest !== 0) parts.push(hex(rest));
  return parts.join('|') || '0';
}

function hex(value: number): string {
  return value === 0 ? '0' : `0x${(value < 0 ? value >>> 0 : value).toString(16)}`;
}

function printMode(mode: number): string {
  const type = fileTypes.get(mode & c.S_IFMT);
  const bits = (mode & 0o7777).toString(8).padStart(4, '0');
  return type === undefined ? bits : `${type}|${bits}`;
}

function printDev(dev: number): string {
  return `${major(dev)}:${minor(dev)}`;
}

export function quote(text: ByteString): string {
  let out = '';
  for (const char of text) {
    if (char === '"' || char === '\\') out += `\\${char}`;
    else if (char === '\n') out += '\\n';
    else if (char === '\t') out += '\\t';
    else if (char >= ' ' && char <= '~') out += char;
    else out += `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`;
  }
  return `"${out}"`;
}

/** The beginning of `length` bytes of `buf`; `…` after it says that there are more. */
export function quoteBytes(buf: Uint8Array, off: number, length: number): string {
  const end = Math.min(off + Math.min(length, SHOWN_BYTES), buf.byteLength);
  const text = Buffer.from(buf.buffer, buf.byteOffset + off, end - off).toString('latin1');
  return quote(text) + (length > SHOWN_BYTES ? '…' : '');
}

export function printScalar(kind: ArgumentKind, arg: unknown): string {
  if (arg === null) return 'NULL';
  if (typeof arg === 'string') return quote(arg);
  if (kind === 'pollfds') {
    return `[${(arg as PollFd[]).map((p) => `{fd=${p.fd}, events=${p.events}, revents=${p.revents}}`).join(', ')}]`;
  }
  if (kind === 'lock') {
    const { type, start, len, pid } = arg as FileLock;
    return `{type=${lockTypes[type] ?? type}, start=${start}, len=${len}, pid=${pid}}`;
  }
  if (kind === 'ids') return `[${(arg as number[]).join(', ')}]`;
  const value = arg as number;
  const bits = bitNames[kind];
  if (bits) return printBits(bits, value);
  switch (kind) {
    case 'openFlags':
      return (value & c.O_ACCMODE) === 0
        ? printBits({ O_RDONLY: 0, ...openFlags }, value)
        : printBits(openFlags, value);
    case 'dirfd':
      return value === c.AT_FDCWD ? 'AT_FDCWD' : String(value);
    case 'mode':
      return printMode(value);
    case 'dev':
      return printDev(value);
    case 'hex':
      return hex(value);
    case 'nsec':
      return value === c.UTIME_NOW ? 'UTIME_NOW' : value === c.UTIME_OMIT ? 'UTIME_OMIT' : String(value);
    case 'whence':
      return whences[value] ?? String(value);
    default:
      return String(value);
  }
}

export function printStat(s: Stat): string {
  const size = s.type === c.S_IFCHR || s.type === c.S_IFBLK ? `rdev=${printDev(s.rdev)}` : `size=${s.size}`;
  return `{${printMode(s.mode)}, dev=${printDev(s.dev)}, ino=${s.ino}, nlink=${s.nlink}, uid=${s.uid}, gid=${s.gid}, ${size}}`;
}

export function printStatFs(s: StatFs): string {
  return `{type=${hex(s.type)}, bsize=${s.bsize}, blocks=${s.blocks}, bavail=${s.bavail}, files=${s.files}, ffree=${s.ffree}}`;
}
