/**
 * A lower may hold the upper and the workdir (kernel: ovl_setup_trap and ovl_lookup_trap_inode). Seen in
 * the merged tree they would change while they are changed through it, and a walk would meet the root's
 * number once more: a lookup that finds one of them ends with ELOOP.
 */
import type { Dentry } from '../layer/layer.ts';
import { Stat } from '../sys/stat.ts';

export class Traps {
  /** Device and inode of each. */
  readonly #dirs: (readonly [dev: number, ino: bigint])[] = [];

  add(dir: Dentry): void {
    const st = new Stat();
    if (dir.layer.stat(dir, st) >= 0) this.#dirs.push([st.dev, st.ino]);
  }

  /** Whether a directory of a layer, just looked up, is one of them. */
  has(st: Stat): boolean {
    for (const [dev, ino] of this.#dirs) if (st.ino === ino && st.dev === dev) return true;
    return false;
  }
}
