/** Nodes that are asked for by their number after they were forgotten, as file handles do. */
import { linkSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { me, useUnion, walk } from '../../test/support/union.ts';
import { ESTALE } from '../sys/errno.ts';
import { Stat } from '../sys/stat.ts';
import { openSys } from '../sys/sys-koffi.ts';
import { Forgotten } from './forgotten.ts';
import { EntryOut } from './ops.ts';
import type { OverlayOps } from './overlay-ops.ts';

const union = useUnion();

function mount(nfsExport = true): OverlayOps {
  mkdirSync(union.at('l1', 'd/e'), { recursive: true });
  writeFileSync(union.at('l1', 'd/e/f'), 'f');
  mkdirSync(union.at('u', 'own'));
  writeFileSync(union.at('u', 'own/g'), 'g');
  return union.mount(openSys(), nfsExport ? { nfsExport: true } : {});
}

/** The nodeid that looking at node `nodeid` itself gives, or an errno. */
function itself(o: OverlayOps, nodeid: number): number {
  const out = new EntryOut(new Stat());
  const err = o.lookup(me, nodeid, '.', out);
  return err < 0 ? err : out.nodeid;
}

function forgetAll(o: OverlayOps): void {
  for (let nodeid = 2; nodeid < 200; nodeid++) o.forget(nodeid, Number.MAX_SAFE_INTEGER);
  expect(o.nodes.size).toBe(1);
}

test('files and directories are found again under their numbers, also by name', () => {
  const o = mount();
  const paths = ['d', 'd/e', 'd/e/f', 'own', 'own/g'];
  const ids = paths.map((path) => walk(o, path));
  forgetAll(o);
  expect([4, 2, 0, 1, 3].map((i) => itself(o, ids[i]))).toEqual([4, 2, 0, 1, 3].map((i) => ids[i]));
  forgetAll(o);
  expect(paths.map((path) => walk(o, path))).toEqual(ids);
  forgetAll(o);
  expect(ids.map((id) => itself(o, id))).toEqual(ids);
});

test('what was moved meanwhile, and what lies below it', () => {
  const o = mount();
  const [f, g] = [walk(o, 'd/e/f'), walk(o, 'own/g')];
  forgetAll(o);
  expect(o.rename(me, walk(o, 'd'), 'e', 1, 'moved', 0)).toBe(0);
  expect(o.rename(me, walk(o, 'own'), 'g', 1, 'g', 0)).toBe(0);
  walk(o, 'moved');
  walk(o, 'g');
  forgetAll(o);
  expect([itself(o, f), itself(o, g)]).toEqual([f, g]);
});

test('what is gone, or another object of the same name, is ESTALE', () => {
  const o = mount();
  const [f, g] = [walk(o, 'd/e/f'), walk(o, 'own/g')];
  forgetAll(o);
  const again = new EntryOut(new Stat());
  expect(o.unlink(me, walk(o, 'd/e'), 'f')).toBe(0);
  expect(itself(o, f)).toBe(-ESTALE);
  // Behind our back: the name is there again, as another file.
  linkSync(union.at('u', 'own/g'), union.at('u', 'kept'));
  rmSync(union.at('u', 'own/g'));
  writeFileSync(union.at('u', 'own/g'), 'another');
  forgetAll(o);
  expect(itself(o, g)).toBe(-ESTALE);
  expect(o.lookup(me, walk(o, 'own'), 'g', again)).toBe(0);
  expect(again.nodeid).not.toBe(g);
  forgetAll(o);
  expect(o.nodes.size).toBe(1);
});

test('nodes of another mount have another generation, the root none', () => {
  const generation = (o: OverlayOps, name: string): number => {
    const out = new EntryOut(new Stat());
    expect(o.lookup(me, 1, name, out)).toBe(0);
    return out.generation;
  };
  const one = mount();
  const first = generation(one, 'd');
  expect([generation(one, 'own'), generation(one, '.')]).toEqual([first, 0]);
  union.unmount();
  expect(generation(union.mount(openSys(), { nfsExport: true }), 'd')).not.toBe(first);
});

test('without nfs_export nothing is remembered', () => {
  const o = mount(false);
  const f = walk(o, 'd/e/f');
  expect(itself(o, f)).toBe(f);
  forgetAll(o);
  expect(itself(o, f)).toBe(-ESTALE);
  expect(walk(o, 'd/e/f')).not.toBe(f);
});

test('only so many are remembered, the youngest', () => {
  const o = mount();
  const inodes = ['d', 'own'].map((path) => {
    const inode = o.nodes.get(walk(o, path));
    if (inode === undefined) throw new Error(path);
    return inode;
  });
  const forgotten = new Forgotten(1);
  for (const inode of inodes) forgotten.remember(inode);
  expect(inodes.map((inode) => forgotten.takeNodeid(inode))).toEqual([0, inodes[1].nodeid]);
});
