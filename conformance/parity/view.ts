/**
 * The whole merged tree of one side: every attribute, xattr, ACL and content, and how inode
 * numbers relate. Not compared: ctime, sizes and blocks of directories, device numbers, and inode
 * numbers themselves where the upper chooses them:
 *
 *   - an inode that a lower gave its number to has that very number, on both sides
 *   - which names are links of one inode is the same
 *   - d_ino is st_ino, in every record
 *
 * A time since the layers were made is `now`; any other is exact.
 */
import type { ByteString } from 'stratafs/internal/sys/bytes';
import * as c from 'stratafs/internal/sys/constants';
import { Stat } from 'stratafs/internal/sys/stat';
import type { Sys } from 'stratafs/internal/sys/sys';
import { readable } from '../expect.ts';
import type { Snapshot } from '../snapshot.ts';
import type { Dirent } from '../target.ts';
import { readRecords } from './directories.ts';
import { namesIn } from './kinds/attributes.ts';
import { flagsOf } from './kinds/flags.ts';
import { visible } from './kinds/names.ts';
import type { LowerNumbers } from './lower-numbers.ts';
import { digest, said, type Turn } from './turn.ts';

/** What both sides are looked at by. */
export interface Yardstick {
  /** Seconds and nanoseconds since 1970: from here on a time is `now`. */
  readonly since: readonly [number, number];
  readonly numbers: LowerNumbers;
}

const DAY = 86_400;
/** Of ext4, in the units of st_blocks. */
export const BLOCK = 8;

export function timeText(yard: Yardstick, sec: number, nsec: number): string {
  const [since, sinceNsec] = yard.since;
  const after = sec > since || (sec === since && nsec >= sinceNsec);
  return after && sec < since + DAY ? 'now' : `${sec}+${String(nsec).padStart(9, '0')}`;
}

export class View {
  readonly #turn: Turn;
  readonly #yard: Yardstick;
  readonly entries: Map<ByteString, Record<string, string>> = new Map();
  /** Types by path, for the choice of operations. */
  readonly types: Map<ByteString, number> = new Map();
  /** Paths with the names of their xattrs, for the same. */
  readonly xattrs: (readonly [ByteString, ByteString])[] = [];
  /** Every name of what has several. */
  readonly linked: Set<ByteString> = new Set();
  /** The first name of each inode. */
  readonly #firsts = new Map<bigint, ByteString>();
  /** Of what is no directory, by readable names. */
  readonly #inodes = new Map<string, bigint>();
  /** What tells that it was born when something in a lower was. */
  readonly #lowerBirths = new Set<ByteString>();

  constructor(turn: Turn, yard: Yardstick) {
    this.#turn = turn;
    this.#yard = yard;
    const st = new Stat();
    const fd = turn.sys.openat(turn.root, '.', c.O_RDONLY | c.O_DIRECTORY, 0);
    if (fd < 0 || turn.sys.fstat(fd, st) < 0) {
      this.entries.set('', { error: said(fd) });
      return;
    }
    const entry = this.#describe(fd, '', st, '.');
    this.entries.set('', entry);
    this.#walk(fd, '', st.ino, st.ino, entry);
    turn.sys.close(fd);
  }

  /** docs/differences.md, "By FUSE, reading moves the atime": where one side's moved, the other's may not have. */
  forgiveAtimes(other: View): void {
    for (const [path, entry] of this.entries) {
      const its = other.entries.get(path);
      if (its !== undefined && (entry.atime === 'now' || its.atime === 'now')) {
        delete entry.atime;
        delete its.atime;
      }
    }
  }

  /**
   * docs/differences.md, "In a user namespace": the kernel follows no origin there, so that numbers
   * depend on what it still remembers.
   */
  forgiveNumbers(ours: View): void {
    for (const [path, entry] of this.entries) {
      const own = ours.entries.get(path);
      const first = entry['link of'];
      // What is one file there has to be one here.
      if (own !== undefined && (first === undefined || ours.#isLink(path, first))) {
        delete entry['link of'];
        delete own['link of'];
      }
    }
    for (const entry of [...this.entries.values(), ...ours.entries.values()]) {
      delete entry.ino;
    }
  }

  /** Whether the names are of one inode. */
  #isLink(path: ByteString, first: string): boolean {
    const [a, b] = [readable(path), first].map((name) => this.#inodes.get(name));
    return a !== undefined && a === b;
  }

  /** docs/differences.md, "By FUSE, `btime` of a file that is copied up": ours may still tell the lower's. */
  forgiveBirths(ours: View): void {
    for (const [path, entry] of this.entries) {
      const own = ours.entries.get(path);
      if (entry.btime === 'now' && own !== undefined && ours.#lowerBirths.has(path)) {
        delete entry.btime;
        delete own.btime;
      }
    }
  }

  forgiveBlocks(other: View): void {
    for (const entry of [...this.entries.values(), ...other.entries.values()]) {
      delete entry.blocks;
    }
  }

  /** A listing by the kernel passes on what its layer says of `..`; where ours agrees with st_ino, that is better. */
  forgive(ours: View): void {
    for (const [path, entry] of this.entries) {
      for (const key of Object.keys(entry)) {
        if (key.startsWith('d_ino') && ours.entries.get(path)?.[key] === undefined) {
          delete entry[key];
        }
      }
    }
  }

  get snapshot(): Snapshot {
    return this.entries;
  }

  #walk(dirfd: number, path: ByteString, self: bigint, parent: bigint, entry: Record<string, string>): void {
    const { sys, kernel } = this.#turn;
    const records = readRecords(sys, dirfd);
    if (typeof records === 'number') {
      entry.listing = said(records);
      return;
    }
    const seen = new Set(
      visible(
        sys,
        kernel,
        dirfd,
        records.map(({ name }) => name),
      ),
    );
    this.#dots(records, self, parent, path === '', entry);
    for (const record of records.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      if (record.name !== '.' && record.name !== '..' && seen.has(record.name)) {
        this.#entry(dirfd, path === '' ? record.name : `${path}/${record.name}`, record, self);
      }
    }
  }

