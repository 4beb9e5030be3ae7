/** The truncation of what may be incomplete. */
import type { Inode } from './inode.ts';
import { finishEmptied } from './lazy-complete.ts';
import { pendingLazy, withLazy } from './lazy-files.ts';

/** `resize` truncates the upper's file of `inode` to `size`. @returns 0 or a negative errno. */
export function truncateLazy(inode: Inode, size: number, resize: () => number): number {
  const lazy = pendingLazy(inode);
  if (lazy === null) return resize();
  return withLazy(lazy, inode.upper!, () => {
    const err = lazy.truncate(size, resize);
    return err < 0 ? err : finishEmptied(lazy, inode);
  });
}
