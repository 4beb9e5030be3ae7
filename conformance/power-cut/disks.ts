/** The filesystems that power is cut under, and the disk below them that writes down what is done to it. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { ByteString } from 'stratafs/internal/sys/bytes';
import * as c from 'stratafs/internal/sys/constants';
import { EBUSY } from 'stratafs/internal/sys/errno';
import type { Sys } from 'stratafs/internal/sys/sys';
import type { BaseDir } from '../base-dir.ts';
import { tick } from '../calls.ts';
import { check } from '../expect.ts';
import { loopUnavailable, mountLoop, writeImage } from './image.ts';

/** Where files are cloned, a copy-up writes no data that could be lost. */
export type DiskType = 'ext4' | 'xfs' | 'xfs with reflink';

interface Format {
  fstype: string;
  /** In MiB; mkfs.xfs refuses less than 300. */
  size: number;
  mkfs: readonly [program: string, ...args: string[]];
  mount: string;
}

const xfs = (reflink: number): Format => ({
  fstype: 'xfs',
  size: 304,
  mkfs: ['mkfs.xfs', '-q', '-f', '-m', `reflink=${reflink}`],
  mount: 'nouuid',
});
const formats: Readonly<Record<DiskType, Format>> = {
  ext4: { fstype: 'ext4', size: 64, mkfs: ['mkfs.ext4', '-q', '-F', '-J', 'size=8'], mount: '' },
  xfs: xfs(0),
  'xfs with reflink': xfs(1),
};

/** Why power cannot be cut here, or null. */
export function powerCutUnavailable(sys: Sys, base: BaseDir): string | null {
  if (!base.privileged) return base.reason;
  if (!existsSync('/dev/fuse')) return 'no /dev/fuse';
  const loops = loopUnavailable(sys);
  if (loops !== null) return loops;
  const missing = ['mkfs.ext4', 'mkfs.xfs'].filter((program) => spawnSync(program, ['-V']).error !== undefined);
  return missing.length > 0 ? `no ${missing.join(', ')}` : null;
}

/** Makes an empty filesystem in the file `path`. @returns its size. */
export function format(disk: DiskType, path: string): number {
  const size = formats[disk].size << 20;
  closeSync(writeImage(path, { size, extents: [] }));
  const [program, ...args] = formats[disk].mkfs;
  const made = spawnSync(program, [...args, path], { encoding: 'utf8' });
  if (made.status !== 0) throw new Error(`${program}: ${made.error?.message ?? made.stderr}`);
  return size;
}

/** @returns 0 or a negative errno. */
export function mountDisk(sys: Sys, disk: DiskType, file: ByteString, target: ByteString): number {
  return mountLoop(sys, file, target, formats[disk].fstype, formats[disk].mount);
}

/** Unmounts it. Whoever else on the machine looks at a new mount (df, a desktop) is gone in a moment. */
export function unmountDisk(sys: Sys, target: ByteString): void {
  let result = sys.umount2(target, 0);
  for (let tries = 0; tries < 100 && result === -EBUSY; tries++) {
    tick();
    result = sys.umount2(target, 0);
  }
  check(result, `umount ${target}`);
}

/** Node 20 runs no TypeScript: children are always the built files, also when the sources are tested. */
export function built(name: string): string {
  const here = import.meta.url.endsWith('.ts') ? '../dist/power-cut/' : './';
  return fileURLToPath(new URL(`${here}${name}.js`, import.meta.url));
}

/** The disk that logs (disk-server.ts), with its files `disk` and `mark` at `at`. */
export class LoggingDisk {
  readonly #sys: Sys;
  readonly #at: string;
  readonly #server: ChildProcess;

  private constructor(sys: Sys, at: string, server: ChildProcess) {
    this.#sys = sys;
    this.#at = at;
    this.#server = server;
  }

  static async start(sys: Sys, at: string, image: string, log: string): Promise<LoggingDisk> {
    const server = spawn(process.execPath, [built('disk-server'), at, image, log], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [said] = await once(server.stdout!, 'data');
    if (String(said) !== 'live\n') throw new Error(`the logging disk: ${said}`);
    return new LoggingDisk(sys, at, server);
  }

  async end(): Promise<void> {
    const ended = once(this.#server, 'close');
    check(this.#sys.umount2(this.#at, c.MNT_DETACH), 'umount the logging disk');
    await ended;
  }
}
