import { execFileSync } from 'node:child_process';
import { chmodSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { isRoot, needsRoot, useTempDir } from '../../../test/support/temp-dir.ts';
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  F_OK,
  O_NOFOLLOW,
  O_PATH,
  O_RDWR,
  R_OK,
  S_IFCHR,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  STATX_BTIME,
  STATX_MNT_ID,
  UTIME_NOW,
  UTIME_OMIT,
  X_OK,
} from '../constants.ts';
import { EACCES, EBADF, EINVAL, ENOENT, EOPNOTSUPP } from '../errno.ts';
import { makedev, Stat } from '../stat.ts';
import { openSys } from '../sys-koffi.ts';

const sys = openSys();
const dir = useTempDir(sys);
const NO_FD = 1 << 20;

/** What stat(1) prints, byte for byte, against what we decoded. */
function statLine(path: string): string {
  return execFileSync('stat', ['-c', '%d %i %f %h %u %g %t:%T %s %o %b %X %.X %Y %.Y %Z %.Z %W', path], {
    encoding: 'utf8',
  }).trim();
}

function ourLine(s: Stat): string {
  const at = (sec: number, nsec: number): string => `${sec}.${String(nsec).padStart(9, '0')}`;
  const dev = Number(BigInt(s.dev));
  return [
    dev,
    s.ino,
    s.mode.toString(16),
    s.nlink,
    s.uid,
    s.gid,
    `${((s.rdev >>> 8) & 0xfff).toString(16)}:${((s.rdev & 0xff) | ((s.rdev >>> 12) & 0xfff00)).toString(16)}`,
    s.size,
    s.blksize,
    s.blocks,
    s.atime,
    at(s.atime, s.atimeNsec),
    s.mtime,
    at(s.mtime, s.mtimeNsec),
    s.ctime,
    at(s.ctime, s.ctimeNsec),
    s.btime,
  ].join(' ');
}

describe('statx', () => {
  it.each(['/', '/etc/passwd', '/dev/null', '/proc/1/status', '/dev', '/usr/bin/env'])(
    'decodes %s as stat(1) prints it',
    (path) => {
      const s = new Stat();
      expect(sys.statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, s)).toBe(0);
      // The times of files in /proc are those of the asking.
      const drop = path.startsWith('/proc') ? 10 : 17;
      expect(ourLine(s).split(' ').slice(0, drop)).toEqual(statLine(path).split(' ').slice(0, drop));
    },
  );

  it('agrees with node in every field', () => {
    writeFileSync(dir.at('f'), 'x'.repeat(5000));
    const s = new Stat();
    expect(sys.statx(dir.fd, 'f', 0, s)).toBe(0);
    const b = statSync(dir.at('f'), { bigint: true });
    expect(s.ino).toBe(b.ino);
    expect(BigInt(s.mtime) * 1_000_000_000n + BigInt(s.mtimeNsec)).toBe(b.mtimeNs);
    expect(BigInt(s.ctime) * 1_000_000_000n + BigInt(s.ctimeNsec)).toBe(b.ctimeNs);
    expect([s.size, s.blocks, s.blksize, s.nlink]).toEqual([b.size, b.blocks, b.blksize, b.nlink].map(Number));
    expect(s.type).toBe(S_IFREG);
    expect(s.mask & STATX_MNT_ID).toBe(STATX_MNT_ID);
    expect(s.mntId).toBeGreaterThan(0);
    if (s.mask & STATX_BTIME) expect(BigInt(s.btime) * 1_000_000_000n + BigInt(s.btimeNsec)).toBe(b.birthtimeNs);
  });

  it('answers errors and leaves the object as it was', () => {
    const s = new Stat();
    s.size = 77;
    expect(sys.statx(dir.fd, 'missing', 0, s)).toBe(-ENOENT);
    expect(sys.statx(NO_FD, 'missing', 0, s)).toBe(-EBADF);
    expect(sys.statx(dir.fd, '', 0, s)).toBe(-ENOENT);
    expect(sys.statx(dir.fd, 'a\0', 0, s)).toBe(-EINVAL);
    expect(sys.fstat(NO_FD, s)).toBe(-EBADF);
    expect(s.size).toBe(77);
  });

  it('follows a symlink or not, and reads O_PATH descriptors', () => {
    writeFileSync(dir.at('f'), '');
    symlinkSync('f', dir.at('l'));
    const s = new Stat();
    expect(sys.statx(dir.fd, 'l', 0, s)).toBe(0);
    expect(s.type).toBe(S_IFREG);
    expect(sys.statx(dir.fd, 'l', AT_SYMLINK_NOFOLLOW, s)).toBe(0);
    expect(s.type).toBe(S_IFLNK);
    const fd = sys.openat(dir.fd, 'l', O_PATH | O_NOFOLLOW, 0);
    expect(sys.fstat(fd, s)).toBe(0);
    expect(s.type).toBe(S_IFLNK);
    expect(s.size).toBe(1);
    sys.close(fd);
  });

  it('copies whole with set', () => {
    const s = new Stat();
    sys.statx(AT_FDCWD, '/dev/null', 0, s);
    expect(new Stat().set(s)).toEqual(s);
    expect(s.mode & S_IFMT).toBe(S_IFCHR);
    expect(s.rdev).toBe(makedev(1, 3));
  });
});

