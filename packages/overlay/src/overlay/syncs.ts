/**
 * `Syncs`: what a program has another thread flush (fsync, fdatasync), because it is much, so that the serving thread
 * need not wait. As with long copies (asides.ts) the operation fails with -ERESTART and is asked again when the
 * flush has ended. Each caller has a flush of its own: one that had begun before it asked might leave out what it
 * has written since.
 */
import { ERESTART } from '../sys/errno.ts';
import type { RunningCopy } from './asides.ts';
import type { OpenFile } from './file.ts';
import type { Super } from './super.ts';

/** Has `bytes` of the descriptor `fd` flushed by another thread; null: the caller is to do it. */
export type SyncAside = (fd: number, dataOnly: boolean, bytes: number) => RunningCopy | null;

interface Sync {
  readonly handle: OpenFile;
  readonly pid: number;
  readonly running: RunningCopy;
}

export class Syncs {
  private all: Sync[] = [];

  /**
   * fsync of `handle` for the thread `pid`, which waits for nothing else meanwhile. @returns null where the caller is
   * to do it himself: there is little to flush, nobody who does it, or nobody to tell this caller from another by.
   */
  sync(sb: Super, handle: OpenFile, dataOnly: boolean, pid: number): number | null {
    const { syncAside } = sb.hooks;
    if (syncAside === undefined || pid === 0) return null;
    const { layer, file } = handle;
    const known = this.all.find((sync) => sync.handle === handle && sync.pid === pid);
    if (known) {
      const result = known.running.result();
      if (result === null) {
        known.running.awaited();
        return -ERESTART;
      }
      this.all.splice(this.all.indexOf(known), 1);
      return result === -ERESTART ? null : result;
    }
    const running = syncAside(layer.descriptor(file), dataOnly, layer.unsynced(file));
    if (running === null) return null;
    this.all.push({ handle, pid, running });
    running.awaited();
    return -ERESTART;
  }
}
