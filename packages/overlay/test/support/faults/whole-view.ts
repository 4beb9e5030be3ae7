/**
 * A tree as lines of all that can be seen of it, through the engine or through a mount: type, mode,
 * owner, links, content, target, all attributes, and of everything but directories the mtime.
 * A time of this run reads `now`. A directory's is left out: that of the parent of a copy-up is
 * put back by a call whose failure changes nothing else, in the kernel too.
 */
import { createHash } from 'node:crypto';
import { EntryOut, OpenOut } from '../../../src/ops/ops.ts';
import type { OverlayOps } from '../../../src/ops/overlay-ops.ts';
import { type ByteString, fromBuffer } from '../../../src/sys/bytes.ts';
import {
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  FS_IMMUTABLE_FL,
  FS_IOC_GETFLAGS,
  O_DIRECTORY,
  O_RDONLY,
  S_IFCHR,
  S_IFDIR,
  S_IFLNK,
  S_IFREG,
} from '../../../src/sys/constants.ts';
import { ENOENT } from '../../../src/sys/errno.ts';
import { Stat } from '../../../src/sys/stat.ts';
import type { Sys } from '../../../src/sys/sys.ts';
import { me } from '../union.ts';
import { bigContent, FS_NODUMP_FL } from './layers.ts';

const began = Math.floor(Date.now() / 1000) - 1;
const buf = Buffer.alloc(4 << 20);
const OPAQUE = /^(trusted|user)\.overlay\.opaque$/;
const WHITEOUTS = ['trusted.overlay.whiteout', 'user.overlay.whiteout'];

/** One way of looking at a tree. Each call throws where it fails. */
interface Look<Ref> {
  list(ref: Ref): ByteString[];
  /** Calls `visit` with the object while it is held. */
  child(ref: Ref, name: ByteString, visit: (child: Ref, st: Stat) => void): void;
  /** Of the root. */
  self(ref: Ref): Stat;
  target(ref: Ref): ByteString;
  /** Fills `buf`. */
  read(ref: Ref, size: number): number;
  /** FS_IOC_GETFLAGS, as far as setting them is tried. */
  flags(ref: Ref): number;
  xattrs(ref: Ref): [name: ByteString, value: string][];
}

function lines<Ref>(look: Look<Ref>, root: Ref, links: boolean): string[] {
  const all: string[] = [];
  const visit = (ref: Ref, where: string): void => {
    for (const name of look.list(ref).sort()) {
      if (name === '.' || name === '..') continue;
      look.child(ref, name, (child, st) => {
        if (st.ino === 0n) throw new Error(`${where}/${name} has no inode number`);
        all.push(`${where}/${name} ${describe(look, child, st, links)}`);
        if (st.type === S_IFDIR) visit(child, `${where}/${name}`);
      });
    }
  };
  all.push(`/ ${describe(look, root, look.self(root), links)}`);
  visit(root, '');
  return all;
}

function describe<Ref>(look: Look<Ref>, ref: Ref, st: Stat, links: boolean): string {
  const parts = [st.mode.toString(8), `${st.uid}:${st.gid}`];
  if (st.type !== S_IFDIR) parts.push(`at ${st.mtime >= began ? 'now' : st.mtime}`);
  if (st.type !== S_IFDIR && links) parts.push(`links ${st.nlink}`);
  if (st.rdev !== 0) parts.push(`dev ${st.rdev}`);
  if (st.type === S_IFLNK) parts.push(look.target(ref));
  if (st.type === S_IFREG) {
    const length = look.read(ref, st.size);
    if (length !== st.size) throw new Error(`size ${st.size}, but ${length} bytes`);
    const data = buf.subarray(0, length);
    parts.push(contentOf(data));
  }
  if (st.type === S_IFREG) parts.push(`flags ${look.flags(ref) & (FS_NODUMP_FL | FS_IMMUTABLE_FL)}`);
  for (const [name, value] of look.xattrs(ref)) {
    // It says that there may be users' whiteouts, and is written before there are.
    if (!OPAQUE.test(name) || value !== 'x') parts.push(`${name}=${value}`);
  }
  return parts.join(' ');
}

function contentOf(data: Buffer): string {
  if (data.length < 100) return data.toString('latin1');
  return data.equals(bigContent) ? 'all that is big' : createHash('sha1').update(data).digest('hex');
}

function good<T>(result: T | number, what: string): T {
  if (typeof result === 'number' && result < 0) throw new Error(`${what}: ${result}`);
  return result as T;
}

/**
 * Every reference is given back. `links`: with the counts of links, which without an index a copy-up
 * changes by itself.
 */
