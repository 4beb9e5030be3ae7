/** Where a descriptor, or what a path leads to, lies in a merged tree. */
import type { ByteString } from 'stratafs/internal/sys/bytes';
import * as c from 'stratafs/internal/sys/constants';
import type { Turn } from './turn.ts';

const DELETED = ' (deleted)';

function linkOf({ sys }: Turn, fd: number): ByteString {
  const link = sys.readlinkat(c.AT_FDCWD, `/proc/self/fd/${fd}`);
  return typeof link === 'number' ? '' : link;
}

/** The path from the merged root, without links, of what `path` leads to; null where that is nothing. @param flags O_NOFOLLOW */
export function mergedPath(turn: Turn, path: ByteString, flags = 0): ByteString | null {
  const fd = turn.sys.openat(turn.root, path, c.O_PATH | flags, 0);
  if (fd < 0) return null;
  const link = linkOf(turn, fd);
  turn.sys.close(fd);
  return link.startsWith(`${turn.rootPath}/`) ? link.slice(turn.rootPath.length + 1) : null;
}

/** The path of the name itself: only the directories that lead to it are looked for. */
export function namePath(turn: Turn, path: ByteString): ByteString {
  const slash = path.lastIndexOf('/');
  const above = slash < 0 ? null : mergedPath(turn, path.slice(0, slash));
  return above === null ? path.slice(slash + 1) : `${above}/${path.slice(slash + 1)}`;
}

/** Whether the name that `fd` was opened by is gone. */
export function isUnlinked(turn: Turn, fd: number): boolean {
  return linkOf(turn, fd).endsWith(DELETED);
}
