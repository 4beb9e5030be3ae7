/**
 * Our engine in this process, with no mount: `Ops` with the rights checked in front of it
 * (PermittedOps), and before that the little that the VFS does for every filesystem: paths,
 * descriptors with offsets, O_APPEND, and refusals that never reach a filesystem.
 */

import { randomBytes } from 'node:crypto';
import { parseOptions } from 'stratafs/internal/mount/options';
import { openOverlay } from 'stratafs/internal/ops/open-overlay';
import * as o from 'stratafs/internal/ops/ops';
import { OverlayOps } from 'stratafs/internal/ops/overlay-ops';
import { PermittedOps } from 'stratafs/internal/ops/permitted-ops';
import type { ByteString } from 'stratafs/internal/sys/bytes';
import * as c from 'stratafs/internal/sys/constants';
import * as e from 'stratafs/internal/sys/errno';
import { errnoName } from 'stratafs/internal/sys/errno';
import { Stat, StatFs } from 'stratafs/internal/sys/stat';
import type { Sys } from 'stratafs/internal/sys/sys';
import { type Backend, type LayerDirs, type OpenDoor, optionText, type View } from '../backend.ts';
import type { Dirent, Time, Who } from '../target.ts';
import { bytes } from '../tree.ts';
import { type Last, type Place, rootStep, type Step, walk } from './walk.ts';

const XATTR_NAME_MAX = 255;
const TMPFILE_BIT: number = c.O_TMPFILE & ~c.O_DIRECTORY;

interface Open {
  nodeid: number;
  fh: number;
  type: number;
  flags: number;
  pos: number;
}

class InProcessDoor implements OpenDoor {
  readonly #ops: o.Ops;
  #caller: o.Caller;
  readonly #base: Step[];
  readonly #place: Place;
  readonly #files = new Map<number, Open>();
  #next = 1000;
  #ended = false;

  constructor(ops: o.Ops, caller: o.Caller, path: ByteString) {
    this.#ops = ops;
    this.#caller = caller;
    const place = walk(ops, caller, [rootStep(ops, caller)], path === '' ? '.' : path, 'nofollow');
    if (typeof place === 'number') {
      throw new Error(`set-up: ${path}: ${errnoName(place)}`);
    }
    this.#place = place;
    this.#base = place.stack;
  }

  end(): void {
    if (this.#ended) {
      return;
    }
    this.#ended = true;
    for (const fd of [...this.#files.keys()]) {
      this.close(fd);
    }
    this.#place.done();
  }

  // ---- opening and closing -------------------------------------------------------------------

  open(path: ByteString, flags: number, mode = 0): number {
    if ((flags & TMPFILE_BIT) !== 0) {
      return this.#tmpfile(path, flags, mode);
    }
    if ((flags & c.O_CREAT) !== 0) {
      return this.#create(this.#base, path, flags, mode, { count: 0 });
    }
    const nofollow = (flags & c.O_NOFOLLOW) !== 0;
    return this.#at(path, nofollow ? 'nofollow' : 'follow', (step, place) => this.#openStep(place, step, flags));
  }

  #openStep(place: Place, step: Step, flags: number): number {
    const { nodeid, attr } = step;
    if ((flags & c.O_DIRECTORY) !== 0 && attr.type !== c.S_IFDIR) {
      return -e.ENOTDIR;
    }
    if ((flags & c.O_PATH) !== 0) {
      return this.#opened(place, step, 0, flags);
    }
    if (attr.type === c.S_IFLNK) {
      return -e.ELOOP;
    }
    const writes = (flags & c.O_ACCMODE) !== c.O_RDONLY || (flags & (c.O_TRUNC | c.O_CREAT)) !== 0;
    if (attr.type === c.S_IFDIR && writes) {
      return -e.EISDIR;
    }
    if (attr.type !== c.S_IFDIR && attr.type !== c.S_IFREG) {
      return -e.ENXIO;
    }
    const out = new o.OpenOut();
    const err =
      attr.type === c.S_IFDIR
        ? this.#ops.opendir(this.#caller, nodeid, out)
        : this.#ops.open(this.#caller, nodeid, flags & ~(c.O_CREAT | c.O_EXCL), false, out);
    return err < 0 ? err : this.#opened(place, step, out.fh, flags);
  }

