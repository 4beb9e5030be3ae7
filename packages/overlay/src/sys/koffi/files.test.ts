import { closeSync, openSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { useTempDir } from '../../../test/support/temp-dir.ts';
import {
  AT_FDCWD,
  F_GETFD,
  F_GETFL,
  F_SETFL,
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  FD_CLOEXEC,
  LOCK_EX,
  LOCK_NB,
  LOCK_SH,
  LOCK_UN,
  O_APPEND,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOFOLLOW,
  O_RDONLY,
  O_RDWR,
  O_TMPFILE,
  O_WRONLY,
  POSIX_FADV_DONTNEED,
  RESOLVE_BENEATH,
  RESOLVE_NO_SYMLINKS,
  SEEK_CUR,
  SEEK_DATA,
  SEEK_END,
  SEEK_HOLE,
  SEEK_SET,
} from '../constants.ts';
import {
  EAGAIN,
  EBADF,
  EEXIST,
  EFAULT,
  EINVAL,
  EISDIR,
  ELOOP,
  ENAMETOOLONG,
  ENOENT,
  ENOSYS,
  ENOTDIR,
  ENXIO,
  EOPNOTSUPP,
  ESPIPE,
  EXDEV,
} from '../errno.ts';
import { openSys } from '../sys-koffi.ts';

const sys = openSys();
const dir = useTempDir(sys);
const NO_FD = 1 << 20;

/** A read-write file `name` with `content`. */
function file(name: string, content = ''): number {
  writeFileSync(dir.at(name), content);
  return sys.openat(dir.fd, name, O_RDWR, 0);
}

describe('openat', () => {
  it('creates with the mode given and close-on-exec', () => {
    const old = sys.umask(0);
    const fd = sys.openat(dir.fd, 'new', O_CREAT | O_EXCL | O_WRONLY, 0o640);
    sys.umask(old);
    expect(fd).toBeGreaterThan(0);
    expect(statSync(dir.at('new')).mode & 0o7777).toBe(0o640);
    expect(sys.fcntl(fd, F_GETFD, 0)).toBe(FD_CLOEXEC);
    expect(sys.close(fd)).toBe(0);
  });

  it('answers the errno negated', () => {
    writeFileSync(dir.at('f'), '');
    expect(sys.openat(dir.fd, 'missing', O_RDONLY, 0)).toBe(-ENOENT);
    expect(sys.openat(dir.fd, 'f', O_CREAT | O_EXCL, 0)).toBe(-EEXIST);
    expect(sys.openat(dir.fd, 'f', O_DIRECTORY, 0)).toBe(-ENOTDIR);
    expect(sys.openat(dir.fd, '.', O_WRONLY, 0)).toBe(-EISDIR);
    expect(sys.openat(NO_FD, 'f', O_RDONLY, 0)).toBe(-EBADF);
  });

  it('refuses names that are no C strings, and long ones before they are cut', () => {
    expect(sys.openat(dir.fd, 'a\0b', O_RDONLY, 0)).toBe(-EINVAL);
    expect(sys.openat(dir.fd, 'euro €', O_RDONLY, 0)).toBe(-EINVAL);
    expect(sys.openat(dir.fd, 'x'.repeat(256), O_RDONLY, 0)).toBe(-ENAMETOOLONG);
    expect(sys.openat(AT_FDCWD, '/'.repeat(4096), O_RDONLY, 0)).toBe(-ENAMETOOLONG);
    const longest = sys.openat(AT_FDCWD, '/'.repeat(4095), O_RDONLY, 0);
    expect(longest).toBeGreaterThan(0);
    sys.close(longest);
  });
});

describe('openat2', () => {
  it('stays beneath the directory and follows no symlink where told so', () => {
    sys.symlinkat('/etc/passwd', dir.fd, 'out');
    sys.symlinkat('f', dir.fd, 'in');
    writeFileSync(dir.at('f'), 'x');
    expect(sys.openat2(dir.fd, '../../etc', O_RDONLY, 0, RESOLVE_BENEATH)).toBe(-EXDEV);
    expect(sys.openat2(dir.fd, 'out', O_RDONLY, 0, RESOLVE_BENEATH)).toBe(-EXDEV);
    expect(sys.openat2(dir.fd, 'in', O_RDONLY, 0, RESOLVE_NO_SYMLINKS)).toBe(-ELOOP);
    const fd = sys.openat2(dir.fd, 'in', O_RDONLY, 0, RESOLVE_BENEATH);
    expect(fd).toBeGreaterThan(0);
    expect(sys.fcntl(fd, F_GETFD, 0)).toBe(FD_CLOEXEC);
    sys.close(fd);
  });

  it('takes a mode that has nothing to create, as openat does', () => {
    writeFileSync(dir.at('f'), '');
    const fd = sys.openat2(dir.fd, 'f', O_RDONLY, 0o644, 0);
    expect(fd).toBeGreaterThan(0);
    sys.close(fd);
    const made = sys.openat2(dir.fd, 'g', O_CREAT | O_WRONLY, 0o600, RESOLVE_BENEATH);
    expect(made).toBeGreaterThan(0);
    sys.close(made);
    expect(statSync(dir.at('g')).mode & 0o777).toBe(0o600);
  });
});

describe('dup and fcntl', () => {
  it('duplicates to the lowest free number, or to a given one, close-on-exec', () => {
    const fd = file('f', 'abc');
    const copy = sys.dup(fd, -1);
    const chosen = sys.dup(fd, 200);
    expect(chosen).toBe(200);
    for (const d of [copy, chosen]) {
      expect(sys.fcntl(d, F_GETFD, 0)).toBe(FD_CLOEXEC);
      expect(sys.close(d)).toBe(0);
    }
    expect(sys.fcntl(fd, F_SETFL, O_APPEND)).toBe(0);
    expect(sys.fcntl(fd, F_GETFL, 0) & O_APPEND).toBe(O_APPEND);
    expect(sys.dup(NO_FD, -1)).toBe(-EBADF);
    expect(sys.dup(fd, fd)).toBe(-EINVAL);
    sys.close(fd);
    expect(sys.close(fd)).toBe(-EBADF);
  });
});

describe('data', () => {
  it('moves bytes between the file and the part of the buffer that was named', () => {
    const fd = file('f');
    const buf = Buffer.from('..hello..');
    expect(sys.write(fd, buf, 2, 5)).toBe(5);
    expect(sys.pwrite(fd, buf, 2, 1, 10)).toBe(1);
    expect(readFileSync(dir.at('f'), 'latin1')).toBe('hello\0\0\0\0\0h');

    const into = new Uint8Array(20).fill(0x2e);
    expect(sys.pread(fd, into, 3, 4, 1)).toBe(4);
    expect(Buffer.from(into).toString()).toBe(`...ello${'.'.repeat(13)}`);
    expect(sys.lseek(fd, 0, SEEK_SET)).toBe(0);
    expect(sys.read(fd, into, 0, 2)).toBe(2);
    expect(Buffer.from(into).toString().slice(0, 4)).toBe('he.e');
    expect(sys.pread(fd, into, 0, 4, 1000)).toBe(0);
    sys.close(fd);
  });

  it('reads into a view that is itself a part of a larger buffer', () => {
    const fd = file('f', 'abcdef');
    const whole = Buffer.alloc(16, '.');
    expect(sys.pread(fd, whole.subarray(4, 12), 2, 3, 0)).toBe(3);
    expect(whole.toString()).toBe('......abc.......');
    sys.close(fd);
  });

  it('touches no memory outside of the buffer', () => {
    const fd = file('f', 'abcdef');
    const buf = Buffer.alloc(4);
    for (const [off, len] of [
      [0, 5],
      [4, 1],
      [-1, 2],
      [0, -1],
    ]) {
      expect(sys.read(fd, buf, off, len)).toBe(-EFAULT);
      expect(sys.write(fd, buf, off, len)).toBe(-EFAULT);
      expect(sys.pread(fd, buf, off, len, 0)).toBe(-EFAULT);
      expect(sys.pwrite(fd, buf, off, len, 0)).toBe(-EFAULT);
    }
    expect(readFileSync(dir.at('f'), 'latin1')).toBe('abcdef');
    sys.close(fd);
  });

  it('answers errors of each', () => {
    const buf = Buffer.alloc(4);
    const readOnly = openSync('/etc/passwd', 'r');
    expect(sys.read(NO_FD, buf, 0, 4)).toBe(-EBADF);
    expect(sys.write(readOnly, buf, 0, 4)).toBe(-EBADF);
    expect(sys.pread(dir.fd, buf, 0, 4, 0)).toBe(-EISDIR);
    expect(sys.pwrite(readOnly, buf, 0, 4, 0)).toBe(-EBADF);
    closeSync(readOnly);
    const fd = file('f', 'abc');
    expect(sys.pread(fd, buf, 0, 4, -1)).toBe(-EINVAL);
    sys.close(fd);
    const [r, w] = sys.pipe2(0) as [number, number];
    expect(sys.lseek(r, 0, SEEK_CUR)).toBe(-ESPIPE);
    sys.close(r);
    sys.close(w);
  });

  it('works beyond 4 GiB', () => {
    const fd = file('f');
    const far = 5 * 2 ** 40 + 3;
    expect(sys.pwrite(fd, Buffer.from('x'), 0, 1, far)).toBe(1);
    expect(sys.lseek(fd, 0, SEEK_END)).toBe(far + 1);
    expect(sys.lseek(fd, 1, SEEK_DATA)).toBe(far - (far % 4096));
    expect(sys.ftruncate(fd, far - 10)).toBe(0);
    expect(statSync(dir.at('f')).size).toBe(far - 10);
    expect(sys.truncate(dir.at('f'), 7)).toBe(0);
    expect(statSync(dir.at('f')).size).toBe(7);
    expect(sys.ftruncate(fd, -1)).toBe(-EINVAL);
    expect(sys.truncate(dir.at('missing'), 7)).toBe(-ENOENT);
    sys.close(fd);
  });
});

describe('holes', () => {
  it('are found, made by punching, and space is allocated', () => {
    const fd = file('f');
    expect(sys.pwrite(fd, Buffer.alloc(3 * 65536, 1), 0, 3 * 65536, 0)).toBe(3 * 65536);
    expect(sys.lseek(fd, 0, SEEK_HOLE)).toBe(3 * 65536);
    expect(sys.fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 65536, 65536)).toBe(0);
    expect(sys.lseek(fd, 0, SEEK_HOLE)).toBe(65536);
    expect(sys.lseek(fd, 65536, SEEK_DATA)).toBe(131072);
    expect(sys.lseek(fd, 4 * 65536, SEEK_DATA)).toBe(-ENXIO);
    expect(sys.fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 1 << 20)).toBe(0);
    expect(statSync(dir.at('f')).size).toBe(3 * 65536);
    expect(statSync(dir.at('f')).blocks).toBeGreaterThanOrEqual((1 << 20) / 512);
    expect(sys.fallocate(fd, 0, 0, 0)).toBe(-EINVAL);
    sys.close(fd);
  });
});

