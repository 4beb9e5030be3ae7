/**
 * Which of suid, sgid and file capabilities a change takes away, where the request does not say it.
 *
 *   - sgid of a file that its group may not execute goes when one changes the file who is not of
 *     that group (kernel: setattr_should_drop_sgid). FUSE tells who, and not of which groups.
 *   - A setattr of nothing is chown(-1, -1), which takes all three, or what the kernel does before a
 *     write to a backing file. From root, who keeps suid and sgid as he writes, the second is told
 *     by the file: it has capabilities, and is open for writing.
 */
import { getattr } from '../overlay/attr.ts';
import type { OpenFile } from '../overlay/file.ts';
import type { Inode } from '../overlay/inode.ts';
import { O_RDONLY, S_IFREG, S_ISGID, S_IXGRP } from '../sys/constants.ts';
import type { Stat } from '../sys/stat.ts';
import { ATTR_GID, ATTR_KILL_SUIDGID, ATTR_UID, asksNothing, type Caller, type SetAttr } from './ops.ts';
import { inGroup } from './permissions.ts';

const CAPABILITY = 'security.capability';

/** The supplementary groups of a process. */
export type GroupsOf = (pid: number) => readonly number[];

/** Whether this setattr takes suid and sgid away. */
export function takesPrivileges(caller: Caller, set: SetAttr): boolean {
  return caller.uid !== 0 && (asksNothing(set.valid) || (set.valid & (ATTR_KILL_SUIDGID | ATTR_UID | ATTR_GID)) !== 0);
}

/** Whether sgid goes although the group may not execute. To be asked before a change of the group. */
export function dropsSgid(caller: Caller, inode: Inode, groupsOf: GroupsOf, scratch: Stat): boolean {
  const { real } = inode;
  if (caller.uid === 0 || inode.type !== S_IFREG || real.layer.stat(real, scratch) < 0) return false;
  if ((scratch.mode & (S_ISGID | S_IXGRP)) !== S_ISGID || inGroup(caller, scratch.gid)) return false;
  return caller.groups !== undefined || !groupsOf(caller.pid).includes(scratch.gid);
}

function isWritten(inode: Inode, files: Iterable<OpenFile>): boolean {
  for (const file of files) if (file.inode === inode && file.accmode !== O_RDONLY) return true;
  return false;
}

/** Takes sgid away from a file of the upper; `out` is filled. */
export function dropSgid(inode: Inode, out: Stat): number {
  const { real } = inode;
  let err = real.layer.stat(real, out);
  if (err >= 0) err = real.layer.chmod(real, out.mode & 0o7777 & ~S_ISGID);
  return err < 0 ? err : getattr(inode, out);
}

/** Whether this is root's write to a file with capabilities: those alone go. */
export function takesCapabilitiesOnly(caller: Caller, inode: Inode, set: SetAttr, files: Iterable<OpenFile>): boolean {
  if (caller.uid !== 0 || !asksNothing(set.valid) || !inode.upper) return false;
  if (typeof inode.upper.layer.getxattr(inode.upper, CAPABILITY) === 'number') return false;
  return isWritten(inode, files);
}

export function takeCapabilities(inode: Inode, out: Stat): number {
  const { real } = inode;
  const err = real.layer.removexattr(real, CAPABILITY);
  return err < 0 ? err : getattr(inode, out);
}
