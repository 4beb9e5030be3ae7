/** Overlay cases: what only a union does, and what it leaves in its layers. */
import type { ByteString } from 'stratafs/internal/sys/bytes';
import * as c from 'stratafs/internal/sys/constants';
import { ENODATA, ENOENT } from 'stratafs/internal/sys/errno';
import type { Stat } from 'stratafs/internal/sys/stat';
import { ok } from './expect.ts';
import type { Door, Need, TargetName } from './target.ts';
import type { Attrs, Tree } from './tree.ts';

/** The union of one case, beside the door on its merged directory. */
export interface Union {
  readonly target: Exclude<TargetName, 'plain'>;
  /** Not the kernel: where docs/differences.md promises more than the kernel does. */
  readonly ours: boolean;
  /** The layers' filesystem has file handles, by which a copy is known for what it was copied from. */
  readonly handles: boolean;
  /** The case's directory as seen from the root of the union: absolute redirects begin with it. */
  readonly at: ByteString;
  /** The case's directory on disk, in the upper; it must be there. */
  upper(): Door;
  /** The case's directory on disk, in the nth lower (0 on top) of those that the case names. */
  lower(n: number): Door;
  /** Whether `path` has its own entry in the upper. */
  inUpper(path: ByteString): boolean;
  /** The name of an overlay mark, `trusted.overlay.opaque` or `user.overlay.opaque`. */
  mark(name: string): ByteString;
  /** The value of a mark on the upper's `path`, null where there is none. */
  marked(path: ByteString, name: string): ByteString | null;
  /** Ends the mount and makes it anew. @returns the door to go on with. */
  remount(): Promise<Door>;
  /** As `remount`, where the mount is expected to fail; it is then not mounted. @returns the errno, negative. */
  refused(): Promise<number>;
  unmount(): Promise<void>;
  /** The work directory on disk, for cases on a mount of their own. */
  work(): Door;
}

export interface OverlayCase {
  /** What the lowers hold of the case's directory, the top one first; a layer that is null has no such directory. */
  lowers: readonly (Tree | null)[];
  upper?: Tree;
  /** Attributes of the case's directory, in every layer. */
  dir?: Attrs;
  needs?: readonly Need[];
  run(m: Door, t: Union): void | Promise<void>;
}

export type OverlayCases = Readonly<Record<string, OverlayCase>>;

/** Cases that share a kind of mount. */
export interface OverlayGroup {
  /** Mount options beside the layers; the redirect mode is always said, so that module defaults have no part. */
  options: readonly string[];
  /** How many lowers; 3 by default. */
  lowers?: number;
  /** How many of those, from the last on, are data-only; none by default. */
  dataLayers?: number;
  /** false: without an upper. */
  writable?: boolean;
  /** Whether each case needs a mount of its own, because it looks at the whole. */
  own?: boolean;
  cases: OverlayCases;
}

/** A 0:0 character device, as the kernel makes them: no permissions, no data. */
export function isWhiteout(on: Door, path: ByteString): boolean {
  const st = on.lstat(path);
  if (st === -ENOENT) {
    return false;
  }
  const { type, rdev } = ok<Stat>(st as Stat);
  return type === c.S_IFCHR && rdev === 0;
}

/** An xattr as it is stored, null where there is none. */
export function stored(on: Door, path: ByteString, name: ByteString): ByteString | null {
  const value = on.lgetxattr(path, name);
  return value === -ENODATA ? null : ok<Buffer>(value as Buffer).toString('latin1');
}
