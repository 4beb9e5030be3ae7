/** What the filesystem of one directory can do for an upper. Everything is tried in a folder that is removed again. */
import { type ByteString, toText } from '../sys/bytes.ts';
import {
  AT_FDCWD,
  AT_REMOVEDIR,
  BTRFS_SUPER_MAGIC,
  DT_UNKNOWN,
  EXT4_SUPER_MAGIC,
  FUSE_SUPER_MAGIC,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_RDONLY,
  O_RDWR,
  O_TMPFILE,
  OVERLAYFS_SUPER_MAGIC,
  RENAME_WHITEOUT,
  TMPFS_MAGIC,
  XFS_SUPER_MAGIC,
} from '../sys/constants.ts';
import { errnoName } from '../sys/errno.ts';
import { StatFs } from '../sys/stat.ts';
import type { Sys } from '../sys/sys.ts';
import { networkFilesystem, probeWhiteout, probeXattr } from './check-upper.ts';

const filesystems: ReadonlyMap<number, string> = new Map([
  [EXT4_SUPER_MAGIC, 'ext4'],
  [XFS_SUPER_MAGIC, 'xfs'],
  [BTRFS_SUPER_MAGIC, 'btrfs'],
  [TMPFS_MAGIC, 'tmpfs'],
  [OVERLAYFS_SUPER_MAGIC, 'overlay'],
  [FUSE_SUPER_MAGIC, 'fuse'],
  [0x2fc12fc1, 'zfs'],
  [0xf2f52010, 'f2fs'],
]);

/** `null` where it could not be tried. */
export interface DirectoryReport {
  path: string;
  /** Why nothing could be tried in it. */
  error: string | null;
  filesystem: string | null;
  network: boolean;
  freeBytes: number | null;
  /** 0 of 0 on filesystems that make inodes as they go. */
  inodes: number | null;
  freeInodes: number | null;
  trustedXattrs: boolean | null;
  userXattrs: boolean | null;
  dType: boolean | null;
  whiteouts: boolean | null;
  renameWhiteout: boolean | null;
  tmpfile: boolean | null;
  reflink: boolean | null;
}

export function probeDirectory(sys: Sys, path: ByteString): DirectoryReport {
  const report: DirectoryReport = {
    path: toText(path),
    error: null,
    filesystem: null,
    network: false,
    freeBytes: null,
    inodes: null,
    freeInodes: null,
    trustedXattrs: null,
    userXattrs: null,
    dType: null,
    whiteouts: null,
    renameWhiteout: null,
    tmpfile: null,
    reflink: null,
  };
  const fs = new StatFs();
  const found = sys.statfs(path, fs);
  if (found < 0) return { ...report, error: errnoName(found) };
  const network = networkFilesystem(fs.type);
  report.filesystem = network ?? filesystems.get(fs.type >>> 0) ?? `0x${(fs.type >>> 0).toString(16)}`;
  report.network = network !== undefined;
  report.freeBytes = fs.bavail * (fs.frsize || fs.bsize);
  report.inodes = fs.files;
  report.freeInodes = fs.ffree;
  const name = `${path}/.strata-probe-${process.pid}`;
  const made = sys.mkdirat(AT_FDCWD, name, 0o700);
  if (made < 0) return { ...report, error: errnoName(made) };
  const dir = sys.openat(AT_FDCWD, name, O_RDONLY | O_DIRECTORY, 0);
  if (dir >= 0) {
    tryOut(sys, dir, report);
    sys.close(dir);
  }
  sys.unlinkat(AT_FDCWD, name, AT_REMOVEDIR);
  return report;
}

function tryOut(sys: Sys, dir: number, report: DirectoryReport): void {
  report.trustedXattrs = probeXattr(sys, dir, 'trusted.overlay.opaque') === 0;
  report.userXattrs = probeXattr(sys, dir, 'user.overlay.opaque') === 0;
  report.whiteouts = probeWhiteout(sys, dir) === 0;
  const entries = Buffer.alloc(1024);
  report.dType = sys.getdents64(dir, entries) > 0 && entries[18] !== DT_UNKNOWN;
  const tmpfile = sys.openat(dir, '.', O_TMPFILE | O_RDWR, 0o600);
  report.tmpfile = tmpfile >= 0;
  if (tmpfile >= 0) sys.close(tmpfile);
  const one = sys.openat(dir, 'one', O_CREAT | O_EXCL | O_RDWR, 0o600);
  const two = sys.openat(dir, 'two', O_CREAT | O_EXCL | O_RDWR, 0o600);
  if (one >= 0 && two >= 0) {
    // An empty file can be cloned anywhere: there must be something to share.
    sys.pwrite(one, Buffer.alloc(4096, 1), 0, 4096, 0);
    report.reflink = sys.ficlone(two, one) >= 0;
    report.renameWhiteout = sys.renameat2(dir, 'one', dir, 'three', RENAME_WHITEOUT) >= 0;
  }
  for (const fd of [one, two]) if (fd >= 0) sys.close(fd);
  for (const name of ['one', 'two', 'three']) sys.unlinkat(dir, name, 0);
}