  #opened(place: Place, step: Step, fh: number, flags: number): number {
    const fd = this.#next++;
    if (step.nodeid !== o.ROOT_ID && !this.#base.includes(step)) {
      place.keep(step.nodeid);
      this.#files.set(fd, { nodeid: step.nodeid, fh, type: step.attr.type, flags, pos: 0 });
    } else {
      // The door holds its own directory anyway; a negative number is never forgotten.
      this.#files.set(fd, { nodeid: step.nodeid, fh, type: step.attr.type, flags: flags | HELD, pos: 0 });
    }
    return fd;
  }

  #create(from: readonly Step[], path: ByteString, flags: number, mode: number, links: { count: number }): number {
    return this.#walked(from, path, 'parent', links, (place) => {
      const { name } = place;
      const isDot = name === '.' || name === '..';
      if (place.slash || isDot) {
        return (flags & c.O_EXCL) !== 0 && isDot ? -e.EEXIST : -e.EISDIR;
      }
      const there = place.child(this.#caller, name);
      if (there === -e.ENOENT) {
        const entry = new o.EntryOut(new Stat());
        const out = new o.OpenOut();
        const made = c.S_IFREG | (mode & 0o7777);
        const err = this.#ops.create(this.#caller, place.top.nodeid, name, flags, made, entry, out);
        if (err < 0) {
          return err;
        }
        place.hold(entry.nodeid);
        return this.#opened(place, { nodeid: entry.nodeid, attr: entry.attr }, out.fh, flags);
      }
      if (typeof there === 'number') {
        return there;
      }
      if ((flags & c.O_EXCL) !== 0) {
        return -e.EEXIST;
      }
      if (there.attr.type === c.S_IFLNK && (flags & c.O_NOFOLLOW) === 0) {
        if (links.count++ >= 40) {
          return -e.ELOOP;
        }
        const target = this.#ops.readlink(this.#caller, there.nodeid);
        return typeof target === 'number' ? target : this.#create(place.stack, target, flags, mode, links);
      }
      return this.#openStep(place, there, flags);
    });
  }

  #tmpfile(path: ByteString, flags: number, mode: number): number {
    if ((flags & c.O_ACCMODE) === c.O_RDONLY) {
      return -e.EINVAL;
    }
    return this.#at(path, 'follow', (step, place) => {
      if (step.attr.type !== c.S_IFDIR) {
        return -e.ENOTDIR;
      }
      const entry = new o.EntryOut(new Stat());
      const out = new o.OpenOut();
      const err = this.#ops.tmpfile(this.#caller, step.nodeid, flags, c.S_IFREG | (mode & 0o7777), entry, out);
      if (err < 0) {
        return err;
      }
      place.hold(entry.nodeid);
      return this.#opened(place, { nodeid: entry.nodeid, attr: entry.attr }, out.fh, flags);
    });
  }

  close(fd: number): number {
    const file = this.#files.get(fd);
    if (file === undefined) {
      return -e.EBADF;
    }
    this.#files.delete(fd);
    if ((file.flags & c.O_PATH) === 0) {
      if (file.type === c.S_IFDIR) {
        this.#ops.releasedir(file.fh);
      } else {
        this.#ops.release(file.fh);
      }
    }
    if ((file.flags & HELD) === 0) {
      this.#ops.forget(file.nodeid, 1);
    }
    return 0;
  }

  // ---- data ----------------------------------------------------------------------------------

  read(fd: number, len: number): Buffer | number {
    const file = this.#readable(fd);
    if (typeof file === 'number') {
      return file;
    }
    const data = this.pread(fd, len, file.pos);
    if (typeof data !== 'number') {
      file.pos += data.length;
    }
    return data;
  }

  pread(fd: number, len: number, pos: number): Buffer | number {
    const file = this.#readable(fd);
    if (typeof file === 'number') {
      return file;
    }
    const buf = Buffer.alloc(len);
    let done = 0;
    // read(2) of a regular file gives all there is.
    while (done < len) {
      const n = this.#ops.read(this.#caller, file.fh, buf, done, len - done, pos + done);
      if (n < 0) {
        return n;
      }
      if (n === 0) {
        break;
      }
      done += n;
    }
    return buf.subarray(0, done);
  }

  write(fd: number, data: string | Uint8Array): number {
    const file = this.#writable(fd, e.EBADF);
    if (typeof file === 'number') {
      return file;
    }
    const pos = this.#start(file, file.pos);
    const n = pos < 0 ? pos : this.#writeAt(file, data, pos);
    if (n > 0) {
      file.pos = pos + n;
    }
    return n;
  }

  pwrite(fd: number, data: string | Uint8Array, pos: number): number {
    const file = this.#writable(fd, e.EBADF);
    if (typeof file === 'number') {
      return file;
    }
    const start = this.#start(file, pos);
    return start < 0 ? start : this.#writeAt(file, data, start);
  }

  /** Where a write begins: the end for O_APPEND. */
  #start(file: Open, pos: number): number {
    if ((file.flags & c.O_APPEND) === 0) {
      return pos;
    }
    const st = new Stat();
    const err = this.#ops.getattr(this.#caller, file.nodeid, file.fh, st);
    return err < 0 ? err : st.size;
  }

  #writeAt(file: Open, data: string | Uint8Array, pos: number): number {
    const buf = bytes(data);
    let done = 0;
    while (done < buf.length) {
      const n = this.#ops.write(this.#caller, file.fh, buf, done, buf.length - done, pos + done, false);
      if (n < 0) {
        return done > 0 ? done : n;
      }
      done += n;
    }
    return done;
  }

  lseek(fd: number, off: number, whence: number): number {
    const file = this.#used(fd);
    if (typeof file === 'number') {
      return file;
    }
    const st = new Stat();
    let pos: number;
    switch (whence) {
      case c.SEEK_SET:
        pos = off;
        break;
      case c.SEEK_CUR:
        pos = file.pos + off;
        break;
      case c.SEEK_END: {
        const err = this.#ops.getattr(this.#caller, file.nodeid, file.fh, st);
        pos = err < 0 ? err : st.size + off;
        break;
      }
      case c.SEEK_DATA:
      case c.SEEK_HOLE:
        pos = this.#ops.lseek(this.#caller, file.fh, off, whence);
        break;
      default:
        return -e.EINVAL;
    }
    if (pos < 0) {
      return whence === c.SEEK_DATA || whence === c.SEEK_HOLE ? pos : -e.EINVAL;
    }
    file.pos = pos;
    return pos;
  }

  ftruncate(fd: number, size: number): number {
    const file = this.#writable(fd, e.EINVAL);
    return typeof file === 'number' ? file : this.#truncate(file.nodeid, size, file.fh);
  }

  truncate(path: ByteString, size: number): number {
    if (size < 0) {
      return -e.EINVAL;
    }
    return this.#at(path, 'follow', ({ nodeid, attr }) => {
      if (attr.type === c.S_IFDIR) {
        return -e.EISDIR;
      }
      return attr.type === c.S_IFREG ? this.#truncate(nodeid, size, 0) : -e.EINVAL;
    });
  }

  #truncate(nodeid: number, size: number, fh: number): number {
    return this.#setattr(nodeid, fh, o.ATTR_SIZE, (set) => {
      set.size = size;
    });
  }

  fallocate(fd: number, mode: number, off: number, len: number): number {
    const file = this.#writable(fd, e.EBADF);
    if (typeof file === 'number') {
      return file;
    }
    if (off < 0 || len <= 0) {
      return -e.EINVAL;
    }
    const punches = (mode & c.FALLOC_FL_PUNCH_HOLE) !== 0;
    if (punches && (mode & c.FALLOC_FL_KEEP_SIZE) === 0) {
      return -e.EOPNOTSUPP;
    }
    return this.#ops.fallocate(this.#caller, file.fh, mode, off, len);
  }

  fsync(fd: number): number {
    return this.#sync(fd, false);
  }

  fdatasync(fd: number): number {
    return this.#sync(fd, true);
  }

  #sync(fd: number, dataOnly: boolean): number {
    const file = this.#used(fd);
    if (typeof file === 'number') {
      return file;
    }
    return file.type === c.S_IFDIR
      ? this.#ops.fsyncdir(this.#caller, file.fh, dataOnly)
      : this.#ops.fsync(this.#caller, file.fh, dataOnly);
  }

  copyFileRange(fdIn: number, offIn: number, fdOut: number, offOut: number, len: number): number {
    const from = this.#used(fdIn);
    const to = this.#used(fdOut);
    if (typeof from === 'number') {
      return from;
    }
    if (typeof to === 'number') {
      return to;
    }
    if (from.type === c.S_IFDIR || to.type === c.S_IFDIR) {
      return -e.EISDIR;
    }
    const source = this.#readable(fdIn);
    const target = this.#writable(fdOut, e.EBADF);
    if (typeof source === 'number') {
      return source;
    }
    if (typeof target === 'number' || (target.flags & c.O_APPEND) !== 0) {
      return -e.EBADF;
    }
    if (from.nodeid === to.nodeid && offIn < offOut + len && offOut < offIn + len) {
      return -e.EINVAL;
    }
    return this.#ops.copyFileRange(this.#caller, from.fh, offIn, to.fh, offOut, len);
  }

  // ---- attributes ----------------------------------------------------------------------------

  stat(path: ByteString): Stat | number {
    return this.#at(path, 'follow', ({ nodeid }) => this.#getattr(nodeid, 0));
  }

  lstat(path: ByteString): Stat | number {
    return this.#at(path, 'nofollow', ({ nodeid }) => this.#getattr(nodeid, 0));
  }

  fstat(fd: number): Stat | number {
    const file = this.#files.get(fd);
    return file === undefined ? -e.EBADF : this.#getattr(file.nodeid, file.fh);
  }

  #getattr(nodeid: number, fh: number): Stat | number {
    const out = new Stat();
    const err = this.#ops.getattr(this.#caller, nodeid, fh, out);
    return err < 0 ? err : out;
  }

  access(path: ByteString, mask: number): number {
    return this.#at(path, 'follow', ({ nodeid }) => (mask === 0 ? 0 : this.#ops.access(this.#caller, nodeid, mask)));
  }

  #setattr(nodeid: number, fh: number, valid: number, fill: (set: o.SetAttr) => void): number {
    const set = new o.SetAttr();
    set.valid = valid;
    set.fh = fh;
    fill(set);
    return Math.min(0, this.#ops.setattr(this.#caller, nodeid, set, new Stat()));
  }

  chmod(path: ByteString, mode: number): number {
    return this.#at(path, 'follow', ({ nodeid }) => this.#chmod(nodeid, 0, mode));
  }

  fchmod(fd: number, mode: number): number {
    const file = this.#used(fd);
    return typeof file === 'number' ? file : this.#chmod(file.nodeid, file.fh, mode);
  }

  #chmod(nodeid: number, fh: number, mode: number): number {
    return this.#setattr(nodeid, fh, o.ATTR_MODE, (set) => {
      set.mode = mode & 0o7777;
    });
  }

  chown(path: ByteString, uid: number, gid: number): number {
    return this.#at(path, 'follow', (step) => this.#chown(step.nodeid, step.attr.type, 0, uid, gid));
  }

  lchown(path: ByteString, uid: number, gid: number): number {
    return this.#at(path, 'nofollow', (step) => this.#chown(step.nodeid, step.attr.type, 0, uid, gid));
  }

  fchown(fd: number, uid: number, gid: number): number {
    const file = this.#used(fd);
    return typeof file === 'number' ? file : this.#chown(file.nodeid, file.type, file.fh, uid, gid);
  }

  #chown(nodeid: number, type: number, fh: number, uid: number, gid: number): number {
    // chown_common: whoever asks, privileges go, but for directories. A chown of nothing is one all the same.
    const nothing = uid === -1 && gid === -1;
    const kill = type === c.S_IFDIR || nothing ? 0 : o.ATTR_KILL_SUIDGID;
    const valid = o.ATTR_CTIME | kill | (uid === -1 ? 0 : o.ATTR_UID) | (gid === -1 ? 0 : o.ATTR_GID);
    return this.#setattr(nodeid, fh, valid, (set) => {
      set.uid = uid;
      set.gid = gid;
    });
  }

  utimens(path: ByteString, atime: Time, mtime: Time): number {
    return this.#at(path, 'follow', (step) => this.#utimens(step.nodeid, 0, atime, mtime));
  }

  lutimens(path: ByteString, atime: Time, mtime: Time): number {
    return this.#at(path, 'nofollow', (step) => this.#utimens(step.nodeid, 0, atime, mtime));
  }

  futimens(fd: number, atime: Time, mtime: Time): number {
    const file = this.#files.get(fd);
    return file === undefined ? -e.EBADF : this.#utimens(file.nodeid, file.fh, atime, mtime);
  }

  #utimens(nodeid: number, fh: number, atime: Time, mtime: Time): number {
    if (atime === 'omit' && mtime === 'omit') {
      return 0;
    }
    const both = atime === 'now' && mtime === 'now';
    if (!both && this.#caller.uid !== 0) {
      // Only "now for both" is open to those who may merely write.
      const st = this.#getattr(nodeid, fh);
      if (typeof st === 'number' || st.uid !== this.#caller.uid) {
        return typeof st === 'number' ? st : -e.EPERM;
      }
    }
    const bits = (time: Time, set: number, now: number): number => (time === 'omit' ? 0 : time === 'now' ? now : set);
    const valid = bits(atime, o.ATTR_ATIME, o.ATTR_ATIME_NOW) | bits(mtime, o.ATTR_MTIME, o.ATTR_MTIME_NOW);
    return this.#setattr(nodeid, fh, valid, (set) => {
      if (typeof atime !== 'string') {
        [set.atime, set.atimeNsec] = atime;
      }
      if (typeof mtime !== 'string') {
        [set.mtime, set.mtimeNsec] = mtime;
      }
    });
  }

  // ---- names ---------------------------------------------------------------------------------

  mkdir(path: ByteString, mode = 0o755): number {
    return this.#makes(path, true, (parent, name, out) =>
      this.#ops.mkdir(this.#caller, parent, name, c.S_IFDIR | (mode & 0o1777), out),
    );
  }

  mknod(path: ByteString, mode: number, rdev = 0): number {
    const type = mode & c.S_IFMT;
    if (type === c.S_IFDIR) {
      return -e.EPERM;
    }
    return this.#makes(path, false, (parent, name, out) =>
      this.#ops.mknod(this.#caller, parent, name, type === 0 ? c.S_IFREG | mode : mode, rdev, out),
    );
  }

  symlink(target: ByteString, path: ByteString): number {
    if (target === '') {
      return -e.ENOENT;
    }
    if (target.length >= c.PATH_MAX) {
      return -e.ENAMETOOLONG;
    }
    return this.#makes(path, false, (parent, name, out) => this.#ops.symlink(this.#caller, parent, name, target, out));
  }

  link(from: ByteString, to: ByteString): number {
    return this.#at(from, 'nofollow', (step) => this.#link(step.nodeid, step.attr.type, to));
  }

  linkFd(fd: number, to: ByteString): number {
    const file = this.#files.get(fd);
    if (file === undefined) {
      return -e.EBADF;
    }
    const never = TMPFILE_BIT | c.O_EXCL;
    return (file.flags & never) === never ? -e.ENOENT : this.#link(file.nodeid, file.type, to);
  }

  #link(nodeid: number, type: number, to: ByteString): number {
    return this.#makes(to, false, (parent, name, out) =>
      type === c.S_IFDIR ? -e.EPERM : this.#ops.link(this.#caller, nodeid, parent, name, out),
    );
  }

  /** filename_create of the VFS, around what makes the name. */
  #makes(
    path: ByteString,
    isDir: boolean,
    make: (parent: number, name: ByteString, out: o.EntryOut) => number,
  ): number {
    return this.#walked(this.#base, path, 'parent', { count: 0 }, (place) => {
      if (place.name === '.' || place.name === '..') {
        return -e.EEXIST;
      }
      const there = place.child(this.#caller, place.name);
      if (there !== -e.ENOENT) {
        return typeof there === 'number' ? there : -e.EEXIST;
      }
      if (place.slash && !isDir) {
        return -e.ENOENT;
      }
      const out = new o.EntryOut(new Stat());
      const err = make(place.top.nodeid, place.name, out);
      if (err >= 0) {
        place.hold(out.nodeid);
      }
      return Math.min(0, err);
    });
  }

  unlink(path: ByteString): number {
    return this.#removes(path, (parent, name, slash, there) => {
      if (name === '.' || name === '..') {
        return -e.EISDIR;
      }
      if (slash) {
        return there.attr.type === c.S_IFDIR ? -e.EISDIR : -e.ENOTDIR;
      }
      return this.#ops.unlink(this.#caller, parent, name);
    });
  }

  rmdir(path: ByteString): number {
    return this.#removes(path, (parent, name) => {
      if (name === '.' || name === '..') {
        return name === '.' ? -e.EINVAL : -e.ENOTEMPTY;
      }
      return this.#ops.rmdir(this.#caller, parent, name);
    });
  }

  #removes(
    path: ByteString,
    remove: (parent: number, name: ByteString, slash: boolean, there: Step) => number,
  ): number {
    return this.#walked(this.#base, path, 'parent', { count: 0 }, (place) => {
      const isDot = place.name === '.' || place.name === '..';
      const there = isDot ? place.top : place.child(this.#caller, place.name);
      return typeof there === 'number' ? there : remove(place.top.nodeid, place.name, place.slash, there);
    });
  }

  rename(from: ByteString, to: ByteString, flags = 0): number {
    const known = c.RENAME_NOREPLACE | c.RENAME_EXCHANGE | c.RENAME_WHITEOUT;
    const exchange = (flags & c.RENAME_EXCHANGE) !== 0;
    if ((flags & ~known) !== 0 || (exchange && (flags & known) !== c.RENAME_EXCHANGE)) {
      return -e.EINVAL;
    }
    return this.#walked(this.#base, from, 'parent', { count: 0 }, (source) =>
      this.#walked(this.#base, to, 'parent', { count: 0 }, (target) => {
        if ([source.name, target.name].some((name) => name === '.' || name === '..')) {
          return -e.EBUSY;
        }
        const old = source.child(this.#caller, source.name);
        if (typeof old === 'number') {
          return old;
        }
        const replaced = target.child(this.#caller, target.name);
        if (typeof replaced === 'number' && replaced !== -e.ENOENT) {
          return replaced;
        }
        if (typeof replaced === 'number' && exchange) {
          return -e.ENOENT;
        }
        if (typeof replaced !== 'number' && (flags & c.RENAME_NOREPLACE) !== 0) {
          return -e.EEXIST;
        }
        const newIsDir = typeof replaced !== 'number' && replaced.attr.type === c.S_IFDIR;
        if (exchange ? !newIsDir && target.slash : old.attr.type !== c.S_IFDIR && target.slash) {
          return -e.ENOTDIR;
        }
        if (old.attr.type !== c.S_IFDIR && source.slash) {
          return -e.ENOTDIR;
        }
        if (target.stack.some((step) => step.nodeid === old.nodeid)) {
          return -e.EINVAL;
        }
        if (typeof replaced !== 'number' && source.stack.some((step) => step.nodeid === replaced.nodeid)) {
          return exchange ? -e.EINVAL : -e.ENOTEMPTY;
        }
        return this.#ops.rename(this.#caller, source.top.nodeid, source.name, target.top.nodeid, target.name, flags);
      }),
    );
  }

  readlink(path: ByteString): ByteString | number {
    return this.#at(path, 'nofollow', ({ nodeid, attr }) =>
      attr.type === c.S_IFLNK ? this.#ops.readlink(this.#caller, nodeid) : -e.EINVAL,
    );
  }

  // ---- directories ---------------------------------------------------------------------------

  getdents(fd: number, size = 32768): Dirent[] | number {
    const file = this.#used(fd);
    if (typeof file === 'number') {
      return file;
    }
    if (file.type !== c.S_IFDIR) {
      return -e.ENOTDIR;
    }
    const entries: Dirent[] = [];
    let left = size;
    const record = (length: number): number => (19 + length + 1 + 7) & ~7;
    const err = this.#ops.readdir(this.#caller, file.fh, file.pos, false, {
      fits: (nameLength) => record(nameLength) <= left,
      add: (name, ino, type, off) => {
        left -= record(name.length);
        entries.push({ name, ino, type, off: BigInt(off) });
        file.pos = off;
      },
    });
    return err < 0 && entries.length === 0 ? err : entries;
  }

  seekdir(fd: number, off: bigint): number {
    return Math.min(0, this.lseek(fd, Number(off), c.SEEK_SET));
  }

  // ---- extended attributes -------------------------------------------------------------------

  getxattr(path: ByteString, name: ByteString): Buffer | number {
    return this.#at(path, 'follow', ({ nodeid }) => this.#get(nodeid, name));
  }

  lgetxattr(path: ByteString, name: ByteString): Buffer | number {
    return this.#at(path, 'nofollow', ({ nodeid }) => this.#get(nodeid, name));
  }

  fgetxattr(fd: number, name: ByteString): Buffer | number {
    const file = this.#used(fd);
    return typeof file === 'number' ? file : this.#get(file.nodeid, name);
  }

  #get(nodeid: number, name: ByteString): Buffer | number {
    return badName(name) || this.#ops.getxattr(this.#caller, nodeid, name);
  }

  setxattr(path: ByteString, name: ByteString, value: string | Uint8Array, flags = 0): number {
    return this.#at(path, 'follow', ({ nodeid }) => this.#set(nodeid, name, value, flags));
  }

  lsetxattr(path: ByteString, name: ByteString, value: string | Uint8Array, flags = 0): number {
    return this.#at(path, 'nofollow', ({ nodeid }) => this.#set(nodeid, name, value, flags));
  }

  fsetxattr(fd: number, name: ByteString, value: string | Uint8Array, flags = 0): number {
    const file = this.#used(fd);
    return typeof file === 'number' ? file : this.#set(file.nodeid, name, value, flags);
  }

  #set(nodeid: number, name: ByteString, value: string | Uint8Array, flags: number): number {
    return badName(name) || this.#ops.setxattr(this.#caller, nodeid, name, bytes(value), flags, false);
  }

  listxattr(path: ByteString): ByteString[] | number {
    return this.#at(path, 'follow', ({ nodeid }) => this.#list(nodeid));
  }

  llistxattr(path: ByteString): ByteString[] | number {
    return this.#at(path, 'nofollow', ({ nodeid }) => this.#list(nodeid));
  }

  flistxattr(fd: number): ByteString[] | number {
    const file = this.#used(fd);
    return typeof file === 'number' ? file : this.#list(file.nodeid);
  }

  #list(nodeid: number): ByteString[] | number {
    return this.#ops.listxattr(this.#caller, nodeid);
  }

  removexattr(path: ByteString, name: ByteString): number {
    return this.#at(path, 'follow', ({ nodeid }) => this.#remove(nodeid, name));
  }

  lremovexattr(path: ByteString, name: ByteString): number {
    return this.#at(path, 'nofollow', ({ nodeid }) => this.#remove(nodeid, name));
  }

  fremovexattr(fd: number, name: ByteString): number {
    const file = this.#used(fd);
    return typeof file === 'number' ? file : this.#remove(file.nodeid, name);
  }

  #remove(nodeid: number, name: ByteString): number {
    return badName(name) || this.#ops.removexattr(this.#caller, nodeid, name);
  }

  statfs(path: ByteString): StatFs | number {
    return this.#at(path, 'follow', ({ nodeid }) => {
      const out = new StatFs();
      const err = this.#ops.statfs(this.#caller, nodeid, out);
      return err < 0 ? err : out;
    });
  }

  // ---- the caller ----------------------------------------------------------------------------

  umask(mask: number): number {
    const before = this.#caller.umask;
    this.#caller = { ...this.#caller, umask: mask };
    return before;
  }

  as<T>(who: Who, fn: () => T): T {
    const before = this.#caller;
    this.#caller = { ...before, uid: who.uid, gid: who.gid, groups: who.groups ?? [] };
    try {
      return fn();
    } finally {
      this.#caller = before;
    }
  }

  // ---- descriptors and paths -----------------------------------------------------------------

  /** An open file that is more than a place (O_PATH). */
  #used(fd: number): Open | number {
    const file = this.#files.get(fd);
    return file === undefined || (file.flags & c.O_PATH) !== 0 ? -e.EBADF : file;
  }

  #readable(fd: number): Open | number {
    const file = this.#used(fd);
    if (typeof file === 'number' || (file.flags & c.O_ACCMODE) === c.O_WRONLY) {
      return -e.EBADF;
    }
    return file.type === c.S_IFDIR ? -e.EISDIR : file;
  }

  /** `refusal`: what the call says to a descriptor that is for reading only. */
  #writable(fd: number, refusal: number): Open | number {
    const file = this.#used(fd);
    if (typeof file === 'number') {
      return file;
    }
    return (file.flags & c.O_ACCMODE) === c.O_RDONLY ? -refusal : file;
  }

  #at<T>(path: ByteString, last: Last, fn: (step: Step, place: Place) => T | number): T | number {
    return this.#walked(this.#base, path, last, { count: 0 }, (place) => fn(place.top, place));
  }

  #walked<T>(
    from: readonly Step[],
    path: ByteString,
    last: Last,
    links: { count: number },
    fn: (place: Place) => T | number,
  ): T | number {
    const place = walk(this.#ops, this.#caller, from, path, last, links);
    if (typeof place === 'number') {
      return place;
    }
    const result = fn(place);
    place.done();
    return result;
  }
}

