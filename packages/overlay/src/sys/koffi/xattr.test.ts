import { symlinkSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { isRoot, needsRoot, useTempDir } from '../../../test/support/temp-dir.ts';
import { withoutSyscalls } from '../../../test/support/without-syscalls.ts';
import { AT_FDCWD, O_NOFOLLOW, O_PATH, O_RDONLY, XATTR_CREATE, XATTR_REPLACE } from '../constants.ts';
import { E2BIG, EBADF, EEXIST, EINVAL, ENODATA, ENOENT, EOPNOTSUPP, EPERM, ERANGE } from '../errno.ts';
import type { Sys } from '../sys.ts';
import { bindSys, openSys } from '../sys-koffi.ts';
import { openLibc, type SyscallName } from './libc.ts';

const xattrat: SyscallName[] = ['getxattrat', 'setxattrat', 'listxattrat', 'removexattrat'];
const NONE = new Uint8Array(0);
const NO_FD = 1 << 20;

const tables: [string, Sys][] = [
  ['this kernel', openSys()],
  ['a kernel without the *xattrat calls', bindSys(withoutSyscalls(openLibc(), xattrat))],
  ['a filter that answers EPERM to them', bindSys(withoutSyscalls(openLibc(), xattrat, EPERM))],
];

describe.each(tables)('xattrs on %s', (_title, sys) => {
  const dir = useTempDir(sys);
  const buf = Buffer.alloc(65536);
  const got = (r: number): string | number => (r < 0 ? r : buf.toString('latin1', 0, r));

  it('by (directory, name): set, get, list, remove', () => {
    writeFileSync(dir.at('f\xff'), '');
    const f = Buffer.from('f\xff', 'utf8').toString('latin1');
    const value = Buffer.from([0, 1, 0xff, 0]);
    expect(sys.setxattrat(dir.fd, f, 'user.a', value, 0)).toBe(0);
    expect(got(sys.getxattrat(dir.fd, f, 'user.a', buf))).toBe(value.toString('latin1'));
    expect(sys.getxattrat(dir.fd, f, 'user.a', NONE)).toBe(4);
    expect(sys.getxattrat(dir.fd, f, 'user.a', Buffer.alloc(3))).toBe(-ERANGE);
    expect(sys.setxattrat(dir.fd, f, 'user.empty', NONE, XATTR_CREATE)).toBe(0);
    expect(sys.getxattrat(dir.fd, f, 'user.empty', buf)).toBe(0);
    expect(
      String(got(sys.listxattrat(dir.fd, f, buf)))
        .split('\0')
        .sort(),
    ).toEqual(['', 'user.a', 'user.empty']);
    expect(sys.listxattrat(dir.fd, f, NONE)).toBe('user.a\0user.empty\0'.length);
    expect(sys.listxattrat(dir.fd, f, Buffer.alloc(3))).toBe(-ERANGE);
    expect(sys.setxattrat(dir.fd, f, 'user.a', NONE, XATTR_CREATE)).toBe(-EEXIST);
    expect(sys.setxattrat(dir.fd, f, 'user.b', NONE, XATTR_REPLACE)).toBe(-ENODATA);
    expect(sys.removexattrat(dir.fd, f, 'user.a')).toBe(0);
    expect(sys.removexattrat(dir.fd, f, 'user.a')).toBe(-ENODATA);
    expect(sys.getxattrat(dir.fd, f, 'user.a', buf)).toBe(-ENODATA);
  });

  it('by absolute path, from the working directory and of the directory itself', () => {
    writeFileSync(dir.at('f'), '');
    expect(sys.setxattrat(NO_FD, dir.at('f'), 'user.a', Buffer.from('v'), 0)).toBe(0);
    expect(got(sys.getxattrat(AT_FDCWD, dir.at('f'), 'user.a', buf))).toBe('v');
    expect(sys.setxattrat(dir.fd, '.', 'user.d', Buffer.from('dir'), 0)).toBe(0);
    expect(got(sys.getxattrat(dir.fd, '', 'user.d', buf))).toBe('dir');
  });

  it.each([
    ['an open', O_RDONLY],
    ['an O_PATH', O_PATH],
  ])('by %s descriptor', (_kind, flags) => {
    writeFileSync(dir.at('f'), '');
    const fd = sys.openat(dir.fd, 'f', flags, 0);
    expect(sys.setxattrat(fd, '', 'user.a', Buffer.from('one'), XATTR_CREATE)).toBe(0);
    expect(got(sys.getxattrat(fd, '', 'user.a', buf))).toBe('one');
    expect(got(sys.listxattrat(fd, '', buf))).toBe('user.a\0');
    expect(sys.removexattrat(fd, '', 'user.a')).toBe(0);
    expect(sys.getxattrat(fd, '', 'user.a', buf)).toBe(-ENODATA);
    expect(sys.setxattrat(fd, '', 'user.a', NONE, XATTR_REPLACE)).toBe(-ENODATA);
    expect(sys.listxattrat(fd, '', buf)).toBe(0);
    sys.close(fd);
  });

  it('by an open descriptor with the f-calls', () => {
    writeFileSync(dir.at('f'), '');
    const fd = sys.openat(dir.fd, 'f', O_RDONLY, 0);
    expect(sys.fsetxattr(fd, 'user.a', Buffer.from('one'), 0)).toBe(0);
    expect(got(sys.fgetxattr(fd, 'user.a', buf))).toBe('one');
    expect(got(sys.flistxattr(fd, buf))).toBe('user.a\0');
    expect(sys.fremovexattr(fd, 'user.a')).toBe(0);
    expect(sys.fremovexattr(fd, 'user.a')).toBe(-ENODATA);
    expect(sys.fsetxattr(fd, 'user.a', NONE, XATTR_REPLACE)).toBe(-ENODATA);
    sys.close(fd);
    expect(sys.fgetxattr(fd, 'user.a', buf)).toBe(-EBADF);
    expect(sys.flistxattr(fd, buf)).toBe(-EBADF);
  });

  it.skipIf(!isRoot)(needsRoot('trusted ones on symlinks themselves, by name and by O_PATH'), () => {
    writeFileSync(dir.at('f'), '');
    symlinkSync('f', dir.at('l'));
    expect(sys.setxattrat(dir.fd, 'l', 'trusted.a', Buffer.from('link'), 0)).toBe(0);
    expect(sys.getxattrat(dir.fd, 'f', 'trusted.a', buf)).toBe(-ENODATA);
    expect(got(sys.getxattrat(dir.fd, 'l', 'trusted.a', buf))).toBe('link');
    const fd = sys.openat(dir.fd, 'l', O_PATH | O_NOFOLLOW, 0);
    expect(got(sys.getxattrat(fd, '', 'trusted.a', buf))).toBe('link');
    expect(sys.setxattrat(fd, '', 'trusted.b', Buffer.from('2'), 0)).toBe(0);
    expect(sys.removexattrat(fd, '', 'trusted.a')).toBe(0);
    expect(got(sys.listxattrat(dir.fd, 'l', buf))).toBe('trusted.b\0');
    expect(sys.getxattrat(dir.fd, 'f', 'trusted.b', buf)).toBe(-ENODATA);
    expect(sys.setxattrat(dir.fd, 'l', 'user.a', NONE, 0)).toBe(-EPERM);
    sys.close(fd);
  });

  it('answers errors', () => {
    writeFileSync(dir.at('f'), '');
    expect(sys.getxattrat(dir.fd, 'missing', 'user.a', buf)).toBe(-ENOENT);
    expect(sys.setxattrat(dir.fd, 'missing', 'user.a', buf.subarray(0, 1), 0)).toBe(-ENOENT);
    expect(sys.listxattrat(dir.fd, 'missing', buf)).toBe(-ENOENT);
    expect(sys.removexattrat(dir.fd, 'missing', 'user.a')).toBe(-ENOENT);
    expect(sys.getxattrat(dir.fd, 'f', 'nonsense', buf)).toBe(-EOPNOTSUPP);
    expect(sys.getxattrat(dir.fd, 'f', 'user.a\0', buf)).toBe(-EINVAL);
    expect(sys.getxattrat(dir.fd, 'f\0', 'user.a', buf)).toBe(-EINVAL);
    expect(sys.getxattrat(dir.fd, 'f', `user.${'n'.repeat(251)}`, buf)).toBe(-ERANGE);
    expect(sys.getxattrat(dir.fd, 'f', `user.${'n'.repeat(250)}`, buf)).toBe(-ENODATA);
    expect(sys.setxattrat(dir.fd, 'f', 'user.a', Buffer.alloc(65537), 0)).toBe(-E2BIG);
    expect(sys.setxattrat(dir.fd, 'f', 'user.a', NONE, 77)).toBe(-EINVAL);
    expect(sys.getxattrat(NO_FD, '', 'user.a', buf)).toBeLessThan(0);
    expect(sys.setxattrat(NO_FD, '', 'user.a', NONE, 0)).toBeLessThan(0);
  });
});
