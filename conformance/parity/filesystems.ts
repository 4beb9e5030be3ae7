/**
 * Where layers lie: a tmpfs of the runner's own, and disks in it. All of it lives in the runner's
 * mount namespace and ends with that; loop devices detach themselves at their unmounting.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** `base` is the tmpfs that holds everything else. */
export type Filesystem = 'base' | 'tmpfs' | 'ext4' | 'xfs' | 'btrfs';

/** mkfs.xfs makes nothing smaller than 300 MiB. The files are sparse. */
export const DISK_SIZE: number = 320 << 20;

export function mkfsOptions(kind: Filesystem): readonly string[] {
  return ['-q', ...(kind === 'ext4' ? ['-b', '4096'] : [])];
}

export class Filesystems {
  readonly base: string;
  #count = 0;

  constructor() {
    this.base = mkdtempSync(join(tmpdir(), 'strata-parity-'));
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'mode=755', 'strata-parity', this.base]);
  }

  /** A directory on a new filesystem of this kind. */
  make(kind: Filesystem): string {
    const dir = `${this.base}/${kind}${this.#count++}`;
    mkdirSync(dir);
    if (kind === 'tmpfs') {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'mode=755', 'strata-parity', dir]);
    } else if (kind !== 'base') {
      const disk = `${dir}.img`;
      execFileSync('truncate', ['-s', String(DISK_SIZE), disk]);
      execFileSync(`mkfs.${kind}`, [...mkfsOptions(kind), disk], {
        stdio: ['ignore', 'ignore', 'inherit'],
      });
      execFileSync('mount', ['-o', 'loop', disk, dir]);
    }
    return dir;
  }

  close(): void {
    execFileSync('umount', ['-R', '-l', this.base]);
    rmSync(this.base, { recursive: true });
  }
}
