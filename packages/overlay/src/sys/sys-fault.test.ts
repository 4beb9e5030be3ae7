import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { useTempDir } from '../../test/support/temp-dir.ts';
import { AT_FDCWD, O_CREAT, O_EXCL, O_RDWR } from './constants.ts';
import { EBADF, EEXIST, EIO, ENOSPC } from './errno.ts';
import type { Sys } from './sys.ts';
import { changingCalls, faultSys } from './sys-fault.ts';
import { openSys } from './sys-koffi.ts';

const real = openSys();
const dir = useTempDir(real);

/** Makes `name` with `text` by way of a temporary name; the operation under test. */
function replace(sys: Sys, name: string, text: string): number {
  const fd = sys.openat(dir.fd, 'tmp', O_CREAT | O_EXCL | O_RDWR, 0o600);
  if (fd < 0) return fd;
  let done = 0;
  const data = Buffer.from(text);
  while (done < data.length) {
    const r = sys.write(fd, data, done, data.length - done);
    if (r < 0) {
      sys.close(fd);
      sys.unlinkat(dir.fd, 'tmp', 0);
      return r;
    }
    done += r;
  }
  const synced = sys.fsync(fd);
  const closed = sys.close(fd);
  const err = synced || closed || sys.renameat2(dir.fd, 'tmp', dir.fd, name, 0);
  if (err < 0) sys.unlinkat(dir.fd, 'tmp', 0);
  return err;
}

describe('faultSys', () => {
  it('fails every call once, until a run has none left to fail', () => {
    const answers: number[] = [];
    for (let at = 1; ; at++) {
      const fault = faultSys(real, { at });
      const r = replace(fault.sys, 'f', 'text');
      if (!fault.fired) {
        expect(r).toBe(0);
        expect(fault.counted).toBe(5);
        break;
      }
      answers.push(r);
      expect(readdirSync(dir.path)).toEqual([]);
    }
    // openat, write, fsync, close, renameat2: what fails is not done.
    expect(answers).toEqual([-EIO, -EIO, -EIO, -EIO, -EIO]);
    expect(readdirSync(dir.path)).toEqual(['f']);
  });

  it('from then on for ever, which leaves what a stopped process leaves', () => {
    const fault = faultSys(real, { at: 3, errno: ENOSPC, forever: true, calls: changingCalls });
    // write and fsync are done; the rename, and the cleaning up after it, are not.
    expect(replace(fault.sys, 'f', 'text')).toBe(-ENOSPC);
    expect(readdirSync(dir.path)).toEqual(['tmp']);
    expect(fault.counted).toBe(4);
    expect(replace(real, 'f', 'text')).toBe(-EEXIST);
  });

  it('closes what it says it could not close', () => {
    const fault = faultSys(real, { at: 1, calls: ['close'] });
    const fd = real.dup(dir.fd, -1);
    expect(fault.sys.close(fd)).toBe(-EIO);
    expect(real.close(fd)).toBe(-EBADF);
  });

  it('moves fewer bytes than asked', () => {
    const fault = faultSys(real, { at: 1, short: 3, forever: true, calls: ['write', 'pread'] });
    expect(replace(fault.sys, 'f', 'long text')).toBe(0);
    // The third one asks for three bytes, and gets them.
    expect(fault.counted).toBe(2);
    expect(readFileSync(dir.at('f'), 'utf8')).toBe('long text');
    const fd = real.openat(dir.fd, 'f', O_RDWR, 0);
    expect(fault.sys.pread(fd, Buffer.alloc(9), 0, 9, 0)).toBe(3);
    real.close(fd);
  });

  it('counts only calls on chosen descriptors or names', () => {
    const fds = faultSys(real, { at: 1, forever: true, fds: [dir.fd] });
    expect(fds.sys.fsync(dir.fd)).toBe(-EIO);
    const other = real.dup(dir.fd, -1);
    expect(fds.sys.fsync(other)).toBe(0);
    expect(fds.sys.mkdirat(dir.fd, 'd', 0o700)).toBe(-EIO);
    expect(fds.sys.mkdirat(other, 'd', 0o700)).toBe(0);
    real.close(other);

    const names = faultSys(real, { at: 2, names: ['x'] });
    expect(names.sys.mkdirat(dir.fd, 'x', 0o700)).toBe(0);
    expect(names.sys.mkdirat(dir.fd, 'y', 0o700)).toBe(0);
    expect(names.sys.renameat2(dir.fd, 'y', dir.fd, 'x', 0)).toBe(-EIO);
    expect(names.sys.mkdirat(AT_FDCWD, dir.at('x'), 0o700)).toBe(-EEXIST);
    expect(names.counted).toBe(3);
  });

  it('only counts, when asked for no fault, and not what cannot fail', () => {
    const counter = faultSys(real, { at: Number.POSITIVE_INFINITY });
    counter.sys.geteuid();
    counter.sys.umask(counter.sys.umask(0));
    expect(counter.counted).toBe(0);
    expect(replace(counter.sys, 'f', 'x')).toBe(0);
    expect(counter.counted).toBe(5);
    expect(counter.fired).toBe(false);
  });
});
