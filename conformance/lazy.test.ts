/**
 * Lazy copy-up of every file, however small: fsx and the POSIX cases in every position, on stubs. The
 * layers lie on ext4 in an image, as tmpfs cannot hold such files.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { toText } from 'stratafs/internal/sys/bytes';
import * as c from 'stratafs/internal/sys/constants';
import { openSys } from 'stratafs/internal/sys/sys-koffi';
import { afterAll, describe, expect, it } from 'vitest';
import { openBaseDir } from './base-dir.ts';
import { readFile } from './calls.ts';
import { check } from './expect.ts';
import { fsx } from './fsx/fsx.ts';
import { describePosix } from './posix-suite.ts';
import { loopUnavailable, mountLoop } from './power-cut/image.ts';
import { Stage } from './stage.ts';
import { fuse } from './targets/fuse.ts';
import { inProcess } from './targets/in-process.ts';
import { LAZY } from './targets/lazy.ts';
import { file } from './tree.ts';

const sys = openSys();
const place = openBaseDir(sys);
afterAll(() => place.close(), 60_000);
const seed = Number(process.env.STRATA_SEED ?? 1);

/** @returns why there is none. */
function mountImage(at: string): string | null {
  if (!place.privileged) return place.reason;
  const image = toText(`${place.path}/image`);
  writeFileSync(image, '');
  truncateSync(image, 4 * 1024 ** 3);
  const made = spawnSync('mkfs.ext4', ['-q', '-F', '-J', 'size=64', '-E', 'lazy_itable_init=1', image]);
  if (made.status !== 0) return 'no mkfs.ext4';
  const reason = loopUnavailable(sys);
  if (reason !== null) return reason;
  mkdirSync(at);
  check(mountLoop(sys, image, at, 'ext4', ''), 'mount');
  afterAll(() => {
    sys.umount2(at, c.MNT_DETACH);
  });
  return null;
}

const disk = toText(`${place.path}/disk`);
const reason = mountImage(disk);

if (reason !== null) {
  it('lazy copy-up', (context) => context.skip(reason));
} else {
  const chosen = process.env.STRATA_CONFORMANCE_DIR;
  process.env.STRATA_CONFORMANCE_DIR = disk;
  const base = openBaseDir(sys);
  if (chosen === undefined) delete process.env.STRATA_CONFORMANCE_DIR;
  else process.env.STRATA_CONFORMANCE_DIR = chosen;
  afterAll(() => base.close(), 60_000);

  it('makes stubs of the smallest files', async () => {
    const stage = new Stage(sys, base, inProcess, 'stub', { lowers: 1, writable: true, options: LAZY });
    stage.plant('d', [{ upper: {}, lowers: [{ small: file('some text') }] }]);
    await stage.mount();
    const door = stage.door('d');
    const fd = check(door.open('small', c.O_WRONLY), 'open');
    check(door.pwrite(fd, 'S', 0), 'pwrite');
    door.close(fd);
    expect(readFile(door, 'small').toString()).toBe('Some text');
    door.end();
    await stage.close();
    const found = spawnSync('find', [disk, '-path', '*/incompat/strata.lazy/*'], { encoding: 'utf8' });
    expect(found.stdout.trim().split('\n')).toHaveLength(1);
  });

  describe('2000 operations', () => {
    for (const [backend, features] of [
      [inProcess, ['redirect_dir=on', 'index=off']],
      [inProcess, ['redirect_dir=on', 'index=on', 'metacopy=on']],
      [fuse, ['redirect_dir=on', 'index=off']],
      [fuse, ['redirect_dir=on', 'index=on', 'metacopy=on']],
    ] as const) {
      it(`${backend.name} ${features.join(',')}`, { timeout: 180_000 }, async (context) => {
        const missing = backend.unavailable(base);
        if (missing !== null) context.skip(missing);
        const options = [...features, ...LAZY];
        const result = await fsx(sys, base, backend, { seed, operations: 2000, options, target: backend.name });
        expect(result.wrong).toEqual([]);
        expect(result.operations).toBe(2000);
      });
    }
  });

  describe('posix', () => {
    describePosix(sys, base, inProcess, ['redirect_dir=on', 'metacopy=off', ...LAZY]);
  });
}
