/**
 * Whether a filesystem can hold an upper: what the kernel's ovl_get_upper and ovl_make_workdir
 * look at, asked before anything is made, so that a refusal leaves nothing behind. Looks at the
 * workdir alone, which is on the upper's filesystem.
 */
import { LAZY_FEATURE } from '../overlay/params.ts';
import type { ByteString } from '../sys/bytes.ts';
import {
  AFS_SUPER_MAGIC,
  AT_EACCESS,
  AT_FDCWD,
  CEPH_SUPER_MAGIC,
  CIFS_SUPER_MAGIC,
  DT_UNKNOWN,
  ECRYPTFS_SUPER_MAGIC,
  FUSE_SUPER_MAGIC,
  NFS_SUPER_MAGIC,
  O_DIRECTORY,
  O_RDONLY,
  OVERLAYFS_SUPER_MAGIC,
  RENAME_WHITEOUT,
  S_IFCHR,
  S_IFREG,
  SMB_SUPER_MAGIC,
  SMB2_SUPER_MAGIC,
  ST_RDONLY,
  V9FS_MAGIC,
  W_OK,
  X_OK,
} from '../sys/constants.ts';
import { EACCES, EINVAL, ENODATA, ENOENT, EOPNOTSUPP, EPERM, EROFS, errnoName } from '../sys/errno.ts';
import { StatFs } from '../sys/stat.ts';
import type { Sys } from '../sys/sys.ts';
import type { LayerRoot } from './layer-roots.ts';
import { MountError } from './mount-error.ts';
import { show } from './paths.ts';
import { mayUseTrustedXattrs } from './privilege.ts';
import { listDir } from './read-file.ts';

/** Filesystems whose files change behind the kernel's back, by f_type. */
const networkFilesystems: ReadonlyMap<number, string> = new Map([
  [NFS_SUPER_MAGIC, 'NFS'],
  [SMB_SUPER_MAGIC, 'SMB'],
  [CIFS_SUPER_MAGIC, 'CIFS'],
  [SMB2_SUPER_MAGIC, 'SMB'],
  [CEPH_SUPER_MAGIC, 'Ceph'],
  [AFS_SUPER_MAGIC, 'AFS'],
  [V9FS_MAGIC, '9p'],
]);

/** The name of the network filesystem that `f_type` stands for. */
export function networkFilesystem(type: number): string | undefined {
  return networkFilesystems.get(type >>> 0);
}

export interface UpperRules {
  backend: 'kernel' | 'fuse';
  /** `user.overlay.*` instead of `trusted.overlay.*`. */
  userxattr: boolean;
  /** The mount will be read-only, so that nothing is asked of the upper's filesystem. */
  readOnly: boolean;
}

/** @throws MountError naming what the filesystem lacks. */
export function checkUpper(sys: Sys, upper: LayerRoot, work: LayerRoot, rules: UpperRules): void {
  const fs = new StatFs();
  const err = sys.fstatfs(upper.fd, fs);
  if (err < 0)
    throw new MountError(err, `upperdir ${show(upper.path)} cannot be asked for its filesystem: ${errnoName(err)}`);
  const network = networkFilesystem(fs.type);
  if (network !== undefined) {
    throw new MountError(
      -EINVAL,
      `upperdir ${show(upper.path)} is on a network filesystem (${network}), which cannot hold an upper: choose a local one`,
    );
  }
  if (fs.type === OVERLAYFS_SUPER_MAGIC || fs.type === ECRYPTFS_SUPER_MAGIC) {
    const name = fs.type === OVERLAYFS_SUPER_MAGIC ? 'an overlay' : 'eCryptfs';
    throw new MountError(
      -EINVAL,
      `upperdir ${show(upper.path)} is on ${name}, which cannot hold an upper: choose a directory on a disk filesystem or tmpfs`,
    );
  }
  if (rules.readOnly) return;
  if ((fs.flags & ST_RDONLY) !== 0) {
    throw new MountError(
      -EINVAL,
      `upperdir ${show(upper.path)} is on a read-only mount: remount it rw, or mount with ro`,
    );
  }
  for (const root of [upper, work]) {
    const may = sys.faccessat(AT_FDCWD, `/proc/self/fd/${root.fd}`, W_OK | X_OK, AT_EACCESS);
    if (may === -EACCES || may === -EROFS) {
      throw new MountError(may, `${root.kind} ${show(root.path)} cannot be written by this user`);
    }
  }
  checkIncompat(sys, work, rules);
  checkDirentTypes(sys, work);
  if (fs.type === FUSE_SUPER_MAGIC) checkFuse(sys, upper, work, rules);
  probeWork(sys, work, rules);
}

/** workdir/work/incompat/NAME: features of an earlier mount that no other mount may ignore. */
function checkIncompat(sys: Sys, work: LayerRoot, rules: UpperRules): void {
  const left = listDir(sys, work.fd, 'work/incompat');
  if (typeof left === 'number') return;
  const all = left.map((entry) => entry.name);
  if (all.includes(LAZY_FEATURE) && rules.backend === 'kernel') {
    throw new MountError(
      -EINVAL,
      `workdir ${show(work.path)} has copy-ups that are not complete, which the kernel's overlay cannot read: strata hydrate with these options completes them, or mount with the fuse backend`,
    );
  }
  const names = all.filter((name) => name !== LAZY_FEATURE);
  if (names.length === 0) return;
  if (names.includes('volatile')) {
    throw new MountError(
      -EINVAL,
      `workdir ${show(work.path)} was used by a volatile mount, whose upper may have lost data in a crash: start from a fresh upper and workdir, or remove ${show(`${work.path}/work/incompat`)} if you trust it`,
    );
  }
  throw new MountError(
    -EINVAL,
    `workdir ${show(work.path)} was used with the feature ${show(names[0])}, which is not known here: mount it with what made it`,
  );
}

