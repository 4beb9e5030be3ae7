/**
 * Descriptors by which the sides may differ (docs/differences.md). What is not in a row still counts: all
 * of a result but the part that the row is about has to be the same.
 */
import * as c from 'stratafs/internal/sys/constants';
import { Stat } from 'stratafs/internal/sys/stat';
import type { Operation } from './operation.ts';
import { isUnlinked } from './places.ts';
import { digest, isFailure, type Turn } from './turn.ts';

/** What a mapping is read for (kinds/slots.ts). */
const MAPPED = 2000;
/** So much of a file is compared, which is all of most. */
const READ = 9000;

export class Descriptors {
  readonly #kernel: Turn;
  readonly #ours: Turn;
  /** Slots whose file was made without a name. */
  readonly #unnamed = new Set<number>();

  constructor(kernel: Turn, ours: Turn) {
    this.#kernel = kernel;
    this.#ours = ours;
  }

  /** To be called after each operation. */
  learn(op: Operation, result: string): void {
    if (op.kind === 'slot-tmpfile') {
      this.#unnamed.add(op.slot);
    } else if (['slot-open', 'slot-orphan'].includes(op.kind) || (op.kind === 'slot-link' && !isFailure(result))) {
      this.#unnamed.delete(op.slot);
    }
  }

  #close(slot: number): void {
    this.#kernel.closeSlot(slot);
    this.#ours.closeSlot(slot);
  }

  /**
   * "A shared mapping of a lower file": a descriptor from before a copy-up maps the lower by the kernel,
   * the copy by ours. Both read the copy, and ours maps what is read.
   */
  mapsCopy(op: Operation, expected: string, got: string): boolean {
    if (op.kind !== 'slot-map' || op.flags === 2 || unseen(expected) !== unseen(got)) {
      return false;
    }
    const [kernel, ours] = [this.#kernel, this.#ours];
    const [fd, seen] = [ours.slots[op.slot], got.split(' ')[1]];
    if (kernel.read(kernel.slots[op.slot], 0, 9000) !== ours.read(fd, 0, 9000)) {
      return false;
    }
    const n = ours.sys.pread(fd, ours.buf.fill(0, 0, MAPPED), 0, MAPPED, 0);
    // A file that begins with a hole is not read by its mapping.
    return seen === '-' || n === 0 || (n > 0 && seen === digest(ours.buf.subarray(0, MAPPED)));
  }

  /** "what root gives an own file that has had no name yet": from here on the modes differ, and the slot is closed. */
  keepsBits(op: Operation, expected: string, got: string): boolean {
    if (
      op.user !== 0 ||
      !this.#unnamed.has(op.slot) ||
      !['slot-chown', 'slot-truncate'].includes(op.kind) ||
      withoutSetIds(expected) !== withoutSetIds(got)
    ) {
      return false;
    }
    this.#close(op.slot);
    return true;
  }

  /**
   * "A lower file that is open for reading and is unlinked or replaced": from here on the two are
   * different files, and the slot is closed. Both still read the same.
   */
  adrift(slot: number, { kind }: Operation): boolean {
    if (slot < 0) {
      return false;
    }
    const [kernel, ours] = [this.#kernel, this.#ours];
    const [st, own] = [new Stat(), new Stat()];
    const [fd, its] = [ours.slots[slot], kernel.slots[slot]];
    if (kernel.sys.fstat(its, st) < 0 || ours.sys.fstat(fd, own) < 0) {
      return false;
    }
    if (!(own.nlink === 0 && st.nlink > 0 && isUnlinked(kernel, its))) {
      return false;
    }
    if (!writing.includes(kind) && kernel.read(its, 0, READ) !== ours.read(fd, 0, READ)) {
      return false;
    }
    this.#close(slot);
    return true;
  }

  /**
   * "With O_DIRECT": ext4 calls an unwritten block data when it is in the page cache, where direct reads bring it by ours
   * alone, and from where fadvise(2) takes it by the kernel's alone. Both read the whole file; what they still tell
   * apart are other blocks.
   */
  seesWhatIsCached(op: Operation, expected: string, got: string): boolean {
    if (op.kind !== 'slot-seek' || expected === got || withoutPosition(expected) !== withoutPosition(got)) {
      return false;
    }
    const [its, own] = [this.#kernel, this.#ours].map(({ sys, slots, buf }) => {
      // The slot may be open for writing only.
      const fd = sys.openat(c.AT_FDCWD, `/proc/self/fd/${slots[op.slot]}`, c.O_RDONLY, 0);
      for (let at = 0, n = 1; n > 0; at += n) {
        n = sys.pread(fd, buf, 0, buf.length, at);
      }
      sys.close(fd);
      return sys.lseek(slots[op.slot], op.off, op.flags);
    });
    return its === own;
  }

  /** "With O_DIRECT": whether a slot has the file at `path` open, from before its copy-up perhaps. */
  elsewhere(path: string): boolean {
    const { sys, root, slots } = this.#ours;
    const [st, open] = [new Stat(), new Stat()];
    return (
      sys.statx(root, path, 0, st) === 0 &&
      slots.some((fd) => fd >= 0 && sys.fstat(fd, open) === 0 && open.ino === st.ino && open.type === c.S_IFREG)
    );
  }
}

/** What may have changed the file that a slot is, on one side. */
const writing: readonly string[] = [
  'slot-write',
  'slot-stream',
  'slot-truncate',
  'slot-fallocate',
  'slot-copy',
  'slot-map',
];

/** Of a mapping: without the digest of what it shows. */
function unseen(result: string): string {
  return result.replace(/^mapped \S+/, 'mapped');
}

/** Of an lseek: what the looks say. */
function withoutPosition(result: string): string {
  return result.replace(/^\S+/, '');
}

/** Of the looks that follow a result (look.ts): modes of regular files without suid and sgid. */
function withoutSetIds(result: string): string {
  return result.replace(/\b10([0-7])([0-7]{3})\b/g, (_, top, rest) => `10${Number(top) & 1}${rest}`);
}
