/** Mounts that are carried into the view: copied (with all below them) before it covers them, attached after. */
import { mountsBelow, readMountinfo } from 'stratafs/internal/mount/mountinfo';
import { show } from 'stratafs/internal/mount/paths';
import type { ByteString } from 'stratafs/internal/sys/bytes';
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_NO_AUTOMOUNT,
  AT_RECURSIVE,
  MOUNT_ATTR_RDONLY,
  MOVE_MOUNT_F_EMPTY_PATH,
  O_CREAT,
  O_PATH,
  O_WRONLY,
  OPEN_TREE_CLONE,
  S_IFDIR,
} from 'stratafs/internal/sys/constants';
import { EEXIST, ENOENT, errnoName } from 'stratafs/internal/sys/errno';
import { Stat } from 'stratafs/internal/sys/stat';
import type { Sys } from 'stratafs/internal/sys/sys';
import { CliError } from '../cli-error.ts';
import type { Volume } from './plan.ts';

/** A detached copy of a tree of mounts. */
export interface Bind {
  /** Where it belongs, on the host and in the view. */
  target: ByteString;
  fd: number;
}

function copyTree(sys: Sys, path: ByteString): number {
  return sys.openTree(AT_FDCWD, path, OPEN_TREE_CLONE | AT_RECURSIVE | AT_NO_AUTOMOUNT);
}

/** Copies of what is mounted below `directory`. @throws CliError naming what cannot be copied. */
export function copyMountsBelow(sys: Sys, directory: ByteString): Bind[] {
  const entries = readMountinfo(sys);
  if (typeof entries === 'number') throw new CliError(125, `the mount table cannot be read: ${errnoName(entries)}`);
  const binds: Bind[] = [];
  for (const { mountPoint } of mountsBelow(entries, directory)) {
    // Goes along with the one above it; the same point twice is one stack.
    const above = binds.at(-1)?.target;
    if (above !== undefined && (mountPoint === above || mountPoint.startsWith(`${above}/`))) continue;
    const fd = copyTree(sys, mountPoint);
    // Something else is mounted over it.
    if (fd === -ENOENT) continue;
    if (fd < 0)
      throw new CliError(125, `the mount at ${show(mountPoint)} cannot be carried into the view: ${errnoName(fd)}`);
    binds.push({ target: mountPoint, fd });
  }
  return binds;
}

/** A copy of what a volume names. @throws CliError. */
export function copyVolume(sys: Sys, volume: Volume): Bind {
  const fd = copyTree(sys, volume.source);
  if (fd === -ENOENT) throw new CliError(125, `volume ${show(volume.source)} does not exist`);
  let err = fd;
  if (fd >= 0 && volume.readOnly) {
    err = sys.mountSetattr(fd, '', AT_EMPTY_PATH | AT_RECURSIVE, MOUNT_ATTR_RDONLY, 0, 0);
  }
  if (err < 0) throw new CliError(125, `volume ${show(volume.source)} cannot be used: ${errnoName(err)}`);
  return { target: volume.target, fd };
}

/** Puts a copy in its place below `base`. @throws CliError. */
export function attach(sys: Sys, bind: Bind, base: ByteString): void {
  const at = base + bind.target;
  const err = sys.moveMount(bind.fd, '', AT_FDCWD, at, MOVE_MOUNT_F_EMPTY_PATH);
  sys.close(bind.fd);
  if (err >= 0) return;
  const why = err === -ENOENT ? 'it does not exist' : errnoName(err);
  throw new CliError(125, `nothing can be mounted on ${show(bind.target)}: ${why}`);
}

/** Makes the directory, or the empty file, that the copy `source` goes on, with its parents. @throws CliError. */
export function makeTarget(sys: Sys, source: number, at: ByteString): void {
  const st = new Stat();
  const existing = sys.openat(AT_FDCWD, at, O_PATH, 0);
  if (existing >= 0) {
    sys.close(existing);
    return;
  }
  for (let slash = at.indexOf('/', 1); slash > 0; slash = at.indexOf('/', slash + 1)) {
    sys.mkdirat(AT_FDCWD, at.slice(0, slash), 0o755);
  }
  const isDir = sys.fstat(source, st) >= 0 && st.type === S_IFDIR;
  const made = isDir ? sys.mkdirat(AT_FDCWD, at, 0o755) : sys.openat(AT_FDCWD, at, O_CREAT | O_WRONLY, 0o644);
  if (made >= 0 && !isDir) sys.close(made);
  if (made < 0 && made !== -EEXIST) throw new CliError(125, `${show(at)} cannot be made: ${errnoName(made)}`);
}
