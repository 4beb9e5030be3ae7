import fc from 'fast-check';
import { expect, it } from 'vitest';
import { S_IFREG } from '../sys/constants.ts';
import { Inode } from './inode.ts';
import { InodeTable } from './inode-table.ts';

it('holds what a Map would, whatever comes and goes', () => {
  const ino = fc.oneof(fc.bigInt(0n, 40n), fc.bigInt(2n ** 53n - 3n, 2n ** 53n + 3n), fc.bigInt(0n, 2n ** 64n - 1n));
  const change = fc.tuple(fc.boolean(), fc.nat(30), fc.nat(2), ino);
  fc.assert(
    fc.property(fc.array(change, { maxLength: 200 }), (changes) => {
      const table = new InodeTable();
      const model = new Map<string, Inode>();
      const inodes = Array.from({ length: 31 }, () => new Inode(S_IFREG, null, []));
      const keys = new Map<Inode, string>();
      const drop = (inode: Inode): void => {
        const key = keys.get(inode);
        if (key !== undefined && model.get(key) === inode) model.delete(key);
        keys.delete(inode);
      };
      for (const [enter, n, fs, number] of changes) {
        const inode = inodes[n];
        drop(inode);
        if (enter) {
          table.set(inode, fs, number);
          keys.set(inode, `${fs}:${number}`);
          model.set(`${fs}:${number}`, inode);
        } else {
          table.delete(inode);
        }
        expect(table.size).toBe(model.size);
        for (const [, , f, i] of changes) expect(table.get(f, i)).toBe(model.get(`${f}:${i}`));
      }
    }),
  );
});
