/** Opens an upper and its lowers for looking: nothing is written, not even an atime, and no mount is needed. */
import { DescriptorCache } from '../layer/descriptor-cache.ts';
import { DiskLayer } from '../layer/disk-layer.ts';
import { fillSuper } from '../overlay/fill-super.ts';
import type { Config, Refusal } from '../overlay/params.ts';
import { Super } from '../overlay/super.ts';
import { type ByteString, printable } from '../sys/bytes.ts';
import { errnoName } from '../sys/errno.ts';
import type { Sys } from '../sys/sys.ts';

export interface LayerPaths {
  /** Topmost first. */
  lowerdirs: readonly ByteString[];
  /** Data-only layers, below them. */
  datadirs?: readonly ByteString[];
  upperdir?: ByteString;
  /** With it the index counts, where this upper has one. */
  workdir?: ByteString;
  /** The overlay's own attributes are `user.overlay.*`. */
  userxattr: boolean;
  aufsWhiteouts?: boolean;
  /** Redirects are followed (default), as they are where they were written. */
  redirects?: boolean;
  /** Files of metadata alone have the data of the layers below; as `redirects` by default. */
  metacopy?: boolean;
}

/** The union of `paths`, read-only. `destroy()` closes it. On refusal nothing stays open. */
export function openLayers(sys: Sys, paths: LayerPaths): Super | Refusal {
  const config: Config = {
    redirectOn: false,
    redirectFollow: paths.redirects ?? true,
    index: paths.upperdir !== undefined && paths.workdir !== undefined,
    nfsExport: false,
    indexAsked: false,
    metacopy: paths.metacopy ?? paths.redirects ?? true,
    verity: 'off',
    fsync: 'auto',
    uuid: 'null',
    xino: 'off',
    userxattr: paths.userxattr,
    aufsWhiteouts: paths.aufsWhiteouts ?? false,
    readOnly: true,
  };
  const cache = new DescriptorCache(sys);
  const opened: DiskLayer[] = [];
  const open = (path: ByteString): number => {
    const layer = DiskLayer.open(sys, cache, { path, label: printable(path), writable: false });
    if (typeof layer === 'number') return layer;
    opened.push(layer);
    return 0;
  };
  const { upperdir, workdir, datadirs = [] } = paths;
  const all = [...paths.lowerdirs, ...datadirs];
  if (upperdir !== undefined) all.unshift(upperdir);
  if (config.index) all.push(workdir!);
  for (const path of all) {
    const err = open(path);
    if (err >= 0) continue;
    for (const layer of opened) layer.destroy();
    return { errno: err, message: `layer ${printable(path)} cannot be opened: ${errnoName(err)}` };
  }
  const upper = upperdir === undefined ? null : opened[0];
  const work = config.index ? opened[opened.length - 1] : null;
  const end = opened.length - (work ? 1 : 0);
  const lowest = end - datadirs.length;
  const sb = fillSuper(
    config,
    { lowers: opened.slice(upper ? 1 : 0, lowest), data: opened.slice(lowest, end), upper, work },
    { log: () => {}, cancelled: () => false, uid: 0, gid: 0, random: (length) => Buffer.alloc(length) },
  );
  if (!(sb instanceof Super)) for (const layer of opened) layer.destroy();
  return sb;
}
