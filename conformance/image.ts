/**
 * A filesystem of another kind, in an image on a loop device, mounted below a BaseDir that has a
 * mount namespace of its own: the loop device goes with its mount, and that with the test process.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { type ByteString, toText } from 'stratafs/internal/sys/bytes';
import type { BaseDir } from './base-dir.ts';

export type ImageType = 'ext4' | 'xfs' | 'btrfs';

/** xfs takes no less than 300 MiB, and says so of smaller ones. */
const SIZE = 320 * 1024 * 1024;

/** @returns where it is mounted, or why it cannot be. */
export function mountImage(base: BaseDir, name: string, type: ImageType): { path: ByteString } | { reason: string } {
  if (!base.privileged) {
    return { reason: base.reason };
  }
  const path = `${base.path}/${name}`;
  const image = toText(`${path}.image`);
  mkdirSync(toText(path));
  writeFileSync(image, '');
  truncateSync(image, SIZE);
  for (const [command, ...args] of [
    [`mkfs.${type}`, '-q', image],
    ['mount', '-t', type, '-o', 'loop', image, toText(path)],
  ]) {
    const { status, error, stderr } = spawnSync(command, args, { encoding: 'utf8' });
    if (status !== 0) {
      return { reason: `${command}: ${error?.message ?? stderr.trim()}` };
    }
  }
  return { path };
}
