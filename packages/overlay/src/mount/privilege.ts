/** What this process may do about mounts: its capabilities, its user namespace, the filesystems of this kernel. */
import { AT_FDCWD, O_RDWR } from '../sys/constants.ts';
import { ENODEV, ENOSYS } from '../sys/errno.ts';
import type { Sys } from '../sys/sys.ts';
import { readFile } from './read-file.ts';

export const CAP_DAC_OVERRIDE = 1;
export const CAP_SYS_ADMIN = 21;
export const CAP_SYS_NICE = 23;
export const CAP_SYS_RESOURCE = 24;

/** Whether the effective set of this thread holds `capability`. */
export function hasCapability(sys: Sys, capability: number): boolean {
  const words = sys.getcap();
  if (typeof words === 'number') return false;
  return ((words[capability >>> 5] >>> (capability & 31)) & 1) === 1;
}

/** Takes `capability` out of the effective set of this thread. @returns 0 or a negative errno. */
export function dropCapability(sys: Sys, capability: number): number {
  const words = sys.getcap();
  if (typeof words === 'number') return words;
  words[capability >>> 5] &= ~(1 << (capability & 31));
  return sys.setcapEffective(words[0] >>> 0, words[1] >>> 0);
}

/** Whether this process is in the user namespace that the system started with: all ids map to themselves. */
export function inInitialUserNamespace(sys: Sys): boolean {
  const map = readFile(sys, '/proc/self/uid_map');
  // A kernel without user namespaces has no such file.
  return typeof map === 'number' || /^\s*0\s+0\s+4294967295\s*$/.test(map);
}

/** `trusted.*` extended attributes are for CAP_SYS_ADMIN of the initial user namespace alone. */
export function mayUseTrustedXattrs(sys: Sys): boolean {
  return hasCapability(sys, CAP_SYS_ADMIN) && inInitialUserNamespace(sys);
}

/** Why the kernel's overlay cannot be mounted by this process, or null where it can. */
export function kernelOverlayObstacle(sys: Sys): string | null {
  if (!hasCapability(sys, CAP_SYS_ADMIN)) return 'this user may not mount it (CAP_SYS_ADMIN is missing)';
  const context = sys.fsopen('overlay', 0);
  if (context >= 0) {
    sys.close(context);
    return null;
  }
  if (context === -ENODEV) return 'this kernel has no overlay filesystem (modprobe overlay loads it)';
  if (context === -ENOSYS) return knowsOverlay(sys) ? null : 'this kernel has no overlay filesystem';
  return 'this user may not mount it';
}

/** Whether /proc/filesystems lists the overlay. */
export function knowsOverlay(sys: Sys): boolean {
  const list = readFile(sys, '/proc/filesystems');
  return typeof list !== 'number' && /\toverlay$/m.test(list);
}

/** 0, or the errno with which /dev/fuse was refused. */
export function fuseDevice(sys: Sys): number {
  const fd = sys.openat(AT_FDCWD, '/dev/fuse', O_RDWR, 0);
  if (fd < 0) return fd;
  sys.close(fd);
  return 0;
}
