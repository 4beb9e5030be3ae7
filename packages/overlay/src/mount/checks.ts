/**
 * What is wrong with a mount that was asked for, said before anything is touched: one MountError
 * with one sentence that names the option, path or layer and what to do. Both backends ask here.
 * What only the making of the mount can show (the kernel's own limits) is theirs to say.
 */
import { verifyParams } from '../overlay/params.ts';
import type { ByteString } from '../sys/bytes.ts';
import { EBUSY, errnoName } from '../sys/errno.ts';
import type { Stat } from '../sys/stat.ts';
import type { Sys } from '../sys/sys.ts';
import { checkUpper } from './check-upper.ts';
import { usesByKernel } from './in-use.ts';
import {
  ancestors,
  checkMountPoint,
  checkOverlap,
  checkSameMount,
  type LayerRoot,
  type LayerRoots,
  openMerged,
  openRoots,
} from './layer-roots.ts';
import { MountError } from './mount-error.ts';
import type { MountOptions } from './options.ts';
import { absolutePath, show, workingDirectory } from './paths.ts';
import { mayUseTrustedXattrs } from './privilege.ts';

export interface CheckRules {
  backend: 'kernel' | 'fuse';
  /**
   * Who of our own FUSE servers uses this upper or workdir, in words for a message; null for
   * nobody. serve/ knows by its records and locks.
   */
  usedByServer?: (path: ByteString, st: Stat) => string | null;
  /** What is allowed and unwise, one sentence; the kernel's overlay tells its log the same. */
  warn?: (message: string) => void;
  /** The mount point may lie inside a lower: whoever mounts covers it in the view, where nobody gets to it then. */
  covered?: boolean;
}

/** `options` with every layer's path absolute. @throws MountError. */
export function absoluteLayers(sys: Sys, options: MountOptions): MountOptions {
  const p = options.overlay;
  const cwd = workingDirectory(sys);
  if (typeof cwd === 'number') {
    throw new MountError(cwd, `the working directory cannot be read: ${errnoName(cwd)}`, 2);
  }
  const resolve = (path: ByteString): ByteString => absolutePath(cwd, path);
  return {
    ...options,
    overlay: {
      ...p,
      lowerdirs: p.lowerdirs.map(resolve),
      datadirs: p.datadirs.map(resolve),
      ...(p.upperdir !== undefined && { upperdir: resolve(p.upperdir) }),
      ...(p.workdir !== undefined && { workdir: resolve(p.workdir) }),
    },
  };
}

/** @throws MountError for the first thing that stands in the way of mounting `options` at `merged`. */
export function checkMount(sys: Sys, options: MountOptions, merged: ByteString, rules: CheckRules): void {
  const p = options.overlay;
  const refusal = verifyParams(p, rules.backend === 'fuse' && !mayUseTrustedXattrs(sys));
  if (refusal !== null) throw new MountError(refusal.errno, refusal.message);
  sys.close(openMerged(sys, merged));
  const roots = openRoots(sys, p);
  try {
    checkOverlap(sys, roots);
    if (rules.backend === 'fuse') checkMountPoint(sys, merged, roots, rules.covered === true);
    const { upper, work } = roots;
    if (upper === null || work === null) {
      if (rules.warn !== undefined) warnOfUses(usesOf(sys, roots.lowers, rules), rules.warn);
      return;
    }
    checkSameMount(upper, work);
    if (p.index === true || p.nfsExport === true) checkFree(usesOf(sys, withAncestors(sys, roots), rules));
    const own = [upper, work];
    const uses = usesOf(sys, rules.warn === undefined ? own : [...own, ...roots.lowers], rules);
    checkFree(uses.filter(({ root }) => own.includes(root)));
    if (rules.warn !== undefined) warnOfUses(uses, rules.warn);
    checkUpper(sys, upper, work, {
      backend: rules.backend,
      userxattr: p.userxattr ?? false,
      readOnly: options.flags.readOnly ?? false,
    });
  } finally {
    roots.close();
  }
}

/**
 * Every layer and all that it lies in: with `index` the kernel lets none of them be another mount's upper or
 * workdir. A lower that changes under an index would leave it pointing at what is gone.
 */
function withAncestors(sys: Sys, { lowers, upper, work }: LayerRoots): LayerRoot[] {
  return [upper, work, ...lowers]
    .filter((root) => root !== null)
    .flatMap((root) => [root, ...[...ancestors(sys, root)].map((st) => ({ ...root, st }))]);
}

interface Use {
  root: LayerRoot;
  /** In words for a message. */
  by: string;
}

/** Which of `roots` another live mount has as its upper or workdir. */
function usesOf(sys: Sys, roots: readonly LayerRoot[], rules: CheckRules): Use[] {
  const uses = usesByKernel(sys, roots).map(({ root, mount }) => ({
    root,
    by: `the kernel's overlay at ${show(mount.mountPoint)}`,
  }));
  for (const root of roots) {
    const by = rules.usedByServer?.(root.path, root.st) ?? null;
    if (by !== null) uses.push({ root, by });
  }
  return uses;
}

/** @throws MountError (EBUSY) for the first. */
function checkFree(uses: readonly Use[]): void {
  for (const { root, by } of uses) {
    throw new MountError(
      -EBUSY,
      `${root.kind} ${show(root.path)} is in use by ${by}: unmount that first or take another`,
    );
  }
}

/** kernel: ovl_report_in_use without an index. */
function warnOfUses(uses: readonly Use[], warn: (message: string) => void): void {
  for (const { root, by } of uses) {
    warn(`${root.kind} ${show(root.path)} is in use by ${by}: what changes there may show here or not`);
  }
}
