/**
 * A FUSE mount by mount(2): /dev/fuse is opened, its descriptor handed to the kernel in the
 * options, and the mount appears at once; whoever holds the descriptor must then answer INIT.
 * The type is `fuse.strata-overlay`, the source is what was given, the generic options are mount
 * flags: findmnt shows all three. No fusermount: this process is root in its user namespace.
 *
 * Access is the kernel's to judge (default_permissions), so everybody may come in (allow_other).
 */
import type { ByteString } from '../sys/bytes.ts';
import {
  AT_FDCWD,
  MNT_DETACH,
  MS_NODEV,
  MS_NOSUID,
  O_DIRECTORY,
  O_NONBLOCK,
  O_PATH,
  O_RDWR,
  O_WRONLY,
} from '../sys/constants.ts';
import { EACCES, ECONNABORTED, ENODEV, ENOENT, ENOTCONN, ENXIO, EPERM, errnoName } from '../sys/errno.ts';
import { Stat } from '../sys/stat.ts';
import type { Sys } from '../sys/sys.ts';
import { MountError } from './mount-error.ts';
import { mountFlags } from './mount-flags.ts';
import { FUSE_TYPE, type MountEntry, mountAt, readMountinfo } from './mountinfo.ts';
import type { MountFlags } from './options.ts';
import { realPath, show } from './paths.ts';
import { inInitialUserNamespace } from './privilege.ts';

/** Sequential reads of files that the server serves come in pieces of this size (kB; 128 by default). */
const READ_AHEAD_KB = 1024;

/** Opens /dev/fuse for non-blocking reads. @throws MountError. */
export function openFuseDevice(sys: Sys): number {
  const fd = sys.openat(AT_FDCWD, '/dev/fuse', O_RDWR | O_NONBLOCK, 0);
  switch (fd) {
    case -ENOENT:
      throw new MountError(fd, 'there is no /dev/fuse: load the fuse module (modprobe fuse), or make the device node');
    case -ENODEV:
    case -ENXIO:
      throw new MountError(fd, 'this kernel has no FUSE (modprobe fuse loads it)');
    case -EACCES:
    case -EPERM:
      throw new MountError(
        fd,
        `/dev/fuse cannot be opened by this user (${errnoName(fd)}): it is usually mode 0666 (chmod 666 /dev/fuse, as root)`,
        1,
      );
  }
  if (fd < 0) throw new MountError(fd, `/dev/fuse cannot be opened: ${errnoName(fd)}`, 2);
  return fd;
}

export interface FuseMount {
  /** Where it stands now, without symlinks. */
  mountPoint: ByteString;
  /** `major:minor` of the new filesystem: its key in the mount table and below /sys. */
  device: string;
}

/**
 * Mounts the filesystem that will be served through `deviceFd` on the directory `point` (O_PATH).
 * Looking into it blocks until somebody serves. @throws MountError.
 */
export function mountFuse(sys: Sys, deviceFd: number, point: number, source: ByteString, flags: MountFlags): FuseMount {
  const data =
    `fd=${deviceFd},rootmode=40000,user_id=${sys.geteuid()},group_id=${sys.getegid()},` +
    'default_permissions,allow_other';
  let bits = mountFlags(flags);
  // As for the kernel's overlay there: what a user set up for himself must not raise his rights.
  if (!inInitialUserNamespace(sys)) bits |= MS_NOSUID | MS_NODEV;
  // The directory that was checked, whatever its path means by now.
  const err = sys.mount(source, `/proc/self/fd/${point}`, FUSE_TYPE, bits, data);
  if (err < 0) throw refused(err);
  const mountPoint = realPath(sys, point);
  const entries = readMountinfo(sys);
  if (typeof mountPoint === 'number' || typeof entries === 'number') {
    throw new MountError(-ENOENT, 'the new mount cannot be found: /proc is not mounted', 2);
  }
  const entry = mountAt(entries, mountPoint);
  if (entry?.fstype !== FUSE_TYPE) {
    throw new MountError(-ENOENT, `the new mount at ${show(mountPoint)} is gone: something else unmounted it`, 2);
  }
  return { mountPoint, device: entry.device };
}

function refused(err: number): MountError {
  switch (err) {
    case -ENODEV:
      return new MountError(err, 'this kernel has no FUSE (modprobe fuse loads it)');
    case -EPERM:
    case -EACCES:
      return new MountError(err, 'this user may not mount: be root, or run it in a user namespace (unshare -Urm)', 1);
    default:
      return new MountError(err, `the kernel refused the FUSE mount: ${errnoName(err)}`);
  }
}

/** Raises the read-ahead of a mount (`device` as in FuseMount). For root alone; fails quietly. */
export function raiseReadAhead(sys: Sys, device: string): void {
  const fd = sys.openat(AT_FDCWD, `/sys/class/bdi/${device}/read_ahead_kb`, O_WRONLY, 0);
  if (fd < 0) return;
  const text = Buffer.from(`${READ_AHEAD_KB}\n`);
  sys.write(fd, text, 0, text.length);
  sys.close(fd);
}

/** The mount of `device` in this thread's mount namespace, wherever it stands now. */
export function findMount(sys: Sys, device: string): MountEntry | undefined {
  const entries = readMountinfo(sys);
  return typeof entries === 'number' ? undefined : entries.find((entry) => entry.device === device);
}

/**
 * Takes the mount of `device` out of the tree (umount2 MNT_DETACH), wherever it stands and under
 * whatever name. What lies on top of it stays. @returns 0 or a negative errno.
 */
export function detachMount(sys: Sys, device: string): number {
  const entries = readMountinfo(sys);
  if (typeof entries === 'number') return entries;
  let result = -ENOENT;
  for (const entry of entries) {
    // Only the topmost can be named; one that something was mounted over goes with its server.
    if (entry.device !== device || mountAt(entries, entry.mountPoint)?.id !== entry.id) continue;
    result = sys.umount2(entry.mountPoint, MNT_DETACH);
  }
  return result;
}

/**
 * Detaches the FUSE mount of ours at `path` whose server is gone (every look at it is ENOTCONN).
 * @returns whether there was one.
 */
export function removeDeadMount(sys: Sys, path: ByteString): boolean {
  const point = sys.openat(AT_FDCWD, path, O_PATH | O_DIRECTORY, 0);
  if (point < 0) return point === -ENOTCONN && detachByName(sys, path);
  const looked = sys.fstat(point, new Stat());
  const real = realPath(sys, point);
  sys.close(point);
  if ((looked !== -ENOTCONN && looked !== -ECONNABORTED) || typeof real === 'number') return false;
  return detachByName(sys, real);
}

function detachByName(sys: Sys, mountPoint: ByteString): boolean {
  const entries = readMountinfo(sys);
  if (typeof entries === 'number' || mountAt(entries, mountPoint)?.fstype !== FUSE_TYPE) return false;
  return sys.umount2(mountPoint, MNT_DETACH) === 0;
}