export function wholeView(o: OverlayOps, links: boolean): string[] {
  const look: Look<number> = {
    list(nodeid) {
      const dir = new OpenOut();
      good(o.opendir(me, nodeid, dir), 'opendir');
      const found: ByteString[] = [];
      const add = (name: ByteString): void => {
        found.push(name);
      };
      good(o.readdir(me, dir.fh, 0, false, { fits: () => true, add }), 'readdir');
      o.releasedir(dir.fh);
      return found;
    },
    child(nodeid, name, visit) {
      const out = new EntryOut(new Stat());
      good(o.lookup(me, nodeid, name, out), `lookup ${name}`);
      visit(out.nodeid, out.attr);
      o.forget(out.nodeid, 1);
    },
    self(nodeid) {
      const st = new Stat();
      good(o.getattr(me, nodeid, 0, st), 'getattr');
      return st;
    },
    target: (nodeid) => good<ByteString>(o.readlink(me, nodeid), 'readlink'),
    read(nodeid) {
      const open = new OpenOut();
      good(o.open(me, nodeid, O_RDONLY, false, open), 'open');
      const length = good<number>(o.read(me, open.fh, buf, 0, buf.length, 0), 'read');
      o.release(open.fh);
      return length;
    },
    flags: (nodeid) => good<number>(o.getflags(me, nodeid), 'getflags'),
    xattrs: (nodeid) =>
      good<ByteString[]>(o.listxattr(me, nodeid), 'listxattr')
        .sort()
        .map((name) => [name, good<Buffer>(o.getxattr(me, nodeid, name), name).toString('latin1')]),
  };
  return lines(look, 1, links);
}

function isMarked(sys: Sys, path: ByteString, st: Stat): boolean {
  const marked = (name: string): boolean => sys.getxattrat(AT_FDCWD, path, name, buf) === 4;
  return st.type === S_IFREG && st.size === 0 && (marked(WHITEOUTS[0]) || marked(WHITEOUTS[1]));
}

/** The same of a directory, as the kernel shows it. */
export function wholeTree(sys: Sys, root: ByteString, links: boolean): string[] {
  const small = Buffer.alloc(65536);
  const look: Look<ByteString> = {
    list(path) {
      const fd = good<number>(sys.openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0), path);
      const found: ByteString[] = [];
      for (let n = sys.getdents64(fd, small); n > 0; n = sys.getdents64(fd, small)) {
        for (let at = 0; at < n; at += small.readUInt16LE(at + 16)) {
          found.push(fromBuffer(small, at + 19, small.indexOf(0, at + 19)));
        }
      }
      sys.close(fd);
      return found;
    },
    child(path, name, visit) {
      const st = new Stat();
      const found = sys.statx(AT_FDCWD, `${path}/${name}`, AT_SYMLINK_NOFOLLOW, st);
      // The kernel lists the whiteouts of a directory that merges with nothing (docs/differences.md).
      if (found === -ENOENT) return;
      good(found, `${path}/${name}`);
      // It shows a user's whiteout as what stands for it.
      if (isMarked(sys, `${path}/${name}`, st)) st.mode = S_IFCHR | (st.mode & 0o7777);
      visit(`${path}/${name}`, st);
    },
    self(path) {
      const st = new Stat();
      good(sys.statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, st), path);
      return st;
    },
    target: (path) => good<ByteString>(sys.readlinkat(AT_FDCWD, path), path),
    // The kernel reads on where metadata alone says that the file is shorter (docs/differences.md).
    read(path, size) {
      const fd = good<number>(sys.openat(AT_FDCWD, path, O_RDONLY, 0), path);
      const length = good<number>(sys.pread(fd, buf, 0, Math.min(size, buf.length), 0), path);
      sys.close(fd);
      return length;
    },
    flags(path) {
      const fd = good<number>(sys.openat(AT_FDCWD, path, O_RDONLY, 0), path);
      good<number>(sys.ioctl(fd, FS_IOC_GETFLAGS, small), path);
      sys.close(fd);
      return small.readUInt32LE(0);
    },
    xattrs(path) {
      const length = good<number>(sys.listxattrat(AT_FDCWD, path, small), path);
      const all = fromBuffer(small, 0, length).split('\0').slice(0, -1).sort();
      return all
        .filter((name) => !WHITEOUTS.includes(name))
        .map((name) => {
          const size = good<number>(sys.getxattrat(AT_FDCWD, path, name, small), name);
          return [name, small.toString('latin1', 0, size)];
        });
    },
  };
  return lines(look, root, links);
}
