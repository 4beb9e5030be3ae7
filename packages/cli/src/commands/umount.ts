/** `strata umount`: takes a mount away and waits until its server has finished. */
import { removeDeadMount } from 'stratafs/internal/mount/fuse-mount';
import { MountError } from 'stratafs/internal/mount/mount-error';
import { isUnion, type MountEntry, mountAt, readMountinfo } from 'stratafs/internal/mount/mountinfo';
import { absolutePath, realPath, show, workingDirectory } from 'stratafs/internal/mount/paths';
import { forgetKilledServers, type MountRecord, readRecords, startTime } from 'stratafs/internal/serve/state';
import type { ByteString } from 'stratafs/internal/sys/bytes';
import { AT_FDCWD, MNT_DETACH, O_PATH } from 'stratafs/internal/sys/constants';
import { EACCES, EBUSY, EINVAL, ENOENT, EPERM, errnoName } from 'stratafs/internal/sys/errno';
import type { Sys } from 'stratafs/internal/sys/sys';
import { openSys } from 'stratafs/internal/sys/sys-koffi';
import type { DefineVerb } from '../verb.ts';

/** Between two looks at a server that is finishing. */
const LOOK_MS = 10;
const SIGTERM = 15;

export const umount: DefineVerb = (command) => {
  command
    .description('End the mount at MERGED: returns when its server has finished and exited.')
    .argument('<merged>')
    .option('-l, --lazy', 'end at once, also when it is busy')
    .addHelpText('after', '\nExample:\n  strata umount /mnt')
    .action(async (merged: ByteString, flags: { lazy?: boolean }) => {
      const sys = openSys();
      if (removeDeadMount(sys, merged)) {
        forgetKilledServers();
        return;
      }
      const entry = findUnion(sys, merged);
      const record = readRecords().find((candidate) => candidate.device === entry.device);
      const err = sys.umount2(entry.mountPoint, flags.lazy ? MNT_DETACH : 0);
      if (err < 0) throw refused(err, entry.mountPoint);
      if (record === undefined) return;
      if (flags.lazy) sys.kill(record.pid, SIGTERM);
      await exited(record);
    });
};

/** @throws MountError unless a union is mounted at `merged`. */
function findUnion(sys: Sys, merged: ByteString): MountEntry {
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
