/**
 * docs/differences.md, "The data of a file of metadata alone": where the kernel brings the data of such
 * a file, because it is opened for writing, the file gets a new mtime there, and keeps it by ours. Which
 * files these are is looked up in the kernel's upper, so that no other file's mtime is passed over.
 */
import type { ByteString } from 'stratafs/internal/sys/bytes';
import * as c from 'stratafs/internal/sys/constants';
import { Stat } from 'stratafs/internal/sys/stat';
import type { Sys } from 'stratafs/internal/sys/sys';
import type { Snapshot } from '../snapshot.ts';
import type { Operation } from './operation.ts';
import type { Store } from './pair.ts';
import { mergedPath } from './places.ts';
import type { Turn } from './turn.ts';

const METACOPY = 'trusted.overlay.metacopy';

export class Completed {
  readonly #sys: Sys;
  readonly #buf: Buffer = Buffer.alloc(64);
  readonly #st = new Stat();
  /** Inode numbers in the uppers, which lie on one filesystem. */
  readonly #inodes = new Set<bigint>();
  /** Of the operation that runs: files of metadata alone that it names, in the kernel's upper. */
  #alone: ByteString[] = [];
  /** Whether the operation has completed one. */
  #now = false;

  constructor(sys: Sys) {
    this.#sys = sys;
  }

  get now(): boolean {
    return this.#now;
  }

  /** Before the kernel's turn, with its store and the paths that the operation names. */
  begin(kernel: Turn, { upper }: Store, { kind }: Operation, paths: readonly ByteString[]): void {
    this.#now = false;
    this.#alone = paths
      .map((path) => mergedPath(kernel, path))
      .flatMap((path) => (path === null ? [] : [`${upper}/${path}`]))
      // Of a lower file its flags are changed first, which copies them alone.
      .filter((path) => this.#isAlone(path) || (kind === 'protect' && !this.#isThere(path)));
  }

  /** After it. */
  end(): void {
    for (const path of this.#alone) {
      if (!this.#isAlone(path) && this.#isThere(path) && this.#st.type === c.S_IFREG) {
        this.#inodes.add(this.#st.ino);
        this.#now = true;
      }
    }
  }

  #isAlone(path: ByteString): boolean {
    return this.#sys.getxattrat(c.AT_FDCWD, path, METACOPY, this.#buf) >= 0;
  }

  #isThere(path: ByteString): boolean {
    return this.#sys.statx(c.AT_FDCWD, path, c.AT_SYMLINK_NOFOLLOW, this.#st) === 0;
  }

  /** Whether either upper has at `path` (`upper/…`, `index/…`, or as it is merged) a file that the kernel has completed. */
  has(stores: readonly Store[], path: ByteString): boolean {
    if (this.#inodes.size === 0) return false;
    return stores.some(({ upper, work }) => {
      const at = path.startsWith('index/') ? `${work}/${path}` : `${upper}/${path.replace(/^upper\//, '')}`;
      return this.#isThere(at) && this.#inodes.has(this.#st.ino);
    });
  }

  /** Of trees or uppers. `swapped`: each side shows by now what the other has written. */
  forgive(kernel: Snapshot, ours: Snapshot, stores: readonly Store[], swapped: boolean): void {
    for (const [path, entry] of kernel) {
      const own = ours.get(path);
      if (own === undefined || entry.mtime === own.mtime) continue;
      const moved = entry.mtime === 'now' || (swapped && own.mtime === 'now');
      if (moved && this.has(stores, path)) (entry as Record<string, string>).mtime = own.mtime;
    }
  }
}
