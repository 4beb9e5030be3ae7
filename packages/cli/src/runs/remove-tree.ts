/**
 * Removes a tree as its owner: directories that forbid even the owner to look into them (an
 * overlay's `work` has mode 0, and a command may leave others) are opened up first. Never follows
 * a symlink, and never enters what is mounted in the tree.
 */
import { listDir } from 'stratafs/internal/mount/read-file';
import type { ByteString } from 'stratafs/internal/sys/bytes';
import {
  AT_REMOVEDIR,
  AT_SYMLINK_NOFOLLOW,
  DT_DIR,
  DT_UNKNOWN,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_RDONLY,
  RESOLVE_BENEATH,
  RESOLVE_NO_XDEV,
  W_OK,
  X_OK,
} from 'stratafs/internal/sys/constants';
import { EACCES, EISDIR, EPERM } from 'stratafs/internal/sys/errno';
import type { Sys } from 'stratafs/internal/sys/sys';

export interface RemoveFailure {
  /** Negative. */
  errno: number;
  path: ByteString;
}

/** @returns null, or what could not be removed. */
export function removeTree(sys: Sys, dirfd: number, path: ByteString): RemoveFailure | null {
  return remove(sys, dirfd, path, path, 0);
}

/** `name` below `dirfd`, which is `path` for messages. */
function remove(sys: Sys, dirfd: number, name: ByteString, path: ByteString, resolve: number): RemoveFailure | null {
  const dir = openOwn(sys, dirfd, name, resolve);
  if (dir < 0) return { errno: dir, path };
  const failed = empty(sys, dir, path);
  sys.close(dir);
  if (failed !== null) return failed;
  const err = sys.unlinkat(dirfd, name, AT_REMOVEDIR);
  return err < 0 ? { errno: err, path } : null;
}

function openOwn(sys: Sys, dirfd: number, name: ByteString, resolve: number): number {
  const flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
  const fd = sys.openat2(dirfd, name, flags, 0, resolve);
  if (fd !== -EACCES) return fd;
  const opened = sys.fchmodat(dirfd, name, 0o700, AT_SYMLINK_NOFOLLOW);
  return opened < 0 ? opened : sys.openat2(dirfd, name, flags, 0, resolve);
}

function empty(sys: Sys, dir: number, path: ByteString): RemoveFailure | null {
  let entries = listDir(sys, dir, '.');
  if (entries === -EACCES || !writable(sys, dir)) {
    // Reading, writing and searching it are three rights, and any may be missing.
    sys.fchmod(dir, 0o700);
    entries = listDir(sys, dir, '.');
  }
  if (typeof entries === 'number') return { errno: entries, path };
  for (const { name, type } of entries) {
    const below = `${path}/${name}`;
    let isDir = type === DT_DIR;
    if (!isDir) {
      const err = sys.unlinkat(dir, name, 0);
      if (err >= 0) continue;
      isDir = type === DT_UNKNOWN && (err === -EISDIR || err === -EPERM);
      if (!isDir) return { errno: err, path: below };
    }
    const failed = remove(sys, dir, name, below, RESOLVE_BENEATH | RESOLVE_NO_XDEV);
    if (failed !== null) return failed;
  }
  return null;
}

function writable(sys: Sys, dir: number): boolean {
  return sys.faccessat(dir, '.', W_OK | X_OK, 0) >= 0;
}
