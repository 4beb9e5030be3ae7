/**
 * Operations on the whiteouts of others: those of an overlay on top, which users make and which are kept
 * one level down, and files that are whiteouts in a lower.
 */
import type { OverlayOps } from '../../../src/ops/overlay-ops.ts';
import { O_RDWR, RENAME_EXCHANGE, RENAME_NOREPLACE, RENAME_WHITEOUT, S_IFCHR } from '../../../src/sys/constants.ts';
import { me, walk } from '../union.ts';
import { must } from './layers.ts';
import { at, created, made, making, type Operation, redirecting, renaming, run, setMode } from './operation.ts';

const device = (o: OverlayOps, dir: number, name: string): number =>
  made(o, (out) => o.mknod(me, dir, name, S_IFCHR, 0, out));

/** With a user's whiteout called `device`, and one in `merged`. */
const withDevice = (operation: Operation): Operation => ({
  ...operation,
  prepare(o) {
    must(device(o, 1, 'device'));
    must(device(o, walk(o, 'merged'), 'device'));
    return operation.prepare(o);
  },
});

const leaving = (from: string, to: string, flags = 0, used = ''): Operation => ({
  ...renaming(from, to, RENAME_WHITEOUT | flags, used),
  finishes: true,
});

export const whiteoutOperations: Readonly<Record<string, Operation>> = {
  'mknod of a whiteout': run((o) => device(o, 1, 'made')),
  'mknod of a whiteout over a whiteout': run((o) => device(o, 1, 'whited')),
  'mknod of a whiteout below a lower': run((o) => at(o, 'dir/sub', (dir) => device(o, dir, 'made'))),
  "chmod a user's whiteout": withDevice(run((o) => setMode(o, 'device', 0o600))),
  "unlink a user's whiteout": withDevice(run((o) => o.unlink(me, 1, 'device'))),
  "rename a user's whiteout": withDevice(renaming('device', 'dir/made')),
  "rename a user's whiteout over a lower file": withDevice(renaming('device', 'file')),
  "rename a lower file over a user's whiteout": withDevice(renaming('file', 'merged/device')),
  "exchange a user's whiteout and a lower file": withDevice(renaming('device', 'file', RENAME_EXCHANGE)),
  "link a user's whiteout": withDevice(
    making((o, out) => at(o, 'device', (nodeid) => at(o, 'dir', (dir) => o.link(me, nodeid, dir, 'made', out)))),
  ),
  'rename a lower file and leave a whiteout': leaving('file', 'made'),
  'rename a lower file elsewhere and leave a whiteout': leaving('dir/file', 'merged/made'),
  'rename a lower file over a whiteout and leave one': leaving('file', 'whited'),
  'rename a lower file over an upper one and leave a whiteout': leaving('file', 'new', 0, 'new'),
  'rename an upper file over a lower one and leave a whiteout': leaving('new', 'file2'),
  'rename an upper file and leave a whiteout': leaving('new', 'made', RENAME_NOREPLACE),
  'rename a lower directory and leave a whiteout': redirecting(leaving('dir', 'merged/made')),
  'rename a merged directory and leave a whiteout': redirecting(leaving('merged', 'made')),
  'rename a directory over one with whiteouts and leave a whiteout': redirecting(leaving('dir', 'full')),
  'unlink a file beside the whiteout of a lower': run((o) => at(o, 'marked', (dir) => o.unlink(me, dir, 'shown'))),
  'create over the whiteout of a lower': run((o) =>
    at(o, 'marked', (dir) => created(o, (out, open) => o.create(me, dir, 'hidden', O_RDWR, 0o644, out, open))),
  ),
  'mkdir over the whiteout of a lower': making((o, out) =>
    at(o, 'marked', (dir) => o.mkdir(me, dir, 'hidden', 0o755, out)),
  ),
  'rename over the whiteout of a lower': renaming('file', 'marked/hidden'),
  'rename a directory with the whiteout of a lower': redirecting(renaming('marked', 'made')),
  'rmdir a directory with the whiteout of a lower': {
    prepare(o) {
      must(o.unlink(me, walk(o, 'marked'), 'shown'));
      return () => o.rmdir(me, 1, 'marked');
    },
  },
};
