/** Paths over `Ops`: the walk, and what the VFS judges about names before a filesystem is asked. */
import * as o from 'stratafs/internal/ops/ops';
import type { ByteString } from 'stratafs/internal/sys/bytes';
import * as c from 'stratafs/internal/sys/constants';
import * as e from 'stratafs/internal/sys/errno';
import { errnoName } from 'stratafs/internal/sys/errno';
import { Stat, StatFs } from 'stratafs/internal/sys/stat';
import type { OpenDoor } from '../../backend.ts';
import type { Time } from '../../target.ts';
import { FileCalls, HELD } from './file-calls.ts';
import { type Last, type Place, rootStep, type Step, walk } from './walk.ts';

const TMPFILE_BIT: number = c.O_TMPFILE & ~c.O_DIRECTORY;

export class InProcessDoor extends FileCalls implements OpenDoor {
  readonly vfs: null = null;
  readonly #base: Step[];
  readonly #place: Place;
  #next = 1000;
  #ended = false;

  constructor(ops: o.Ops, caller: o.Caller, path: ByteString) {
    super(ops, caller);
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
    for (const fd of [...this.files.keys()]) {
      this.close(fd);
    }
    this.#place.done();
  }

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
        ? this.ops.opendir(this.caller, nodeid, out)
        : this.ops.open(this.caller, nodeid, flags & ~(c.O_CREAT | c.O_EXCL), false, out);
    return err < 0 ? err : this.#opened(place, step, out.fh, flags);
  }

  #opened(place: Place, step: Step, fh: number, flags: number): number {
    const fd = this.#next++;
    if (step.nodeid !== o.ROOT_ID && !this.#base.includes(step)) {
      place.keep(step.nodeid);
      this.files.set(fd, { nodeid: step.nodeid, fh, type: step.attr.type, flags, pos: 0 });
    } else {
      // The door holds its own directory anyway; a negative number is never forgotten.
      this.files.set(fd, { nodeid: step.nodeid, fh, type: step.attr.type, flags: flags | HELD, pos: 0 });
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
      const there = place.child(this.caller, name);
      if (there === -e.ENOENT) {
        const entry = new o.EntryOut(new Stat());
        const out = new o.OpenOut();
        const made = c.S_IFREG | (mode & 0o7777);
        const err = this.ops.create(this.caller, place.top.nodeid, name, flags, made, entry, out);
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
        const target = this.ops.readlink(this.caller, there.nodeid);
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
      const err = this.ops.tmpfile(this.caller, step.nodeid, flags, c.S_IFREG | (mode & 0o7777), entry, out);
      if (err < 0) {
        return err;
      }
      place.hold(entry.nodeid);
      return this.#opened(place, { nodeid: entry.nodeid, attr: entry.attr }, out.fh, flags);
    });
  }

  truncate(path: ByteString, size: number): number {
    if (size < 0) {
      return -e.EINVAL;
    }
    return this.#at(path, 'follow', ({ nodeid, attr }) => {
      if (attr.type === c.S_IFDIR) {
        return -e.EISDIR;
      }
      return attr.type === c.S_IFREG ? this.truncateNode(nodeid, size, 0) : -e.EINVAL;
    });
  }

  stat(path: ByteString): Stat | number {
    return this.#at(path, 'follow', ({ nodeid }) => this.getattrNode(nodeid, 0));
  }

  lstat(path: ByteString): Stat | number {
    return this.#at(path, 'nofollow', ({ nodeid }) => this.getattrNode(nodeid, 0));
  }

  access(path: ByteString, mask: number): number {
    return this.#at(path, 'follow', ({ nodeid }) => (mask === 0 ? 0 : this.ops.access(this.caller, nodeid, mask)));
  }

  chmod(path: ByteString, mode: number): number {
    return this.#at(path, 'follow', ({ nodeid }) => this.chmodNode(nodeid, 0, mode));
  }

  chown(path: ByteString, uid: number, gid: number): number {
    return this.#at(path, 'follow', (step) => this.chownNode(step.nodeid, step.attr.type, 0, uid, gid));
  }

  lchown(path: ByteString, uid: number, gid: number): number {
    return this.#at(path, 'nofollow', (step) => this.chownNode(step.nodeid, step.attr.type, 0, uid, gid));
  }

  utimens(path: ByteString, atime: Time, mtime: Time): number {
    return this.#at(path, 'follow', (step) => this.utimensNode(step.nodeid, 0, atime, mtime));
  }

  lutimens(path: ByteString, atime: Time, mtime: Time): number {
    return this.#at(path, 'nofollow', (step) => this.utimensNode(step.nodeid, 0, atime, mtime));
  }

  mkdir(path: ByteString, mode = 0o755): number {
    return this.#makes(path, true, (parent, name, out) =>
      this.ops.mkdir(this.caller, parent, name, c.S_IFDIR | (mode & 0o1777), out),
    );
  }

  mknod(path: ByteString, mode: number, rdev = 0): number {
    const type = mode & c.S_IFMT;
    if (type === c.S_IFDIR) {
      return -e.EPERM;
    }
    return this.#makes(path, false, (parent, name, out) =>
      this.ops.mknod(this.caller, parent, name, type === 0 ? c.S_IFREG | mode : mode, rdev, out),
    );
  }

  symlink(target: ByteString, path: ByteString): number {
    if (target === '') {
      return -e.ENOENT;
    }
    if (target.length >= c.PATH_MAX) {
      return -e.ENAMETOOLONG;
    }
    return this.#makes(path, false, (parent, name, out) => this.ops.symlink(this.caller, parent, name, target, out));
  }

  link(from: ByteString, to: ByteString): number {
    return this.#at(from, 'nofollow', (step) => this.#link(step.nodeid, step.attr.type, to));
  }

  linkFd(fd: number, to: ByteString): number {
    const file = this.files.get(fd);
    if (file === undefined) {
      return -e.EBADF;
    }
    const never = TMPFILE_BIT | c.O_EXCL;
    return (file.flags & never) === never ? -e.ENOENT : this.#link(file.nodeid, file.type, to);
  }

  #link(nodeid: number, type: number, to: ByteString): number {
    return this.#makes(to, false, (parent, name, out) =>
      type === c.S_IFDIR ? -e.EPERM : this.ops.link(this.caller, nodeid, parent, name, out),
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
      const there = place.child(this.caller, place.name);
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
      return this.ops.unlink(this.caller, parent, name);
    });
  }

  rmdir(path: ByteString): number {
    return this.#removes(path, (parent, name) => {
      if (name === '.' || name === '..') {
        return name === '.' ? -e.EINVAL : -e.ENOTEMPTY;
      }
      return this.ops.rmdir(this.caller, parent, name);
    });
  }

  #removes(
    path: ByteString,
    remove: (parent: number, name: ByteString, slash: boolean, there: Step) => number,
  ): number {
    return this.#walked(this.#base, path, 'parent', { count: 0 }, (place) => {
      const isDot = place.name === '.' || place.name === '..';
      const there = isDot ? place.top : place.child(this.caller, place.name);
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
        const old = source.child(this.caller, source.name);
        if (typeof old === 'number') {
          return old;
        }
        const replaced = target.child(this.caller, target.name);
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
        return this.ops.rename(this.caller, source.top.nodeid, source.name, target.top.nodeid, target.name, flags);
      }),
    );
  }

  readlink(path: ByteString): ByteString | number {
    return this.#at(path, 'nofollow', ({ nodeid, attr }) =>
      attr.type === c.S_IFLNK ? this.ops.readlink(this.caller, nodeid) : -e.EINVAL,
    );
  }

  getxattr(path: ByteString, name: ByteString): Buffer | number {
    return this.#at(path, 'follow', ({ nodeid }) => this.getxattrNode(nodeid, name));
  }

  lgetxattr(path: ByteString, name: ByteString): Buffer | number {
    return this.#at(path, 'nofollow', ({ nodeid }) => this.getxattrNode(nodeid, name));
  }

  setxattr(path: ByteString, name: ByteString, value: string | Uint8Array, flags = 0): number {
    return this.#at(path, 'follow', ({ nodeid }) => this.setxattrNode(nodeid, name, value, flags));
  }

  lsetxattr(path: ByteString, name: ByteString, value: string | Uint8Array, flags = 0): number {
    return this.#at(path, 'nofollow', ({ nodeid }) => this.setxattrNode(nodeid, name, value, flags));
  }

  listxattr(path: ByteString): ByteString[] | number {
    return this.#at(path, 'follow', ({ nodeid }) => this.listxattrNode(nodeid));
  }

  llistxattr(path: ByteString): ByteString[] | number {
    return this.#at(path, 'nofollow', ({ nodeid }) => this.listxattrNode(nodeid));
  }

  removexattr(path: ByteString, name: ByteString): number {
    return this.#at(path, 'follow', ({ nodeid }) => this.removexattrNode(nodeid, name));
  }

  lremovexattr(path: ByteString, name: ByteString): number {
    return this.#at(path, 'nofollow', ({ nodeid }) => this.removexattrNode(nodeid, name));
  }

  statfs(path: ByteString): StatFs | number {
    return this.#at(path, 'follow', ({ nodeid }) => {
      const out = new StatFs();
      const err = this.ops.statfs(this.caller, nodeid, out);
      return err < 0 ? err : out;
    });
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
    const place = walk(this.ops, this.caller, from, path, last, links);
    if (typeof place === 'number') {
      return place;
    }
    const result = fn(place);
    place.done();
    return result;
  }
}
