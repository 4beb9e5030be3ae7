/**
 * Which backend mounts what was asked for, and why: the kernel's overlay where it can do all of
 * it, else our FUSE server. An option that only one of them has selects it; what neither has, or
 * not together, is an error that names the option. Nothing is ever accepted and then not done.
 */
import { verifyParams } from '../overlay/params.ts';
import { EINVAL, EPERM } from '../sys/errno.ts';
import type { Sys } from '../sys/sys.ts';
import { fuseWords } from './format-options.ts';
import { KERNEL_MAX_LOWERS } from './kernel-mount.ts';
import { MountError } from './mount-error.ts';
import type { MountOptions } from './options.ts';
import { kernelOverlayObstacle, mayUseTrustedXattrs } from './privilege.ts';

export type Backend = 'kernel' | 'fuse';

export interface Choice {
  backend: Backend;
  /** Why, as the second half of a sentence. */
  reason: string;
}

/** The first option that the kernel's overlay does not have. */
function notForKernel(options: MountOptions): string | null {
  const p = options.overlay;
  // It lets other users in anyway.
  const fuse = fuseWords.find(([name]) => name !== 'allowOther' && options.fuse[name] !== undefined);
  if (fuse !== undefined) return fuse[1];
  if (p.userxattr && p.redirectDir === 'on') return 'redirect_dir=on with userxattr';
  const lowers = p.lowerdirs.length + p.datadirs.length;
  return lowers > KERNEL_MAX_LOWERS ? `more than ${KERNEL_MAX_LOWERS} lower layers` : null;
}

/** What the engine does not serve. */
const notServed: [(options: MountOptions) => boolean, string][] = [
  // The server always acts with the rights of who mounted.
  [(o) => o.overrideCreds === false, 'nooverride_creds'],
  [(o) => o.fuse.hydrate !== undefined, 'hydrate'],
  // A handle names a nodeid, and would be stale from the first split on.
  [(o) => o.fuse.lowerIo === 'passthrough' && o.overlay.nfsExport === true, 'lower_io=passthrough with nfs_export'],
  [(o) => o.fuse.uidmapping !== undefined, 'uidmapping'],
  [(o) => o.fuse.gidmapping !== undefined, 'gidmapping'],
  [(o) => o.fuse.squashToRoot === true, 'squash_to_root'],
  [(o) => o.fuse.squashToUid !== undefined, 'squash_to_uid'],
  [(o) => o.fuse.squashToGid !== undefined, 'squash_to_gid'],
  [(o) => o.fuse.staticNlink === true, 'static_nlink'],
  [(o) => o.fuse.noacl === true, 'noacl'],
  [(o) => o.fuse.allowRoot === true, 'allow_root'],
  [(o) => o.fuse.autoUnmount === true, 'auto_unmount'],
  [(o) => o.fuse.maxRead !== undefined, 'max_read'],
  [(o) => o.fuse.subtype !== undefined, 'subtype'],
  [(o) => o.security.length > 0, 'context'],
];

/** Why the FUSE backend cannot do what was asked for. */
function notForFuse(sys: Sys, options: MountOptions): string | null {
  // Conflicts are the same for both backends: checks.ts says them.
  if (verifyParams(options.overlay, !mayUseTrustedXattrs(sys)) !== null) return null;
  const found = unserved(options);
  if (found !== null) return `the fuse backend does not have the option ${found}`;
  // Backing files are registered by who has this right only.
  const barred = options.fuse.lowerIo === 'passthrough' && !mayUseTrustedXattrs(sys);
  return barred ? 'lower_io=passthrough needs CAP_SYS_ADMIN in the initial user namespace' : null;
}

function unserved(options: MountOptions): string | null {
  return notServed.find(([asked]) => asked(options))?.[1] ?? null;
}

/**
 * @throws MountError when the options and `asked` cannot be had together: EINVAL (exit status 32),
 * or EPERM (exit status 1) where the kernel's overlay is out of this user's reach.
 */
export function chooseBackend(sys: Sys, options: MountOptions, asked: 'auto' | Backend): Choice {
  const onlyFuse = notForKernel(options);
  const onlyKernel = notForFuse(sys, options);
  if (asked === 'fuse') {
    if (onlyKernel !== null) throw new MountError(-EINVAL, onlyKernel);
    return { backend: 'fuse', reason: 'it was asked for' };
  }
  if (onlyFuse !== null) {
    if (asked === 'kernel') throw new MountError(-EINVAL, `the kernel backend does not have ${onlyFuse}`);
    const missing = unserved(options);
    if (missing?.split('=')[0] === onlyFuse) throw new MountError(-EINVAL, `no backend has the option ${missing}`);
    if (onlyKernel !== null) throw new MountError(-EINVAL, `${onlyFuse} needs the fuse backend, but ${onlyKernel}`);
    return { backend: 'fuse', reason: `the kernel's overlay does not have ${onlyFuse}` };
  }
  const obstacle = kernelOverlayObstacle(sys);
  if (obstacle === null) {
    return { backend: 'kernel', reason: asked === 'kernel' ? 'it was asked for' : 'it can do all that was asked for' };
  }
  if (asked === 'kernel') throw new MountError(-EPERM, `the kernel's overlay cannot be used: ${obstacle}`, 1);
  if (onlyKernel !== null) throw new MountError(-EINVAL, `${onlyKernel}, and the kernel's cannot be used: ${obstacle}`);
  return { backend: 'fuse', reason: `the kernel's overlay cannot be used: ${obstacle}` };
}

/** What a drop-in for fuse-overlayfs may leave undone with a warning: the union is the same without it. */
const dispensable: [name: string, asked: (options: MountOptions) => boolean, drop: (options: MountOptions) => void][] =
  [
    ['nooverride_creds', (o) => o.overrideCreds === false, (o) => delete o.overrideCreds],
    ['static_nlink', (o) => o.fuse.staticNlink === true, (o) => delete o.fuse.staticNlink],
    ['noacl', (o) => o.fuse.noacl === true, (o) => delete o.fuse.noacl],
    ['auto_unmount', (o) => o.fuse.autoUnmount === true, (o) => delete o.fuse.autoUnmount],
    ['max_read', (o) => o.fuse.maxRead !== undefined, (o) => delete o.fuse.maxRead],
    ['subtype', (o) => o.fuse.subtype !== undefined, (o) => delete o.fuse.subtype],
    ['context', (o) => o.security.length > 0, (o) => o.security.splice(0)],
  ];

/** Takes those options out of `options` that fuse-overlayfs would take and ours does not need, one warning each. */
export function dropDispensable(options: MountOptions, warn: (message: string) => void): void {
  for (const [name, asked, drop] of dispensable) {
    if (!asked(options)) continue;
    drop(options);
    warn(`mount option '${name}' is ignored`);
  }
}
