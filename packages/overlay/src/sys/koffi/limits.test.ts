import { writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { useTempDir } from '../../../test/support/temp-dir.ts';
import { O_RDWR, RLIM_INFINITY, RLIMIT_FSIZE } from '../constants.ts';
import { EFBIG, EINVAL } from '../errno.ts';
import { openSys } from '../sys-koffi.ts';

const sys = openSys();
const dir = useTempDir(sys);

describe('limits', () => {
  it('are set, told and obeyed', () => {
    const old = sys.getrlimit(RLIMIT_FSIZE) as [number, number];
    expect(old[0] === RLIM_INFINITY || old[0] > 10_000).toBe(true);
    writeFileSync(dir.at('f'), '');
    const fd = sys.openat(dir.fd, 'f', O_RDWR, 0);
    let now: [number, number] | number;
    let written: number;
    try {
      expect(sys.setrlimit(RLIMIT_FSIZE, 10_000, old[1])).toBe(0);
      now = sys.getrlimit(RLIMIT_FSIZE);
      written = sys.pwrite(fd, Buffer.from('x'), 0, 1, 10_000);
    } finally {
      sys.setrlimit(RLIMIT_FSIZE, ...old);
    }
    expect(now).toEqual([10_000, old[1]]);
    expect(written).toBe(-EFBIG);
    expect(sys.pwrite(fd, Buffer.from('x'), 0, 1, 10_000)).toBe(1);
    sys.close(fd);
  });

  it('answers errors of its kin', () => {
    expect(sys.getrlimit(9999)).toBe(-EINVAL);
    expect(sys.setrlimit(RLIMIT_FSIZE, 2, 1)).toBe(-EINVAL);
  });
});
