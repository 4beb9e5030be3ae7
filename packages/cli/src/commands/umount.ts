/** `strata umount`: takes a mount away and waits until its server has finished. */
import { removeDeadMount } from 'stratafs/internal/mount/fuse-mount';
import { MountError } from 'stratafs/internal/mount/mount-error';
import { isUnion, type MountEntry, mountAt, readMountinfo } from 'stratafs/internal/mount/mountinfo';
import { absolutePath, realPath, show, workingDirectory } from 'stratafs/internal/mount/paths';
import { forgetKilledServers, type MountRecord, readRecords, startTime } from 'stratafs/internal/serve/state';
import type { ByteString } from 'stratafs/internal/sys/bytes';
import { AT_FDCWD, MNT_DETACH, MNT_EXPIRE, O_PATH } from 'stratafs/internal/sys/constants';
import { EACCES, EAGAIN, EBUSY, EINVAL, ENOENT, EPERM, errnoName } from 'stratafs/internal/sys/errno';
import type { Sys } from 'stratafs/internal/sys/sys';
import { openSys } from 'stratafs/internal/sys/sys-koffi';
import { hydrateMount } from '../hydrating.ts';
import type { DefineVerb } from '../verb.ts';

/** Between two looks at a server that is finishing. */
const LOOK_MS = 10;
const SIGTERM = 15;

export const umount: DefineVerb = (command) => {
  command
    .description('End the mount at MERGED: returns when its server has finished and exited.')
    .argument('<merged>')
    .option('-l, --lazy', 'end at once, also when it is busy')
    .addHelpText(
      'after',
      '\nCopy-ups that are not complete are completed first; with -l they stay for the next mount.\n\nExample:\n  strata umount /mnt',
    )
    .action(async (merged: ByteString, flags: { lazy?: boolean }) => {
      const sys = openSys();
      if (removeDeadMount(sys, merged)) {
        forgetKilledServers();
        return;
      }
      const entry = findUnion(sys, merged);
      const record = readRecords().find((candidate) => candidate.device === entry.device);
      // Told to end first: a server whose mount just goes completes what is pending.
      if (flags.lazy && record !== undefined && sys.kill(record.pid, SIGTERM) >= 0) {
        await exited(record);
        if (!isMounted(sys, entry)) return;
      }
      // The server would do it as well, after the mount is gone and without a word.
      if (!flags.lazy && record !== undefined && isIdle(sys, entry)) await hydrateMount(sys, entry.mountPoint);
      const err = sys.umount2(entry.mountPoint, flags.lazy ? MNT_DETACH : 0);
      if (err < 0) throw refused(err, entry.mountPoint);
      if (record === undefined) return;
      await exited(record);
    });
};

function isMounted(sys: Sys, { device, mountPoint }: MountEntry): boolean {
  const entries = readMountinfo(sys);
  return typeof entries !== 'number' && mountAt(entries, mountPoint)?.device === device;
}

/** Marking a mount as expired fails with EBUSY where it is in use; where it is not, nothing happens to it. */
function isIdle(sys: Sys, entry: MountEntry): boolean {
  return sys.umount2(entry.mountPoint, MNT_EXPIRE) === -EAGAIN;
}

/** @throws MountError unless a union is mounted at `merged`. */
export function findUnion(sys: Sys, merged: ByteString): MountEntry {
  const mountPoint = resolve(sys, merged);
  const entries = readMountinfo(sys);
  const entry = typeof entries === 'number' ? undefined : mountAt(entries, mountPoint);
  if (entry === undefined) throw new MountError(-EINVAL, `nothing is mounted at ${show(merged)}`);
  if (isUnion(entry)) return entry;
  throw new MountError(
    -EINVAL,
    `what is mounted at ${show(merged)} is no union but ${entry.fstype}: umount(8) takes it away`,
  );
}

/** The path without symlinks, as the mount table has it. */
function resolve(sys: Sys, path: ByteString): ByteString {
  const fd = sys.openat(AT_FDCWD, path, O_PATH, 0);
  if (fd === -ENOENT) throw new MountError(fd, `${show(path)} does not exist`);
  if (fd >= 0) {
    const real = realPath(sys, fd);
    sys.close(fd);
    if (typeof real !== 'number') return real;
  }
  const cwd = workingDirectory(sys);
  return typeof cwd === 'number' ? path : absolutePath(cwd, path);
}

function refused(err: number, mountPoint: ByteString): MountError {
  switch (err) {
    case -EBUSY:
      return new MountError(
        err,
        `${show(mountPoint)} is busy: something stands in it or has files open (fuser -vm names it); -l ends it all the same`,
      );
    case -EPERM:
    case -EACCES:
      return new MountError(err, `this user may not unmount ${show(mountPoint)}`, 1);
    default:
      return new MountError(err, `${show(mountPoint)} cannot be unmounted: ${errnoName(err)}`);
  }
}

/** Settles when the process of the record is gone. */
async function exited(record: MountRecord): Promise<void> {
  while (startTime(record.pid) === record.startTime) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}
