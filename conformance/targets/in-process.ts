/**
 * Our engine in this process, with no mount: `Ops` with the rights checked in front of it
 * (PermittedOps), and before that the little that the VFS does for every filesystem (in-process/).
 */
import { randomBytes } from 'node:crypto';
import { parseOptions } from 'stratafs/internal/mount/parse-options';
import { openOverlay } from 'stratafs/internal/ops/open-overlay';
import type * as o from 'stratafs/internal/ops/ops';
import { OverlayOps } from 'stratafs/internal/ops/overlay-ops';
import { PermittedOps } from 'stratafs/internal/ops/permitted-ops';
import type { Sys } from 'stratafs/internal/sys/sys';
import { type Backend, type LayerDirs, optionText, type View } from '../backend.ts';
import { InProcessDoor } from './in-process/door.ts';

/**
 * `ops` that forget nothing before `drop`, as if a dentry cache stood before them. With `userxattr`
 * the origin of a symlink or FIFO cannot be stored, so that its inode number lives as long as the node;
 * with the trusted marks everything is forgotten at once, and has to be found again as it was.
 */
function rememberNodes(ops: o.Ops): { ops: o.Ops; drop(): void } {
  const held: [nodeid: number, count: number][] = [];
  const remembering: o.Ops = Object.create(ops, {
    forget: { value: (nodeid: number, count: number) => held.push([nodeid, count]) },
  });
  return {
    ops: remembering,
    drop() {
      for (const [nodeid, count] of held.splice(0)) {
        ops.forget(nodeid, count);
      }
    },
  };
}

function mount(sys: Sys, layers: LayerDirs): View | number {
  const { overlay, fuse } = parseOptions([optionText(layers)]);
  const uid = sys.geteuid();
  const opened = openOverlay(sys, overlay, {
    redirectDefault: 'follow',
    userRedirect: uid !== 0,
    readOnly: layers.upper === null,
    aufsWhiteouts: false,
    log: () => {},
    cancelled: () => false,
    random: randomBytes,
    copyup: fuse.copyup,
    copyupThreshold: fuse.copyupThreshold,
  });
  if (!(opened instanceof OverlayOps)) {
    return opened.errno;
  }
  const ops = new PermittedOps(opened);
  const dcache = overlay.userxattr ? rememberNodes(ops) : null;
  // As serveMount does: the mask comes with the caller, and this process must not add its own.
  const umask = sys.umask(0);
  const doors = new Set<InProcessDoor>();
  return {
    door(path) {
      const caller = { uid, gid: sys.getegid(), pid: process.pid, umask: 0, groups: process.getgroups?.() ?? [] };
      const door = new InProcessDoor(dcache?.ops ?? ops, caller, path);
      doors.add(door);
      return door;
    },
    async close() {
      for (const door of doors) {
        door.end();
      }
      dcache?.drop();
      ops.destroy();
      sys.umask(umask);
    },
  };
}

export const inProcess: Backend = {
  name: 'in-process',
  unavailable: () => null,
  mount: async (sys, layers) => mount(sys, layers),
};
