/**
 * Uppers compared: the same commands on the kernel's overlay and on ours leave the same upper.
 * Content, types, modes, owners, mtimes, devices, link counts and xattrs are compared as they lie
 * on disk. What may differ, and how it is masked:
 *
 *   - times that are "now": a time since the run began counts as `now`; older ones are exact
 *   - the origin xattr: a file handle of the lower's own inode, so that its presence is compared
 *   - link counts of whiteouts: the kernel makes them links of one inode, within limits of its own
 *   - sizes, times of access and change, inode numbers: not part of what a layer says
 *   - `opaque` = `x` of an upper that lies in a mount of ours, which puts it beside the whiteouts made in it
 */
import type { ByteString } from 'stratafs/internal/sys/bytes';
import type { Sys } from 'stratafs/internal/sys/sys';
import { differences, type Entry, type Snapshot, snapshotTree } from './snapshot.ts';

/** The value `x`, as snapshots write it. */
const X = '78';

/** Seconds since 1970 from which on a time counts as now. */
export function runBegan(): number {
  return Math.floor(Date.now() / 1000) - 1;
}

function masked(entry: Entry, since: number, stacked: boolean): Entry {
  const out: Record<string, string> = { ...entry };
  if (
    out.mtime !== undefined &&
    Number(out.mtime.split('+')[0]) >= since &&
    Number(out.mtime.split('+')[0]) < since + 86_400
  ) {
    out.mtime = 'now';
  }
  for (const key of Object.keys(out)) {
    if (/^xattr (trusted|user)\.overlay\.origin$/.test(key)) {
      out[key] = 'present';
    }
    if (stacked && /^xattr (trusted|user)\.overlay\.opaque$/.test(key) && out[key] === X) {
      delete out[key];
    }
  }
  if (out.type === 'chr' && out.rdev === '0') {
    delete out.nlink;
  }
  return out;
}

function upperAt(sys: Sys, path: ByteString, since: number, stacked: boolean): Snapshot {
  return new Map([...snapshotTree(sys, path)].map(([name, entry]) => [name, masked(entry, since, stacked)]));
}

/** One line for each difference between two uppers of the same commands; `stacked`: ours lies in a mount of ours. */
export function upperDifferences(
  sys: Sys,
  kernels: ByteString,
  ours: ByteString,
  since: number,
  stacked = false,
): string[] {
  return differences(
    upperAt(sys, kernels, since, false),
    upperAt(sys, ours, since, stacked),
    'the kernel’s upper',
    'ours',
  );
}
