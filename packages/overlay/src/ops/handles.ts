/** Open handles by number, from 1 on; freed numbers are used again. */
export class Handles<T> {
  private readonly slots: (T | undefined)[] = [undefined];
  private readonly free: number[] = [];

  /** How many are open. */
  get size(): number {
    return this.slots.length - 1 - this.free.length;
  }

  add(handle: T): number {
    const fh = this.free.pop() ?? this.slots.length;
    this.slots[fh] = handle;
    return fh;
  }

  get(fh: number): T | undefined {
    return this.slots[fh];
  }

  /** Takes the handle out. */
  take(fh: number): T | undefined {
    const handle = this.slots[fh];
    if (handle !== undefined) {
      this.slots[fh] = undefined;
      this.free.push(fh);
    }
    return handle;
  }

  *all(): Generator<T> {
    for (const handle of this.slots) if (handle !== undefined) yield handle;
  }
}
