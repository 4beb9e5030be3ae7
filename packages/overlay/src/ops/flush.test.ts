/** What a copy-up flushes by itself before it appears, for each `fsync=`. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { me, setattr, touch, useUnion, walk } from '../../test/support/union.ts';
import type { FsyncMode } from '../overlay/params.ts';
import { O_WRONLY } from '../sys/constants.ts';
import { EIO } from '../sys/errno.ts';
import { Stat } from '../sys/stat.ts';
import type { Sys } from '../sys/sys.ts';
import { openSys } from '../sys/sys-koffi.ts';
import { traceSys } from '../sys/sys-trace.ts';
import { ATTR_MODE, ATTR_MTIME, ATTR_SIZE, SetAttr } from './ops.ts';

const union = useUnion();

test.each<[FsyncMode, number]>([
  ['volatile', 0],
  ['auto', 1],
  ['strict', 3],
])('fsync=%s: %i of a file and its two directories', (fsync, flushes) => {
  mkdirSync(union.at('l1', 'a/b'), { recursive: true });
  writeFileSync(union.at('l1', 'a/b/file'), 'text');
  let flushed = 0;
  const counting: Sys = {
    ...openSys(),
    fsync() {
      flushed++;
      return 0;
    },
  };
  expect(touch(union.mount(counting, { fsync }), 'a/b/file', O_WRONLY)).toBe(0);
  expect(flushed).toBe(flushes);
});

test.each<[FsyncMode, number, number]>([
  ['volatile', 0, 0],
  ['auto', 0, 1],
  ['strict', 3, 1],
])('fsync=%s: %i of a file that shares its data with the lower, %i of one that is cut short', (fsync, whole, cut) => {
  mkdirSync(union.at('l1', 'a/b'), { recursive: true });
  for (const name of ['whole', 'cut']) writeFileSync(union.at('l1', 'a/b', name), 'text');
  let flushed = 0;
  const sys = openSys();
  const cloning: Sys = {
    ...sys,
    fsync() {
      flushed++;
      return 0;
    },
    ficlone: (dst, src) => Math.min(0, sys.copyFileRange(src, 0, dst, 0, 100)),
  };
  const o = union.mount(cloning, { fsync });
  expect(touch(o, 'a/b/whole', O_WRONLY)).toBe(0);
  expect(flushed).toBe(whole);
  flushed = 0;
  expect(setattr(o, 'a/b/cut', { valid: ATTR_SIZE, size: 2 })).toBe(0);
  expect(flushed).toBe(cut);
});

test('what is flushed, is flushed complete and before it appears', () => {
  mkdirSync(union.at('l1', 'a'));
  writeFileSync(union.at('l1', 'a/file'), 'text');
  symlinkSync('file', union.at('l1', 'a/link'));
  const made = (fsync: FsyncMode, name: string): string => {
    const calls: string[] = [];
    const relevant = /^(fsync|linkat|renameat2|pwrite|copyFileRange|fchmod|fchmodat|utimensat|fsetxattr|setxattrat)\(/;
    const ops = union.mount(
      traceSys(openSys(), (line) => {
        const call = relevant.exec(line);
        if (call) calls.push(call[1]);
      }),
      { fsync },
    );
    calls.length = 0;
    expect(setattr(ops, name, { valid: ATTR_MTIME, mtime: 5 })).toBe(0);
    union.unmount();
    execFileSync('rm', ['-rf', union.at('u'), union.at('w')]);
    for (const dir of ['u', 'w']) mkdirSync(union.at(dir));
    return calls.join(' ');
  };
  // A directory and what is in it: each appears by one rename or link, with a flush right before.
  expect(made('auto', 'a/file')).not.toMatch(/fsync renameat2/);
  expect(made('auto', 'a/file')).toMatch(/fsync linkat/);
  const strict = made('strict', 'a/file');
  expect(strict).toMatch(/fsync renameat2.*fsync linkat/);
  expect(strict.match(/fsync /g)!.length).toBe(2);
  expect(made('strict', 'a/link').match(/fsync /g)!.length).toBe(1);
  expect(made('volatile', 'a/file')).not.toMatch(/fsync /);
});

test.each<[FsyncMode, number, number]>([
  ['volatile', 0, 0],
  ['auto', 0, 1],
  ['strict', 2, 3],
])('fsync=%s: %i of a copy of metadata alone, %i when its data has come', (fsync, alone, complete) => {
  mkdirSync(union.at('l1', 'a'));
  writeFileSync(union.at('l1', 'a/file'), 'text');
  const events: string[] = [];
  const real = openSys();
  const o = union.mount(
    {
      ...real,
      fsync: () => events.push('fsync') && 0,
      removexattrat(...args) {
        events.push('removexattr');
        return real.removexattrat(...args);
      },
    },
    { fsync, metacopy: true },
  );
  const flushes = (): number => events.filter((event) => event === 'fsync').length;
  const set = new SetAttr();
  set.valid = ATTR_MODE;
  set.mode = 0o600;
  events.length = 0;
  expect(o.setattr(me, walk(o, 'a/file'), set, new Stat())).toBe(0);
  expect(flushes()).toBe(alone);
  expect(touch(o, 'a/file', O_WRONLY)).toBe(0);
  expect(flushes()).toBe(complete);
  // What the attribute's end makes visible has to be on the disk before.
  expect(events.at(-1)).toBe('removexattr');
});

test('what cannot be flushed does not appear', () => {
  mkdirSync(union.at('l1', 'dir'));
  writeFileSync(union.at('l1', 'dir/file'), 'text');
  const failing: Sys = { ...openSys(), fsync: () => -EIO };
  const o = union.mount(failing, { fsync: 'strict' });
  expect(touch(o, 'dir/file', O_WRONLY)).toBe(-EIO);
  expect(() => mkdirSync(union.at('u', 'dir'))).not.toThrow();
});