describe('utimensat', () => {
  it.each([
    [-2_000_000_000, 1],
    [-1, 999_999_999],
    [0, 0],
    [2 ** 32 + 5, 123_456_789],
    [10_000_000_000, 7],
  ])('keeps %d s and %d ns', (sec, nsec) => {
    writeFileSync(dir.at('f'), '');
    expect(sys.utimensat(dir.fd, 'f', sec, nsec, sec + 1, nsec, 0)).toBe(0);
    const s = new Stat();
    sys.statx(dir.fd, 'f', 0, s);
    expect([s.atime, s.atimeNsec, s.mtime, s.mtimeNsec]).toEqual([sec, nsec, sec + 1, nsec]);
    const b = statSync(dir.at('f'), { bigint: true });
    expect(b.atimeNs).toBe(BigInt(sec) * 1_000_000_000n + BigInt(nsec));
  });

  it('leaves or takes the clock as told', () => {
    writeFileSync(dir.at('f'), '');
    sys.utimensat(dir.fd, 'f', 5, 6, 7, 8, 0);
    expect(sys.utimensat(dir.fd, 'f', 0, UTIME_OMIT, 0, UTIME_NOW, 0)).toBe(0);
    const s = new Stat();
    sys.statx(dir.fd, 'f', 0, s);
    expect([s.atime, s.atimeNsec]).toEqual([5, 6]);
    expect(Math.abs(s.mtime - Date.now() / 1000)).toBeLessThan(60);
  });

  it('acts on descriptors, O_PATH too, and on symlinks themselves', () => {
    writeFileSync(dir.at('f'), '');
    symlinkSync('f', dir.at('l'));
    const s = new Stat();
    expect(sys.utimensat(dir.fd, 'l', 1, 2, 3, 4, AT_SYMLINK_NOFOLLOW)).toBe(0);
    sys.statx(dir.fd, 'l', AT_SYMLINK_NOFOLLOW, s);
    expect([s.atime, s.mtimeNsec]).toEqual([1, 4]);
    for (const flags of [O_PATH | O_NOFOLLOW, O_RDWR]) {
      const fd = sys.openat(dir.fd, 'f', flags, 0);
      expect(sys.utimensat(fd, '', 11, 12, 13 + flags, 14, 0)).toBe(0);
      expect(sys.fstat(fd, s)).toBe(0);
      expect([s.atime, s.atimeNsec, s.mtime, s.mtimeNsec]).toEqual([11, 12, 13 + flags, 14]);
      sys.close(fd);
    }
  });

  it('answers errors', () => {
    expect(sys.utimensat(dir.fd, 'missing', 0, 0, 0, 0, 0)).toBe(-ENOENT);
    expect(sys.utimensat(dir.fd, '.', 0, 1e9, 0, 0, 0)).toBe(-EINVAL);
    expect(sys.utimensat(NO_FD, '', 0, 0, 0, 0, 0)).toBe(-EBADF);
  });
});

