/**
 * Making a mount: the options settled for this process, the backend chosen, everything checked,
 * then one of the two backends. Used by `strata mount`, `strata-overlay` and `strata run`.
 */
import { type Backend, type Choice, chooseBackend } from 'stratafs/internal/mount/backend';
import { absoluteLayers, checkMount } from 'stratafs/internal/mount/checks';
import { removeDeadMount } from 'stratafs/internal/mount/fuse-mount';
import { mountKernel } from 'stratafs/internal/mount/kernel-mount';
import type { MountOptions } from 'stratafs/internal/mount/options';
import { mayUseTrustedXattrs } from 'stratafs/internal/mount/privilege';
import { serveConfig } from 'stratafs/internal/serve/config';
import { countPending } from 'stratafs/internal/serve/pending';
import { runServer } from 'stratafs/internal/serve/run-server';
import { spawnServer } from 'stratafs/internal/serve/spawn';
import { forgetKilledServers, usedByServer } from 'stratafs/internal/serve/state';
import { takeUpper } from 'stratafs/internal/serve/upper-locks';
import type { ByteString } from 'stratafs/internal/sys/bytes';
import type { Sys } from 'stratafs/internal/sys/sys';
import { say } from './output/streams.ts';
import { leaveShell, mayStay, prepareToStay, threadAhead } from './starter.ts';

export interface UnionRequest {
  options: MountOptions;
  backend: 'auto' | Backend;
  /** What the mount table shows. */
  source: ByteString;
  merged: ByteString;
  /** Serve in this process; nothing to the kernel's overlay. */
  foreground: boolean;
  /** Trace every request on stderr. */
  debug: boolean;
  /** The mount point may lie inside a lower: the caller covers it in the view. */
  covered?: boolean;
}

export interface Union extends Choice {
  /** Of the FUSE server in the background, else null. */
  serverPid: number | null;
}

/**
 * Mounts. Returns when the mount is live; where this process serves it (in the foreground, or started by a shell that waits),
 * when it has ended.
 * @throws MountError; then nothing is left behind.
 */
export async function makeUnion(sys: Sys, request: UnionRequest): Promise<Union> {
  const options = absoluteLayers(sys, withUsableXattrs(sys, request.options));
  const choice = chooseUsable(sys, options, request.backend);
  if (choice.backend === 'kernel') {
    if (removeDeadMount(sys, request.merged)) forgetKilledServers();
    // Held while it is mounted, so that no server begins with the same upper in between.
    const locks = takeUpper(sys, options, () => false);
    try {
      checkMount(sys, options, request.merged, {
        backend: 'kernel',
        usedByServer: usedByServer(),
        warn: (message) => say(`warning: ${message}`),
      });
      mountKernel(sys, options, request.source, request.merged);
    } finally {
      locks.release();
    }
    return { ...choice, serverPid: null };
  }
  const { source, merged, debug, covered = false } = request;
  const config = serveConfig(sys, { options, source, merged, debug, covered });
  if (!request.foreground && !mayStay()) return { ...choice, serverPid: (await spawnServer(config)).pid };
  if (mayStay()) prepareToStay(sys);
  const onReady = (): void => {
    if (!request.foreground) leaveShell(sys, config.merged);
  };
  await runServer(sys, config, onReady, threadAhead());
  return { ...choice, serverPid: null };
}

/** The kernel's overlay refuses an upper with copy-ups that are not complete; our server goes on with them. */
function chooseUsable(sys: Sys, options: MountOptions, asked: 'auto' | Backend): Choice {
  const choice = chooseBackend(sys, options, asked);
  if (choice.backend !== 'kernel' || asked !== 'auto') return choice;
  if (!countPending(sys, options.overlay.workdir)) return choice;
  return { ...chooseBackend(sys, options, 'fuse'), reason: 'the upper has copy-ups that are not complete' };
}

/** Where `trusted.*` is out of reach the overlay's notes go to `user.overlay.*`. */
function withUsableXattrs(sys: Sys, options: MountOptions): MountOptions {
  if (options.overlay.userxattr !== undefined || mayUseTrustedXattrs(sys)) return options;
  return { ...options, overlay: { ...options.overlay, userxattr: true } };
}
