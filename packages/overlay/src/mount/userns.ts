/**
 * User and mount namespaces by re-exec through unshare(1): Node has threads, and a threaded process
 * cannot unshare a user namespace itself.
 *
 * An ordinary user keeps uid and gid: the new namespace maps exactly these two to themselves, and
 * `--keep-caps` carries the capabilities over the namespace through the exec as ambient ones, so
 * that the program that follows may mount. It must clear the ambient set before it starts a
 * command of the user's (`clearAmbient`), which then runs with the same ids and no capability at
 * all. Supplementary groups stay in force; they show as the overflow id, because nobody may map
 * them, and setgroups(2) must never be called: it would drop them.
 */
import { accessSync, constants } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Sys } from '../sys/sys.ts';
import { CAP_SYS_ADMIN, hasCapability } from './privilege.ts';
import { readFile } from './read-file.ts';

/** Where administrators' programs lie that an ordinary user's PATH may not list. */
const systemPath = ['/usr/sbin', '/usr/bin', '/sbin', '/bin'];

/** The program's path, or undefined. */
export function findProgram(name: string): string | undefined {
  for (const dir of [...(process.env.PATH ?? '').split(':'), ...systemPath]) {
    if (!dir.startsWith('/')) continue;
    const file = path.join(dir, name);
    try {
      accessSync(file, constants.X_OK);
      return file;
    } catch {}
  }
  return undefined;
}

/** Whether the user may map further ids by newuidmap(1) and newgidmap(1). */
export function hasSubordinateIds(sys: Sys): boolean {
  const uid = sys.geteuid();
  let name = '';
  try {
    name = os.userInfo().username;
  } catch {}
  return ['/etc/subuid', '/etc/subgid'].every((file) => {
    const table = readFile(sys, file);
    return typeof table !== 'number' && table.split('\n').some((line) => [name, `${uid}`].includes(line.split(':')[0]));
  });
}

/**
 * The command that runs `program` in a private mount namespace, in which it may mount; with a user
 * namespace around it where this process may not mount by itself. New mounts of the host show up
 * in it, its own stay inside.
 */
export function inMountNamespace(sys: Sys, program: readonly string[], network: 'host' | 'none' = 'host'): string[] {
  const user = hasCapability(sys, CAP_SYS_ADMIN) ? [] : ['--user', '--map-current-user', '--keep-caps'];
  const net = network === 'none' ? ['--net'] : [];
  return ['unshare', ...user, ...net, '--mount', '--propagation', 'slave', '--', ...program];
}
