/**
 * A look at one inode, as text. What stays out: inode and device numbers (view.ts compares how
 * they relate), ctime, sizes and blocks of directories.
 */
import type { ByteString } from 'stratafs/internal/sys/bytes';
import * as c from 'stratafs/internal/sys/constants';
import type { Stat } from 'stratafs/internal/sys/stat';
import { said, type Turn } from './turn.ts';

/** `path` '' is `dirfd` itself. */
export function look(t: Turn, dirfd: number, path: ByteString, flags: number = c.AT_SYMLINK_NOFOLLOW): string {
  const st = t.stat;
  const found = t.sys.statx(dirfd, path, path === '' ? c.AT_EMPTY_PATH : flags, st);
  return found < 0 ? said(found) : describe(st);
}

function describe(st: Stat): string {
  const whole = st.type === c.S_IFDIR ? '' : ` ${st.size}B ${st.blocks}b`;
  const device = st.rdev === 0 ? '' : ` dev ${st.rdev}`;
  return `${st.mode.toString(8)} ${st.uid}:${st.gid} ${st.nlink}l${whole}${device}`;
}
