/**
 * Id-mapped mounts (mount_setattr with MOUNT_ATTR_IDMAP): stat(2) shows owners without a number
 * there as the overflow ids. Such a file can be read, but neither copied up nor changed, and has to
 * be told from one that belongs to `nobody`.
 */
import type { ByteString } from '../sys/bytes.ts';
import { fromBuffer } from '../sys/bytes.ts';
import { AT_FDCWD, O_RDONLY } from '../sys/constants.ts';
import type { Stat } from '../sys/stat.ts';
import type { Sys } from '../sys/sys.ts';

/** An owner without a number: INVALID_UID and INVALID_GID of the kernel. */
export const NO_ID = 0xffff_ffff;
/** /proc/sys/kernel/overflowuid as everybody leaves it. */
const OVERFLOW_ID = 65534;
const CHUNK = 65536;

/** What the mount table said, for layers that are opened together: it is as long as the mounts of the machine are many. */
const told = new WeakMap<object, Map<number, boolean>>();

/**
 * Whether mount `mntId` of this thread's mount namespace is id-mapped; false where /proc does not tell.
 * @param together whoever has the same is opened at the same time.
 */
export function isIdmapped(sys: Sys, mntId: number, together: object): boolean {
  const known = told.get(together) ?? new Map<number, boolean>();
  told.set(together, known);
  const idmapped = known.get(mntId) ?? look(sys, mntId);
  known.set(mntId, idmapped);
  return idmapped;
}

function look(sys: Sys, mntId: number): boolean {
  const fd = sys.openat(AT_FDCWD, '/proc/thread-self/mountinfo', O_RDONLY, 0);
  if (fd < 0) return false;
  const chunk = Buffer.alloc(CHUNK);
  let table: ByteString = '';
  for (let n = sys.read(fd, chunk, 0, CHUNK); n > 0; n = sys.read(fd, chunk, 0, CHUNK))
    table += fromBuffer(chunk, 0, n);
  sys.close(fd);
  const line = table.split('\n').find((each) => each.startsWith(`${mntId} `));
  // ID parent major:minor root mountpoint OPTIONS …; a space in a path is written as \040.
  return line?.split(' ')[5].split(',').includes('idmapped') ?? false;
}

/** Marks in `st`, of a file on an id-mapped mount, owners that have no number there. */
export function markUnmapped(st: Stat): void {
  if (st.uid === OVERFLOW_ID) st.uid = NO_ID;
  if (st.gid === OVERFLOW_ID) st.gid = NO_ID;
}

export function isUnmapped(st: Stat): boolean {
  return st.uid === NO_ID || st.gid === NO_ID;
}

/** As a person is shown it. */
export function showOverflow(st: Stat): void {
  if (st.uid === NO_ID) st.uid = OVERFLOW_ID;
  if (st.gid === NO_ID) st.gid = OVERFLOW_ID;
}
