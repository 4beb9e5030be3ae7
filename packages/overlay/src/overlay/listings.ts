/**
 * The listings that are kept after their readers have gone. The kernel caches a directory's listing
 * for as long as it is told that it may (FOPEN_KEEP_CACHE), with the positions of the listing that it
 * saw; so that permission lasts as long as we know those positions too. Bounded by the number of
 * entries in all, least recently used first.
 */
import type { DirInode } from './inode.ts';

/** Entries of all kept listings together; some 50 bytes each. */
const BUDGET = 50_000;

export class Listings {
  /** Entries counted for each directory, in the order of last use. */
  private readonly kept = new Map<DirInode, number>();
  private total = 0;
  private readonly budget: number;

  constructor(budget: number = BUDGET) {
    this.budget = budget;
  }

  /** The last reader of `dir` has gone. */
  keep(dir: DirInode): void {
    this.forget(dir);
    if (!dir.listing) return;
    const names = Math.max(dir.listing.entries.count, dir.positions?.size ?? 0);
    this.kept.set(dir, names);
    this.total += names;
    for (const oldest of this.kept.keys()) {
      if (this.total <= this.budget) break;
      if (oldest.listers > 0) continue;
      this.drop(oldest);
    }
  }

  /** Gives the listing up. */
  drop(dir: DirInode): void {
    this.forget(dir);
    dir.listing = null;
    dir.positions = null;
  }

  private forget(dir: DirInode): void {
    const names = this.kept.get(dir);
    if (names === undefined) return;
    this.kept.delete(dir);
    this.total -= names;
  }
}
