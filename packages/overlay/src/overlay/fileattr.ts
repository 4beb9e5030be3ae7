/**
 * File flags, as chattr(1) sets and lsattr(1) shows them (kernel: ovl_fileattr_get and
 * ovl_fileattr_set in fs/overlayfs/inode.c). They lie on the upper's real inode, but for immutable
 * and append-only, which protattr.ts keeps. What those two refuse is in protection.ts.
 *
 * What a directory hands down to what is made in it, its filesystem sees to; where a new object is
 * built in the workdir instead, `heirFlags` and `inheritFlags` do.
 *
 * A request comes in one of two forms: a word of FS_*_FL (FS_IOC_GETFLAGS, SETFLAGS), or a struct
 * fsxattr whose first word has FS_XFLAG_* (FS_IOC_FSGETXATTR, FSSETXATTR).
 */
import type { Dentry } from '../layer/layer.ts';
import {
  FS_APPEND_FL,
  FS_COMPR_FL,
  FS_DIRSYNC_FL,
  FS_IMMUTABLE_FL,
  FS_IOC_FSGETXATTR,
  FS_IOC_FSSETXATTR,
  FS_IOC_GETFLAGS,
  FS_IOC_SETFLAGS,
  FS_NOATIME_FL,
  FS_NOCOMP_FL,
  FS_NOCOW_FL,
  FS_NODUMP_FL,
  FS_SYNC_FL,
  FS_XFLAG_APPEND,
  FS_XFLAG_IMMUTABLE,
  O_RDONLY,
  S_IFDIR,
  S_IFREG,
} from '../sys/constants.ts';
import { ENOTTY, EROFS } from '../sys/errno.ts';
import { copyUp } from './copy-up.ts';
import { type DirInode, type Inode, isDir } from './inode.ts';
import { fileattrOf, SIZEOF_FLAGS, setProtattr } from './protattr.ts';
import type { Super } from './super.ts';

/** The bits of the first word that stand for immutable and append-only in `request`'s form. */
function protectedBits(request: number): readonly [immutable: number, append: number] {
  const extended = request === FS_IOC_FSGETXATTR || request === FS_IOC_FSSETXATTR;
  return extended ? [FS_XFLAG_IMMUTABLE, FS_XFLAG_APPEND] : [FS_IMMUTABLE_FL, FS_APPEND_FL];
}

function word(arg: Uint8Array): DataView {
  return new DataView(arg.buffer, arg.byteOffset, 4);
}

function hasFlags(inode: Inode): boolean {
  return inode.type === S_IFREG || inode.type === S_IFDIR;
}

/** FS_IOC_GETFLAGS or FS_IOC_FSGETXATTR into `out`. @returns 0; -ENOTTY where there are no flags. */
export function getFileattr(inode: Inode, request: number, out: Uint8Array): number {
  if (!hasFlags(inode)) return -ENOTTY;
  const err = fileattrOf(inode.real, request, out);
  if (err < 0) return err;
  const [immutable, append] = protectedBits(request);
  let flags = word(out).getUint32(0, true);
  if (inode.protection & FS_IMMUTABLE_FL) flags |= immutable;
  if (inode.protection & FS_APPEND_FL) flags |= append;
  word(out).setUint32(0, flags, true);
  return 0;
}

/** FS_IOC_SETFLAGS or FS_IOC_FSSETXATTR; `value` is changed. Copies up. */
export function setFileattr(sb: Super, inode: Inode, request: number, value: Uint8Array): number {
  if (sb.config.readOnly) return -EROFS;
  if (!hasFlags(inode)) return -ENOTTY;
  let err = copyUp(sb, inode);
  if (err < 0) return err;
  const upper = inode.upper!;
  const [immutable, append] = protectedBits(request);
  const flags = word(value).getUint32(0, true);
  const wanted = (flags & immutable ? FS_IMMUTABLE_FL : 0) | (flags & append ? FS_APPEND_FL : 0);
  const { layer } = upper;
  err = setProtattr(sb, wanted, inode.protection !== 0, {
    set: (text) => layer.setxattr(upper, sb.names.protattr, text, 0),
    remove: () => layer.removexattr(upper, sb.names.protattr),
  });
  if (err < 0) return err;
  inode.protection = wanted;
  if (isDir(inode)) inode.heirFlags = undefined;
  word(value).setUint32(0, (flags & ~(immutable | append)) >>> 0, true);
  // It may be made to fold case, while it is empty.
  upper.names = null;
  return fileattrOf(upper, request, value);
}

/** What filesystems pass on to every new file and directory. */
const INHERITED: number = FS_SYNC_FL | FS_NOATIME_FL | FS_NODUMP_FL | FS_COMPR_FL | FS_NOCOMP_FL | FS_NOCOW_FL;

/** What `dir`, which is in the upper, hands down to its new directories. Asked once. */
export function heirFlags(dir: DirInode): number {
  if (dir.heirFlags === undefined) {
    const own = Buffer.alloc(SIZEOF_FLAGS);
    const err = fileattrOf(dir.upper!, FS_IOC_GETFLAGS, own);
    dir.heirFlags = err < 0 ? 0 : own.readUInt32LE(0) & (INHERITED | FS_DIRSYNC_FL);
  }
  return dir.heirFlags;
}

/** Gives them to the new, still empty `made`; a filesystem that does not take one keeps all as they are. */
export function inheritFlags(made: Dentry, flags: number): void {
  const own = Buffer.alloc(SIZEOF_FLAGS);
  const file = made.layer.open(made, O_RDONLY);
  if (file < 0) return;
  if (made.layer.fileattr(file, FS_IOC_GETFLAGS, own) >= 0) {
    own.writeUInt32LE((own.readUInt32LE(0) | flags) >>> 0, 0);
    made.layer.fileattr(file, FS_IOC_SETFLAGS, own);
  }
  made.layer.close(file);
}