/** Whiteouts are told apart in listings by d_type; `.` and `..` show whether the filesystem keeps any. */
function checkDirentTypes(sys: Sys, work: LayerRoot): void {
  const fd = sys.openat(work.fd, '.', O_RDONLY | O_DIRECTORY, 0);
  const buf = Buffer.alloc(4096);
  const n = fd < 0 ? fd : sys.getdents64(fd, buf);
  if (fd >= 0) sys.close(fd);
  if (n < 0) throw new MountError(n, `workdir ${show(work.path)} cannot be read: ${errnoName(n)}`);
  if (n > 0 && buf[18] === DT_UNKNOWN) {
    throw new MountError(
      -EINVAL,
      `upperdir's filesystem at ${show(work.path)} keeps no file types in directories (d_type): use one that does, such as ext4 made with -O filetype or XFS made with ftype=1`,
    );
  }
}

/**
 * A filesystem of a server's has what the server does. The kernel's overlay asks the same three of
 * it (ovl_make_workdir: "upper fs missing required features"); another FUSE union mostly has none, a mount of ours all.
 */
function checkFuse(sys: Sys, upper: LayerRoot, work: LayerRoot, rules: UpperRules): void {
  const prefix = rules.userxattr ? 'user' : 'trusted';
  // Without rights to them, trusted attributes are refused whatever the filesystem: probeWork says so.
  const mayTell = rules.userxattr || mayUseTrustedXattrs(sys);
  let lack: string | null = null;
  if (mayTell && probeXattr(sys, work.fd, `${prefix}.overlay.opaque`) < 0) lack = `${prefix}.overlay.* attributes`;
  else if (probeWhiteout(sys, work.fd) < 0) lack = 'whiteouts (0:0 character devices)';
  else if (probeRenameWhiteout(sys, work.fd) < 0) lack = 'RENAME_WHITEOUT';
  if (lack === null) return;
  throw new MountError(
    -EINVAL,
    `upperdir ${show(upper.path)} is on a FUSE filesystem without ${lack}, which cannot hold an upper: choose a disk filesystem, tmpfs or a strata mount`,
  );
}

/** Sets and removes one extended attribute, makes and removes one whiteout. */
function probeWork(sys: Sys, work: LayerRoot, rules: UpperRules): void {
  const name = `${rules.userxattr ? 'user' : 'trusted'}.overlay.opaque`;
  const set = probeXattr(sys, work.fd, name);
  if (set === -EPERM || set === -EACCES) {
    // The kernel's overlay mounts without them too, and can then neither redirect nor make directories opaque.
    if (rules.backend === 'fuse') {
      throw new MountError(
        set,
        `workdir ${show(work.path)}: this user may not set ${name}: mount with userxattr, which keeps the overlay's notes in user.overlay.*`,
      );
    }
  } else if (set < 0) {
    throw new MountError(
      -EOPNOTSUPP,
      `upperdir's filesystem at ${show(work.path)} takes no extended attribute ${name} (${errnoName(set)}): use a filesystem that keeps ${rules.userxattr ? 'user' : 'trusted'} xattrs`,
    );
  }
  const made = probeWhiteout(sys, work.fd);
  if (made < 0) {
    throw new MountError(
      made,
      `upperdir's filesystem at ${show(work.path)} takes no whiteouts (0:0 character devices): ${errnoName(made)}`,
    );
  }
}

/** @returns 0, or the errno with which `name` was refused. The attribute does not stay. */
export function probeXattr(sys: Sys, dirfd: number, name: ByteString): number {
  const before = sys.getxattrat(dirfd, '', name, Buffer.alloc(16));
  if (before !== -ENODATA) return Math.min(before, 0);
  const err = sys.setxattrat(dirfd, '', name, Buffer.from('0'), 0);
  if (err >= 0) sys.removexattrat(dirfd, '', name);
  return err;
}

/** @returns 0, or the errno with which a whiteout was refused. It does not stay. */
export function probeWhiteout(sys: Sys, dirfd: number): number {
  const name = `#probe-${process.pid}`;
  const err = sys.mknodat(dirfd, name, S_IFCHR, 0);
  if (err < 0) return err === -ENOENT ? -EPERM : err;
  return sys.unlinkat(dirfd, name, 0);
}

/** @returns 0, or the errno with which RENAME_WHITEOUT was refused. Nothing of it stays. */
function probeRenameWhiteout(sys: Sys, dirfd: number): number {
  const from = `#probe-${process.pid}`;
  const to = `${from}-moved`;
  let err = sys.mknodat(dirfd, from, S_IFREG | 0o600, 0);
  if (err < 0) return err;
  err = sys.renameat2(dirfd, from, dirfd, to, RENAME_WHITEOUT);
  sys.unlinkat(dirfd, from, 0);
  if (err >= 0) sys.unlinkat(dirfd, to, 0);
  return err;
}
