/**
 * The roots of the layers, opened once each, so that all checks judge the same directories:
 * what exists, what is a directory, what may be read, and who lies inside whom.
 * The errnos are those of the kernel's ovl_get_layers and ovl_check_layer.
 */
import type { OverlayParams } from '../overlay/params.ts';
import type { ByteString } from '../sys/bytes.ts';
import { AT_EMPTY_PATH, AT_FDCWD, O_DIRECTORY, O_PATH, O_RDONLY, OPEN_TREE_CLONE } from '../sys/constants.ts';
import { EACCES, EINVAL, ELOOP, EMFILE, ENFILE, ENOENT, ENOTCONN, ENOTDIR, errnoName } from '../sys/errno.ts';
import { Stat } from '../sys/stat.ts';
import type { Sys } from '../sys/sys.ts';
import { MountError } from './mount-error.ts';
import { show } from './paths.ts';

export interface LayerRoot {
  /** What it is, for messages: `lower layer`, `data-only layer`, `upperdir`, `workdir`. */
  kind: string;
  path: ByteString;
  /** O_PATH. */
  fd: number;
  st: Stat;
}

export interface LayerRoots {
  lowers: LayerRoot[];
  upper: LayerRoot | null;
  work: LayerRoot | null;
  close(): void;
}

/**
 * Opens every layer root of `params`.
 * @throws MountError naming the first that is missing, no directory or not readable.
 */
export function openRoots(sys: Sys, params: OverlayParams): LayerRoots {
  const opened: LayerRoot[] = [];
  const close = (): void => {
    for (const root of opened) sys.close(root.fd);
  };
  const open = (kind: string, path: ByteString): LayerRoot => {
    const root = { kind, path, fd: openDirectory(sys, kind, path), st: new Stat() };
    opened.push(root);
    const err = sys.fstat(root.fd, root.st);
    if (err < 0) throw unusable(kind, path, err);
    return root;
  };
  try {
    const lowers = params.lowerdirs.map((path) => open('lower layer', path));
    lowers.push(...params.datadirs.map((path) => open('data-only layer', path)));
    return {
      lowers,
      upper: params.upperdir === undefined ? null : open('upperdir', params.upperdir),
      work: params.workdir === undefined ? null : open('workdir', params.workdir),
      close,
    };
  } catch (error) {
    close();
    throw error;
  }
}

function openDirectory(sys: Sys, kind: string, path: ByteString): number {
  const readable = sys.openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);
  // What is there and no directory is EINVAL; ENOTDIR is a file on the way to it.
  if (readable === -ENOTDIR && sys.statx(AT_FDCWD, path, 0, new Stat()) === 0) {
    throw new MountError(-EINVAL, `${kind} ${show(path)} is not a directory`);
  }
  if (readable < 0) throw unusable(kind, path, readable);
  sys.close(readable);
  const fd = sys.openat(AT_FDCWD, path, O_PATH | O_DIRECTORY, 0);
  if (fd < 0) throw unusable(kind, path, fd);
  return fd;
}

function unusable(kind: string, path: ByteString, err: number): MountError {
  const what = `${kind} ${show(path)}`;
  switch (err) {
    case -ENOENT:
      return new MountError(err, `${what} does not exist: make the directory or correct its path`);
    case -ENOTDIR:
      return new MountError(err, `${what} does not exist: a file is in its path`);
    case -EACCES:
      return new MountError(err, `${what} cannot be read: it needs permission to read and search for this user`);
    case -ENOTCONN:
      return new MountError(err, `${what} lies in a FUSE mount whose server is gone: unmount that first`);
    case -EMFILE:
    case -ENFILE:
      return new MountError(err, `too many open files for this many layers: raise the limit (ulimit -n)`, 2);
    default:
      return new MountError(err, `${what} cannot be opened: ${errnoName(err)}`);
  }
}

function same(a: Stat, b: Stat): boolean {
  return a.ino === b.ino && a.dev === b.dev;
}

/** The directories above `root` on its mount, nearest first. A bind mount's root ends the walk. */
export function* ancestors(sys: Sys, root: Pick<LayerRoot, 'fd' | 'st'>): Generator<Stat> {
  let at = root.st;
  let path = '..';
  for (;;) {
    const above = new Stat();
    if (sys.statx(root.fd, path, 0, above) < 0 || above.mntId !== at.mntId || same(above, at)) return;
    yield above;
    at = above;
    path += '/..';
  }
}

/**
 * Refuses layers that are one another or lie inside each other: a lower inside the upper, the
 * workdir or another lower, the workdir and the upper inside each other. An upper inside a lower
 * is allowed.
 * @throws MountError (ELOOP, EINVAL).
 */