describe('syncing', () => {
  it('accepts a file, a directory and its filesystem', () => {
    const fd = file('f', 'x');
    expect(sys.fsync(fd)).toBe(0);
    expect(sys.fdatasync(fd)).toBe(0);
    expect(sys.fsync(dir.fd)).toBe(0);
    expect(sys.syncfs(dir.fd)).toBe(0);
    expect(sys.fadvise(fd, 0, 0, POSIX_FADV_DONTNEED)).toBe(0);
    sys.close(fd);
    expect(sys.fsync(NO_FD)).toBe(-EBADF);
    expect(sys.fdatasync(NO_FD)).toBe(-EBADF);
    expect(sys.syncfs(NO_FD)).toBe(-EBADF);
    expect(sys.fadvise(NO_FD, 0, 0, POSIX_FADV_DONTNEED)).toBe(-EBADF);
  });
});

describe('cachestat', () => {
  it('counts the pages that are not on disk yet', (context) => {
    const fd = file('f');
    context.skip(sys.cachestat(fd) === -ENOSYS, 'this kernel has no cachestat(2)');
    expect(sys.cachestat(fd)).toBe(0);
    sys.write(fd, Buffer.alloc(40_960, 1), 0, 40_960);
    // Some may be on the disk already, and tmpfs has none.
    expect(sys.cachestat(fd)).toBeLessThanOrEqual(10);
    sys.fsync(fd);
    expect(sys.cachestat(fd)).toBe(0);
    sys.close(fd);
    expect(sys.cachestat(NO_FD)).toBe(-EBADF);
  });
});