describe('chmod', () => {
  it('by name, by descriptor and by O_PATH', () => {
    writeFileSync(dir.at('f'), '');
    const mode = (): number => statSync(dir.at('f')).mode & 0o7777;
    expect(sys.fchmodat(dir.fd, 'f', 0o4711, 0)).toBe(0);
    expect(mode()).toBe(0o4711);
    expect(sys.fchmodat(dir.fd, 'f', 0o600, AT_SYMLINK_NOFOLLOW)).toBe(0);
    expect(mode()).toBe(0o600);
    const path = sys.openat(dir.fd, 'f', O_PATH, 0);
    expect(sys.fchmodat(path, '', 0o2755, AT_EMPTY_PATH)).toBe(0);
    expect(mode()).toBe(0o2755);
    expect(sys.fchmod(path, 0)).toBe(-EBADF);
    const open = sys.openat(dir.fd, 'f', O_RDWR, 0);
    expect(sys.fchmod(open, 0o1640)).toBe(0);
    expect(mode()).toBe(0o1640);
    sys.close(path);
    sys.close(open);
  });

  it('refuses a symlink and what is missing', () => {
    symlinkSync('x', dir.at('l'));
    expect(sys.fchmodat(dir.fd, 'l', 0o600, AT_SYMLINK_NOFOLLOW)).toBe(-EOPNOTSUPP);
    expect(sys.fchmodat(dir.fd, 'l', 0o600, 0)).toBe(-ENOENT);
    expect(sys.fchmodat(dir.fd, 'missing', 0o600, AT_SYMLINK_NOFOLLOW)).toBe(-ENOENT);
  });
});

describe('faccessat', () => {
  it('asks for existence and rights', () => {
    writeFileSync(dir.at('f'), '');
    chmodSync(dir.at('f'), 0o600);
    expect(sys.faccessat(dir.fd, 'f', F_OK, 0)).toBe(0);
    expect(sys.faccessat(dir.fd, 'f', R_OK, 0)).toBe(0);
    expect(sys.faccessat(dir.fd, 'f', X_OK, 0)).toBe(-EACCES);
    expect(sys.faccessat(dir.fd, 'missing', F_OK, 0)).toBe(-ENOENT);
  });
});

describe.skipIf(!isRoot)(needsRoot('fchownat'), () => {
  it('sets either id alone, on names, symlinks and descriptors', () => {
    writeFileSync(dir.at('f'), '');
    symlinkSync('f', dir.at('l'));
    const s = new Stat();
    const owner = (name: string): [number, number] => {
      sys.statx(dir.fd, name, AT_SYMLINK_NOFOLLOW, s);
      return [s.uid, s.gid];
    };
    expect(sys.fchownat(dir.fd, 'f', 1000, -1, 0)).toBe(0);
    expect(owner('f')).toEqual([1000, 0]);
    expect(sys.fchownat(dir.fd, 'l', -1, 4_294_967_290, AT_SYMLINK_NOFOLLOW)).toBe(0);
    expect(owner('l')).toEqual([0, 4_294_967_290]);
    expect(owner('f')).toEqual([1000, 0]);
    const fd = sys.openat(dir.fd, 'f', O_PATH, 0);
    expect(sys.fchownat(fd, '', 7, 8, AT_EMPTY_PATH)).toBe(0);
    expect(owner('f')).toEqual([7, 8]);
    sys.close(fd);
    expect(sys.fchownat(dir.fd, 'missing', 0, 0, 0)).toBe(-ENOENT);
  });
});
