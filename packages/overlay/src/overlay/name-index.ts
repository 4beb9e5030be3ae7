/**
 * Which layers may hold which names of one merged directory, so that a lookup asks only those: its
 * cost does not grow with the number of layers, and a name that no layer holds costs nothing. It
 * says where to look and never what is there: marks, whiteouts and types are read as without it.
 *
 * The lowers do not change under a mount, so what was read of them stays good. The upper's names
 * are in its own Dentry (`names`), where the layer adds what it changes. A layer that was not read
 * (too many names, or one where lookups find more than listings have) is asked for every name.
 *
 * index-names.ts fills it.
 */
import type { Dentry } from '../layer/layer.ts';
import { hashName, NameTable } from '../layer/name-table.ts';
import type { ByteString } from '../sys/bytes.ts';

const NONE = 0;

export class NameIndex {
  /** The lowers that it knows: good for a directory for as long as that has the same ones. */
  readonly stack: readonly Dentry[];
  /** For the hash of a name the layers that may hold it: a list, the topmost layer first. */
  private readonly table = new NameTable();
  /** The lists: element, and the rest behind it. Equal ones are one. */
  private readonly layers: number[] = [-1];
  private readonly rests: number[] = [NONE];
  private lists: Map<number, number> | null = new Map();
  private unread: Set<number> | null = null;
  /** Of the name sought: what is left of its list. */
  private at = NONE;

  constructor(stack: readonly Dentry[]) {
    this.stack = stack;
  }

  /** How many names it holds. */
  get size(): number {
    return this.table.size;
  }

  // ---- filling: the lowest layer first -----------------------------------------------------------

  add(layer: number, hash: number): void {
    const rest = this.table.get(hash);
    if (this.layers[rest] !== layer) this.table.put(hash, this.list(layer, rest));
  }

  private list(layer: number, rest: number): number {
    const key = rest * this.stack.length + layer;
    let list = this.lists!.get(key);
    if (list === undefined) {
      list = this.layers.push(layer) - 1;
      this.rests.push(rest);
      this.lists!.set(key, list);
    }
    return list;
  }

  /** Nothing is known of this layer's names. */
  leaveOut(layer: number): void {
    this.unread ??= new Set();
    this.unread.add(layer);
  }

  /** Whether every layer was read. */
  get complete(): boolean {
    return this.unread === null;
  }

  finish(): void {
    this.lists = null;
  }

  // ---- asking --------------------------------------------------------------------------------------

  /** What `next` answers for from here on. */
  seek(name: ByteString): void {
    this.at = this.table.get(hashName(name));
  }

  /** The first layer from `from` on that may hold the name sought; the number of layers when none does. */
  next(from: number): number {
    while (this.at !== NONE && this.layers[this.at] < from) this.at = this.rests[this.at];
    const found = this.at === NONE ? this.stack.length : this.layers[this.at];
    if (this.unread) for (let i = from; i < found; i++) if (this.unread.has(i)) return i;
    return found;
  }
}
