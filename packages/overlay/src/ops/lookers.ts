/**
 * Who looks at what he lists. Attributes that come with a listing save a LOOKUP for each name, and cost two system
 * calls for each; FUSE asks for them with the beginning of a directory, and after that where names are looked at
 * while the listing goes on (READDIRPLUS_AUTO). Most programs list all of a directory first (fts(3), tar, cp),
 * which is seen here: by lookups of names that a listing has brought without attributes.
 */

/** Callers that are remembered, the last ones. */
const CALLERS = 64;
/** So many such lookups, and he does it with all directories. */
const HABIT = 4;

export class Lookers {
  /** Lookups of listed names, by process. */
  private readonly counts = new Map<number, number>();

  /** `pid` has looked up a name of a directory whose listing is known. */
  looked(pid: number): void {
    const count = this.counts.get(pid) ?? 0;
    if (count >= HABIT) return;
    this.counts.delete(pid);
    this.counts.set(pid, count + 1);
    if (this.counts.size <= CALLERS) return;
    for (const oldest of this.counts.keys()) {
      this.counts.delete(oldest);
      return;
    }
  }

  /** Whether all that `pid` lists is worth attributes. */
  looks(pid: number): boolean {
    return (this.counts.get(pid) ?? 0) >= HABIT;
  }
}
