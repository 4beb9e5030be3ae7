/** A filesystem of another kind than the machine's own, in an image on a loop device. Needs root. */
import { spawnSync } from 'node:child_process';
import { closeSync, ftruncateSync, mkdirSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

export interface LoopMount {
  /** Where it is mounted, or undefined. */
  path?: string;
  /** Why it is not. */
  reason?: string;
  unmount(): void;
}

function run(command: string, ...args: string[]): { ok: boolean; out: string } {
  const r = spawnSync(command, args, { encoding: 'utf8' });
  return { ok: r.status === 0, out: r.error ? r.error.message : (r.stdout + r.stderr).trim() };
}

export function mountImage(fstype: 'btrfs' | 'xfs', sizeMiB: number): LoopMount {
  const dir = mkdtempSync(path.join(tmpdir(), 'stratafs-loop-'));
  const image = path.join(dir, 'image');
  const at = path.join(dir, 'mnt');
  mkdirSync(at);
  const fd = openSync(image, 'w');
  ftruncateSync(fd, sizeMiB << 20);
  closeSync(fd);
  const made = run(`mkfs.${fstype}`, '-q', image);
  const loop = made.ok ? run('losetup', '--find', '--show', image) : made;
  const mounted = loop.ok ? run('mount', '-t', fstype, loop.out, at) : loop;
  return {
    path: mounted.ok ? at : undefined,
    reason: mounted.ok ? undefined : mounted.out,
    unmount: () => {
      if (mounted.ok) run('umount', at);
      if (made.ok && loop.ok) run('losetup', '--detach', loop.out);
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
