/**
 * `serveMount`: a FUSE mount from its beginning to its end, on the thread that serves it. Puts the
 * rooms together: locks, checks, engine, device, mount, session. At the end everything goes in the
 * opposite order, and the locks on upper and workdir last, so that whoever gets them finds a
 * finished upper.
 */
import { randomBytes } from 'node:crypto';
import { Connection } from '../fuse/connection.ts';
import { Notify } from '../fuse/notify.ts';
import { BackingFiles, backingDevice } from '../fuse/passthrough.ts';
import { type ServingPolicy, Session, type SessionEnd } from '../fuse/session.ts';
import { checkMount } from '../mount/checks.ts';
import {
  detachMount,
  type FuseMount,
  mountFuse,
  openFuseDevice,
  raiseReadAhead,
  removeDeadMount,
} from '../mount/fuse-mount.ts';
import { openMerged } from '../mount/layer-roots.ts';
import { MountError } from '../mount/mount-error.ts';
import type { MountOptions } from '../mount/options.ts';
import { CAP_SYS_RESOURCE, dropCapability, mayUseTrustedXattrs } from '../mount/privilege.ts';
import { openOverlay } from '../ops/open-overlay.ts';
import { OverlayOps } from '../ops/overlay-ops.ts';
import { EINTR, EPROTO } from '../sys/errno.ts';
import type { Sys } from '../sys/sys.ts';
import { groupsOf } from './caller-groups.ts';
import { callerKilled } from './caller-killed.ts';
import type { ServeConfig } from './config.ts';
import { type Control, isCancelled, isDetached, stopServing } from './control.ts';
import { ASIDE_BYTES, CopyThread } from './long-work.ts';
import { choosePolicy } from './policy/choose.ts';
import { allowedCpus } from './policy/place.ts';
import { forgetKilledServers, type MountRecord, removeRecord, startTime, usedByServer, writeRecord } from './state.ts';
import { trimmingPolicy } from './trim.ts';
import { takeUpper, type UpperLocks } from './upper-locks.ts';
import { warmingPolicy } from './warm.ts';

/** Nothing changes but through this server, so what it said holds. A day, in seconds. */
const TIMEOUT_DEFAULT = 86_400;

export interface ServeEvents {
  /** The mount is live. */
  ready(mount: FuseMount): void;
  /** No request is served any more; what follows is finishing. */
  ending(end: SessionEnd): void;
  /** One line for people, without its newline. */
  log(line: string): void;
}

/**
 * Mounts and serves until the mount is gone or `control` says stop.
 * @throws MountError when it could not be mounted; then nothing is left behind.
 */
export function serveMount(sys: Sys, config: ServeConfig, control: Control, events: ServeEvents): SessionEnd {
  // Modes come with the requests, and their callers' umasks too.
  sys.umask(0);
  if (removeDeadMount(sys, config.merged)) forgetKilledServers();
  const options = forThisNamespace(sys, config.options);
  const locks = takeUpper(sys, options, () => isCancelled(control));
  try {
    checkMount(sys, options, config.merged, {
      backend: 'fuse',
      usedByServer: usedByServer(),
      warn: (message) => events.log(`warning: ${message}`),
      covered: config.covered === true,
    });
    return serveLocked({ sys, config: { ...config, options }, control, events, locks });
  } finally {
    locks.release();
  }
}

/** Without the right to `trusted.*` the marks are `user.overlay.*`, as with the kernel's `userxattr`. */
function forThisNamespace(sys: Sys, options: MountOptions): MountOptions {
  if (options.overlay.userxattr !== undefined || mayUseTrustedXattrs(sys)) return options;
  return { ...options, overlay: { ...options.overlay, userxattr: true } };
}

interface Server {
  sys: Sys;
  config: ServeConfig;
  control: Control;
  events: ServeEvents;
  locks: UpperLocks;
}

/** A server whose engine is open. */
interface OpenServer extends Server {
  policy: ServingPolicy;
  longWork: CopyThread;
  onLive(): void;
}

function serveLocked(server: Server): SessionEnd {
  const { sys } = server;
  // What we write for others would else go past their quotas (kernel: ovl_fill_super lowers it too).
  dropCapability(sys, CAP_SYS_RESOURCE);
  // Whose request is being served: long work asks whether it is still wanted.
  let connection: Connection | null = null;
  const { fuse } = server.config.options;
  const cpus = allowedCpus(sys, sys.gettid());
  const longWork = new CopyThread({ sys, control: server.control, cpus, threshold: fuse.copyupAside ?? ASIDE_BYTES });
  const ops = openOps(
    server,
    longWork,
    () => connection?.caller.pid ?? 0,
    (nodeid) => connection?.notify.attributes(nodeid),
  );
  longWork.serve(ops.sb);
  try {
    let ended: SessionEnd;
    const deviceFd = openFuseDevice(sys);
    try {
      connection = connect(server, ops, deviceFd);
      const serving = server.config.options.fuse.serving ?? 'auto';
      const trimming = trimmingPolicy(() => ops.nodes.dropped);
      const warming = warmingPolicy(sys, trimming);
      const { policy, end } = choosePolicy(sys, serving, warming, server.control.seat);
      try {
        ended = mountAndServe({ ...server, policy, longWork, onLive: warming.live }, connection, deviceFd);
      } finally {
        end();
        warming.end();
      }
    } finally {
      // Whoever still waits for an answer gets an error now and not after the engine has finished.
      sys.close(deviceFd);
      connection = null;
      longWork.end();
    }
    // Whoever ends it by a signal wants it to end: what is pending waits for the next mount.
    if (ended === 'unmounted') ops.completeAll();
    return ended;
  } finally {
    ops.destroy();
  }
}

