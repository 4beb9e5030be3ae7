/** A lower whose mount may not be cloned (a user namespace, with mounts of the host below it). */
import { mkdirSync, writeFileSync } from 'node:fs';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { useLayers } from '../../test/support/layers.ts';
import { NEEDS_MOUNTS, privileged } from '../../test/support/privilege.ts';
import { useTempDir } from '../../test/support/temp-dir.ts';
import { wrapSys } from '../sys/calls.ts';
import { CLONE_NEWNS, MNT_DETACH, MS_PRIVATE, MS_REC, S_IFDIR } from '../sys/constants.ts';
import { ENOENT, EPERM } from '../sys/errno.ts';
import { Stat } from '../sys/stat.ts';
import { openSys } from '../sys/sys-koffi.ts';
import { Dentry } from './layer.ts';

const sys = openSys();
const noClone = wrapSys(sys, (name, args, call) => (name === 'openTree' ? -EPERM : call(args)));
const dir = useTempDir(sys);

describe('mounts below a lower that is not cloned', () => {
  const layers = useLayers(noClone);

  beforeAll(() => {
    if (!privileged) return;
    expect(sys.unshare(CLONE_NEWNS)).toBe(0);
    expect(sys.mount('none', '/', '', MS_PRIVATE | MS_REC, null)).toBe(0);
  });
  beforeEach((context) => {
    context.skip(!privileged, NEEDS_MOUNTS);
    for (const name of ['one', 'two']) {
      mkdirSync(dir.at(name));
      expect(sys.mount('none', dir.at(name), 'tmpfs', 0, null)).toBe(0);
      writeFileSync(dir.at(`${name}/inside`), '');
    }
  });
  afterEach(() => {
    for (const name of ['one', 'two']) sys.umount2(dir.at(name), MNT_DETACH);
  });

  it('are empty directories, each with a number of its own', () => {
    const layer = layers.open(dir.path, false);
    expect(layer.cloned).toBe(false);
    const one = new Stat();
    const two = new Stat();
    expect([layer.lookup(layer.root, 'one', one), layer.lookup(layer.root, 'two', two)]).toEqual([0, 0]);
    expect([one.type, two.type]).toEqual([S_IFDIR, S_IFDIR]);
    expect(one.ino).not.toBe(two.ino);
    const d = new Dentry(layer, layer.root, 'one');
    const entries: never[] = [];
    expect(layer.readdir(d, entries)).toBeGreaterThanOrEqual(0);
    expect(entries).toEqual([]);
    expect(layer.lookup(d, 'inside', two)).toBe(-ENOENT);
    const again = new Stat();
    expect(layer.stat(d, again)).toBe(0);
    expect(again.ino).toBe(one.ino);
  });
});
