/**
 * An engine without privileges owns its upper, and is still refused by modes that leave the owner no
 * rights: nothing can be made in a directory of mode 0555, none of mode 0 can be marked or moved.
 * What the caller was allowed is done with the owner's rights lent to the directory for that moment;
 * a crash then leaves it with them.
 */
import type { Dentry } from '../layer/layer.ts';
import { S_IFDIR } from '../sys/constants.ts';
import { Stat } from '../sys/stat.ts';
import type { Super } from './super.ts';

const OWNER = 0o700;

/** @returns the mode that `returnRights` has to give back; null where all rights are there, or cannot be lent. */
export function lendRights(sb: Super, dir: Dentry): number | null {
  if (sb.hooks.uid === 0) return null;
  const st = new Stat();
  if (dir.layer.stat(dir, st) < 0 || st.type !== S_IFDIR || (st.mode & OWNER) === OWNER) return null;
  const mode = st.mode & 0o7777;
  return dir.layer.chmod(dir, mode | OWNER) < 0 ? null : mode;
}

/** Gives `dir` its mode back. @returns 0 or a negative errno. */
export function returnRights(dir: Dentry, mode: number | null): number {
  return mode === null ? 0 : dir.layer.chmod(dir, mode);
}
