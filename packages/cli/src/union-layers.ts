/** The layers of a union that a person names: by its options, by its mount point or a path in it, or by its run. */
import fs from 'node:fs';
import type { LayerPaths } from 'stratafs/internal/diff/open-layers';
import { absoluteLayers } from 'stratafs/internal/mount/checks';
import { isUnion, type MountEntry, mountAt, overlayLayers, readMountinfo } from 'stratafs/internal/mount/mountinfo';
import type { MountOptions } from 'stratafs/internal/mount/options';
import { absolutePath, realPath, show, workingDirectory } from 'stratafs/internal/mount/paths';
import { mayUseTrustedXattrs } from 'stratafs/internal/mount/privilege';
import { readRecords } from 'stratafs/internal/serve/state';
import type { ByteString } from 'stratafs/internal/sys/bytes';
import { AT_FDCWD, O_PATH } from 'stratafs/internal/sys/constants';
import type { Sys } from 'stratafs/internal/sys/sys';
import { CliError } from './cli-error.ts';
import type { RunRecord, RunStore } from './runs/record.ts';

export interface UnionPath {
  layers: LayerPaths;
  /** From the root of the union. */
  path: ByteString;
}

/** @throws CliError when there is no lower. */
export function layersOfOptions(sys: Sys, options: MountOptions): LayerPaths {
  const p = absoluteLayers(sys, options).overlay;
  if (p.lowerdirs.length === 0) throw new CliError(1, 'the options name no lowerdir');
  const userxattr = p.userxattr ?? !mayUseTrustedXattrs(sys);
  return {
    lowerdirs: p.lowerdirs,
    datadirs: p.datadirs,
    upperdir: p.upperdir,
    workdir: p.index === false ? undefined : p.workdir,
    userxattr,
    metacopy: p.metacopy ?? !userxattr,
    aufsWhiteouts: options.fuse.whiteouts === 'aufs',
    redirects: p.redirectDir !== 'nofollow',
  };
}

function layersOfRun(store: RunStore, record: RunRecord): LayerPaths {
  return {
    lowerdirs: record.lowers,
    upperdir: store.path(record.id, 'upper'),
    workdir: store.path(record.id, 'work'),
    userxattr: record.userxattr,
  };
}

/** `path` in the union of a run: from its root, or as it is seen outside, below the run's directory. */
export function pathOfRun(store: RunStore, record: RunRecord, path: ByteString): UnionPath {
  return { layers: layersOfRun(store, record), path: below(record.directory, path) ?? path };
}

/** What is left of `path` behind `directory`; null where it does not lie there. */
function below(directory: ByteString, path: ByteString): ByteString | null {
  const prefix = directory === '/' ? '' : directory;
  return prefix !== '' && (path === prefix || path.startsWith(`${prefix}/`)) ? path.slice(prefix.length) : null;
}

/**
 * The layers of the mounted union at `where`, or, with `path` null, of the one in which `where`
 * lies. @throws CliError.
 */
export function layersOfMount(sys: Sys, where: ByteString, path: ByteString | null): UnionPath {
  const entries = readMountinfo(sys);
  if (typeof entries === 'number') throw new CliError(1, 'the mount table cannot be read');
  const at = canonical(sys, where);
  const entry = path === null ? unionOf(entries, at) : mountAt(entries, at);
  if (entry === undefined || !isUnion(entry)) {
    throw new CliError(1, `${show(where)} ${path === null ? 'lies in' : 'is'} no union that is mounted, and no run`);
  }
  const prefix = entry.mountPoint === '/' ? '' : entry.mountPoint;
  // The path as it is seen from outside is understood, too.
  const inside = path === null ? at.slice(prefix.length) : (below(prefix, path) ?? path);
  return { layers: layersOf(sys, entry), path: inside };
}

function layersOf(sys: Sys, entry: MountEntry): LayerPaths {
  if (entry.fstype !== 'overlay') {
    const record = readRecords().find((candidate) => candidate.device === entry.device);
    if (record !== undefined) return layersOfOptions(sys, record.options);
    throw new CliError(
      1,
      `nothing tells the layers of ${show(entry.mountPoint)}: its server is gone, or another user's`,
    );
  }
  const { lowerdirs, datadirs, upperdir } = overlayLayers(entry);
  const relative = [...lowerdirs, ...datadirs, ...(upperdir === undefined ? [] : [upperdir])].find(
    (path) => !path.startsWith('/'),
  );
  if (relative !== undefined) {
    throw new CliError(
      1,
      `${show(entry.mountPoint)} was mounted with the relative path ${show(relative)}: name the layers with -o`,
    );
  }
  const says = (name: string, value?: string): boolean =>
    entry.superOptions.some(([k, v]) => k === name && v === value);
  return {
    lowerdirs,
    datadirs,
    ...(upperdir !== undefined && { upperdir }),
    userxattr: says('userxattr'),
    redirects: !says('redirect_dir', 'nofollow') && !says('userxattr'),
    metacopy: says('metacopy', 'on') || (metacopyDefault() && !says('metacopy', 'off')),
  };
}

/** What is the kernel's default is not said in the mount table. */
function metacopyDefault(): boolean {
  try {
    return fs.readFileSync('/sys/module/overlay/parameters/metacopy', 'latin1').startsWith('Y');
  } catch {
    return false;
  }
}

/** Without symlinks as far as it exists: the object itself may be what is missing. */
function canonical(sys: Sys, path: ByteString): ByteString {
  const cwd = workingDirectory(sys);
  let rest = '';
  let at = typeof cwd === 'number' ? path : absolutePath(cwd, path);
  for (;;) {
    const fd = sys.openat(AT_FDCWD, at, O_PATH, 0);
    if (fd >= 0) {
      const real = realPath(sys, fd);
      sys.close(fd);
      return typeof real === 'number' ? at + rest : `${real === '/' && rest !== '' ? '' : real}${rest}`;
    }
    const slash = at.replace(/\/+$/, '').lastIndexOf('/');
    if (slash <= 0) return at + rest;
    rest = at.replace(/\/+$/, '').slice(slash) + rest;
    at = at.slice(0, slash);
  }
}

/** The mount that a walk to `path` ends in. */
function unionOf(entries: readonly MountEntry[], path: ByteString): MountEntry | undefined {
  for (let at = path; at !== ''; at = at.slice(0, at.lastIndexOf('/'))) {
    const entry = mountAt(entries, at);
    if (entry !== undefined) return entry;
  }
  return mountAt(entries, '/');
}
