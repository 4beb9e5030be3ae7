/** Operations of few steps, on what the upper has already too; and all that flushes. */
import { ATTR_ATIME, ATTR_GID, ATTR_MODE, ATTR_MTIME, ATTR_SIZE, ATTR_UID, OpenOut } from '../../../src/ops/ops.ts';
import type { OverlayOps } from '../../../src/ops/overlay-ops.ts';
import {
  FS_XFLAG_IMMUTABLE,
  O_DIRECTORY,
  O_RDONLY,
  O_RDWR,
  O_TRUNC,
  RENAME_NOREPLACE,
  S_IFIFO,
  S_IFSOCK,
} from '../../../src/sys/constants.ts';
import { me, walk } from '../union.ts';
import { must, prefix } from './layers.ts';
import { at, making, type Operation, opening, other, renaming, run, setting } from './operation.ts';

/** On files, and for O_DIRECTORY directories, that are open. */
function onOpen(files: [name: string, flags: number][], act: (o: OverlayOps, ...fhs: number[]) => number): Operation {
  let fhs: number[] = [];
  return {
    prepare(o) {
      fhs = files.map(([name, flags]) => {
        const open = new OpenOut();
        const nodeid = walk(o, name);
        must(flags === O_DIRECTORY ? o.opendir(me, nodeid, open) : o.open(me, nodeid, flags, false, open));
        return open.fh;
      });
      return () => act(o, ...fhs);
    },
    end(o) {
      files.forEach(([, flags], i) => {
        if (flags === O_DIRECTORY) o.releasedir(fhs[i]);
        else o.release(fhs[i]);
      });
    },
  };
}

/** struct fsxattr: the flags, and the rest zeros. */
function fsxattr(flags: number): Buffer {
  const value = Buffer.alloc(28);
  value.writeUInt32LE(flags, 0);
  return value;
}

const data = Buffer.from('written');

export const furtherOperations: Readonly<Record<string, Operation>> = {
  symlink: making((o, out) => o.symlink(me, 1, 'made', 'target', out)),
  'symlink for somebody else': making((o, out) => o.symlink(other, 1, 'made', 'target', out)),
  'mknod of a socket': making((o, out) => o.mknod(me, 1, 'made', S_IFSOCK | 0o600, 0, out)),
  'mknod over a whiteout': making((o, out) => o.mknod(me, 1, 'whited', S_IFIFO | 0o644, 0, out)),
  'create a name that the whiteout of a lower hides': making((o, out) =>
    at(o, 'marked', (dir) => o.mknod(me, dir, 'hidden', S_IFIFO | 0o644, 0, out)),
  ),
  'link an upper file': making((o, out) => at(o, 'new', (nodeid) => o.link(me, nodeid, 1, 'made', out))),
  'chgrp a lower directory': setting('dir', { valid: ATTR_GID, gid: other.gid }),
  'chown a lower symlink': setting('symlink', { valid: ATTR_UID, uid: other.uid }),
  'set the times of a lower file': setting('file', { valid: ATTR_ATIME | ATTR_MTIME, atime: 7, mtime: 8 }),
  'chmod an upper file': setting('new', { valid: ATTR_MODE, mode: 0o600 }),
  'chown an upper file': setting('new', { valid: ATTR_UID, uid: other.uid }),
  'set the times of an upper file': setting('new', { valid: ATTR_MTIME, mtime: 8 }),
  'truncate an upper file': setting('new', { valid: ATTR_SIZE, size: 3 }),
  'open an upper file with O_TRUNC': opening('new', O_RDWR | O_TRUNC),
  'set an attribute of a lower directory': run((o) =>
    at(o, 'dir/sub', (nodeid) => o.setxattr(me, nodeid, 'user.test', data, 0, false)),
  ),
  'set an attribute of an upper file': run((o) =>
    at(o, 'new', (nodeid) => o.setxattr(me, nodeid, 'user.test', data, 0, false)),
  ),
  "set an attribute of the overlay's on a lower file": run((o) =>
    at(o, 'file', (nodeid) => o.setxattr(me, nodeid, `${prefix}test`, data, 0, false)),
  ),
  'remove an attribute of a lower directory': run((o) =>
    at(o, 'dir', (nodeid) => o.removexattr(me, nodeid, 'user.test')),
  ),
  'set a flag with what else goes with it': run((o) =>
    at(o, 'file', (nodeid) => o.setfsxattr(me, nodeid, fsxattr(FS_XFLAG_IMMUTABLE))),
  ),
  'write to an upper file': onOpen([['new', O_RDWR]], (o, fh) => o.write(me, fh, data, 0, data.length, 3, false)),
  'write to a file that was copied up': onOpen([['file', O_RDWR]], (o, fh) =>
    o.write(me, fh, data, 0, data.length, 3, false),
  ),
  'allocate room in an upper file': onOpen([['new', O_RDWR]], (o, fh) => o.fallocate(me, fh, 0, 0, 5000)),
  'copy a range into an upper file': onOpen(
    [
      ['file', O_RDONLY],
      ['new', O_RDWR],
    ],
    (o, from, to) => o.copyFileRange(me, from, 0, to, 0, 5),
  ),
  'fsync an upper file': onOpen([['new', O_RDWR]], (o, fh) => o.fsync(me, fh, false)),
  'fsync a directory': onOpen([['merged', O_DIRECTORY]], (o, fh) => o.fsyncdir(me, fh, false)),
  syncfs: run((o) => o.syncfs()),
  'rename to a name that must be free': renaming('file', 'made', RENAME_NOREPLACE),
  'rename a symlink': renaming('symlink', 'merged/made'),
};
