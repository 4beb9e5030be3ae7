import { writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { useTempDir } from '../../../test/support/temp-dir.ts';
import {
  F_GETLK,
  F_OFD_GETLK,
  F_OFD_SETLK,
  F_RDLCK,
  F_SETLK,
  F_UNLCK,
  F_WRLCK,
  O_RDWR,
  SEEK_END,
  SEEK_SET,
} from '../constants.ts';
import { EAGAIN, EBADF, EINVAL } from '../errno.ts';
import type { FileLock } from '../sys.ts';
import { openSys } from '../sys-koffi.ts';

const sys = openSys();
const dir = useTempDir(sys);

function lock(type: number, start: number, len: number, whence = SEEK_SET): FileLock {
  return { type, whence, start, len, pid: 99 };
}

describe('fcntlLock', () => {
  it('locks ranges for an open file description, and tells what is in the way', () => {
    writeFileSync(dir.at('f'), 'hello');
    const one = sys.openat(dir.fd, 'f', O_RDWR, 0);
    const two = sys.openat(dir.fd, 'f', O_RDWR, 0);
    expect(sys.fcntlLock(one, F_OFD_SETLK, lock(F_WRLCK, 5_000_000_000, 10))).toBe(0);
    expect(sys.fcntlLock(two, F_OFD_SETLK, lock(F_RDLCK, 5_000_000_009, 1))).toBe(-EAGAIN);
    expect(sys.fcntlLock(two, F_OFD_SETLK, lock(F_RDLCK, 5_000_000_010, 1))).toBe(0);
    const asked = lock(F_RDLCK, -5, 0, SEEK_END);
    expect(sys.fcntlLock(two, F_OFD_GETLK, asked)).toBe(0);
    expect(asked).toEqual({ type: F_WRLCK, whence: SEEK_SET, start: 5_000_000_000, len: 10, pid: -1 });
    expect(sys.fcntlLock(one, F_OFD_SETLK, lock(F_UNLCK, 0, 0))).toBe(0);
    const free = lock(F_WRLCK, 5_000_000_000, 10);
    expect(sys.fcntlLock(two, F_OFD_GETLK, free)).toBe(0);
    expect(free.type).toBe(F_UNLCK);
    for (const fd of [one, two]) sys.close(fd);
  });

  it('locks ranges for the process', () => {
    writeFileSync(dir.at('g'), 'hello');
    const fd = sys.openat(dir.fd, 'g', O_RDWR, 0);
    expect(sys.fcntlLock(fd, F_SETLK, lock(F_WRLCK, 0, 0))).toBe(0);
    const asked = lock(F_WRLCK, 0, 0);
    expect(sys.fcntlLock(fd, F_GETLK, asked)).toBe(0);
    expect(asked.type).toBe(F_UNLCK);
    const other = lock(F_WRLCK, 0, 0);
    expect(sys.fcntlLock(fd, F_OFD_GETLK, other)).toBe(0);
    expect(other).toMatchObject({ type: F_WRLCK, pid: process.pid });
    sys.close(fd);
  });

  it('answers errors of its kin', () => {
    writeFileSync(dir.at('h'), '');
    const fd = sys.openat(dir.fd, 'h', O_RDWR, 0);
    expect(sys.fcntlLock(fd, F_SETLK, lock(7, 0, 0))).toBe(-EINVAL);
    expect(sys.fcntlLock(1 << 20, F_SETLK, lock(F_RDLCK, 0, 0))).toBe(-EBADF);
    sys.close(fd);
  });
});
