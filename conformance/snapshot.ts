/**
 * Trees written down: every entry with its type, mode, owner, times, size, content, device, link
 * count and xattrs, to be compared later. Nothing is touched on the way: files and directories are
 * read with O_NOATIME. Reading a link's text cannot be kept from its atime, so that `sealed`
 * (lowers, which must not change at all) goes without; a symlink's text lives as long as its inode.
 */
import { createHash } from 'node:crypto';
import { type ByteString, fromBuffer } from 'stratafs/internal/sys/bytes';
import * as c from 'stratafs/internal/sys/constants';
import { ENXIO, errnoName } from 'stratafs/internal/sys/errno';
import { Stat } from 'stratafs/internal/sys/stat';
import type { Sys } from 'stratafs/internal/sys/sys';
import { check, readable } from './expect.ts';
import { parseDirents } from './targets/sys-door.ts';

export type Entry = Readonly<Record<string, string>>;
/** By path from the snapshot's root, which is ''. */
export type Snapshot = ReadonlyMap<ByteString, Entry>;

/**
 * Everything that a change could show in, times of access and change included. `linkAtimes` false
 * leaves those of symlinks out: following one moves its atime, and only root can prevent it (by a
 * noatime clone of the mount; there is no O_NOATIME for readlink).
 */
export function sealed(sys: Sys, root: ByteString, linkAtimes: boolean): Snapshot {
  const into = new Map<ByteString, Entry>();
  const fd = sys.openat(c.AT_FDCWD, root, c.O_RDONLY | c.O_DIRECTORY | c.O_NOATIME, 0);
  if (fd >= 0) {
    walk(sys, fd, '', into, true);
    sys.close(fd);
  }
  if (!linkAtimes) {
    for (const [path, entry] of into) {
      if (entry.type === 'symlink') {
        into.set(path, { ...entry, atime: 'any' });
      }
    }
  }
  return into;
}

/** What a person (or another mount of the same layers) can see: no inode numbers, no atime, no ctime. */
export function snapshotTree(sys: Sys, root: ByteString): Snapshot {
  const into = new Map<ByteString, Entry>();
  const fd = sys.openat(c.AT_FDCWD, root, c.O_RDONLY | c.O_DIRECTORY, 0);
  if (fd < 0) {
    into.set('', { error: errnoName(fd) });
    return into;
  }
  walk(sys, fd, '', into, false);
  sys.close(fd);
  return into;
}

/** One line for each difference; none when the two are alike. */
export function differences(a: Snapshot, b: Snapshot, nameA: string, nameB: string): string[] {
  const lines: string[] = [];
  for (const path of [...new Set([...a.keys(), ...b.keys()])].sort()) {
    const left = a.get(path);
    const right = b.get(path);
    const shown = path === '' ? '.' : readable(path);
    if (left === undefined || right === undefined) {
      lines.push(`${shown}: only in ${left === undefined ? nameB : nameA} (${brief(left ?? right)})`);
      continue;
    }
    for (const key of new Set([...Object.keys(left), ...Object.keys(right)])) {
      if (left[key] !== right[key]) {
        lines.push(`${shown}: ${key} is ${left[key] ?? 'absent'} in ${nameA}, ${right[key] ?? 'absent'} in ${nameB}`);
      }
    }
  }
  return lines;
}

function brief(entry: Entry | undefined): string {
  return entry === undefined ? '' : `${entry.type} ${entry.mode}`;
}

const types: Readonly<Record<number, string>> = {
  [c.S_IFREG]: 'file',
  [c.S_IFDIR]: 'dir',
  [c.S_IFLNK]: 'symlink',
  [c.S_IFCHR]: 'chr',
  [c.S_IFBLK]: 'blk',
  [c.S_IFIFO]: 'fifo',
  [c.S_IFSOCK]: 'sock',
};

function walk(sys: Sys, dirfd: number, path: ByteString, into: Map<ByteString, Entry>, all: boolean): void {
  into.set(path, describe(sys, dirfd, '', all));
  const below = path === '' ? '' : `${path}/`;
  for (const name of entriesOf(sys, dirfd).sort()) {
    const st = new Stat();
    const found = sys.statx(dirfd, name, c.AT_SYMLINK_NOFOLLOW, st);
    if (found < 0) {
      into.set(below + name, { error: errnoName(found) });
      continue;
    }
    if (st.type === c.S_IFDIR) {
      const fd = sys.openat(dirfd, name, c.O_RDONLY | c.O_DIRECTORY | (all ? c.O_NOATIME : 0), 0);
      if (fd < 0) {
        into.set(below + name, { error: errnoName(fd) });
        continue;
      }
      walk(sys, fd, below + name, into, all);
      sys.close(fd);
    } else {
      into.set(below + name, describe(sys, dirfd, name, all));
    }
  }
}

