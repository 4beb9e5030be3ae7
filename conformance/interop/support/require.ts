/** What a file of tests needs of the machine. Without it every test of the file skips, and says why. */
import { accessSync, constants, existsSync } from 'node:fs';
import path from 'node:path';
import { beforeEach } from 'vitest';

function installed(command: string): boolean {
  for (const dir of `${process.env.PATH}:/usr/sbin:/sbin`.split(':')) {
    try {
      accessSync(path.join(dir, command), constants.X_OK);
      return true;
    } catch {}
  }
  return false;
}

function lacking(commands: readonly string[]): string | null {
  if (process.getuid?.() !== 0) return 'needs root';
  if (!existsSync('/dev/fuse')) return 'needs /dev/fuse';
  const absent = commands.filter((command) => !installed(command));
  return absent.length > 0 ? `needs ${absent.join(', ')}` : null;
}

/**
 * To call at the top of a file: root, /dev/fuse and these commands, else every test skips.
 * @returns whether all is there (hooks have to ask: they run before a skip)
 */
export function requireMachine(...commands: string[]): boolean {
  const reason = lacking(['unshare', 'nsenter', ...commands]);
  beforeEach((ctx) => {
    if (reason !== null) ctx.skip(reason);
  });
  return reason === null;
}
