/**
 * The nodes by nodeid. Nodeids are given one after the other and never again, so they are kept in pages of
 * neighbours: 9 bytes a node where a Map takes 40. A page goes with its last node.
 */
import type { Inode } from '../overlay/inode.ts';

const PAGE = 64;

interface Page {
  nodes: (Inode | undefined)[];
  used: number;
}

export class NodeTable {
  /** How many nodes there are. */
  size = 0;
  private readonly pages = new Map<number, Page>();

  get(nodeid: number): Inode | undefined {
    return this.pages.get(Math.floor(nodeid / PAGE))?.nodes[nodeid % PAGE];
  }

  /** @param nodeid not used yet. */
  add(nodeid: number, inode: Inode): void {
    const number = Math.floor(nodeid / PAGE);
    let page = this.pages.get(number);
    if (page === undefined) {
      page = { nodes: new Array(PAGE).fill(undefined), used: 0 };
      this.pages.set(number, page);
    }
    page.nodes[nodeid % PAGE] = inode;
    page.used++;
    this.size++;
  }

  delete(nodeid: number): void {
    const number = Math.floor(nodeid / PAGE);
    const page = this.pages.get(number);
    if (page === undefined || page.nodes[nodeid % PAGE] === undefined) return;
    page.nodes[nodeid % PAGE] = undefined;
    if (--page.used === 0) this.pages.delete(number);
    this.size--;
  }
}
