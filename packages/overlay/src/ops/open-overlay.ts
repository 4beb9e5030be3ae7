/**
 * From mount parameters to a working union: opens the layers, has the engine look at them, and
 * gives the operations. Everything that a person can get wrong comes back as one Refusal.
 */
import { DescriptorCache, descriptorLimit } from '../layer/descriptor-cache.ts';
import { DiskLayer } from '../layer/disk-layer.ts';
import type { Layer } from '../layer/layer.ts';
import type { CopyAside } from '../overlay/asides.ts';
import { fillSuper } from '../overlay/fill-super.ts';
import { COPYUP_THRESHOLD, type CopyUpMode } from '../overlay/lazy-files.ts';
import { isRefusal, type OverlayParams, type RedirectMode, type Refusal, resolveParams } from '../overlay/params.ts';
import { Super } from '../overlay/super.ts';
import type { SyncAside } from '../overlay/syncs.ts';
import { toText } from '../sys/bytes.ts';
import { errnoName } from '../sys/errno.ts';
import type { Sys } from '../sys/sys.ts';
import { OverlayOps } from './overlay-ops.ts';

export interface OpenOptions {
  /** `redirect_dir` when it was not said. */
  redirectDefault: RedirectMode;
  /** `index` when it was not said, false if absent; on only where the layers can. */
  indexDefault?: boolean;
  /** `metacopy` when it was not said, false if absent. */
  metacopyDefault?: boolean;
  /** Redirects in `user.overlay.redirect` count (see ConfigContext). */
  userRedirect?: boolean;
  readOnly: boolean;
  /** Honour `.wh.NAME` and `.wh..wh..opq` in lowers. */
  aufsWhiteouts: boolean;
  log(line: string): void;
  cancelled(): boolean;
  random(length: number): Buffer;
  /** The groups of a caller (see SuperHooks). */
  groupsOf?(pid: number): readonly number[];
  /** Root has his rights in a user namespace only (see SuperHooks). */
  mereRoot?: boolean;
  /** A door that keeps attributes is told here when they are out of date (see SuperHooks). */
  attrChanged?(nodeid: number): void;
  /** Makes long copies on another thread (see SuperHooks). */
  copyAside?: CopyAside;
  /** Flushes on another thread (see SuperHooks). */
  syncAside?: SyncAside;
  /** Told when an operation is to be asked again soon (see SuperHooks). */
  goesOn?(): void;
  /** How the data of lower files is copied up; `full` if absent. */
  copyup?: CopyUpMode;
  /** Bytes: with `auto` and `lazy` a smaller file is copied up whole (see COPYUP_THRESHOLD). */
  copyupThreshold?: number;
  /** Lower files are offered for passthrough also where they may be written to. */
  lowerPassthrough?: boolean;
  /** How many directory descriptors may stay open; by default what the limits allow. */
  descriptors?: number;
  /** How many files may be open; more are -ENFILE. By default what the limits allow. */
  openFiles?: number;
}

/** For a file there may be two descriptors, its own and one that keeps it when it is unlinked; some are for passing use. */
function defaultOpenFiles(sys: Sys, cache: DescriptorCache): number {
  return Math.max(16, ((descriptorLimit(sys) - cache.capacity) >> 1) - 64);
}

/** Opens a union on disk. On refusal nothing is left open. */
export function openOverlay(sys: Sys, params: OverlayParams, options: OpenOptions): OverlayOps | Refusal {
  const config = resolveParams(params, options);
  if (isRefusal(config)) return config;
  const cache = new DescriptorCache(sys, options.descriptors);
  const opened: DiskLayer[] = [];
  const fail = (refusal: Refusal): Refusal => {
    for (const layer of opened) layer.destroy();
    return refusal;
  };
  const open = (path: string, what: string, writable: boolean): DiskLayer | Refusal => {
    const layer = DiskLayer.open(sys, cache, { path, label: `${what} ${toText(path)}`, writable });
    if (typeof layer === 'number') return { errno: layer, message: `${what} ${toText(path)}: ${errnoName(layer)}` };
    opened.push(layer);
    return layer;
  };
  const lowers: Layer[] = [];
  const data: Layer[] = [];
  for (const [what, paths, into] of [
    ['lowerdir', params.lowerdirs, lowers],
    ['datadir', params.datadirs, data],
  ] as const) {
    for (const path of paths) {
      const layer = open(path, what, false);
      if (!(layer instanceof DiskLayer)) return fail(layer);
      into.push(layer);
    }
  }
  let upper: Layer | null = null;
  let work: Layer | null = null;
  if (params.upperdir !== undefined && params.workdir !== undefined) {
    const opening = open(params.upperdir, 'upperdir', !config.readOnly);
    if (!(opening instanceof DiskLayer)) return fail(opening);
    upper = opening;
    const opening2 = open(params.workdir, 'workdir', !config.readOnly);
    if (!(opening2 instanceof DiskLayer)) return fail(opening2);
    work = opening2;
  }
  DiskLayer.joinSubvolumes([...opened.filter(({ writable }) => writable), ...opened]);
  const sb = fillSuper(
    config,
    { lowers, data, upper, work },
    {
      log: options.log,
      cancelled: options.cancelled,
      random: options.random,
      groupsOf: options.groupsOf,
      mereRoot: options.mereRoot,
      attrChanged: options.attrChanged,
      copyAside: options.copyAside,
      syncAside: options.syncAside,
      goesOn: options.goesOn,
      uid: sys.geteuid(),
      gid: sys.getegid(),
    },
  );
  if (!(sb instanceof Super)) return fail(sb);
  sb.lazy.mode = options.copyup ?? 'full';
  sb.lazy.threshold = options.copyupThreshold ?? COPYUP_THRESHOLD[sb.lazy.mode];
  return new OverlayOps(sb, options.openFiles ?? defaultOpenFiles(sys, cache), options.lowerPassthrough);
}
