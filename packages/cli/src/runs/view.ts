/**
 * The view of a run, built in a mount namespace of its own: the union at the directory's own path,
 * what is mounted below the directory bound into it, the store root covered, the volumes in their
 * places. Nothing of it is seen outside the namespace, and all of it goes with it.
 *
 * A union over `/` cannot stand at its own path, because nothing can be mounted over a root that
 * processes already have: it stands in the run's folder and the command gets it by chroot(2).
 */
import type { Backend } from 'stratafs/internal/mount/backend';
import { isMountError } from 'stratafs/internal/mount/mount-error';
import type { MountOptions } from 'stratafs/internal/mount/options';
import { mayUseTrustedXattrs } from 'stratafs/internal/mount/privilege';
import { startTime } from 'stratafs/internal/serve/state';
import type { ByteString } from 'stratafs/internal/sys/bytes';
import { MNT_DETACH, MS_NODEV, MS_NOSUID, MS_RDONLY } from 'stratafs/internal/sys/constants';
import { errnoName } from 'stratafs/internal/sys/errno';
import type { Sys } from 'stratafs/internal/sys/sys';
import { CliError } from '../cli-error.ts';
import { mountErrorText } from '../mount-error-text.ts';
import { makeUnion } from '../union.ts';
import { attach, copyMountsBelow, copyVolume, makeTarget } from './binds.ts';
import type { Guard } from './guard.ts';
import type { RunPlan } from './plan.ts';
import type { RunRecord, RunStore } from './record.ts';

/** A server that has not finished so long after the end of its mount is told to, and killed after as long again. */
const FINISH_MS = 3_000;
const LOOK_MS = 5;
const SIGTERM = 15;
const SIGKILL = 9;

export interface View {
  /** What stands before every path of the view: '' unless the view is a root of its own. */
  base: ByteString;
  backend: Backend;
  /** The FUSE server, or null. */
  server: { pid: number; startTime: number | null } | null;
  /** What is mounted below the directory and is the host's own. */
  mounts: ByteString[];
}

/** @throws CliError (exit status 125); what was mounted by then is taken away. */
export async function buildView(
  sys: Sys,
  store: RunStore,
  plan: RunPlan,
  record: RunRecord,
  guard: Guard,
): Promise<View> {
  const { directory } = record;
  const base = directory === '/' ? store.path(record.id, 'root') : '';
  const below = copyMountsBelow(sys, directory);
  const volumes = plan.volumes.map((volume) => copyVolume(sys, volume));
  const { backend, serverPid } = await mountView(sys, store, plan, record, base === '' ? directory : base);
  const server = serverPid === null ? null : { pid: serverPid, startTime: startTime(serverPid) };
  if (server !== null) guard.server(server.pid);
  const view: View = { base, backend, server, mounts: below.map((bind) => bind.target) };
  try {
    for (const bind of below) attach(sys, bind, base);
    coverStore(sys, store, directory, base);
    for (const bind of volumes) {
      // A missing mount point is made in the view, never in what is the host's own.
      const ours = isBelow(bind.target, directory) && !view.mounts.some((mount) => isBelow(bind.target, mount));
      if (ours) makeTarget(sys, bind.fd, base + bind.target);
      attach(sys, bind, base);
    }
    return view;
  } catch (error) {
    await endView(sys, view, directory);
    throw error;
  }
}

function isBelow(path: ByteString, directory: ByteString): boolean {
  return path.startsWith(directory === '/' ? '/' : `${directory}/`);
}

/**
 * Renames of lower directories must work as on a plain filesystem: the kernel's overlay only with
 * `redirect_dir=on`, for which it needs trusted xattrs.
 */
async function mountView(
  sys: Sys,
  store: RunStore,
  plan: RunPlan,
  record: RunRecord,
  merged: ByteString,
): Promise<{ backend: Backend; serverPid: number | null }> {
  const request = {
    source: 'strata-run',
    merged,
    foreground: false,
    debug: false,
    // By coverStore.
    covered: true,
  };
  const options = (): MountOptions => ({
    overlay: {
      lowerdirs: record.lowers,
      datadirs: [],
      upperdir: store.path(record.id, 'upper'),
      workdir: store.path(record.id, 'work'),
      redirectDir: 'on',
    },
    flags: {},
    fuse: {},
    security: [],
    userspace: [],
  });
  try {
    if (plan.backend !== 'fuse' && mayUseTrustedXattrs(sys)) {
      try {
        // A change set is read from whole files.
        const kernel = options();
        Object.assign(kernel.overlay, { metacopy: false });
        await makeUnion(sys, { ...request, options: kernel, backend: 'kernel' });
        return { backend: 'kernel', serverPid: null };
      } catch (error) {
        if (plan.backend === 'kernel' || !isMountError(error)) throw error;
      }
    }
    // The directory lives on beside the run, and a copy-up that is not complete would not outlive a change of its lower.
    const served = { ...options(), fuse: { copyup: 'full' as const } };
    const { serverPid } = await makeUnion(sys, { ...request, options: served, backend: 'fuse' });
    return { backend: 'fuse', serverPid };
  } catch (error) {
    if (isMountError(error)) throw new CliError(125, mountErrorText(error));
    throw error;
  }
}

/** A store root inside the directory is an empty folder in the view. */
function coverStore(sys: Sys, store: RunStore, directory: ByteString, base: ByteString): void {
  if (!isBelow(store.root, directory)) return;
  const flags = MS_RDONLY | MS_NOSUID | MS_NODEV;
  const err = sys.mount('strata-run', base + store.root, 'tmpfs', flags, 'mode=0700,size=4k');
  if (err < 0) throw new CliError(125, `the store root cannot be hidden in the view: ${errnoName(err)}`);
}

/** Takes the view away; comes back when its server has finished. Nobody may stand in it any more. */
export async function endView(sys: Sys, view: View, directory: ByteString): Promise<void> {
  sys.umount2(view.base === '' ? directory : view.base, MNT_DETACH);
  const { server } = view;
  if (server === null) return;
  const signals = [SIGTERM, SIGKILL];
  let since = performance.now();
  while (startTime(server.pid) === server.startTime) {
    if (performance.now() - since > FINISH_MS && signals.length > 0) {
      sys.kill(server.pid, signals.shift()!);
      since = performance.now();
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}
