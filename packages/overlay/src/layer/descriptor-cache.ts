/**
 * Descriptors of directories, kept for the dentries that were used last. One cache serves all the
 * layers of a mount, so that the number of open descriptors is bounded by its capacity, whatever
 * the size and the number of the trees (invariant 6).
 *
 * A descriptor is O_PATH: it names a directory and needs no right on it. One that was evicted is
 * opened again from the nearest ancestor that still has one (a layer's root always has), one
 * component at a time and never through a symlink: no string path is resolved (invariant 7).
 */
import { AT_FDCWD, O_DIRECTORY, O_NOFOLLOW, O_PATH, O_RDONLY } from '../sys/constants.ts';
import { EACCES, ELOOP, EMFILE, ENFILE, ENOENT, ENOTDIR, ESTALE } from '../sys/errno.ts';
import type { Sys } from '../sys/sys.ts';
import type { Dentry, Layer } from './layer.ts';
import { isComponent } from './name.ts';

/** Room for the two directories of a rename, and for what opening the second one adds. */
const SMALLEST = 8;

export class DescriptorCache {
  readonly capacity: number;
  readonly #sys: Sys;
  #size = 0;
  /** Most and least recently used. */
  #first: Dentry | null = null;
  #last: Dentry | null = null;

  /** @param capacity descriptors kept at most (at least 8); see `defaultCapacity`. */
  constructor(sys: Sys, capacity: number = defaultCapacity(sys)) {
    this.#sys = sys;
    this.capacity = Math.max(SMALLEST, capacity);
  }

  /** How many descriptors the cache holds now. */
  get size(): number {
    return this.#size;
  }

  /**
   * An O_PATH descriptor of directory `d`, which stays open at least until two more are asked for.
   * @returns the descriptor; -ESTALE when the directory is not at its place any more.
   */
  dirFd(d: Dentry): number {
    if (d.fd < 0) return this.#reopen(d);
    if (!d.pinned && this.#first !== d) {
      this.#unlink(d);
      this.#pushFront(d);
    }
    return d.fd;
  }

  /** openat(2) that gives cached descriptors up when the process has no more. */
  openat(dirfd: number, name: string, flags: number, mode: number): number {
    const fd = this.#sys.openat(dirfd, name, flags, mode);
    if ((fd === -EMFILE || fd === -ENFILE) && this.#shrink()) return this.#sys.openat(dirfd, name, flags, mode);
    return fd;
  }

  /** Takes `d`'s descriptor out of the cache, which will not close it any more. */
  take(d: Dentry): void {
    if (d.fd < 0 || d.pinned) return;
    this.#unlink(d);
    this.#size--;
  }

  /** Closes what is cached for `d`. */
  drop(d: Dentry): void {
    if (d.fd < 0 || d.pinned) return;
    this.take(d);
    this.#sys.close(d.fd);
    d.fd = -1;
  }

  /** Closes what is cached for all dentries of `layer`. */
  dropLayer(layer: Layer): void {
    let d = this.#first;
    while (d) {
      const next = d.next;
      if (d.layer === layer) this.drop(d);
      d = next;
    }
  }

  #reopen(d: Dentry): number {
    const chain: Dentry[] = [];
    let from = d;
    while (from.fd < 0) {
      chain.push(from);
      if (!from.parent) return -ESTALE;
      from = from.parent;
    }
    let fd = this.dirFd(from);
    // Of a long chain only the end is kept: one walk into a deep tree must not evict all the rest.
    const keep = this.capacity >> 2;
    let passing = false;
    for (let i = chain.length - 1; i >= 0; i--) {
      const child = chain[i];
      const next = isComponent(child.name)
        ? this.openat(fd, child.name, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0)
        : -EACCES;
      if (passing) this.#sys.close(fd);
      // -ENOENT would read as "no such entry in it", which is a fact that may be cached.
      if (next === -ENOENT || next === -ENOTDIR || next === -ELOOP) return -ESTALE;
      if (next < 0) return next;
      passing = i >= keep;
      if (!passing) this.#add(child, next);
      fd = next;
    }
    return fd;
  }

  #add(d: Dentry, fd: number): void {
    if (this.#size >= this.capacity) this.drop(this.#last as Dentry);
    d.fd = fd;
    this.#pushFront(d);
    this.#size++;
  }

  /** Closes the older half, but not what the call in progress may hold. @returns whether it closed any. */
  #shrink(): boolean {
    const target = Math.max(SMALLEST / 2, this.#size >> 1);
    if (this.#size <= target) return false;
    while (this.#size > target) this.drop(this.#last as Dentry);
    return true;
  }

  #pushFront(d: Dentry): void {
    d.prev = null;
    d.next = this.#first;
    if (this.#first) this.#first.prev = d;
    else this.#last = d;
    this.#first = d;
  }

  #unlink(d: Dentry): void {
    if (d.prev) d.prev.next = d.next;
    else this.#first = d.next;
    if (d.next) d.next.prev = d.prev;
    else this.#last = d.prev;
    d.prev = null;
    d.next = null;
  }
}

/** A quarter of the soft limit of open files, at most 4096: most descriptors belong to open files. */
export function defaultCapacity(sys: Sys): number {
  return Math.min(4096, descriptorLimit(sys) >> 2);
}

/** The soft limit of open files of this process; 1024 where it cannot be read. */
export function descriptorLimit(sys: Sys): number {
  const fd = sys.openat(AT_FDCWD, '/proc/self/limits', O_RDONLY, 0);
  if (fd < 0) return 1024;
  const buf = Buffer.alloc(4096);
  const length = sys.read(fd, buf, 0, buf.length);
  sys.close(fd);
  const soft = /^Max open files\s+(\S+)/m.exec(buf.toString('latin1', 0, Math.max(0, length)))?.[1];
  if (soft === undefined) return 1024;
  return soft === 'unlimited' ? 1 << 20 : Number(soft);
}