/** Marks an open file whose node the door holds anyway; no flag of open(2) has this bit. */
const HELD: number = 1 << 30;

function badName(name: ByteString): number {
  return name === '' || name.length > XATTR_NAME_MAX ? -e.ERANGE : 0;
}

/**
 * `ops` that forget nothing before `drop`, as if a dentry cache stood before them. With `userxattr`
 * the origin of a symlink or FIFO cannot be stored, so that its inode number lives as long as the node;
 * with the trusted marks everything is forgotten at once, and has to be found again as it was.
 */
function rememberNodes(ops: o.Ops): { ops: o.Ops; drop(): void } {
  const held: [nodeid: number, count: number][] = [];
  const remembering: o.Ops = Object.create(ops, {
    forget: { value: (nodeid: number, count: number) => held.push([nodeid, count]) },
  });
  return {
    ops: remembering,
    drop() {
      for (const [nodeid, count] of held.splice(0)) {
        ops.forget(nodeid, count);
      }
    },
  };
}

function mount(sys: Sys, layers: LayerDirs): View | number {
  const { overlay } = parseOptions([optionText(layers)]);
  const uid = sys.geteuid();
  const opened = openOverlay(sys, overlay, {
    redirectDefault: 'follow',
    userRedirect: uid !== 0,
    readOnly: layers.upper === null,
    aufsWhiteouts: false,
    log: () => {},
    cancelled: () => false,
    random: randomBytes,
  });
  if (!(opened instanceof OverlayOps)) {
    return opened.errno;
  }
  const ops = new PermittedOps(opened);
  const dcache = overlay.userxattr ? rememberNodes(ops) : null;
  // As serveMount does: the mask comes with the caller, and this process must not add its own.
  const umask = sys.umask(0);
  const doors = new Set<InProcessDoor>();
  return {
    door(path) {
      const caller = { uid, gid: sys.getegid(), pid: process.pid, umask: 0, groups: process.getgroups?.() ?? [] };
      const door = new InProcessDoor(dcache?.ops ?? ops, caller, path);
      doors.add(door);
      return door;
    },
    async close() {
      for (const door of doors) {
        door.end();
      }
      dcache?.drop();
      ops.destroy();
      sys.umask(umask);
    },
  };
}

export const inProcess: Backend = {
  name: 'in-process',
  unavailable: () => null,
  mount: async (sys, layers) => mount(sys, layers),
};
