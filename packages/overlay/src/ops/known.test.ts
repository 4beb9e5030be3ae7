/** What is left out because it is so already, or answered from memory: where it is not so, it is done and asked. */
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { isRoot, needsRoot } from '../../test/support/temp-dir.ts';
import { list, me, setattr, stat, touch, useUnion, walk } from '../../test/support/union.ts';
import { ATTR_MTIME, ATTR_MTIME_NOW } from '../overlay/setattr.ts';
import { wrapSys } from '../sys/calls.ts';
import { O_CREAT, O_WRONLY, S_IFCHR } from '../sys/constants.ts';
import { ENODATA } from '../sys/errno.ts';
import { Stat } from '../sys/stat.ts';
import { openSys } from '../sys/sys-koffi.ts';
import { EntryOut, OpenOut } from './ops.ts';
import type { OverlayOps } from './overlay-ops.ts';

const union = useUnion();
const CAPABILITY = 'security.capability';
/** cap_net_raw+ep, VFS_CAP_REVISION_2. */
const NET_RAW = Buffer.from('0100000200200000000000000000000000000000', 'hex');

function lower(name: string, mode: number, uid = 0): void {
  writeFileSync(union.at('l1', name), 'text');
  if (isRoot) chownSync(union.at('l1', name), uid, uid);
  chmodSync(union.at('l1', name), mode);
}

function created(ops: OverlayOps, name: string): number {
  const entry = new EntryOut(new Stat());
  const open = new OpenOut();
  expect(ops.create(me, 1, name, O_CREAT | O_WRONLY, 0o100644, entry, open)).toBe(0);
  ops.release(open.fh);
  return entry.nodeid;
}

describe('a copy', () => {
  test.each([0o644, 0o4755, 0o2750, 0o1777, 0o444, 0])('has the mode %o', (mode) => {
    lower('f', mode);
    const ops = union.mount();
    expect(setattr(ops, 'f', { valid: ATTR_MTIME | ATTR_MTIME_NOW })).toBe(0);
    expect(statSync(union.at('u', 'f')).mode & 0o7777).toBe(mode);
  });

  test.skipIf(!isRoot)(needsRoot('has the owner, and its suid still'), () => {
    lower('f', 0o4755, 1000);
    const ops = union.mount();
    expect(setattr(ops, 'f', { valid: ATTR_MTIME | ATTR_MTIME_NOW })).toBe(0);
    const { uid, gid, mode } = statSync(union.at('u', 'f'));
    expect([uid, gid, mode & 0o7777]).toEqual([1000, 1000, 0o4755]);
  });
});

describe.skipIf(!isRoot)(needsRoot('file capabilities'), () => {
  const cap = (ops: OverlayOps, nodeid: number): Buffer | number => ops.getxattr(me, nodeid, CAPABILITY);

  test('of new files are none, until they are given some', () => {
    const ops = union.mount();
    const [a, b] = ['a', 'b'].map((name) => {
      const nodeid = created(ops, name);
      expect(cap(ops, nodeid)).toBe(-ENODATA);
      return nodeid;
    });
    for (const nodeid of [a, b]) {
      expect(ops.setxattr(me, nodeid, CAPABILITY, NET_RAW, 0, false)).toBe(0);
      expect(cap(ops, nodeid)).toEqual(NET_RAW);
      expect(ops.removexattr(me, nodeid, CAPABILITY)).toBe(0);
      expect(cap(ops, nodeid)).toBe(-ENODATA);
    }
  });

  test('of a lower without any come with a setxattr, and those that it has with the copy-up', () => {
    lower('none', 0o755);
    lower('some', 0o755);
    execFileSync('setfattr', ['-n', CAPABILITY, '-v', `0x${NET_RAW.toString('hex')}`, union.at('l1', 'some')]);
    const ops = union.mount();
    const [none, some] = ['none', 'some'].map((name) => walk(ops, name));
    expect([cap(ops, none), cap(ops, some)]).toEqual([-ENODATA, NET_RAW]);
    for (const name of ['none', 'some']) expect(setattr(ops, name, { valid: ATTR_MTIME | ATTR_MTIME_NOW })).toBe(0);
    expect([cap(ops, none), cap(ops, some)]).toEqual([-ENODATA, NET_RAW]);
    expect(ops.setxattr(me, none, CAPABILITY, NET_RAW, 0, false)).toBe(0);
    expect(cap(ops, none)).toEqual(NET_RAW);
    expect(touch(ops, 'none', O_WRONLY)).toBe(0);
    expect(cap(ops, none)).toEqual(NET_RAW);
  });
});

test.skipIf(!isRoot)(needsRoot('whiteouts of this mount are known in a listing, other devices are not'), () => {
  const NAMES = 50;
  mkdirSync(union.at('l1', 'd'));
  for (let i = 0; i < NAMES; i++) writeFileSync(union.at('l1', 'd', `f${i}`), '');
  let looks = 0;
  const sys = wrapSys(openSys(), (name, args, call) => {
    if (name === 'statx') looks++;
    return call(args);
  });
  const ops = union.mount(sys);
  const d = walk(ops, 'd');
  for (let i = 0; i < NAMES; i++) expect(ops.unlink(me, d, `f${i}`)).toBe(0);
  expect(ops.mknod(me, d, 'null', S_IFCHR | 0o666, 0x103, new EntryOut(new Stat()))).toBe(0);
  looks = 0;
  expect(list(ops, 'd')).toEqual(['null']);
  expect(looks).toBeLessThan(8);
  expect(stat(ops, 'd/null').rdev).toBe(0x103);
  expect(ops.unlink(me, d, 'null')).toBe(0);
  looks = 0;
  expect(ops.rmdir(me, 1, 'd')).toBe(0);
  expect(looks).toBeLessThan(12);
  expect(list(ops, '')).toEqual([]);
});
