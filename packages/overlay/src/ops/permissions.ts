/**
 * Whether mode bits and a POSIX ACL let a caller do something (kernel: acl_permission_check and
 * posix_acl_permission). Pure.
 */
import { decodeAcl } from '../overlay/acl.ts';
import { S_IFDIR, S_IFMT, S_ISGID, S_ISUID, S_IXGRP, X_OK } from '../sys/constants.ts';
import type { Stat } from '../sys/stat.ts';
import type { Caller } from './ops.ts';

const USER = 0x02;
const GROUP_OBJ = 0x04;
const GROUP = 0x08;
const MASK = 0x10;
const OTHER = 0x20;

export function inGroup(caller: Caller, gid: number): boolean {
  return caller.gid === gid || (caller.groups?.includes(gid) ?? false);
}

/** Whether any chown takes suid or sgid away: it is a chmod then, and its owner's (kernel: setattr_should_drop_suidgid). */
export function chownIsChmod(st: Stat): boolean {
  if ((st.mode & S_IFMT) === S_IFDIR) return false;
  return (st.mode & S_ISUID) !== 0 || (st.mode & (S_ISGID | S_IXGRP)) === (S_ISGID | S_IXGRP);
}

/** `mask` of R_OK, W_OK, X_OK. Uid 0 may all, but execute only what somebody may execute. */
export function permits(caller: Caller, st: Stat, acl: Buffer | null, mask: number): boolean {
  if (caller.uid === 0) return !(mask & X_OK) || (st.mode & S_IFMT) === S_IFDIR || (st.mode & 0o111) !== 0;
  if (caller.uid === st.uid) return has((st.mode >> 6) & 7, mask);
  const entries = acl && decodeAcl(acl);
  if (entries) return byAcl(caller, st, entries, mask);
  return has(inGroup(caller, st.gid) ? (st.mode >> 3) & 7 : st.mode & 7, mask);
}

function has(bits: number, mask: number): boolean {
  return (bits & mask) === mask;
}

function byAcl(
  caller: Caller,
  st: Stat,
  entries: readonly { tag: number; perm: number; id: number }[],
  mask: number,
): boolean {
  const limit = entries.find((e) => e.tag === MASK)?.perm ?? 7;
  const user = entries.find((e) => e.tag === USER && e.id === caller.uid);
  if (user) return has(user.perm & limit, mask);
  const groups = entries.filter(
    (e) => (e.tag === GROUP_OBJ && inGroup(caller, st.gid)) || (e.tag === GROUP && inGroup(caller, e.id)),
  );
  // Any matching group may grant; a match that grants nothing still keeps `other` out.
  if (groups.length > 0) return groups.some((e) => has(e.perm & limit, mask));
  return has(entries.find((e) => e.tag === OTHER)?.perm ?? 0, mask);
}
