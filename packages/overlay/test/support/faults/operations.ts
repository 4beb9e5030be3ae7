/** The compound operations that faults and crashes are tried on (layers.ts has what they act on). */
import { expect } from 'vitest';
import { ATTR_MODE, ATTR_MTIME, ATTR_SIZE, ATTR_UID, EntryOut, OpenOut } from '../../../src/ops/ops.ts';
import { FS_IMMUTABLE_FL, O_RDWR, O_TRUNC, O_WRONLY, RENAME_EXCHANGE, S_IFIFO } from '../../../src/sys/constants.ts';
import { Stat } from '../../../src/sys/stat.ts';
import { me, nothing, walk } from '../union.ts';
import { FS_NODUMP_FL, must } from './layers.ts';
import {
  apart,
  at,
  cloning,
  created,
  made,
  making,
  type Operation,
  openAndClose,
  opening,
  other,
  redirecting,
  renaming,
  run,
  setting,
} from './operation.ts';

export const operations: Readonly<Record<string, Operation>> = {
  'copy up a file': opening('file'),
  'copy up a big file in chunks': { ...opening('big'), on: apart },
  'copy up a file by a clone': { ...opening('big'), on: cloning },
  'copy up a file with holes': opening('sparse'),
  'copy up a file with holes in chunks': { ...opening('sparse'), on: apart },
  'copy up below directories of a lower': opening('dir/sub/deep'),
  'copy up one of two links': opening('linked'),
  'copy up by truncating': setting('file', { valid: ATTR_SIZE, size: 5 }),
  'open with O_TRUNC': opening('file', O_WRONLY | O_TRUNC),
  'chmod a lower file': setting('file', { valid: ATTR_MODE, mode: 0o600 }),
  'chmod a lower directory': setting('dir', { valid: ATTR_MODE, mode: 0o700 }),
  'chown a lower file': setting('file', { valid: ATTR_UID, uid: other.uid }),
  'copy up a symlink': setting('symlink', { valid: ATTR_MTIME, mtime: 5 }),
  'copy up a fifo': setting('fifo', { valid: ATTR_MODE, mode: 0o600 }),
  'copy up a file that was unlinked': {
    prepare(o) {
      const nodeid = walk(o, 'file');
      must(o.unlink(me, 1, 'file'));
      return () => openAndClose(o, nodeid, O_RDWR);
    },
  },
  'copy up a fifo that was unlinked': {
    prepare(o) {
      const nodeid = walk(o, 'fifo');
      must(o.unlink(me, 1, 'fifo'));
      return () => {
        const st = new Stat();
        const result = o.setattr(me, nodeid, { ...nothing, valid: ATTR_MODE, mode: 0o600 }, st);
        if (result >= 0) expect(st.mode).toBe(S_IFIFO | 0o600);
        return result;
      };
    },
  },
  'set an attribute': run((o) =>
    at(o, 'file', (nodeid) => o.setxattr(me, nodeid, 'user.test', Buffer.from('new'), 0, false)),
  ),
  'remove an attribute': run((o) => at(o, 'file', (nodeid) => o.removexattr(me, nodeid, 'user.test'))),
  'set a flag': run((o) => at(o, 'file', (nodeid) => o.setflags(me, nodeid, FS_NODUMP_FL))),
  'set a flag that the upper keeps as an attribute': run((o) =>
    at(o, 'file', (nodeid) => o.setflags(me, nodeid, FS_IMMUTABLE_FL)),
  ),
  'unlink a lower file': run((o) => o.unlink(me, 1, 'file')),
  'unlink a further lower file': {
    prepare(o) {
      must(o.unlink(me, 1, 'file2'));
      return () => o.unlink(me, 1, 'file');
    },
  },
  'unlink an upper file over a lower one': run((o) => o.unlink(me, 1, 'over')),
  'unlink an upper file': run((o) => o.unlink(me, 1, 'new')),
  'unlink an upper file in use': {
    prepare(o) {
      const nodeid = walk(o, 'new');
      return () => {
        const result = o.unlink(me, 1, 'new');
        return result < 0 ? result : o.getattr(me, nodeid, 0, new Stat());
      };
    },
  },
  'rmdir a directory with whiteouts over a lower one': run((o) => o.rmdir(me, 1, 'full')),
  'rmdir an upper directory with whiteouts': run((o) => o.rmdir(me, 1, 'empty')),
  'rmdir below directories of a lower': {
    prepare(o) {
      must(o.unlink(me, walk(o, 'dir/sub'), 'deep'));
      return () => at(o, 'dir', (nodeid) => o.rmdir(me, nodeid, 'sub'));
    },
  },
  'create in an opaque directory': run((o) =>
    at(o, 'cover', (dir) => created(o, (out, open) => o.create(me, dir, 'hidden', O_RDWR, 0o644, out, open))),
  ),
  'rename an opaque directory': renaming('cover', 'merged/made'),
  'rmdir an opaque directory over a lower one': run((o) => o.rmdir(me, 1, 'cover')),
  'rmdir a lower directory': run((o) => o.rmdir(me, 1, 'other')),
  mkdir: making((o, out) => o.mkdir(me, 1, 'made', 0o755, out)),
  'mkdir in a merged directory': making((o, out) =>
    at(o, 'merged', (nodeid) => o.mkdir(me, nodeid, 'made', 0o755, out)),
  ),
  'mkdir over a whiteout': making((o, out) => o.mkdir(me, 1, 'gone', 0o755, out)),
  'mkdir for somebody else': making((o, out) => o.mkdir(other, 1, 'made', 0o755, out)),
  'symlink over a whiteout': making((o, out) => o.symlink(me, 1, 'whited', 'target', out)),
  'mknod for somebody else': making((o, out) => o.mknod(other, 1, 'made', S_IFIFO | 0o644, 0, out)),
  create: run((o) => created(o, (out, open) => o.create(me, 1, 'made', O_RDWR, 0o644, out, open))),
  'create over a whiteout': run((o) => created(o, (out, open) => o.create(me, 1, 'whited', O_RDWR, 0o644, out, open))),
  'create over a whiteout for somebody else': run((o) =>
    created(o, (out, open) => o.create(other, 1, 'whited', O_RDWR, 0o644, out, open)),
  ),
  tmpfile: run((o) => created(o, (out, open) => o.tmpfile(other, 1, O_RDWR, 0o644, out, open))),
  'tmpfile that gets a name': {
    // Over a whiteout it has a name for a moment, in the workdir, and a file that had one gets no first one again.
    once: true,
    prepare(o) {
      const tmp = new EntryOut(new Stat());
      const open = new OpenOut();
      must(o.tmpfile(other, 1, O_RDWR, 0o644, tmp, open));
      must(o.write(me, open.fh, Buffer.from('unnamed'), 0, 7, 0, false));
      o.release(open.fh);
      return () => made(o, (out) => o.link(me, tmp.nodeid, 1, 'whited', out));
    },
  },
  'link a lower file': making((o, out) => at(o, 'file', (nodeid) => o.link(me, nodeid, 1, 'made', out))),
  'link over a whiteout': making((o, out) => at(o, 'file', (nodeid) => o.link(me, nodeid, 1, 'whited', out))),
  'link one of two links': making((o, out) =>
    at(o, 'linked', (nodeid) => at(o, 'dir', (dir) => o.link(me, nodeid, dir, 'made', out))),
  ),
  'rename a lower file': renaming('file', 'made'),
  'rename a lower file over a whiteout': renaming('file', 'whited'),
  'rename a lower file over another': renaming('file', 'file2'),
  'rename a lower file over another in use': renaming('file', 'over', 0, 'over'),
  'rename a lower directory': redirecting(renaming('dir', 'made')),
  'rename a lower directory to another': redirecting(renaming('dir/sub', 'merged/made')),
  'rename a lower directory over a whiteout': redirecting(renaming('dir', 'gone')),
  'rename a merged directory': redirecting(renaming('merged', 'made')),
  'rename a merged directory to another': redirecting(renaming('merged', 'dir/sub/made')),
  'rename a lower directory over one with whiteouts': redirecting(renaming('dir', 'full')),
  'rename a lower directory over one with whiteouts in use': redirecting(renaming('dir', 'full', 0, 'full')),
  'rename an upper directory over one with whiteouts': renaming('pure', 'empty'),
  'rename an upper directory into a merged one': renaming('pure', 'merged/made'),
  'rename an upper directory over a whiteout': renaming('pure', 'gone'),
  'exchange a lower file and a lower directory': redirecting(renaming('file', 'dir/sub', RENAME_EXCHANGE)),
  'exchange two lower files': renaming('file', 'file2', RENAME_EXCHANGE),
  'exchange two directories': redirecting(renaming('merged', 'dir', RENAME_EXCHANGE)),
};
