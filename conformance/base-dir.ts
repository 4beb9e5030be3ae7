/**
 * A place for layers and mount points. As root: a tmpfs of its own in a private mount namespace,
 * so that nothing outlives the test process, whatever happens to it. It is strictatime: a lower
 * whose atime moves under us must show. Otherwise a temporary directory on a filesystem that can
 * hold an upper (user xattrs, whiteouts), if there is one.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { type ByteString, fromText } from 'stratafs/internal/sys/bytes';
import * as c from 'stratafs/internal/sys/constants';
import { errnoName } from 'stratafs/internal/sys/errno';
import type { Sys } from 'stratafs/internal/sys/sys';
import { check } from './expect.ts';

export interface BaseDir {
  /** Begins the names of what belongs to this one: '' for a plain directory. */
  readonly label: string;
  readonly path: ByteString;
  /** May mount, act for other users and write trusted xattrs. */
  readonly privileged: boolean;
  /** Why not, where it may not. */
  readonly reason: string;
  /** Whether files here have handles that last. */
  readonly handles: boolean;
  /** A fresh directory below, mode 0755. */
  make(name: string): ByteString;
  close(): void;
}

let namespace: number | undefined;

/** The calling thread's own mount namespace, entered once. @returns 0 or a negative errno. */
function enterNamespace(sys: Sys): number {
  if (namespace === undefined) {
    namespace = sys.geteuid() === 0 ? sys.unshare(c.CLONE_NEWNS) : -1;
    if (namespace === 0) {
      namespace = sys.mount('none', '/', '', c.MS_REC | c.MS_PRIVATE, null);
    }
  }
  return namespace;
}

/**
 * STRATA_CONFORMANCE_DIR puts layers on a filesystem of one's choice. `noatime`: what stands between the
 * cases and this directory may look at its files as it likes.
 */
export function openBaseDir(sys: Sys, noatime = false): BaseDir {
  const chosen = process.env.STRATA_CONFORMANCE_DIR;
  const entered = enterNamespace(sys);
  if (entered === 0) {
    const path = mkdtempSync(join(chosen ?? tmpdir(), 'stratafs-conformance-'));
    const target = fromText(path);
    check(sys.fchmodat(c.AT_FDCWD, target, 0o755, 0), 'chmod');
    if (chosen === undefined) {
      check(
        sys.mount('stratafs-conformance', target, 'tmpfs', noatime ? c.MS_NOATIME : c.MS_STRICTATIME, 'mode=0755'),
        'mount tmpfs',
      );
    }
    return opened(sys, path, true, '', () => {
      if (chosen === undefined) {
        sys.umount2(target, c.MNT_DETACH);
      } else {
        // Immutable and append-only layers could not be removed.
        spawnSync('chattr', ['-R', '-f', '-ia', path]);
      }
    });
  }
  const reason =
    sys.geteuid() === 0
      ? `root without mount rights (unshare: ${errnoName(entered)})`
      : 'needs root, runs unprivileged';
  const places = [chosen, '/dev/shm', tmpdir(), resolve('.tmp')].filter((place) => place !== undefined);
  for (const place of places) {
    if (place.endsWith('.tmp')) {
      mkdirSync(place, { recursive: true });
    }
    if (!existsSync(place)) {
      continue;
    }
    let path: string;
    try {
      path = mkdtempSync(join(place, 'stratafs-conformance-'));
    } catch {
      continue;
    }
    if (canHoldUpper(sys, fromText(path))) {
      return opened(sys, path, false, reason, () => {});
    }
    rmSync(path, { recursive: true, force: true });
  }
  throw new Error(`none of ${places.join(', ')} holds user xattrs and whiteouts: set STRATA_CONFORMANCE_DIR`);
}

function canHoldUpper(sys: Sys, path: ByteString): boolean {
  const probe = `${path}/probe`;
  return (
    sys.mknodat(c.AT_FDCWD, probe, c.S_IFCHR, 0) === 0 &&
    sys.unlinkat(c.AT_FDCWD, probe, 0) === 0 &&
    sys.setxattrat(c.AT_FDCWD, path, 'user.overlay.opaque', Buffer.from('0'), 0) === 0 &&
    sys.removexattrat(c.AT_FDCWD, path, 'user.overlay.opaque') === 0
  );
}

function opened(sys: Sys, path: string, privileged: boolean, reason: string, unmount: () => void): BaseDir {
  const base = fromText(path);
  return {
    label: '',
    path: base,
    privileged,
    reason,
    handles: true,
    make(name) {
      const made = `${base}/${name}`;
      check(sys.mkdirat(c.AT_FDCWD, made, 0o755), made);
      return made;
    },
    close() {
      unmount();
      rmSync(path, { recursive: true, force: true });
    },
  };
}
