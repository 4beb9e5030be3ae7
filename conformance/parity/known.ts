/**
 * What the runner believes is there, so that most operations find something to work on: names
 * with their types, and which descriptors are open. Only the choice of operations depends on it;
 * a belief that is wrong (a name reached through a symlink) costs a failed call and no more.
 */
import type { ByteString } from 'stratafs/internal/sys/bytes';

export type NodeType = 'dir' | 'file' | 'link' | 'other';

/** As many as a shell can name by one digit, from 3 on. */
export const SLOTS = 6;

const REMEMBERED = 80;

/** An open descriptor. */
export interface Slot {
  readonly flags: number;
  readonly type: NodeType;
  /** By which it was opened; '' for none. */
  readonly path: ByteString;
}

export class Known {
  readonly #types = new Map<ByteString, NodeType>();
  readonly slots: (Slot | null)[] = Array.from({ length: SLOTS }, () => null);
  /** Paths by type, made when asked for. */
  #lists: Partial<Record<NodeType | 'any' | 'empty', ByteString[]>> = {};

  /** Paths and names of xattrs that were set, the last of them. */
  readonly remembered: (readonly [ByteString, ByteString])[] = [];

  get size(): number {
    return this.#types.size;
  }

  remember(path: ByteString, name: ByteString): void {
    this.remembered.push([path, name]);
    if (this.remembered.length > REMEMBERED) {
      this.remembered.shift();
    }
  }

  forget(path: ByteString, name: ByteString): void {
    const at = this.remembered.findIndex(([p, n]) => p === path && n === name);
    if (at >= 0) {
      this.remembered.splice(at, 1);
    }
  }

  has(path: ByteString): boolean {
    return path === '.' || this.#types.has(path);
  }

  type(path: ByteString): NodeType | undefined {
    return path === '.' ? 'dir' : this.#types.get(path);
  }

  clear(): void {
    this.#types.clear();
    this.remembered.length = 0;
    this.#lists = {};
  }

  add(path: ByteString, type: NodeType): void {
    this.#types.set(path, type);
    this.#lists = {};
  }

  /** A name and all below it are gone. */
  remove(path: ByteString): void {
    for (const name of this.#under(path)) {
      this.#types.delete(name);
    }
    this.#lists = {};
  }

  move(from: ByteString, to: ByteString): void {
    const moved = this.#under(from).map((name) => [to + name.slice(from.length), this.#types.get(name)!] as const);
    this.remove(from);
    this.remove(to);
    for (const [name, type] of moved) {
      this.add(name, type);
    }
  }

  exchange(a: ByteString, b: ByteString): void {
    const aside = '\0aside';
    this.move(a, aside);
    this.move(b, a);
    this.move(aside, b);
  }

  /** `dir` holds the root too; `empty` are directories without known entries. */
  list(what: NodeType | 'any' | 'empty'): readonly ByteString[] {
    this.#lists[what] ??= this.#collect(what);
    return this.#lists[what];
  }

  #collect(what: NodeType | 'any' | 'empty'): ByteString[] {
    const all = [...this.#types];
    if (what === 'any') {
      return all.map(([path]) => path);
    }
    if (what === 'empty') {
      const parents = new Set(all.map(([path]) => path.slice(0, path.lastIndexOf('/'))));
      return all.filter(([path, type]) => type === 'dir' && !parents.has(path)).map(([path]) => path);
    }
    const some = all.filter(([, type]) => type === what).map(([path]) => path);
    return what === 'dir' ? ['.', ...some] : some;
  }

  #under(path: ByteString): ByteString[] {
    return [...this.#types.keys()].filter((name) => name === path || name.startsWith(`${path}/`));
  }
}
