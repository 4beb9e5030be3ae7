/**
 * The names that the layers above have, while a merged listing is put together: entries of their lists, found
 * by their hashes, compared byte by byte. No strings but for names that stand in no list.
 */
import type { DirentList } from '../layer/dirent-list.ts';
import type { ByteString } from '../sys/bytes.ts';

/** 2^32 divided by the golden ratio: spreads hashes over the upper bits, from which the slot is taken. */
const SPREAD = 0x9e3779b1;
/** A slot holds the number of a list and that of an entry in it, counted from 1. */
const LIST_SHIFT = 2 ** 32;

export class SeenNames {
  private size = 0;
  private shift = 26;
  private slots: Float64Array = new Float64Array(64);
  private readonly lists: DirentList[] = [];
  private others: Set<ByteString> | null = null;

  has(list: DirentList, i: number): boolean {
    return this.slots[this.find(list, i)] !== 0 || (this.others?.has(list.name(i)) ?? false);
  }

  /** @returns false for a name that was seen before. */
  add(list: DirentList, i: number): boolean {
    if (this.others?.has(list.name(i))) return false;
    const at = this.find(list, i);
    if (this.slots[at] !== 0) return false;
    let number = this.lists.length - 1;
    if (this.lists[number] !== list) number = this.lists.push(list) - 1;
    this.slots[at] = number * LIST_SHIFT + i + 1;
    this.size++;
    if (this.size > this.slots.length >> 1) this.grow();
    return true;
  }

  /** A name that is in no list. */
  addName(name: ByteString): void {
    this.others ??= new Set();
    this.others.add(name);
  }

  private find(list: DirentList, i: number): number {
    const { slots } = this;
    const last = slots.length - 1;
    let at = Math.imul(list.hash(i), SPREAD) >>> this.shift;
    for (let slot = slots[at]; slot !== 0; slot = slots[at]) {
      const number = Math.floor(slot / LIST_SHIFT);
      if (list.sameName(i, this.lists[number], slot - number * LIST_SHIFT - 1)) return at;
      at = (at + 1) & last;
    }
    return at;
  }

  private grow(): void {
    const old = this.slots;
    this.slots = new Float64Array(old.length * 2);
    this.shift--;
    const last = this.slots.length - 1;
    for (const slot of old) {
      if (slot === 0) continue;
      const number = Math.floor(slot / LIST_SHIFT);
      let at = Math.imul(this.lists[number].hash(slot - number * LIST_SHIFT - 1), SPREAD) >>> this.shift;
      while (this.slots[at] !== 0) at = (at + 1) & last;
      this.slots[at] = slot;
    }
  }
}
