/**
 * The readable trace of `-d`: one line for a request, one for its answer, after the pattern of
 * go-fuse's print.go. For people; the format is nobody's interface. Pure.
 *
 *   rx 42 LOOKUP n1 "etc" {uid 0 gid 0 pid 77}
 *   tx 42 LOOKUP OK n2 {dir 755 ino 1311 size 4096 nlink 2 0:0}
 */
import { type ByteString, toText } from '../sys/bytes.ts';
import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, S_IFSOCK } from '../sys/constants.ts';
import { errnoName } from '../sys/errno.ts';
import { FOPEN_CACHE_DIR, FOPEN_DIRECT_IO, FOPEN_KEEP_CACHE, FOPEN_PASSTHROUGH } from './flags.ts';
import * as l from './layout.ts';
import * as op from './opcodes.ts';
import type { Reply, Request } from './wire.ts';

const quote = (name: ByteString): string => JSON.stringify(toText(name));
const hex = (word: number): string => `0x${word.toString(16)}`;
const octal = (mode: number): string => `0${mode.toString(8)}`;

type RequestPrinter = (r: Request) => string;

const fh = (r: Request): string => `fh ${r.arg64(0)}`;
const oneName: RequestPrinter = (r) => quote(r.name(0));
const openFlags: RequestPrinter = (r) => `flags ${hex(r.arg32(l.openIn.flags))}`;
const create: RequestPrinter = (r) =>
  `${quote(r.name(l.createIn.size))} flags ${hex(r.arg32(l.createIn.flags))} mode ${octal(r.arg32(l.createIn.mode))}`;
const range: RequestPrinter = (r) => `${fh(r)} off ${r.arg64(l.readIn.offset)} size ${r.arg32(l.readIn.size)}`;
const renamed = (r: Request, names: number): string =>
  `${quote(r.name(names))} to n${r.arg64(l.renameIn.newdir)} ${quote(r.secondName(names))}`;
const copied: RequestPrinter = (r) =>
  `${fh(r)} off ${r.arg64(l.copyFileRangeIn.offIn)} to fh ${r.arg64(l.copyFileRangeIn.fhOut)}` +
  ` off ${r.arg64(l.copyFileRangeIn.offOut)} len ${r.arg64(l.copyFileRangeIn.len)}`;

const setattrFields: readonly (readonly [bit: number, print: (r: Request) => string])[] = [
  [1 << 0, (r) => `mode ${octal(r.arg32(l.setattrIn.mode))}`],
  [1 << 1, (r) => `uid ${r.arg32(l.setattrIn.uid)}`],
  [1 << 2, (r) => `gid ${r.arg32(l.setattrIn.gid)}`],
  [1 << 3, (r) => `size ${r.arg64(l.setattrIn.size)}`],
  [1 << 4, (r) => `atime ${r.s64(l.IN_HEADER + l.setattrIn.atime)}.${r.arg32(l.setattrIn.atimeNsec)}`],
  [1 << 5, (r) => `mtime ${r.s64(l.IN_HEADER + l.setattrIn.mtime)}.${r.arg32(l.setattrIn.mtimeNsec)}`],
  [1 << 6, (r) => `fh ${r.arg64(l.setattrIn.fh)}`],
  [1 << 7, () => 'atime now'],
  [1 << 8, () => 'mtime now'],
  [1 << 11, () => 'kill suidgid'],
];

function setattr(r: Request): string {
  const valid = r.arg32(l.setattrIn.valid);
  return setattrFields
    .filter(([bit]) => valid & bit)
    .map(([, print]) => print(r))
    .join(' ');
}

