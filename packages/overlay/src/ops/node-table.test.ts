import { expect, it } from 'vitest';
import { Inode } from '../overlay/inode.ts';
import { S_IFREG } from '../sys/constants.ts';
import { NodeTable } from './node-table.ts';

it('finds what was added and not taken out, across pages', () => {
  const table = new NodeTable();
  const nodes = new Map(Array.from({ length: 200 }, (_, i) => [i * 3 + 1, new Inode(S_IFREG, null, [])]));
  for (const [nodeid, node] of nodes) table.add(nodeid, node);
  for (const nodeid of [...nodes.keys()].filter((id) => id % 2 === 0 || id < 130)) {
    table.delete(nodeid);
    nodes.delete(nodeid);
  }
  table.delete(2);
  table.delete(1);
  expect(table.size).toBe(nodes.size);
  for (let nodeid = 0; nodeid < 700; nodeid++) expect(table.get(nodeid)).toBe(nodes.get(nodeid));
});
