/** What the calls do where the kernel or the C library has less than they ask for first. */
import { readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { useTempDir } from '../../../test/support/temp-dir.ts';
import { refusing, withoutSyscalls } from '../../../test/support/without-syscalls.ts';
import { AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW, O_NOFOLLOW, O_PATH, O_RDWR, O_TMPFILE } from '../constants.ts';
import { EEXIST, EINVAL, ENOENT, ENOSYS, EOPNOTSUPP } from '../errno.ts';
import { Stat } from '../stat.ts';
import { bindSys, openSys } from '../sys-koffi.ts';
import { openLibc } from './libc.ts';

const dir = useTempDir(openSys());
const libc = openLibc();

describe('without fchmodat2', () => {
  let chmods = 0;
  const sys = bindSys(
    refusing(libc, (name) => {
      if (name === 'chmod') chmods++;
      return name === 'fchmodat2' ? ENOSYS : 0;
    }),
  );
  const mode = (): number => statSync(dir.at('f')).mode & 0o7777;

  it('chmod goes through a descriptor, and still refuses symlinks', () => {
    writeFileSync(dir.at('f'), '');
    symlinkSync('f', dir.at('l'));
    expect(sys.fchmodat(dir.fd, 'f', 0o4750, AT_SYMLINK_NOFOLLOW)).toBe(0);
    expect(mode()).toBe(0o4750);
    // Not even tried: before 6.6 it would change the symlink's mode and then say that it cannot.
    const before = chmods;
    expect(sys.fchmodat(dir.fd, 'l', 0o600, AT_SYMLINK_NOFOLLOW)).toBe(-EOPNOTSUPP);
    expect(chmods).toBe(before);
    expect(mode()).toBe(0o4750);
    expect(sys.fchmodat(dir.fd, 'l', 0o640, 0)).toBe(0);
    expect(mode()).toBe(0o640);
    expect(sys.fchmodat(dir.fd, 'missing', 0o600, AT_SYMLINK_NOFOLLOW)).toBe(-ENOENT);
  });

  it('an O_PATH descriptor is reached too', () => {
    writeFileSync(dir.at('f'), '');
    symlinkSync('f', dir.at('l'));
    const fd = sys.openat(dir.fd, 'f', O_PATH, 0);
    expect(sys.fchmodat(fd, '', 0o2711, AT_EMPTY_PATH)).toBe(0);
    expect(mode()).toBe(0o2711);
    const link = sys.openat(dir.fd, 'l', O_PATH | O_NOFOLLOW, 0);
    expect(sys.fchmodat(link, '', 0o600, AT_EMPTY_PATH)).toBe(-EOPNOTSUPP);
    sys.close(fd);
    sys.close(link);
  });
});

describe('without AT_EMPTY_PATH', () => {
  it('times of a descriptor are set through its magic link', () => {
    const sys = bindSys(
      refusing(libc, (name, args) =>
        name === 'utimensat' && ((args[3] as number) & AT_EMPTY_PATH) !== 0 ? EINVAL : 0,
      ),
    );
    writeFileSync(dir.at('f'), '');
    symlinkSync('f', dir.at('l'));
    const s = new Stat();
    for (const name of ['f', 'l']) {
      const fd = sys.openat(dir.fd, name, O_PATH | O_NOFOLLOW, 0);
      expect(sys.utimensat(fd, '', -7, 8, 9, 10, 0)).toBe(0);
      sys.fstat(fd, s);
      expect([s.atime, s.atimeNsec, s.mtime, s.mtimeNsec]).toEqual([-7, 8, 9, 10]);
      sys.close(fd);
    }
    const fd = sys.openat(dir.fd, 'f', O_PATH, 0);
    expect(sys.utimensat(fd, '', 0, 2e9, 0, 0, 0)).toBe(-EINVAL);
    sys.close(fd);
  });

  it('an unnamed file is linked through its magic link', () => {
    const sys = bindSys(
      refusing(libc, (name, args) => (name === 'linkat' && ((args[4] as number) & AT_EMPTY_PATH) !== 0 ? ENOENT : 0)),
    );
    const fd = sys.openat(dir.fd, '.', O_TMPFILE | O_RDWR, 0o600);
    sys.write(fd, Buffer.from('data'), 0, 4);
    expect(sys.linkat(fd, '', dir.fd, 'f', AT_EMPTY_PATH)).toBe(0);
    expect(readFileSync(dir.at('f'), 'utf8')).toBe('data');
    expect(sys.linkat(fd, '', dir.fd, 'f', AT_EMPTY_PATH)).toBe(-EEXIST);
    sys.close(fd);
  });
});

describe('a call that nothing replaces', () => {
  it('answers ENOSYS', () => {
    const sys = bindSys(withoutSyscalls(libc, ['openat2', 'open_tree', 'fsopen', 'file_getattr']));
    expect(sys.openat2(dir.fd, '.', O_PATH, 0, 0)).toBe(-ENOSYS);
    expect(sys.openTree(dir.fd, '', AT_EMPTY_PATH)).toBe(-ENOSYS);
    expect(sys.fsopen('tmpfs', 0)).toBe(-ENOSYS);
    expect(sys.fileGetattr(dir.fd, '.', 0)).toBe(-ENOSYS);
  });
});

describe('a function that the C library lacks', () => {
  it('is called by number', () => {
    const sys = bindSys({
      ...libc,
      func: (name, result, args) =>
        ['statx', 'renameat2', 'getdents64', 'copy_file_range'].includes(name)
          ? libc.syscall(name as 'statx', args)
          : libc.func(name, result, args),
    });
    writeFileSync(dir.at('f'), '12345');
    const s = new Stat();
    expect(sys.statx(dir.fd, 'f', 0, s)).toBe(0);
    expect(s.size).toBe(5);
    expect(sys.renameat2(dir.fd, 'f', dir.fd, 'g', 0)).toBe(0);
    expect(sys.getdents64(dir.fd, Buffer.alloc(4096))).toBe(72);
    const fd = sys.openat(dir.fd, 'g', O_RDWR, 0);
    expect(sys.copyFileRange(fd, 0, fd, 5, 3)).toBe(3);
    expect(readFileSync(dir.at('g'), 'utf8')).toBe('12345123');
    sys.close(fd);
    expect(sys.statx(dir.fd, 'f', 0, s)).toBe(-ENOENT);
  });

  it('is an error when it has no number either', () => {
    expect(() => libc.func('no_such_function', 'int', [])).toThrow(/no_such_function/);
    // A wrapper that came with a newer library than the oldest that we run on.
    expect(libc.func('fchmodat2', 'int', ['int64', 'uintptr_t', 'int64', 'int64'])).toBeTypeOf('function');
  });
});
