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
    if (dir.layer.stat(dir, st) >= 0) this.#dirs.push([st.dev, realNumber(dir.layer, st)]);
  }

  /** Whether a directory of `layer`, just looked up, is one of them. */
  has(layer: Layer, st: Stat): boolean {
    for (const [dev, ino] of this.#dirs) if (st.dev === dev && realNumber(layer, st) === ino) return true;
    return false;
  }
}

/** As stat(2) gives it, which does not depend on the layer. */
function realNumber(layer: Layer, st: Stat): bigint {
  return st.dev === layer.dev ? st.ino : numberElsewhere(st.dev, st.ino);
}
