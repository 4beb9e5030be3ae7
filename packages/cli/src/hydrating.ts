/** Completing lazy copy-ups with a word on how far it is: of a live mount by its server, else by this process. */

import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { checkMount } from 'stratafs/internal/mount/checks';
import type { MountOptions } from 'stratafs/internal/mount/options';
import { show } from 'stratafs/internal/mount/paths';
import { decodeHydration, HydrationStep, SIZEOF_HYDRATE, STRATA_IOC_HYDRATE } from 'stratafs/internal/ops/hydration';
import { openOverlay } from 'stratafs/internal/ops/open-overlay';
import { OverlayOps } from 'stratafs/internal/ops/overlay-ops';
import { takeUpper } from 'stratafs/internal/serve/upper-locks';
import type { ByteString } from 'stratafs/internal/sys/bytes';
import { AT_FDCWD, O_DIRECTORY, O_RDONLY } from 'stratafs/internal/sys/constants';
import { ENOTTY, errnoName } from 'stratafs/internal/sys/errno';
import type { Sys } from 'stratafs/internal/sys/sys';
import { CliError } from './cli-error.ts';
import { HydrationProgress } from './output/hydration-progress.ts';

/** Bytes of one step: as long as other requests may have to wait. */
const STEP_LIVE = 4 * 1024 * 1024;
const STEP_OFFLINE = 64 * 1024 * 1024;

export interface Hydrated {
  files: number;
  bytes: number;
  /** Files that could not be completed. */
  failed: number;
}

/** `budget` as of Ops.hydrate. */
type Step = (budget: number) => HydrationStep | number;

async function run(step: Step, size: number): Promise<Hydrated> {
  const pending = step(0);
  if (typeof pending === 'number') throw new CliError(1, `copy-ups cannot be completed: ${errnoName(pending)}`);
  const total: Hydrated = { files: 0, bytes: 0, failed: 0 };
  if (pending.files === 0) return total;
  const progress = new HydrationProgress(pending);
  for (;;) {
    const done = step(size);
    if (typeof done === 'number') {
      progress.end(total);
      throw new CliError(1, `copy-ups cannot be completed: ${errnoName(done)}`);
    }
    total.files += done.files;
    total.bytes += done.bytes;
    total.failed = done.failed;
    if (done.done) break;
    progress.at(total);
    // Signals are heard here.
    await sleep(0);
  }
  progress.end(total);
  return total;
}

/** Has the server of the mount at `mountPoint` do it. @throws CliError. */
export async function hydrateMount(sys: Sys, mountPoint: ByteString): Promise<Hydrated> {
  const arg = Buffer.alloc(SIZEOF_HYDRATE);
  const step: Step = (budget) => {
    // Open only as long as it takes: whoever unmounts meanwhile is not told that it is busy.
    const fd = sys.openat(AT_FDCWD, mountPoint, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0) return fd;
    arg.fill(0);
    arg.writeBigUInt64LE(BigInt(budget), 0);
    const err = sys.ioctl(fd, STRATA_IOC_HYDRATE, arg);
    sys.close(fd);
    // Another server than ours has nothing pending.
    if (err === -ENOTTY) return new HydrationStep();
    return err < 0 ? err : decodeHydration(arg);
  };
  return run(step, STEP_LIVE);
}

/** Does it in this process, for an upper that is not mounted. @throws CliError, MountError where it is in use. */
export async function hydrateLayers(sys: Sys, options: MountOptions): Promise<Hydrated> {
  const { upperdir, workdir } = options.overlay;
  if (upperdir === undefined || workdir === undefined) {
    throw new CliError(1, 'the options name no upperdir and workdir: without them nothing can be pending');
  }
  const locks = takeUpper(sys, options, () => false);
  try {
    checkMount(sys, options, '/', { backend: 'fuse' });
    const ops = openOverlay(sys, options.overlay, {
      redirectDefault: 'on',
      indexDefault: true,
      metacopyDefault: true,
      readOnly: false,
      aufsWhiteouts: options.fuse.whiteouts === 'aufs',
      log: (line) => process.stderr.write(`strata: ${line}\n`),
      cancelled: () => false,
      random: (length) => randomBytes(length),
    });
    if (!(ops instanceof OverlayOps)) throw new CliError(1, `${show(upperdir)}: ${ops.message}`);
    try {
      const caller = { uid: sys.geteuid(), gid: sys.getegid(), pid: process.pid, umask: 0 };
      return await run((budget) => {
        const out = new HydrationStep();
        const err = ops.hydrate(caller, budget, out);
        return err < 0 ? err : out;
      }, STEP_OFFLINE);
    } finally {
      ops.destroy();
    }
  } finally {
    locks.release();
  }
}
