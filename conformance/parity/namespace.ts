/**
 * The runner's own namespaces: mounts (private), processes, and for `userns` users. This process
 * starts itself again inside them. The first process in there is killed with this one, and with it
 * everything that it started and mounted, whatever happened to it.
 */
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import type { Writable } from 'node:stream';

/** Says that this process runs inside, and as which kind. */
const INSIDE = 'STRATA_PARITY_INSIDE';

/** Every id below 65536 stands for itself; none has rights outside. */
const ID_MAP = '0 0 65536\n';

export function inside(): boolean {
  return process.env[INSIDE] !== undefined;
}

/** Runs `file` with `args` by Node in new namespaces. @returns its exit code. */
export async function runInside(userns: boolean, file: string, args: readonly string[]): Promise<number> {
  const namespaces = ['--mount', '--propagation', 'private', '--pid', '--fork', '--kill-child', '--mount-proc'];
  // The map can be written when the namespace exists: the shell in it says so, and waits. Its exec
  // then gives the rights of root in there.
  const start = 'mkdir -p /run/strata && mount -t tmpfs -o mode=755 records /run/strata && exec "$@"';
  const waiting = `echo >&3; read -r _ <&4; exec sh -c '${start}' sh "$@" 3>&- 4<&-`;
  const child = spawn(
    'unshare',
    [...(userns ? ['--user'] : []), ...namespaces, 'sh', '-c', waiting, 'sh', process.execPath, file, ...args],
    { stdio: ['ignore', 'inherit', 'inherit', 'pipe', 'pipe'], env: { ...process.env, [INSIDE]: '1' } },
  );
  const ended = new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => resolve(code ?? 128));
  });
  child.stdio[3]!.once('data', () => {
    if (userns) {
      writeFileSync(`/proc/${child.pid}/uid_map`, ID_MAP);
      writeFileSync(`/proc/${child.pid}/gid_map`, ID_MAP);
    }
    (child.stdio[4] as Writable).end('\n');
  });
  const stop = (): void => {
    child.kill('SIGKILL');
  };
  process.once('SIGINT', stop).once('SIGTERM', stop);
  return ended;
}

/** Why nothing can be compared here, or null. */
export function unavailable(): string | null {
  if (process.geteuid?.() !== 0) {
    return 'needs root, for mounts and for acting as other users';
  }
  if (!readFileSync('/proc/filesystems', 'utf8').includes('\toverlay\n')) {
    return 'needs a kernel with overlayfs, which is the judge';
  }
  return null;
}
