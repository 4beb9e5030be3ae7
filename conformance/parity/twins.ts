/**
 * docs/differences.md, "In a user namespace the kernel makes two inodes": a file that was copied up
 * while mounted and has got a second name. Each of the two goes on with the mode, owner and ACL that
 * it has seen, so that the kernel refuses, lets through or strips of suid by what is no longer so; and
 * renaming one name to the other is ESTALE, and each counts links of its own: one without any is not linked
 * again. An inode that has once been seen without file capabilities keeps those that the file gets by its
 * other name when it is cut. Once that has shown, the sides are no longer alike. Of the two only the first has an origin: a directory into which the other goes is marked
 * impure by ours alone.
 */
import type { ByteString } from 'stratafs/internal/sys/bytes';
import * as c from 'stratafs/internal/sys/constants';
import type { Snapshot } from '../snapshot.ts';
import type { Operation } from './operation.ts';
import { isFailure, type Turn } from './turn.ts';
import { CAPABILITY } from './vocabulary.ts';

const IMPURE = 'xattr user.overlay.impure';

export class Twins {
  readonly #kernel: Turn;
  readonly #turn: Turn;
  /** Inode numbers of what has been seen with several names, in our mount, which has one inode of each. */
  readonly #linked = new Set<bigint>();
  /** Of the operation that is being looked at: its inode numbers before and after. */
  #touched: bigint[] = [];
  #last: Operation | null = null;
  /** Of the files that it names, before it: whether both sides show capabilities. */
  #capable: readonly boolean[] = [];

  readonly #earlier: boolean;

  /** @param before of the mount before, on the same layers: its marks are still there, on the other side now. */
  constructor([kernel, ours]: readonly [Turn, Turn], before: Twins | null) {
    this.#kernel = kernel;
    this.#turn = ours;
    this.#earlier = before?.met === true;
  }

  get met(): boolean {
    return this.#earlier || this.#linked.size > 0;
  }

  /** To be called before and after each operation. */
  look(op: Operation): void {
    const first = this.#last !== op;
    if (first) {
      this.#last = op;
      this.#touched = [];
    }
    const { root, slots } = this.#turn;
    for (const path of [op.path, op.to]) {
      if (path !== '') {
        this.#note(root, path, 0);
        this.#note(root, path, c.AT_SYMLINK_NOFOLLOW);
      }
    }
    for (const slot of [op.slot, op.other]) {
      if (slot >= 0) {
        this.#note(slots[slot], '', c.AT_EMPTY_PATH);
      }
    }
    if (first) {
      this.#capable = this.#isLinked() ? both(capable(this.#kernel, op), capable(this.#turn, op)) : [];
    }
  }

  #isLinked(): boolean {
    return this.#touched.some((ino) => this.#linked.has(ino));
  }

  /** After an operation: whether a linked file has lost its capabilities by ours, and kept them by the kernel. */
  keptCapabilities(op: Operation): boolean {
    if (op.name === CAPABILITY || !this.#capable.includes(true)) {
      return false;
    }
    const [kernels, ours] = [capable(this.#kernel, op), capable(this.#turn, op)];
    return this.#capable.some((had, i) => had && kernels[i] && !ours[i]);
  }

  #note(dirfd: number, path: ByteString, flags: number): void {
    const { sys, stat } = this.#turn;
    if (sys.statx(dirfd, path, flags, stat) < 0 || stat.type === c.S_IFDIR) {
      return;
    }
    this.#touched.push(stat.ino);
    if (stat.nlink > 1) {
      this.#linked.add(stat.ino);
    }
  }

  /** Of the uppers. */
  forgiveImpure(kernel: Snapshot, ours: Snapshot): void {
    for (const [path, entry] of this.met ? ours : []) {
      const its = kernel.get(path);
      const more = its?.[IMPURE] === undefined && entry[IMPURE] !== undefined;
      // After an exchange of the uppers each has some of ours.
      if (its !== undefined && (more || (this.#earlier && entry[IMPURE] === undefined))) {
        delete (entry as Record<string, string>)[IMPURE];
        delete (its as Record<string, string>)[IMPURE];
      }
    }
  }

  /** Whether two inodes of one file account for what differs. */
  explain(op: Operation, kernel: string, ours: string): boolean {
    if (this.#last !== op || !this.#isLinked()) {
      return false;
    }
    // The inode that was opened has lost its own name, and the file has another, besides the one that ours has made.
    const nameless = op.kind === 'slot-link' && kernel.startsWith('ENOENT') && /^0 .* [2-9]\d*l /.test(ours);
    const judged = [kernel, ours].some((result) => /^(EACCES|EPERM|ESTALE|EBUSY)\b/.test(result));
    // The VFS clips a copy to the size that the inode has been seen with, perhaps to nothing, before it judges
    // whether the ranges overlap; watchers hear of suid that goes.
    const unclipped =
      op.kind === 'slot-copy' && [kernel, ours].every((result) => !isFailure(result) || result.startsWith('EINVAL'));
    const heard = op.kind === 'watch' && !isFailure(kernel) && !isFailure(ours);
    return judged || nameless || unclipped || heard || withoutModes(kernel) === withoutModes(ours);
  }
}

/** Of what an operation names: whether it has file capabilities. */
function capable({ sys, root, slots, buf }: Turn, op: Operation): boolean[] {
  const named = [op.path, op.to].map((path) => {
    const fd = path === '' ? -1 : sys.openat(root, path, c.O_PATH, 0);
    const has = sys.getxattrat(fd, '', CAPABILITY, buf) > 0;
    sys.close(fd);
    return has;
  });
  return [...named, ...[op.slot, op.other].map((slot) => sys.getxattrat(slots[slot] ?? -1, '', CAPABILITY, buf) > 0)];
}

function both(a: readonly boolean[], b: readonly boolean[]): boolean[] {
  return a.map((is, i) => is && b[i]);
}

/** Of the looks that follow a result (look.ts). */
function withoutModes(result: string): string {
  return result.replace(/ \| 10[0-7]+ /g, ' | ');
}
