/**
 * Which of suid, sgid and file capabilities a change takes away, where the request does not say it.
 *
 *   - sgid of what its group may not execute, directories apart, goes when one changes it who is not of
 *     that group (kernel: setattr_should_drop_sgid). FUSE tells who, and not of which groups.
 *   - A setattr of nothing is chown(-1, -1), which takes all three, or what the kernel does before a
 *     write to a backing file. From root, who keeps suid and sgid as he writes, the second follows
 *     the removal of capabilities, on a file that is open for writing.
 */
import { getattr } from '../overlay/attr.ts';
import type { OpenFile } from '../overlay/file.ts';
import type { Inode } from '../overlay/inode.ts';
import { O_RDONLY, S_IFDIR, S_ISGID, S_IXGRP } from '../sys/constants.ts';
import type { Stat } from '../sys/stat.ts';
import { ATTR_GID, ATTR_KILL_SUIDGID, ATTR_UID, asksNothing, type Caller, type SetAttr } from './ops.ts';
import { inGroup } from './permissions.ts';

/** The supplementary groups of a process. */
export type GroupsOf = (pid: number) => readonly number[];

/** Whether this setattr takes suid and sgid away. */
export function takesPrivileges(caller: Caller, set: SetAttr): boolean {
  return caller.uid !== 0 && (asksNothing(set.valid) || (set.valid & (ATTR_KILL_SUIDGID | ATTR_UID | ATTR_GID)) !== 0);
}

/** Whether sgid goes although the group may not execute. To be asked before a change of the group. */
export function dropsSgid(caller: Caller, inode: Inode, groupsOf: GroupsOf, scratch: Stat): boolean {
  const { real } = inode;
  if (caller.uid === 0 || inode.type === S_IFDIR || real.layer.stat(real, scratch) < 0) return false;
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

/** Whether root writes to a file that had capabilities until a moment ago: nothing else goes. */
export function keepsBits(caller: Caller, inode: Inode, set: SetAttr, files: Iterable<OpenFile>): boolean {
  if (caller.uid !== 0 || !asksNothing(set.valid)) return false;
  return isWritten(inode, files);
}

/** Whether sgid goes with an access ACL: of any object, and whether its group executes it or not (kernel: ovl_set_or_remove_acl). */
export function aclDropsSgid(caller: Caller, inode: Inode, groupsOf: GroupsOf, scratch: Stat): boolean {
  const { real } = inode;
  if (caller.uid === 0 || real.layer.stat(real, scratch) < 0) return false;
  if ((scratch.mode & S_ISGID) === 0 || inGroup(caller, scratch.gid)) return false;
  return caller.groups !== undefined || !groupsOf(caller.pid).includes(scratch.gid);
}
