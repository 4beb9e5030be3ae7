/** How many copy-ups of an upper are not complete: by the registry in its workdir (overlay/lazy-registry.ts), which no server need be asked for. */
import { listDir } from '../mount/read-file.ts';
import { LAZY_FEATURE } from '../overlay/params.ts';
import type { ByteString } from '../sys/bytes.ts';
import { AT_FDCWD } from '../sys/constants.ts';
import { ENOENT } from '../sys/errno.ts';
import type { Sys } from '../sys/sys.ts';

/** @returns null where this user may not look. */
export function countPending(sys: Sys, workdir: ByteString | undefined): number | null {
  if (workdir === undefined) return 0;
  const entries = listDir(sys, AT_FDCWD, `${workdir}/work/incompat/${LAZY_FEATURE}`);
  if (typeof entries !== 'number') return entries.length;
  return entries === -ENOENT ? 0 : null;
}