function openOps(
  server: Server,
  longWork: CopyThread,
  servedPid: () => number,
  attrChanged: (nodeid: number) => void,
): OverlayOps {
  const { sys, control, events } = server;
  const { overlay, flags, fuse } = server.config.options;
  const killed = callerKilled(sys, servedPid);
  const ops = openOverlay(sys, overlay, {
    redirectDefault: 'on',
    indexDefault: true,
    metacopyDefault: true,
    userRedirect: !mayUseTrustedXattrs(sys),
    readOnly: flags.readOnly ?? false,
    aufsWhiteouts: fuse.whiteouts === 'aufs',
    log: (line) => events.log(line),
    cancelled: () => isCancelled(control) || killed(),
    random: (length) => randomBytes(length),
    groupsOf: (pid) => groupsOf(sys, pid),
    mereRoot: !mayUseTrustedXattrs(sys),
    attrChanged,
    copyAside: longWork.start,
    syncAside: longWork.flush,
    goesOn: longWork.goesOn,
    copyup: fuse.copyup ?? 'auto',
    copyupThreshold: fuse.copyupThreshold,
    lowerPassthrough: fuse.lowerIo === 'passthrough',
  });
  if (ops instanceof OverlayOps) return ops;
  throw new MountError(ops.errno, ops.message);
}

function connect(server: Server, ops: OverlayOps, deviceFd: number): Connection {
  const { sys, events } = server;
  const timeout = server.config.options.fuse.timeout ?? TIMEOUT_DEFAULT;
  const log = (line: string): void => events.log(line);
  return new Connection(
    ops,
    {
      readdirplus: 'auto',
      posixAcl: true,
      // As the kernel's overlay: no handles without nfs_export.
      exportSupport: ops.sb.config.nfsExport,
      // Backing files are registered by CAP_SYS_ADMIN of the initial namespace only, as `trusted.*` is written.
      passthrough: mayUseTrustedXattrs(sys),
      entryTimeout: timeout,
      negativeTimeout: timeout,
      attrTimeout: timeout,
    },
    new BackingFiles(backingDevice(sys, deviceFd), log),
    new Notify((message, length) => sys.write(deviceFd, message, 0, length)),
    log,
  );
}

function mountAndServe(server: OpenServer, connection: Connection, deviceFd: number): SessionEnd {
  const { sys, config, control, events } = server;
  const { options } = config;
  const point = openMerged(sys, config.merged);
  let mount: FuseMount;
  try {
    // As the kernel's overlay: without an upper the mount itself is read-only, which access(2) and FIFOs heed.
    const flags = options.overlay.upperdir === undefined ? { ...options.flags, readOnly: true } : options.flags;
    mount = mountFuse(sys, deviceFd, point, options.fuse.fsname ?? config.source, flags);
  } finally {
    sys.close(point);
  }
  let live = false;
  const session = new Session({
    sys,
    connection,
    deviceFd,
    wakeFd: control.wakeFd,
    stop: control.words,
    policy: server.policy,
    longWork: server.longWork,
    trace: config.debug ? (line) => events.log(line) : null,
    onInit(agreed) {
      if (!agreed) {
        stopServing(sys, control);
        return;
      }
      live = true;
      if (options.fuse.lowerIo === 'passthrough' && !connection.agreed?.passthrough) {
        events.log('warning: lower_io=passthrough is left out: this kernel passes no files through (Linux 6.9 does)');
      }
      raiseReadAhead(sys, mount.device);
      record(server, mount);
      events.ready(mount);
      server.onLive();
    },
  });
  let end: SessionEnd = 'failed';
  try {
    end = session.run();
  } finally {
    events.ending(end);
    removeRecord(mount.device, process.pid);
    // A mount that is gone may have left its device number to another.
    if (end !== 'unmounted' && !isDetached(control)) detachMount(sys, mount.device);
  }
  if (live) return end;
  if (connection.agreed === null && end === 'stopped' && !isCancelled(control)) {
    throw new MountError(-EPROTO, "this kernel's FUSE is too old: Linux 5.4 or later is needed");
  }
  throw new MountError(-EINTR, 'the mount was ended before it was live');
}

/** A mount without a record works, but no command finds its server. */
function record(server: Server, mount: FuseMount): void {
  const { config, events, locks } = server;
  const written: MountRecord = {
    version: 1,
    backend: 'fuse',
    pid: process.pid,
    startTime: startTime('self') ?? 0,
    device: mount.device,
    mountPoint: mount.mountPoint,
    source: config.source,
    options: config.options,
    upper: locks.upper,
    work: locks.work,
  };
  try {
    writeRecord(written);
  } catch (error) {
    events.log((error as Error).message);
  }
}
