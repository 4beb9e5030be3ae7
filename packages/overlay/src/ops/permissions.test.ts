import { describe, expect, it } from 'vitest';
import { Stat } from '../sys/stat.ts';
import { permits } from './permissions.ts';

const stat = (mode: number, uid = 10, gid = 20): Stat => Object.assign(new Stat(), { mode: 0o100000 | mode, uid, gid });
const who = (uid: number, gid: number, groups?: number[]) => ({
  uid,
  gid,
  pid: 1,
  umask: 0,
  ...(groups ? { groups } : {}),
});
const entry = (tag: number, perm: number, id = 0xffffffff): Buffer => {
  const b = Buffer.alloc(8);
  b.writeUInt16LE(tag, 0);
  b.writeUInt16LE(perm, 2);
  b.writeUInt32LE(id, 4);
  return b;
};
const acl = (...entries: Buffer[]): Buffer => Buffer.concat([Buffer.from([2, 0, 0, 0]), ...entries]);

describe('mode bits', () => {
  it.each([
    ['owner by the first three', 0o400, who(10, 1), 4, true],
    ['owner is not helped by others', 0o077, who(10, 20), 4, false],
    ['group by the second three', 0o040, who(1, 20), 4, true],
    ['group by a supplementary group', 0o040, who(1, 2, [20]), 4, true],
    ['group is not helped by others', 0o007, who(1, 20), 4, false],
    ['others', 0o004, who(1, 2), 4, true],
    ['all of the mask counts', 0o004, who(1, 2), 6, false],
    ['root reads and writes anything', 0o000, who(0, 0), 6, true],
    ['root executes nothing that nobody may', 0o666, who(0, 0), 1, false],
    ['root executes what somebody may', 0o001, who(0, 0), 1, true],
  ])('%s', (_name, mode, caller, mask, allowed) => {
    expect(permits(caller, stat(mode), null, mask)).toBe(allowed);
  });

  it('root searches any directory', () => {
    expect(permits(who(0, 0), Object.assign(new Stat(), { mode: 0o040000 }), null, 1)).toBe(true);
  });
});

describe('access ACLs', () => {
  const list = acl(entry(1, 6), entry(2, 7, 1000), entry(4, 4), entry(8, 6, 77), entry(0x10, 6), entry(0x20, 0));
  it.each([
    ['a named user, within the mask', who(1000, 1), 6, true],
    ['a named user, beyond the mask', who(1000, 1), 1, false],
    ['a named group', who(1, 77), 2, true],
    ['the owning group', who(1, 20), 4, true],
    ['the owning group beyond its entry', who(1, 20), 2, false],
    ['either group may grant', who(1, 20, [77]), 2, true],
    ['others', who(1, 2), 4, false],
    ['the owner is judged by the mode', who(10, 1), 6, true],
  ])('%s', (_name, caller, mask, allowed) => {
    expect(permits(caller, stat(0o660), list, mask)).toBe(allowed);
  });
});
