/**
 * `Asides`: files whose data another thread copies, so that the serving thread need not wait.
 *
 * The operation that needs such a copy is not suspended in the middle: it fails with -ERESTART, nothing
 * having been changed, and is to be asked again when the copy has ended. It then finds the file here
 * with its data, and goes on with attributes, marks and the link as if it had just copied them. What
 * other operations have done in the meantime is simply what it finds: a file that has come into the upper by
 * another way leaves its copy unused. Until it is linked nobody sees a copy, and a crash leaves no
 * more of it than of any other.
 */
import type { Layer } from '../layer/layer.ts';
import type { ByteString } from '../sys/bytes.ts';
import { ERESTART } from '../sys/errno.ts';
import type { CopyOrder } from './copy-data.ts';
import type { Inode } from './inode.ts';
import type { Super } from './super.ts';

/** A copy that another thread makes. */
export interface RunningCopy {
  /** null while it runs; then 0 or a negative errno, -ERESTART when the copy was never begun. */
  result(): number | null;
  /** The operation that is being carried out is one that needs it. */
  awaited(): void;
}

/** Has a copy of `data` bytes made, and flushed with `flush`; null: the caller is to make it. */
export type CopyAside = (order: CopyOrder, data: number, flush: boolean) => RunningCopy | null;

/** A file in the workdir that is to become a copy. */
export interface Made {
  readonly file: number;
  /** Its name in the workdir; null for one without. */
  temp: ByteString | null;
}

interface Aside extends Made {
  readonly inode: Inode;
  readonly order: CopyOrder;
  readonly from: Layer;
  readonly copy: RunningCopy;
  /** Set between two operations only, so that all that wait for a copy find it in the same state. */
  result: number | null;
}

export class Asides {
  private all: Aside[] = [];
  private readonly sb: Super;

  constructor(sb: Super) {
    this.sb = sb;
  }

  /** @returns whether the data of `inode` is being copied into `made` from now on; both files are kept here then. */
  start(inode: Inode, made: Made, order: CopyOrder, data: number, from: Layer): boolean {
    const { hooks, config } = this.sb;
    const copy = hooks.copyAside?.(order, data, config.fsync !== 'volatile') ?? null;
    if (copy === null) return false;
    this.all.push({ ...made, inode, order, from, copy, result: null });
    copy.awaited();
    return true;
  }

  /** Whether data of `inode` is on its way. */
  has(inode: Inode): boolean {
    return this.all.some((aside) => aside.inode === inode);
  }

  /** The file with the first `size` bytes of `inode`, the caller's from now on; null when none was begun. */
  take(inode: Inode, size: number): Made | number | null {
    const aside = this.all.find(({ inode: of, order }) => of === inode && order.size === size);
    if (aside === undefined) return null;
    if (aside.result === null) {
      aside.copy.awaited();
      return -ERESTART;
    }
    // All that wait for it get the error.
    if (aside.result < 0) return aside.result;
    this.all.splice(this.all.indexOf(aside), 1);
    aside.from.close(aside.order.source);
    return { file: aside.file, temp: aside.temp };
  }

  /** Takes note of the copies that have ended. What waits for them is to be tried again. */
  collect(): void {
    for (const aside of [...this.all]) {
      aside.result ??= aside.copy.result();
      if (aside.result === -ERESTART) this.drop(aside);
    }
  }

  /** After all that waited has been tried again: the copies that nobody wanted any more. */
  sweep(): void {
    for (const aside of [...this.all]) if (aside.result !== null) this.drop(aside);
  }

  private drop(aside: Aside): void {
    this.all.splice(this.all.indexOf(aside), 1);
    aside.from.close(aside.order.source);
    const { layer } = this.sb.work!;
    layer.close(aside.file);
    if (aside.temp !== null) layer.unlink(this.sb.work!, aside.temp);
  }
}
