/**
 * docs/differences.md, "`index`: when a lower hard link has been copied up": by FUSE it may be another
 * name of the file that gets into the upper, and with it the directories on the way to it. So of
 * names of one file only one side's upper may hold one, a redirect may lead to either, and of the directories above only one side's
 * may be a copy: its link count is 1 then and, after a remount, its time of birth is the copy's.
 */
import type { ByteString } from 'stratafs/internal/sys/bytes';
import type { Snapshot } from '../snapshot.ts';

/** A directory's link count as look.ts writes it. */
const DIRECTORY_LINKS = /\b(4[0-7]{4} \d+:\d+) \d+l/g;
const REDIRECT = 'xattr trusted.overlay.redirect';
const DIRECTORY = /\b4[0-7]{4} /;

export class LinkedNames {
  readonly #names = new Set<ByteString>();
  /** As a redirect has them, `/` and a path: also where names were before they were moved. */
  readonly #ever = new Set<ByteString>();
  /** The directories that lead to them, without the root, which each upper has. */
  readonly #above = new Set<ByteString>();

  /** Files of several names are in `linked` by each of them. */
  note(linked: ReadonlySet<ByteString>): void {
    for (const path of linked) {
      this.#names.add(path);
      this.#ever.add(`/${path}`);
      for (let end = path.lastIndexOf('/'); end > 0; end = path.lastIndexOf('/', end - 1)) {
        this.#above.add(path.slice(0, end));
      }
    }
  }

  /** A rename has brought what was at `from` to `to`, and `exchange` what was there to `from`. */
  moved(from: ByteString, to: ByteString, exchange: boolean): void {
    const taken = (at: ByteString): ByteString[] => {
      const names = [...this.#names].filter((name) => name === at || name.startsWith(`${at}/`));
      for (const name of names) this.#names.delete(name);
      return names.map((name) => name.slice(at.length));
    };
    const [brought, replaced] = [taken(from), taken(to)];
    this.note(new Set([...brought.map((rest) => to + rest), ...(exchange ? replaced.map((rest) => from + rest) : [])]));
  }

  /**
   * A result with what it says of the link counts of directories left out, where one of `paths` is above such a name.
   * @param paths without links
   */
  comparable(result: string, paths: () => readonly ByteString[]): string {
    if (this.#above.size === 0 || !DIRECTORY.test(result)) return result;
    return paths().some((path) => this.#above.has(path)) ? result.replace(DIRECTORY_LINKS, '$1') : result;
  }

  /** Of the merged trees. */
  forgiveCopies(kernel: Snapshot, ours: Snapshot): void {
    for (const path of this.#above) {
      const [its, own] = [kernel.get(path), ours.get(path)] as (Record<string, string> | undefined)[];
      // 1 is a directory that is in an upper and in a lower.
      if (its === undefined || own === undefined || (its.nlink === '1') === (own.nlink === '1')) continue;
      for (const key of ['nlink', 'btime']) {
        delete its[key];
        delete own[key];
      }
    }
  }

  /**
   * Of the uppers: names, and directories above them, that one side alone has copied; and redirects that lead to
   * two such names. That both lead to the same bytes shows when the uppers have been exchanged.
   */
  forgiveNames(kernel: Snapshot, ours: Snapshot): void {
    for (const [path, entry] of kernel) {
      const own = ours.get(path) as Record<string, string> | undefined;
      const [its, other] = [entry[REDIRECT], own?.[REDIRECT]];
      if (own && its && other && [its, other].every((redirect) => this.#ever.has(fromHex(redirect))))
        own[REDIRECT] = its;
    }
    for (const path of [...this.#names, ...this.#above]) {
      const at = `upper/${path}`;
      if (kernel.has(at) !== ours.has(at)) {
        (kernel as Map<ByteString, unknown>).delete(at);
        (ours as Map<ByteString, unknown>).delete(at);
      }
    }
  }
}

function fromHex(text: string): ByteString {
  return Buffer.from(text, 'hex').toString('latin1');
}
