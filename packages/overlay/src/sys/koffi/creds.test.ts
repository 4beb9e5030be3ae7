import { readdirSync, readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { isRoot, needsRoot, useTempDir } from '../../../test/support/temp-dir.ts';
import { AT_FDCWD, O_RDONLY } from '../constants.ts';
import { EACCES, EPERM, ESRCH } from '../errno.ts';
import { Stat } from '../stat.ts';
import { openSys } from '../sys-koffi.ts';

const sys = openSys();
const dir = useTempDir(sys);

/** One line of /proc/…/status of each thread of this process; the main thread, which calls, comes first. */
function threads(field: string): string[][] {
  const main = String(process.pid);
  const tids = readdirSync('/proc/self/task').sort((a, b) => Number(b === main) - Number(a === main));
  return tids.map((tid) => {
    const status = readFileSync(`/proc/self/task/${tid}/status`, 'utf8');
    return new RegExp(`^${field}:(.*)$`, 'm').exec(status)?.[1].trim().split(/\s+/) ?? [];
  });
}

describe('ids', () => {
  it('are those of the process', () => {
    expect(sys.geteuid()).toBe(process.geteuid?.());
    expect(sys.getegid()).toBe(process.getegid?.());
  });

  it('umask answers the old one', () => {
    const old = sys.umask(0o27);
    expect(process.umask()).toBe(0o27);
    expect(sys.umask(old)).toBe(0o27);
  });

  it('kill asks whether a process is there', () => {
    expect(sys.kill(process.pid, 0)).toBe(0);
    expect(sys.kill(2 ** 22 + 1, 0)).toBe(-ESRCH);
  });
});

describe.skipIf(!isRoot)(needsRoot('credentials of one thread'), () => {
  const caps = sys.getcap();
  const groups = process.getgroups?.() ?? [];
  afterEach(() => {
    sys.setfsuid(0);
    sys.setfsgid(0);
    sys.setgroups(groups);
    if (typeof caps !== 'number') sys.setcapEffective(caps[0], caps[1]);
  });

  it('setfsuid and setfsgid change the caller and nobody else, and answer the previous id', () => {
    expect(sys.setfsgid(1001)).toBe(0);
    expect(sys.setfsuid(1000)).toBe(0);
    expect(sys.setfsuid(1000)).toBe(1000);
    const uids = threads('Uid').map((ids) => ids[3]);
    expect(uids.length).toBeGreaterThan(1);
    expect(uids[0]).toBe('1000');
    expect(new Set(uids.slice(1))).toEqual(new Set(['0']));
    expect(threads('Gid').map((ids) => ids[3])[0]).toBe('1001');
    expect(
      new Set(
        threads('Gid')
          .map((ids) => ids[3])
          .slice(1),
      ),
    ).toEqual(new Set(['0']));
  });

  it('a file made under other ids belongs to them', () => {
    sys.fchmod(dir.fd, 0o777);
    sys.setfsgid(1001);
    sys.setfsuid(1000);
    expect(sys.mkdirat(dir.fd, 'd', 0o700)).toBe(0);
    expect(sys.openat(AT_FDCWD, '/etc/shadow', O_RDONLY, 0)).toBe(-EACCES);
    sys.setfsuid(0);
    sys.setfsgid(0);
    const s = new Stat();
    sys.statx(dir.fd, 'd', 0, s);
    expect([s.uid, s.gid]).toEqual([1000, 1001]);
  });

  it('setgroups changes the caller and nobody else', () => {
    expect(sys.setgroups([5, 4_000_000_000, 7])).toBe(0);
    const all = threads('Groups');
    expect(all[0]).toEqual(['5', '7', '4000000000']);
    for (const others of all.slice(1)) expect(others).not.toEqual(all[0]);
    expect(sys.setgroups([])).toBe(0);
    expect(threads('Groups')[0]).toEqual(['']);
  });

  it('setcapEffective drops and takes back', () => {
    if (typeof caps === 'number') throw new Error(`capget: ${caps}`);
    expect(sys.setcapEffective(0, 0)).toBe(0);
    expect(threads('CapEff')[0]).toEqual(['0000000000000000']);
    expect(threads('CapEff')[1]).not.toEqual(['0000000000000000']);
    expect(sys.getcap()).toEqual([0, 0]);
    expect(sys.setgroups([1])).toBe(-EPERM);
    expect(sys.setcapEffective(caps[0], caps[1])).toBe(0);
    expect(sys.getcap()).toEqual(caps);
    // More than is permitted.
    expect(sys.setcapEffective(0xffffffff, 0xffffffff)).toBe(-EPERM);
  });
});
