/**
 * A command of an ordinary user may have left what not even its owner can read (mode 0). In a user
 * namespace of one's own, capabilities over one's own files come back: the verb is started again
 * there, in place of this process.
 */
import { fileURLToPath } from 'node:url';
import { CAP_DAC_OVERRIDE, hasCapability } from 'stratafs/internal/mount/privilege';
import { readFile } from 'stratafs/internal/mount/read-file';
import { findProgram } from 'stratafs/internal/mount/userns';
import { type ByteString, fromText } from 'stratafs/internal/sys/bytes';
import { execve } from 'stratafs/internal/sys/process';
import type { Sys } from 'stratafs/internal/sys/sys';

/** Becomes `strata ARGS` with those capabilities; comes back when they are there already, or not to be had. */
export function becomeOwner(sys: Sys, args: readonly ByteString[]): void {
  const unshare = findProgram('unshare');
  const environment = readFile(sys, '/proc/self/environ');
  if (hasCapability(sys, CAP_DAC_OVERRIDE) || unshare === undefined || typeof environment === 'number') return;
  const bin = fileURLToPath(new URL('../../bin/strata.js', import.meta.url));
  const namespace = ['unshare', '--user', '--map-current-user', '--keep-caps', '--'];
  const command = [...namespace, process.execPath, bin].map(fromText);
  execve(
    fromText(unshare),
    [...command, ...args],
    environment.split('\0').filter((entry) => entry !== ''),
  );
}
