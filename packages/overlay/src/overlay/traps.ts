/**
 * A lower may hold the upper and the workdir (kernel: ovl_setup_trap and ovl_lookup_trap_inode). Seen in
 * the merged tree they would change while they are changed through it, and a walk would meet the root's
 * number once more: a lookup that finds one of them ends with ELOOP.
 */
import type { Dentry, Layer } from '../layer/layer.ts';
import { numberElsewhere } from '../layer/other-devices.ts';
import { Stat } from '../sys/stat.ts';

export class Traps {
  /** Device and inode of each. */
  readonly #dirs: (readonly [dev: number, ino: bigint])[] = [];

  add(dir: Dentry): void {
    const st = new Stat();
    if (dir.layer.stat(dir, st) >= 0) this.#dirs.push([st.dev, st.ino]);
  }

  /** Whether a directory of `layer`, just looked up, is one of them. */
  has(layer: Layer, st: Stat): boolean {
    for (const [dev, ino] of this.#dirs) {
      if (st.dev === dev && st.ino === (dev === layer.dev ? ino : numberElsewhere(dev, ino))) return true;
    }
    return false;
  }
}