  /** Of the root, `..` is what lies around the mount. */
  #dots(records: readonly Dirent[], self: bigint, parent: bigint, top: boolean, entry: Record<string, string>): void {
    const number = (name: string): bigint | undefined => records.find((record) => record.name === name)?.ino;
    if (number('.') !== self) {
      entry['d_ino of .'] = 'differs';
    }
    if (!top && number('..') !== parent) {
      entry['d_ino of ..'] = 'differs';
    }
  }

  #entry(dirfd: number, path: ByteString, record: Dirent, parent: bigint): void {
    const { sys } = this.#turn;
    const st = new Stat();
    const found = sys.statx(dirfd, record.name, c.AT_SYMLINK_NOFOLLOW, st);
    if (found < 0) {
      this.entries.set(path, { error: said(found) });
      return;
    }
    const isDir = st.type === c.S_IFDIR;
    const fd = isDir ? sys.openat(dirfd, record.name, c.O_RDONLY | c.O_DIRECTORY | c.O_NOFOLLOW, 0) : -1;
    const entry = fd >= 0 ? this.#describe(fd, '', st, path) : this.#describe(dirfd, record.name, st, path);
    if (record.ino !== st.ino) {
      entry.d_ino = 'differs';
    }
    if (record.type << 12 !== st.type) {
      entry.d_type = String(record.type);
    }
    this.entries.set(path, entry);
    this.types.set(path, st.type);
    if (fd >= 0) {
      this.#walk(fd, path, st.ino, parent, entry);
      sys.close(fd);
    }
  }

  #describe(dirfd: number, name: ByteString, st: Stat, path: ByteString): Record<string, string> {
    const { sys } = this.#turn;
    const yard = this.#yard;
    const entry: Record<string, string> = {
      mode: st.mode.toString(8),
      owner: `${st.uid}:${st.gid}`,
      nlink: String(st.nlink),
      mtime: timeText(yard, st.mtime, st.mtimeNsec),
      atime: timeText(yard, st.atime, st.atimeNsec),
      // Of the root: the directories that the runner made, one after the other.
      btime: path === '.' ? 'the upper' : timeText(yard, st.btime, st.btimeNsec),
      ino: yard.numbers.text(st.ino),
    };
    if (yard.numbers.hasBirth(st.btime, st.btimeNsec)) {
      this.#lowerBirths.add(path);
    }
    if (st.type !== c.S_IFDIR) {
      entry.size = String(st.size);
      entry.blocks = String(st.blocks);
      this.#inodes.set(readable(path), st.ino);
      const first = this.#firsts.get(st.ino);
      if (first === undefined) {
        this.#firsts.set(st.ino, path);
      } else {
        this.linked.add(first).add(path);
        entry['link of'] = readable(first);
      }
    }
    if (st.rdev !== 0) {
      entry.rdev = String(st.rdev);
    }
    if (st.type === c.S_IFREG) {
      addContent(sys, dirfd, name, this.#turn.buf, entry);
    } else if (name === '') {
      addFlags(sys, dirfd, entry);
    } else if (st.type === c.S_IFLNK) {
      const target = sys.readlinkat(dirfd, name);
      entry.target = typeof target === 'number' ? said(target) : readable(target);
    }
    for (const xattr of addXattrs(sys, dirfd, name, this.#turn.buf, entry)) {
      this.xattrs.push([path, xattr]);
    }
    return entry;
  }
}

/** Of a regular file: a digest of all its bytes, and what lsattr(1) shows. */
export function addContent(
  sys: Sys,
  dirfd: number,
  name: ByteString,
  buf: Buffer,
  entry: Record<string, string>,
): void {
  const fd = sys.openat(dirfd, name, c.O_RDONLY | c.O_NOFOLLOW, 0);
  if (fd < 0) {
    entry.content = said(fd);
    return;
  }
  addFlags(sys, fd, entry);
  const digests: string[] = [];
  for (let pos = 0; ; ) {
    const n = sys.pread(fd, buf, 0, buf.length, pos);
    if (n <= 0) {
      digests.push(n < 0 ? said(n) : '');
      break;
    }
    digests.push(digest(buf.subarray(0, n)));
    pos += n;
  }
  // Who reads next asks the server, not the page cache.
  sys.fadvise(fd, 0, 0, c.POSIX_FADV_DONTNEED);
  sys.close(fd);
  entry.content = digests.join(' ');
}

export function addFlags(sys: Sys, fd: number, entry: Record<string, string>): void {
  const flags = flagsOf(sys, fd);
  entry.flags = flags < 0 ? said(flags) : flags.toString(16);
}

/** @returns the names. */
export function addXattrs(
  sys: Sys,
  dirfd: number,
  name: ByteString,
  buf: Buffer,
  entry: Record<string, string>,
): readonly ByteString[] {
  const n = sys.listxattrat(dirfd, name, buf);
  if (n < 0) {
    entry.xattrs = said(n);
    return [];
  }
  const names = namesIn(buf, n);
  for (const xattr of names) {
    const length = sys.getxattrat(dirfd, name, xattr, buf);
    const value =
      length < 0 ? said(length) : length > 200 ? digest(buf.subarray(0, length)) : buf.toString('hex', 0, length);
    entry[`xattr ${readable(xattr)}`] = value;
  }
  return names;
}
