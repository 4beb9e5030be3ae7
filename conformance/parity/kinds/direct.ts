/** O_DIRECT: reads and writes that pass by the page cache, of files that others have in theirs. */
import { alignedBuffer } from 'stratafs/internal/sys/aligned';
import * as c from 'stratafs/internal/sys/constants';
import { EINVAL } from 'stratafs/internal/sys/errno';
import { calls, filled, opening } from '../shell-words.ts';
import { digest, said } from '../turn.ts';
import type { Kind, Kinds } from './kind.ts';

const BLOCK = 4096;
const room: Buffer = alignedBuffer(3 * BLOCK, BLOCK);
const offsets: readonly number[] = [0, 0, 0, BLOCK, 5 * BLOCK];
const lengths: readonly number[] = [BLOCK, 2 * BLOCK, 3 * BLOCK];

const read: Kind = {
  weight: 2,
  choose: (by) => ({
    path: by.there('file', 'file', 'file', 'any'),
    off: by.rnd.pick(offsets),
    len: by.rnd.pick(lengths),
  }),
  run: (t, op) =>
    t.opened(op.path, c.O_RDONLY | c.O_DIRECT, 0, (fd) => {
      const n = t.sys.pread(fd, room, 0, op.len, op.off);
      return n < 0 ? said(n) : `${n}:${digest(room.subarray(0, n))}`;
    }),
  shell: (op) => calls(opening(op.path, c.O_RDONLY | c.O_DIRECT), ['alignedread', '%', op.len, op.off]),
};

const write: Kind = {
  weight: 2,
  choose: (by) => ({
    path: by.there('file', 'file', 'file', 'any'),
    flags: by.rnd.pick([0, 0, 0, c.O_APPEND, c.O_TRUNC]),
    off: by.rnd.pick(offsets),
    len: by.rnd.pick(lengths),
    value: by.rnd.pick(['I', 'J']),
  }),
  run: (t, op) =>
    t.opened(op.path, c.O_WRONLY | c.O_DIRECT | op.flags, 0, (fd) => {
      const n = t.sys.pwrite(fd, room.fill(op.value), 0, op.len, op.off);
      // docs/differences.md, "With O_DIRECT": ext4 gives back what lies beyond the end, and moves the mtime, before it refuses.
      if (n === -EINVAL && t.sys.fstat(fd, t.stat) === 0) t.sys.ftruncate(fd, t.stat.size);
      if (n === -EINVAL) t.sys.utimensat(fd, '', 0, c.UTIME_NOW, 0, c.UTIME_NOW, c.AT_EMPTY_PATH);
      return said(n);
    }),
  shell: (op) =>
    calls(opening(op.path, c.O_WRONLY | c.O_DIRECT | op.flags), [
      'pwrite64',
      '%',
      `aligned:${filled(op.value, op.len)}`,
      op.len,
      op.off,
    ]),
};

export const directKinds: Kinds = { 'direct-read': read, 'direct-write': write };
