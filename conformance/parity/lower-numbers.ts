/**
 * Inode numbers that lowers give: what comes from there keeps its number in the union, through
 * copy-up, renames and remounts. With `xino` a number of another filesystem than the upper's
 * carries that filesystem in its high bits.
 */
import type { ByteString } from 'stratafs/internal/sys/bytes';
import * as c from 'stratafs/internal/sys/constants';
import { Stat } from 'stratafs/internal/sys/stat';
import type { Sys } from 'stratafs/internal/sys/sys';
import { listNames } from './directories.ts';

/** Filesystems of this size number in 32 bits. */
const HIGH = 32n;

export class LowerNumbers {
  readonly #known = new Set<bigint>();
  readonly #knownElsewhere = new Set<bigint>();
  readonly #births = new Set<string>();

  /** `upperRoot` tells which lowers lie on the upper's filesystem. */
  constructor(sys: Sys, lowers: readonly ByteString[], upperRoot: ByteString) {
    const st = new Stat();
    sys.statx(c.AT_FDCWD, upperRoot, 0, st);
    const { dev } = st;
    for (const lower of lowers) {
      const fd = sys.openat(c.AT_FDCWD, lower, c.O_RDONLY | c.O_DIRECTORY | c.O_NOATIME, 0);
      sys.fstat(fd, st);
      const numbers = st.dev === dev ? this.#known : this.#knownElsewhere;
      this.#add(st, numbers);
      this.#collect(sys, fd, numbers);
      sys.close(fd);
    }
  }

  #add({ ino, btime, btimeNsec }: Stat, numbers: Set<bigint>): void {
    numbers.add(ino);
    this.#births.add(`${btime}.${btimeNsec}`);
  }

  /** Whether something in a lower was born then. */
  hasBirth(sec: number, nsec: number): boolean {
    return this.#births.has(`${sec}.${nsec}`);
  }

  #collect(sys: Sys, dirfd: number, numbers: Set<bigint>): void {
    const st = new Stat();
    for (const name of listNames(sys, dirfd)) {
      sys.statx(dirfd, name, c.AT_SYMLINK_NOFOLLOW, st);
      this.#add(st, numbers);
      if (st.type === c.S_IFDIR) {
        const fd = sys.openat(dirfd, name, c.O_RDONLY | c.O_DIRECTORY | c.O_NOFOLLOW | c.O_NOATIME, 0);
        this.#collect(sys, fd, numbers);
        sys.close(fd);
      }
    }
  }

  /** Whether this is a lower's own number, unchanged. */
  has(ino: bigint): boolean {
    return ino >> HIGH === 0n ? this.#known.has(ino) : this.#knownElsewhere.has(BigInt.asUintN(32, ino));
  }

  text(ino: bigint): string {
    return this.has(ino) ? `${ino}` : "the upper's";
  }
}
