/** Which mount namespace this process is in. */
import type { ByteString } from 'stratafs/internal/sys/bytes';
import { AT_FDCWD } from 'stratafs/internal/sys/constants';
import { errnoName } from 'stratafs/internal/sys/errno';
import type { Sys } from 'stratafs/internal/sys/sys';
import { CliError } from '../cli-error.ts';

/** `mnt:[4026531840]`. @throws CliError without /proc. */
export function mountNamespace(sys: Sys): ByteString {
  const namespace = sys.readlinkat(AT_FDCWD, '/proc/self/ns/mnt');
  if (typeof namespace !== 'number') return namespace;
  throw new CliError(125, `the mount namespace cannot be read: ${errnoName(namespace)}`);
}
