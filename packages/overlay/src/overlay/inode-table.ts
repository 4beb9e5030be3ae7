/**
 * Every Inode by its real inode (kernel: the inode cache, as ovl_get_inode hashes it): by the number of the
 * filesystem and the inode number there. One row of slots, of which three quarters are used at most; what is
 * compared lies in the Inode itself, so that an inode costs some 14 bytes here and not the 40 of a Map.
 */
import type { Inode } from './inode.ts';

/** 2^32 divided by the golden ratio: spreads numbers over the upper bits, from which the slot is taken. */
const SPREAD = 0x9e3779b1;
const FIRST_SHIFT = 28;

/** Small numbers take no room of their own, and all real filesystems have small numbers. */
export function packIno(ino: bigint): number | bigint {
  return ino <= 0x1fffffffffffffn ? Number(ino) : ino;
}

function hash(fs: number, ino: number | bigint): number {
  const low = typeof ino === 'number' ? ino | 0 : Number(BigInt.asUintN(32, ino));
  return Math.imul(low + fs, SPREAD);
}

export class InodeTable {
  /** How many inodes it holds. */
  size = 0;
  private shift: number = FIRST_SHIFT;
  private slots: (Inode | null)[] = new Array(1 << (32 - FIRST_SHIFT)).fill(null);

  get(fs: number, ino: bigint): Inode | undefined {
    return this.slots[this.find(fs, packIno(ino))] ?? undefined;
  }

  /** Enters `inode` under this identity, taking it out from under another, and what had it out of the table. */
  set(inode: Inode, fs: number, ino: bigint): void {
    this.delete(inode);
    if (this.size >= (this.slots.length >> 2) * 3) this.grow();
    const key = packIno(ino);
    inode.tableFs = fs;
    inode.tableIno = key;
    const at = this.find(fs, key);
    if (this.slots[at] === null) this.size++;
    this.slots[at] = inode;
  }

  delete(inode: Inode): void {
    if (inode.tableFs < 0) return;
    const at = this.find(inode.tableFs, inode.tableIno);
    if (this.slots[at] === inode) this.clear(at);
    inode.tableFs = -1;
    inode.tableIno = 0;
  }

  /** Where it is, or where it would go. */
  private find(fs: number, ino: number | bigint): number {
    const { slots } = this;
    const last = slots.length - 1;
    let at = hash(fs, ino) >>> this.shift;
    for (let inode = slots[at]; inode !== null; inode = slots[at]) {
      if (inode.tableIno === ino && inode.tableFs === fs) return at;
      at = (at + 1) & last;
    }
    return at;
  }

  /** Frees a slot; what stands behind it only because it was taken moves up, or would not be found again. */
  private clear(from: number): void {
    const { slots } = this;
    const last = slots.length - 1;
    let free = from;
    for (let at = (from + 1) & last; ; at = (at + 1) & last) {
      const inode = slots[at];
      if (inode === null) break;
      const home = hash(inode.tableFs, inode.tableIno) >>> this.shift;
      if (((at - home) & last) < ((at - free) & last)) continue;
      slots[free] = inode;
      free = at;
    }
    slots[free] = null;
    this.size--;
  }

  private grow(): void {
    const old = this.slots;
    this.shift--;
    this.slots = new Array(old.length * 2).fill(null);
    for (const inode of old) if (inode !== null) this.slots[this.find(inode.tableFs, inode.tableIno)] = inode;
  }
}
