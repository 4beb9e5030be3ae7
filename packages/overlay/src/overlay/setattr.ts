/** The request of a setattr: fields, and bits (FUSE's FATTR_*, the kernel's ATTR_*) that say which count. */

/** Which fields of SetAttr count: the FATTR_* bits of FUSE. */
export const ATTR_MODE: number = 1 << 0;
export const ATTR_UID: number = 1 << 1;
export const ATTR_GID: number = 1 << 2;
export const ATTR_SIZE: number = 1 << 3;
export const ATTR_ATIME: number = 1 << 4;
export const ATTR_MTIME: number = 1 << 5;
export const ATTR_ATIME_NOW: number = 1 << 7;
export const ATTR_MTIME_NOW: number = 1 << 8;
export const ATTR_CTIME: number = 1 << 10;
/** Clear suid, sgid (if group-executable) and file capabilities: the caller lacks CAP_FSETID. */
export const ATTR_KILL_SUIDGID: number = 1 << 11;

/**
 * chown(-1, -1), or the kernel before a change of data by one without CAP_FSETID: both take suid,
 * sgid and file capabilities away.
 */
export function asksNothing(valid: number): boolean {
  return (valid & ~ATTR_CTIME) === 0;
}

/**
 * Ours, not on the wire: root changes owner and group, or the size. On a file that has had no name yet that leaves
 * suid, sgid and capabilities (attr.ts, survives).
 */
export const ATTR_BY_ROOT: number = 1 << 20;

export class SetAttr {
  valid = 0;
  mode = 0;
  uid = 0;
  gid = 0;
  size = 0;
  atime = 0;
  atimeNsec = 0;
  mtime = 0;
  mtimeNsec = 0;
  /** The open handle that ftruncate or fchmod came through, or 0. */
  fh = 0;
}
