/** What this process may do, for tests that must skip where it may not: root in a container often may not mount. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { probeWhiteout, probeXattr } from '../../src/mount/check-upper.ts';
import { mayUseTrustedXattrs } from '../../src/mount/privilege.ts';
import { fromText } from '../../src/sys/bytes.ts';
import { AT_FDCWD, O_DIRECTORY, O_RDONLY } from '../../src/sys/constants.ts';
import { openSys } from '../../src/sys/sys-koffi.ts';

/** May mount, and write trusted xattrs. */
export const privileged: boolean = mayUseTrustedXattrs(openSys());
export const NEEDS_MOUNTS = 'needs root that may mount';

/** A folder whose filesystem can hold an upper (the temporary one of a container is often an overlay), or null. */
export const upperBase: string | null =
  [tmpdir(), '/dev/shm', '/var/tmp'].find((base) => existsSync(base) && canHoldUpper(base)) ?? null;
export const NEEDS_UPPER = 'needs a filesystem with xattrs and whiteouts in /tmp, /dev/shm or /var/tmp';

function canHoldUpper(base: string): boolean {
  const sys = openSys();
  let dir: string;
  try {
    dir = mkdtempSync(path.join(base, 'stratafs-probe-'));
  } catch {
    return false;
  }
  const fd = sys.openat(AT_FDCWD, fromText(dir), O_RDONLY | O_DIRECTORY, 0);
  const xattr = probeXattr(sys, fd, `${privileged ? 'trusted' : 'user'}.overlay.opaque`);
  const able = xattr === 0 && probeXattr(sys, fd, 'user.overlay.opaque') === 0 && probeWhiteout(sys, fd) === 0;
  sys.close(fd);
  rmSync(dir, { recursive: true });
  return able;
}