export function checkOverlap(sys: Sys, roots: LayerRoots): void {
  const { lowers, upper, work } = roots;
  if (upper && work) {
    if (same(upper.st, work.st)) throw nested(`workdir and upperdir are both ${show(upper.path)}`);
    for (const above of ancestors(sys, work)) {
      if (same(above, upper.st)) throw nested(`workdir ${show(work.path)} lies inside upperdir ${show(upper.path)}`);
    }
    for (const above of ancestors(sys, upper)) {
      if (same(above, work.st)) throw nested(`upperdir ${show(upper.path)} lies inside workdir ${show(work.path)}`);
    }
  }
  const taken = new Map<string, LayerRoot>();
  const key = (st: Stat): string => `${st.dev}:${st.ino}`;
  if (upper) taken.set(key(upper.st), upper);
  if (work) taken.set(key(work.st), work);
  for (const lower of lowers) {
    const twin = taken.get(key(lower.st));
    if (twin !== undefined) {
      throw new MountError(
        -ELOOP,
        twin.kind === lower.kind
          ? `${lower.kind} ${show(lower.path)} is named twice: a directory can be one layer only`
          : `${show(lower.path)} is both ${twin.kind} and ${lower.kind}: a directory can be one layer only`,
      );
    }
    taken.set(key(lower.st), lower);
  }
  for (const lower of lowers) {
    for (const above of ancestors(sys, lower)) {
      const outer = taken.get(key(above));
      if (outer !== undefined) {
        throw new MountError(
          -ELOOP,
          `${lower.kind} ${show(lower.path)} lies inside ${outer.kind} ${show(outer.path)}: layers must be separate trees`,
        );
      }
    }
  }
}

/**
 * Refuses a mount point inside the upper, the workdir or a lower that cannot be held without what is mounted on it
 * (layer/layer-root.ts): what a server of ours looks up there would be the mount itself, and it would wait for its own
 * answer.
 * @param covered no path in the view leads there by a lower
 * @throws MountError (ELOOP).
 */
export function checkMountPoint(sys: Sys, path: ByteString, layers: LayerRoots, covered: boolean): void {
  const { upper, work } = layers;
  const lowers = covered ? [] : layers.lowers;
  const st = new Stat();
  const fd = openMerged(sys, path);
  sys.fstat(fd, st);
  try {
    for (const above of ancestors(sys, { fd, st })) {
      const layer = [upper, work, ...lowers].find((root) => root !== null && same(root.st, above));
      if (layer && (layer === upper || layer === work || !mayClone(sys, layer))) {
        throw new MountError(
          -ELOOP,
          `mount point ${show(path)} lies inside ${layer.kind} ${show(layer.path)}: mount it elsewhere, or with the kernel backend`,
        );
      }
    }
  } finally {
    sys.close(fd);
  }
}

function mayClone(sys: Sys, { fd }: LayerRoot): boolean {
  const clone = sys.openTree(fd, '', OPEN_TREE_CLONE | AT_EMPTY_PATH);
  if (clone >= 0) sys.close(clone);
  return clone >= 0;
}

function nested(what: string): MountError {
  return new MountError(-EINVAL, `${what}: they must be separate directories, neither inside the other`);
}

/** @throws MountError unless workdir and upperdir lie on one mount of one filesystem. */
export function checkSameMount(upper: LayerRoot, work: LayerRoot): void {
  if (upper.st.dev === work.st.dev && upper.st.mntId === work.st.mntId) return;
  const where = upper.st.dev === work.st.dev ? 'mount' : 'filesystem';
  throw new MountError(
    -EINVAL,
    `workdir ${show(work.path)} is on another ${where} than upperdir ${show(upper.path)}: put both on the same one`,
  );
}

/** Opens the mount point. @throws MountError. @returns an O_PATH descriptor, the caller's to close. */
export function openMerged(sys: Sys, path: ByteString): number {
  const fd = sys.openat(AT_FDCWD, path, O_PATH | O_DIRECTORY, 0);
  if (fd === -ENOTDIR) throw new MountError(fd, `mount point ${show(path)} is not a directory`);
  if (fd === -ENOENT) throw new MountError(fd, `mount point ${show(path)} does not exist: make the directory first`);
  if (fd < 0) throw new MountError(fd, `mount point ${show(path)} cannot be opened: ${errnoName(fd)}`);
  const err = sys.statx(fd, '', AT_EMPTY_PATH, new Stat());
  if (err < 0) {
    sys.close(fd);
    throw new MountError(err, `mount point ${show(path)} cannot be used: ${errnoName(err)}`);
  }
  return fd;
}
