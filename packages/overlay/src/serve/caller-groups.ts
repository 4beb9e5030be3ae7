/** The supplementary groups of a request's caller: FUSE names the process, /proc tells the rest. */
import { readFile } from '../mount/read-file.ts';
import type { Sys } from '../sys/sys.ts';

/** None where the process cannot be seen: it is gone, or of another pid namespace (pid 0). */
export function groupsOf(sys: Sys, pid: number): readonly number[] {
  const status = readFile(sys, `/proc/${pid}/status`);
  return typeof status === 'number' ? [] : parseGroups(status);
}

export function parseGroups(status: string): readonly number[] {
  const [, line = ''] = /^Groups:([\t \d]*)$/m.exec(status) ?? [];
  return line.trim() === '' ? [] : line.trim().split(/\s+/).map(Number);
}
