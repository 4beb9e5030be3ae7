/** The unions that this process sees in the mount table, with what the records of their servers add. */
import { isUnion, type MountedLayers, overlayLayers, readMountinfo } from 'stratafs/internal/mount/mountinfo';
import { countPending } from 'stratafs/internal/serve/pending';
import { type MountRecord, readRecords } from 'stratafs/internal/serve/state';
import type { ByteString } from 'stratafs/internal/sys/bytes';
import { ENOTCONN, errnoName } from 'stratafs/internal/sys/errno';
import { StatFs } from 'stratafs/internal/sys/stat';
import type { Sys } from 'stratafs/internal/sys/sys';
import { CliError } from './cli-error.ts';

export interface MountListing {
  mountPoint: ByteString;
  backend: 'kernel' | 'fuse';
  /** `dead`: its server is gone. `foreign`: it is served, but not by a server whose record we may read. */
  state: 'live' | 'dead' | 'foreign';
  source: ByteString;
  /** Of the mount, as the mount table has them. */
  options: string[];
  /** The server's. */
  pid: number | null;
  /** null where nothing tells: a FUSE mount without a record. */
  layers: MountedLayers | null;
  /** Files whose copy-up is not complete; null where nobody tells. */
  pending: number | null;
}

/** In the order of the mount table. */
export function listMounts(sys: Sys): MountListing[] {
  const entries = readMountinfo(sys);
  if (typeof entries === 'number') {
    throw new CliError(1, `the mount table cannot be read: ${errnoName(entries)}`);
  }
  const records = new Map<string, MountRecord>(readRecords().map((record) => [record.device, record]));
  return entries.filter(isUnion).map((entry) => {
    const { mountPoint, source, options } = entry;
    if (entry.fstype === 'overlay') {
      const layers = overlayLayers(entry);
      return { mountPoint, backend: 'kernel', state: 'live', source, options, pid: null, layers, pending: 0 };
    }
    const record = records.get(entry.device);
    // statfs(2) is never answered from a cache; a dead connection refuses it at once.
    const dead = record === undefined && sys.statfs(mountPoint, new StatFs()) === -ENOTCONN;
    return {
      mountPoint,
      backend: 'fuse',
      state: record !== undefined ? 'live' : dead ? 'dead' : 'foreign',
      source,
      options,
      pid: record?.pid ?? null,
      layers: record === undefined ? null : record.options.overlay,
      pending: record === undefined ? null : countPending(sys, record.options.overlay.workdir),
    };
  });
}