function entriesOf(sys: Sys, dirfd: number): ByteString[] {
  const found: ByteString[] = [];
  const buf = Buffer.alloc(65536);
  check(sys.lseek(dirfd, 0, c.SEEK_SET), 'rewind');
  for (;;) {
    const n = check(sys.getdents64(dirfd, buf), 'getdents64');
    if (n === 0) {
      return found;
    }
    for (const { name } of parseDirents(buf, n)) {
      if (name !== '.' && name !== '..') {
        found.push(name);
      }
    }
  }
}

/** `name` in `dirfd`, or with '' that directory itself. */
function describe(sys: Sys, dirfd: number, name: ByteString, all: boolean): Entry {
  const st = new Stat();
  const found = sys.statx(dirfd, name, name === '' ? c.AT_EMPTY_PATH : c.AT_SYMLINK_NOFOLLOW, st);
  if (found < 0) {
    return { error: errnoName(found) };
  }
  const entry: Record<string, string> = {
    type: types[st.type] ?? String(st.type),
    mode: (st.mode & 0o7777).toString(8),
    owner: `${st.uid}:${st.gid}`,
    mtime: time(st.mtime, st.mtimeNsec),
  };
  if (st.type !== c.S_IFDIR) {
    entry.size = String(st.size);
    entry.nlink = String(st.nlink);
  }
  if (st.type === c.S_IFCHR || st.type === c.S_IFBLK) {
    entry.rdev = `${st.rdev}`;
  }
  if (st.type === c.S_IFREG) {
    entry.content = contentOf(sys, dirfd, name, all);
  }
  if (st.type === c.S_IFLNK && !all) {
    const target = sys.readlinkat(dirfd, name);
    entry.target = typeof target === 'number' ? errnoName(target) : readable(target);
  }
  if (all) {
    entry.ino = String(st.ino);
    entry.atime = time(st.atime, st.atimeNsec);
    entry.ctime = time(st.ctime, st.ctimeNsec);
  }
  xattrsOf(sys, dirfd, name, entry);
  return entry;
}

/** Seconds and nanoseconds as they are stored, with a sign before either only for the seconds. */
function time(sec: number, nsec: number): string {
  return `${sec}+${String(nsec).padStart(9, '0')}`;
}

const CHUNK = 1 << 20;
const BLOCK = 4096;
const zeros: Buffer = Buffer.alloc(BLOCK);

/** A digest of the data, or an errno. Blocks of zeros are left out, so that holes count as zeros and cost nothing. */
function contentOf(sys: Sys, dirfd: number, name: ByteString, all: boolean): string {
  const fd = sys.openat(dirfd, name, c.O_RDONLY | c.O_NOFOLLOW | (all ? c.O_NOATIME : 0), 0);
  if (fd < 0) {
    return errnoName(fd);
  }
  const hash = createHash('sha1');
  const buf = Buffer.allocUnsafe(CHUNK);
  let n = 0;
  for (let pos = 0; ; pos += n) {
    const data = sys.lseek(fd, pos, c.SEEK_DATA);
    // Where SEEK_DATA is not known, everything is data; ENXIO is the end.
    pos = data < 0 ? pos : Math.floor(data / BLOCK) * BLOCK;
    n = data === -ENXIO ? 0 : sys.pread(fd, buf, 0, CHUNK, pos);
    if (n <= 0) {
      break;
    }
    for (let at = 0; at < n; at += BLOCK) {
      const block = buf.subarray(at, Math.min(n, at + BLOCK));
      if (!block.equals(zeros.subarray(0, block.length))) {
        hash.update(`${pos + at}:`).update(block);
      }
    }
  }
  sys.close(fd);
  return n < 0 ? errnoName(n) : hash.digest('hex');
}

function xattrsOf(sys: Sys, dirfd: number, name: ByteString, entry: Record<string, string>): void {
  const list = Buffer.alloc(65536);
  const n = sys.listxattrat(dirfd, name, list);
  for (const xattr of fromBuffer(list, 0, Math.max(0, n)).split('\0').slice(0, -1)) {
    const value = Buffer.alloc(65536);
    const length = sys.getxattrat(dirfd, name, xattr, value);
    entry[`xattr ${readable(xattr)}`] = length < 0 ? errnoName(length) : value.toString('hex', 0, length);
  }
}