describe('copyFileRange', () => {
  it('copies between offsets and ends with 0', () => {
    const from = file('from', '0123456789');
    const to = file('to', '..........');
    expect(sys.copyFileRange(from, 2, to, 5, 3)).toBe(3);
    expect(readFileSync(dir.at('to'), 'latin1')).toBe('.....234..');
    expect(sys.copyFileRange(from, 8, to, 0, 100)).toBe(2);
    expect(sys.copyFileRange(from, 10, to, 0, 100)).toBe(0);
    expect(sys.copyFileRange(from, 0, NO_FD, 0, 1)).toBe(-EBADF);
    expect(sys.lseek(from, 0, SEEK_CUR)).toBe(0);
    sys.close(from);
    sys.close(to);
  });
});

describe('ficlone', () => {
  it('says so where files cannot share data', () => {
    const from = file('from', 'x');
    const to = file('to');
    const proc = sys.openat(AT_FDCWD, '/proc/self/status', O_RDONLY, 0);
    expect(sys.ficlone(to, proc)).toBe(-EXDEV);
    expect([0, -EOPNOTSUPP]).toContain(sys.ficlone(to, from));
    for (const fd of [from, to, proc]) sys.close(fd);
  });
});

describe('flock', () => {
  it('holds between two open files of one inode', () => {
    const a = file('f');
    const b = sys.openat(dir.fd, 'f', O_RDONLY, 0);
    expect(sys.flock(a, LOCK_EX)).toBe(0);
    expect(sys.flock(b, LOCK_SH | LOCK_NB)).toBe(-EAGAIN);
    expect(sys.flock(a, LOCK_UN)).toBe(0);
    expect(sys.flock(b, LOCK_SH | LOCK_NB)).toBe(0);
    expect(sys.flock(a, LOCK_SH | LOCK_NB)).toBe(0);
    sys.close(a);
    sys.close(b);
  });
});

describe('O_TMPFILE', () => {
  it('opens a file without a name', () => {
    const fd = sys.openat(dir.fd, '.', O_TMPFILE | O_RDWR, 0o600);
    expect(fd).toBeGreaterThan(0);
    expect(sys.write(fd, Buffer.from('x'), 0, 1)).toBe(1);
    sys.close(fd);
    sys.symlinkat('x', dir.fd, 'l');
    expect(sys.openat(dir.fd, 'l', O_RDONLY | O_NOFOLLOW, 0)).toBe(-ELOOP);
  });
});
