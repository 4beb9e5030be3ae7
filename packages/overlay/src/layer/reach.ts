/**
 * How a disk layer reaches what a dentry names: a descriptor together with one component, and
 * opening by it. Nothing here resolves a path; the one link that is followed is the magic link in
 * /proc/self/fd, which leads to the inode of a descriptor that we hold.
 */
import type { ByteString } from '../sys/bytes.ts';
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  O_DIRECTORY,
  O_NOCTTY,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_RDONLY,
} from '../sys/constants.ts';
import { EACCES, EPERM, ERANGE, ESTALE } from '../sys/errno.ts';
import type { DescriptorCache } from './descriptor-cache.ts';
import type { Dentry } from './layer.ts';
import { isComponent } from './name.ts';

export class Reach {
  /** What goes with the descriptor that was located last: a component, or '' for the descriptor itself. */
  name: ByteString = '';
  readonly #cache: DescriptorCache;
  readonly #root: Dentry;
  /** O_NOATIME where a read could change an atime of a lower. */
  readonly #noatime: number;

  constructor(cache: DescriptorCache, root: Dentry, noatime: number) {
    this.#cache = cache;
    this.#root = root;
    this.#noatime = noatime;
  }

  /** @returns the descriptor by which `d` is reached, with `name` set; -ESTALE, -EACCES, … */
  locate(d: Dentry): number {
    if (d.fd >= 0) {
      this.name = '';
      return this.#cache.dirFd(d);
    }
    return this.#byName(d);
  }

  /** As `locate`, avoiding '' where it can: xattrs of an O_PATH descriptor take the way round by /proc. */
  locateForXattr(d: Dentry): number {
    if (d === this.#root) {
      this.name = '.';
      return d.fd >= 0 ? d.fd : -ESTALE;
    }
    return d.pinned ? this.locate(d) : this.#byName(d);
  }

  /** The AT_ flags that go with `name`. */
  atFlags(): number {
    return this.name === '' ? AT_EMPTY_PATH : AT_SYMLINK_NOFOLLOW;
  }

  /**
   * Opens for data. O_NONBLOCK and O_NOCTTY mean nothing to a regular file, and keep the server from
   * hanging or taking a terminal where somebody put a FIFO or a device behind our back.
   */
  openat(dirfd: number, path: ByteString, flags: number): number {
    const how = flags | O_NONBLOCK | O_NOCTTY;
    const fd = this.#cache.openat(dirfd, path, how | this.#noatime, 0);
    // O_NOATIME is for owners; who is none, on a mount that may not be cloned, cannot avoid it.
    if (fd === -EPERM && this.#noatime !== 0) return this.#cache.openat(dirfd, path, how, 0);
    return fd;
  }

  /** Opens the inode of `fd` itself, whatever has become of its names. */
  openPinned(fd: number, flags: number): number {
    return this.openat(AT_FDCWD, `/proc/self/fd/${fd}`, flags & ~O_NOFOLLOW);
  }

  openDirectory(dirfd: number, flags: number = O_RDONLY): number {
    const fd = this.openat(dirfd, '.', flags | O_DIRECTORY);
    // '.' needs the right to search, which reading a directory does not.
    return fd === -EACCES ? this.openPinned(dirfd, flags | O_DIRECTORY) : fd;
  }

  #byName(d: Dentry): number {
    if (!d.parent) return -ESTALE;
    if (!isComponent(d.name)) return -EACCES;
    const fd = this.#cache.dirFd(d.parent);
    this.name = d.name;
    return fd;
  }
}

/** Of values and of name lists (linux/limits.h): no kernel tells more. */
const XATTR_SIZE_MAX = 65536;
/** Most values (opaque, redirect, origin) and name lists fit, which saves asking for the size first. */
const small = Buffer.from(new ArrayBuffer(4096));

/** As `collect`, for a list of names that end with NUL. Most files have none. */
export function collectNames(call: (buf: Uint8Array) => number): ByteString[] | number {
  const r = call(small);
  if (r === 0) return [];
  if (r > 0) return small.toString('latin1', 0, r - 1).split('\0');
  const names = r === -ERANGE ? collect(call) : r;
  return typeof names === 'number' ? names : names.toString('latin1', 0, names.length - 1).split('\0');
}

/** What `call` writes into a buffer that it is given, however long it is. */
export function collect(call: (buf: Uint8Array) => number): Buffer | number {
  let r = call(small);
  if (r >= 0) return Buffer.from(small.subarray(0, r));
  if (r !== -ERANGE) return r;
  const large = Buffer.alloc(XATTR_SIZE_MAX);
  r = call(large);
  return r < 0 ? r : large.subarray(0, r);
}