/** Arguments by opcode; an opcode that is not here has none worth a word. */
const requestPrinters = new Map<number, RequestPrinter>([
  [
    op.INIT,
    (r) => `7.${r.arg32(l.initIn.minor)} flags ${hex(r.arg32(l.initIn.flags))} ${hex(r.arg32(l.initIn.flags2))}`,
  ],
  [op.LOOKUP, oneName],
  [op.UNLINK, oneName],
  [op.RMDIR, oneName],
  [op.REMOVEXATTR, oneName],
  [op.FORGET, (r) => `nlookup ${r.arg64(l.forgetIn.nlookup)}`],
  [op.BATCH_FORGET, (r) => `of ${r.arg32(l.batchForgetIn.count)}`],
  [op.GETATTR, (r) => (r.arg32(l.getattrIn.flags) ? `fh ${r.arg64(l.getattrIn.fh)}` : '')],
  [op.STATX, (r) => `mask ${hex(r.arg32(l.statxIn.sxMask))}`],
  [op.SETATTR, setattr],
  [op.SYMLINK, (r) => `${quote(r.name(0))} -> ${quote(r.secondName(0))}`],
  [op.MKDIR, (r) => `${quote(r.name(l.mkdirIn.size))} mode ${octal(r.arg32(l.mkdirIn.mode))}`],
  [op.MKNOD, (r) => `${quote(r.name(l.mknodIn.size))} mode ${octal(r.arg32(l.mknodIn.mode))}`],
  [op.RENAME, (r) => renamed(r, l.renameIn.size)],
  [op.RENAME2, (r) => `${renamed(r, l.rename2In.size)} flags ${hex(r.arg32(l.rename2In.flags))}`],
  [op.LINK, (r) => `n${r.arg64(l.linkIn.oldnodeid)} as ${quote(r.name(l.linkIn.size))}`],
  [op.OPEN, openFlags],
  [op.OPENDIR, openFlags],
  [op.CREATE, create],
  [op.TMPFILE, create],
  [op.READ, range],
  [op.WRITE, range],
  [op.READDIR, range],
  [op.READDIRPLUS, range],
  [op.RELEASE, fh],
  [op.RELEASEDIR, fh],
  [op.FLUSH, fh],
  [op.FSYNC, fh],
  [op.FSYNCDIR, fh],
  [op.SETXATTR, (r) => `size ${r.arg32(l.setxattrIn.size)} flags ${r.arg32(l.setxattrIn.flags)}`],
  [op.GETXATTR, (r) => `${quote(r.name(l.getxattrIn.name))} size ${r.arg32(l.getxattrIn.size)}`],
  [op.LISTXATTR, (r) => `size ${r.arg32(l.getxattrIn.size)}`],
  [op.ACCESS, (r) => `mask ${r.arg32(l.accessIn.mask)}`],
  [op.IOCTL, (r) => `${fh(r)} cmd ${hex(r.arg32(l.ioctlIn.cmd))}`],
  [op.LSEEK, (r) => `${fh(r)} off ${r.arg64(l.lseekIn.offset)} whence ${r.arg32(l.lseekIn.whence)}`],
  [
    op.FALLOCATE,
    (r) =>
      `${fh(r)} off ${r.arg64(l.fallocateIn.offset)} len ${r.arg64(l.fallocateIn.length)}` +
      ` mode ${hex(r.arg32(l.fallocateIn.mode))}`,
  ],
  [op.COPY_FILE_RANGE, copied],
  [op.COPY_FILE_RANGE_64, copied],
]);

/** The kernel numbers requests by twos; as one number for people (the resend bit would need more than 53). */
function serial(r: Request): number {
  return r.u32(l.inHeader.unique);
}

export function printRequest(r: Request): string {
  const args = requestPrinters.get(r.opcode)?.(r) ?? '';
  const who = r.pid === 0 ? '' : ` {uid ${r.uid} gid ${r.gid} pid ${r.pid}}`;
  return `rx ${serial(r)} ${op.opcodeName(r.opcode)} n${r.nodeid}${args && ` ${args}`}${who}`;
}

const typeNames = new Map<number, string>([
  [S_IFREG, 'file'],
  [S_IFDIR, 'dir'],
  [S_IFLNK, 'symlink'],
  [S_IFCHR, 'char device'],
  [S_IFBLK, 'block device'],
  [S_IFIFO, 'fifo'],
  [S_IFSOCK, 'socket'],
]);

