/**
 * What this host can do, looked up once into one plain report: `strata doctor` prints it, nothing
 * else probes. Only `probeDirectory` writes: into a folder of its own, which it removes.
 */
import { spawnSync } from 'node:child_process';
import os from 'node:os';
import type { ByteString } from '../sys/bytes.ts';
import { EACCES, ENOENT, EPERM } from '../sys/errno.ts';
import type { Sys } from '../sys/sys.ts';
import {
  CAP_SYS_ADMIN,
  fuseDevice,
  hasCapability,
  inInitialUserNamespace,
  kernelOverlayObstacle,
  knowsOverlay,
} from './privilege.ts';
import { type DirectoryReport, probeDirectory } from './probe-directory.ts';
import { readFile } from './read-file.ts';
import { findProgram, hasSubordinateIds } from './userns.ts';

export interface HostReport {
  schema: 'strata.doctor/1';
  kernel: string;
  node: string;
  user: { uid: number; sysAdmin: boolean; initialUserNamespace: boolean };
  overlay: {
    /** The kernel has it, or can load it as far as can be told. */
    available: boolean;
    /** This process may mount it. */
    mountable: boolean;
    /** From 5.11 on, in a user namespace of one's own. */
    unprivileged: boolean;
    /** Why it is not mountable. */
    obstacle: string | null;
  };
  fuse: {
    device: 'usable' | 'missing' | 'forbidden' | 'not loaded';
    /** Reads and writes may bypass the server: kernel 6.9 and CAP_SYS_ADMIN. */
    passthrough: boolean;
  };
  userNamespaces: {
    usable: boolean;
    obstacle: string | null;
    max: number | null;
    unshare: string | null;
    newuidmap: string | null;
    /** The user has ids of their own in /etc/subuid and /etc/subgid. */
    subordinateIds: boolean;
  };
  directory: DirectoryReport;
  mount: { backend: 'kernel' | 'fuse' | null; reason: string };
  run: { backend: 'kernel' | 'fuse' | null; reason: string };
}

function kernelAtLeast(release: string, major: number, minor: number): boolean {
  const [have, haveMinor] = release.split('.').map((part) => Number.parseInt(part, 10));
  return have > major || (have === major && haveMinor >= minor);
}

/** `directory` is where uppers would lie. */
export function probeHost(sys: Sys, directory: ByteString): HostReport {
  const release = os.release();
  const sysAdmin = hasCapability(sys, CAP_SYS_ADMIN);
  const initial = inInitialUserNamespace(sys);
  const userNamespaces = probeUserNamespaces(sys, sysAdmin);
  const obstacle = kernelOverlayObstacle(sys);
  const report: Omit<HostReport, 'mount' | 'run'> = {
    schema: 'strata.doctor/1',
    kernel: release,
    node: process.version,
    user: { uid: sys.geteuid(), sysAdmin, initialUserNamespace: initial },
    overlay: {
      available: obstacle === null || knowsOverlay(sys),
      mountable: obstacle === null,
      unprivileged: kernelAtLeast(release, 5, 11) && userNamespaces.usable,
      obstacle,
    },
    fuse: {
      device: deviceState(fuseDevice(sys)),
      passthrough: kernelAtLeast(release, 6, 9) && sysAdmin && initial,
    },
    userNamespaces,
    directory: probeDirectory(sys, directory),
  };
  return { ...report, mount: mountBackend(report), run: runBackend(report) };
}

function deviceState(err: number): HostReport['fuse']['device'] {
  if (err === 0) return 'usable';
  if (err === -ENOENT) return 'missing';
  return err === -EACCES || err === -EPERM ? 'forbidden' : 'not loaded';
}

function probeUserNamespaces(sys: Sys, sysAdmin: boolean): HostReport['userNamespaces'] {
  const max = readFile(sys, '/proc/sys/user/max_user_namespaces');
  const unshare = findProgram('unshare') ?? null;
  const made =
    unshare === null
      ? null
      : spawnSync(unshare, ['--user', '--map-root-user', '--mount', 'true'], { stdio: ['ignore', 'ignore', 'pipe'] });
  const usable = made?.status === 0;
  return {
    usable,
    obstacle: usable ? null : namespaceObstacle(sys, made?.stderr?.toString().trim()),
    max: typeof max === 'number' ? null : Number(max),
    unshare,
    newuidmap: findProgram('newuidmap') ?? null,
    subordinateIds: !sysAdmin && hasSubordinateIds(sys),
  };
}

/** Settings that forbid user namespaces, by the file that says so. */
const settings: [file: string, forbids: (value: string) => boolean, advice: string][] = [
  ['/proc/sys/user/max_user_namespaces', (v) => v === '0', 'user.max_user_namespaces is 0'],
  ['/proc/sys/kernel/unprivileged_userns_clone', (v) => v === '0', 'kernel.unprivileged_userns_clone is 0'],
  [
    '/proc/sys/kernel/apparmor_restrict_unprivileged_userns',
    (v) => v === '1',
    'AppArmor restricts them (kernel.apparmor_restrict_unprivileged_userns is 1)',
  ],
];

/** Why user namespaces are not to be had: what forbids them, or else what unshare(1) complained of. */
export function namespaceObstacle(sys: Sys, complaint: string | undefined): string {
  if (complaint === undefined) return 'unshare(1) is missing (package util-linux)';
  for (const [file, forbids, advice] of settings) {
    const value = readFile(sys, file);
    if (typeof value !== 'number' && forbids(value.trim())) return advice;
  }
  return complaint.split('\n')[0];
}

type Facts = Omit<HostReport, 'mount' | 'run'>;

function fuseObstacle(report: Facts): string | null {
  switch (report.fuse.device) {
    case 'usable':
      return null;
    case 'forbidden':
      return '/dev/fuse may not be opened by this user (it is mode 0666 on most systems: chmod 666 /dev/fuse)';
    default:
      return '/dev/fuse is missing (modprobe fuse makes it)';
  }
}

function mountBackend(report: Facts): HostReport['mount'] {
  if (report.overlay.mountable) return { backend: 'kernel', reason: "the kernel's overlay can be mounted" };
  const why = `the kernel's overlay cannot be used: ${report.overlay.obstacle}`;
  const obstacle = fuseObstacle(report);
  if (obstacle !== null) return { backend: null, reason: `${why}; ${obstacle}` };
  if (!report.user.sysAdmin) {
    return { backend: null, reason: `${why}; an ordinary user mounts in a user namespace (unshare -Urm)` };
  }
  return { backend: 'fuse', reason: why };
}

/** `run` renames lower directories, so it takes the kernel's overlay only with trusted xattrs. */
function runBackend(report: Facts): HostReport['run'] {
  const { user, overlay, userNamespaces, directory } = report;
  if (overlay.mountable && user.initialUserNamespace && directory.trustedXattrs !== false) {
    return { backend: 'kernel', reason: "the kernel's overlay can rename lower directories here (redirect_dir=on)" };
  }
  if (!user.sysAdmin && !userNamespaces.usable) {
    return { backend: null, reason: `an ordinary user needs user namespaces: ${userNamespaces.obstacle}` };
  }
  const obstacle = fuseObstacle(report);
  if (obstacle !== null) return { backend: null, reason: obstacle };
  return {
    backend: 'fuse',
    reason: "the kernel's overlay cannot rename lower directories without trusted xattrs (redirect_dir=on)",
  };
}
