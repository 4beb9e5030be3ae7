/**
 * chattr(1): flags that stay on a file, and those that protect one, which are taken off again
 * before the operation ends.
 */
import type { ByteString } from 'stratafs/internal/sys/bytes';
import * as c from 'stratafs/internal/sys/constants';
import { EXDEV } from 'stratafs/internal/sys/errno';
import type { Sys } from 'stratafs/internal/sys/sys';
import { at, type Call, calls, hex, opening } from '../shell-words.ts';
import { said, type Turn } from '../turn.ts';
import type { Kind, Kinds } from './kind.ts';

const word: Buffer = Buffer.alloc(8);

/** FS_IOC_GETFLAGS. @returns the flags, or a negative errno. */
export function flagsOf(sys: Sys, fd: number): number {
  const result = sys.ioctl(fd, c.FS_IOC_GETFLAGS, word);
  return result < 0 ? result : word.readUInt32LE(0);
}

function setFlags(sys: Sys, fd: number, flags: number): number {
  word.fill(0).writeUInt32LE(flags, 0);
  return sys.ioctl(fd, c.FS_IOC_SETFLAGS, word);
}

function shown(flags: number): string {
  return flags < 0 ? said(flags) : flags.toString(16);
}

const lasting: readonly number[] = [c.FS_NODUMP_FL, c.FS_NOATIME_FL, c.FS_SYNC_FL, 0];

/** Turns one flag over. */
const chattr: Kind = {
  weight: 2,
  choose: (by) => ({ path: by.there('file', 'file', 'dir', 'any'), flags: by.rnd.pick(lasting) }),
  run: (t, op) =>
    t.opened(op.path, c.O_RDONLY, 0, (fd) => {
      const before = flagsOf(t.sys, fd);
      if (before < 0) {
        return said(before);
      }
      const set = setFlags(t.sys, fd, before ^ op.flags);
      return set < 0 ? said(set) : `${shown(before)} ${shown(flagsOf(t.sys, fd))}`;
    }),
  shell: (op) => calls(opening(op.path, c.O_RDONLY), ['flags', '%', `^${hex(op.flags)}`]),
};

/** What is asked of a protected object; `op.to` is another name. */
const asked: readonly ((t: Turn, path: ByteString, to: ByteString) => number)[] = [
  (t, path) => opens(t, path, c.O_WRONLY),
  (t, path) => opens(t, path, c.O_WRONLY | c.O_APPEND),
  (t, path) => opens(t, path, c.O_RDWR | c.O_TRUNC | c.O_APPEND),
  (t, path) => t.sys.truncate(`${t.rootPath}/${path}`, 3),
  (t, path) => t.sys.fchmodat(t.root, path, 0o711, 0),
  (t, path) => t.sys.fchownat(t.root, path, 1001, -1, c.AT_SYMLINK_NOFOLLOW),
  (t, path) => t.sys.utimensat(t.root, path, 1, 1, 1, 1, 0),
  (t, path) => t.sys.utimensat(t.root, path, 0, c.UTIME_NOW, 0, c.UTIME_NOW, 0),
  (t, path) => t.sys.setxattrat(t.root, path, 'user.p', Buffer.from('p'), 0),
  (t, path) => t.sys.removexattrat(t.root, path, 'user.a'),
  (t, path, to) => t.sys.linkat(t.root, path, t.root, to, 0),
  (t, path, to) => moves(t, path, to),
  (t, path, to) => moves(t, to, path),
  // By the right call: the same row of docs/differences.md on what is told first.
  (t, path) => t.sys.unlinkat(t.root, path, isDirectory(t, path) ? c.AT_REMOVEDIR : 0),
  (t, path) => t.sys.mkdirat(t.root, `${path}/p`, 0o755),
];

const here = 'AT_FDCWD';
/** The same in a script, which moves what does not fit too. */
const askedBy: readonly ((path: ByteString, to: ByteString) => Call)[] = [
  (path) => ['opened', path, 'O_WRONLY|O_NONBLOCK', 'lseek', 0, 0],
  (path) => ['opened', path, 'O_WRONLY|O_APPEND|O_NONBLOCK', 'lseek', 0, 0],
  (path) => ['opened', path, 'O_RDWR|O_TRUNC|O_APPEND|O_NONBLOCK', 'lseek', 0, 0],
  (path) => ['truncate', path, 3],
  (path) => ['fchmodat', here, path, '0711'],
  (path) => ['fchownat', here, path, 1001, -1, 'AT_SYMLINK_NOFOLLOW'],
  (path) => ['utimensat', here, path, 'pack:q4:1,1,1,1', 0],
  (path) => ['utimensat', here, path, `pack:q4:0,${c.UTIME_NOW},0,${c.UTIME_NOW}`, 0],
  (path) => ['lsetxattr', path, 'user.p', 'p', 1, 0],
  (path) => ['lremovexattr', path, 'user.a'],
  (path, to) => ['linkat', here, path, here, to, 0],
  (path, to) => ['renameat2', here, path, here, to, 0],
  (path, to) => ['renameat2', here, to, here, path, 0],
  (path) => ['remove', path],
  (path) => ['mkdirat', here, `${path}/p`, '0755'],
];

/** Of what fits: the same row. */
function moves(t: Turn, from: ByteString, to: ByteString): number {
  const there = t.sys.statx(t.root, to, c.AT_SYMLINK_NOFOLLOW, t.stat) === 0;
  const fits = !there || isDirectory(t, from) === isDirectory(t, to);
  return fits ? t.sys.renameat2(t.root, from, t.root, to, 0) : -EXDEV;
}

function isDirectory(t: Turn, path: ByteString): boolean {
  return t.sys.statx(t.root, path, c.AT_SYMLINK_NOFOLLOW, t.stat) === 0 && t.stat.type === c.S_IFDIR;
}

function opens({ sys, root }: Turn, path: ByteString, flags: number): number {
  const fd = sys.openat(root, path, flags | c.O_NONBLOCK, 0);
  return fd < 0 ? fd : sys.close(fd);
}

const protect: Kind = {
  weight: 2,
  // docs/differences.md, "What the VFS alone decides about an immutable or append-only file": an ordinary user may be told EACCES first.
  choose: (by) => ({
    user: 0,
    path: by.there('file', 'file', 'dir'),
    to: by.free(),
    flags: by.rnd.pick([c.FS_IMMUTABLE_FL, c.FS_IMMUTABLE_FL, c.FS_APPEND_FL, c.FS_IMMUTABLE_FL | c.FS_APPEND_FL]),
    off: by.rnd.below(asked.length),
  }),
  run: (t, op) =>
    t.opened(op.path, c.O_RDONLY, 0, (fd) => {
      const before = flagsOf(t.sys, fd);
      const set = before < 0 ? before : setFlags(t.sys, fd, before | op.flags);
      if (set < 0) {
        // A filesystem that does not take the others may have taken these.
        const left = flagsOf(t.sys, fd);
        return `${said(set)} ${shown(left)} ${left < 0 ? '' : said(setFlags(t.sys, fd, left & ~op.flags))}`;
      }
      const result = asked[op.off](t, op.path, op.to);
      const during = flagsOf(t.sys, fd);
      return `flags ${shown(during)} ${said(result)} ${said(setFlags(t.sys, fd, during & ~op.flags))}`;
    }),
  shell: (op) =>
    calls(opening(op.path, c.O_RDONLY), ['flags', '%', `+${hex(op.flags)}`], askedBy[op.off](at(op.path), at(op.to)), [
      'flags',
      '%',
      `-${hex(op.flags)}`,
    ]),
};

export const flagKinds: Kinds = { chattr, protect };