function attr(w: Reply, at: number): string {
  const mode = w.u32(at + l.attr.mode);
  const type = typeNames.get(mode & S_IFMT) ?? '?';
  const owner = `${w.u32(at + l.attr.uid)}:${w.u32(at + l.attr.gid)}`;
  const ino = w.view.getBigUint64(at + l.attr.ino, true);
  return (
    `{${type} ${(mode & 0o7777).toString(8)} ino ${ino} size ${w.u64(at + l.attr.fileSize)}` +
    ` nlink ${w.u32(at + l.attr.nlink)} ${owner}}`
  );
}

function entry(w: Reply): string {
  const nodeid = w.u64(l.OUT_HEADER + l.entryOut.nodeid);
  return nodeid === 0 ? 'no such name' : `n${nodeid} ${attr(w, l.OUT_HEADER + l.entryOut.attr)}`;
}

function opened(w: Reply, at: number): string {
  const flags = w.u32(at + l.openOut.openFlags);
  const words = [`fh ${w.u64(at + l.openOut.fh)}`];
  if (flags & FOPEN_DIRECT_IO) words.push('direct');
  if (flags & FOPEN_KEEP_CACHE) words.push('keep cache');
  if (flags & FOPEN_CACHE_DIR) words.push('cache dir');
  if (flags & FOPEN_PASSTHROUGH) words.push(`passthrough id ${w.i32(at + l.openOut.backingId)}`);
  return words.join(' ');
}

type ReplyPrinter = (w: Reply) => string;
const bytes: ReplyPrinter = (w) => `${w.length - l.OUT_HEADER} bytes`;
const created: ReplyPrinter = (w) => `${entry(w)} ${opened(w, l.OUT_HEADER + l.entryOut.size)}`;
const openedAlone: ReplyPrinter = (w) => opened(w, l.OUT_HEADER);
const attrs: ReplyPrinter = (w) => attr(w, l.OUT_HEADER + l.attrOut.attr);
const written: ReplyPrinter = (w) => `${w.u64(l.OUT_HEADER)} bytes`;

const replyPrinters = new Map<number, ReplyPrinter>([
  [
    op.INIT,
    (w) =>
      `7.${w.u32(l.OUT_HEADER + l.initOut.minor)} flags ${hex(w.u32(l.OUT_HEADER + l.initOut.flags))}` +
      ` ${hex(w.u32(l.OUT_HEADER + l.initOut.flags2))}`,
  ],
  [op.LOOKUP, entry],
  [op.MKDIR, entry],
  [op.MKNOD, entry],
  [op.SYMLINK, entry],
  [op.LINK, entry],
  [op.GETATTR, attrs],
  [op.SETATTR, attrs],
  [op.READLINK, (w) => quote(w.bytes.toString('latin1', l.OUT_HEADER, w.length))],
  [op.OPEN, openedAlone],
  [op.OPENDIR, openedAlone],
  [op.CREATE, created],
  [op.TMPFILE, created],
  [op.READ, bytes],
  [op.READDIR, bytes],
  [op.READDIRPLUS, bytes],
  [op.GETXATTR, bytes],
  [op.LISTXATTR, bytes],
  [op.WRITE, written],
  [op.COPY_FILE_RANGE, written],
  [op.COPY_FILE_RANGE_64, written],
  [op.LSEEK, (w) => `off ${w.u64(l.OUT_HEADER)}`],
]);

/** The answer to `r`, after `Reply.finish`. */
export function printReply(r: Request, w: Reply): string {
  const error = w.i32(l.outHeader.error);
  const args = error === 0 ? (replyPrinters.get(r.opcode)?.(w) ?? '') : '';
  const outcome = error === 0 ? 'OK' : errnoName(error);
  return `tx ${serial(r)} ${op.opcodeName(r.opcode)} ${outcome}${args && ` ${args}`}`;
}
