/**
 * A mount by the kernel's overlay. With fsopen(2) and one `lowerdir+` a layer (6.8) there is no
 * limit but the kernel's 500 layers; older kernels get mount(2) with all options in one page.
 * Nothing is visible before the last step, so that a refusal leaves no mount behind.
 */
import type { ByteString } from '../sys/bytes.ts';
import {
  AT_FDCWD,
  FSCONFIG_CMD_CREATE,
  FSCONFIG_SET_FD,
  FSCONFIG_SET_FLAG,
  FSCONFIG_SET_STRING,
  MOVE_MOUNT_F_EMPTY_PATH,
  MOVE_MOUNT_T_EMPTY_PATH,
  O_DIRECTORY,
  O_PATH,
} from '../sys/constants.ts';
import { E2BIG, EINVAL, EMFILE, ENFILE, ENODEV, ENOMEM, ENOSYS, EPERM, errnoName } from '../sys/errno.ts';
import { Stat } from '../sys/stat.ts';
import type { Sys } from '../sys/sys.ts';
import { formatLayers, overlayFeatures } from './format-options.ts';
import { type KernelLog, openKernelLog } from './kernel-log.ts';
import { openMerged } from './layer-roots.ts';
import { MountError } from './mount-error.ts';
import { mountAttributes, mountFlags, superFlags } from './mount-flags.ts';
import type { MountOptions } from './options.ts';
import { show } from './paths.ts';

/** OVL_MAX_STACK of fs/overlayfs/params.h. */
export const KERNEL_MAX_LOWERS = 500;
/** fsconfig(2) takes a string of 255 bytes and its NUL. */
const FSCONFIG_STRING_MAX = 255;
/** mount(2) copies one page, the NUL in it. */
const MOUNT_DATA_MAX = 4095;

/** Answered by a kernel without `lowerdir+`. */
const TOO_OLD = Symbol();

/** @throws MountError. Relative layers are meant from the working directory. */
export function mountKernel(sys: Sys, options: MountOptions, source: ByteString, merged: ByteString): void {
  const point = openMerged(sys, merged);
  try {
    const mount = createMount(sys, options, source);
    if (mount === TOO_OLD) {
      mountByPage(sys, options, source, point);
    } else {
      attachMount(sys, mount, point, merged);
      sys.close(mount);
    }
  } finally {
    sys.close(point);
  }
}

/** Puts a detached mount on the directory that `point` stands for. @throws MountError; `mount` is then closed. */
function attachMount(sys: Sys, mount: number, point: number, merged: ByteString): void {
  const err = sys.moveMount(mount, '', point, '', MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
  if (err >= 0) return;
  sys.close(mount);
  throw new MountError(err, `mount point ${show(merged)} does not take the mount: ${errnoName(err)}`);
}

function createMount(sys: Sys, options: MountOptions, source: ByteString): number | typeof TOO_OLD {
  const { lowerdirs, datadirs } = options.overlay;
  if (lowerdirs.length + datadirs.length > KERNEL_MAX_LOWERS) {
    throw new MountError(
      -EINVAL,
      `the kernel's overlay takes at most ${KERNEL_MAX_LOWERS} lower layers, these are ${lowerdirs.length + datadirs.length}: use the fuse backend`,
    );
  }
  const context = sys.fsopen('overlay', 0);
  if (context === -ENOSYS) return TOO_OLD;
  if (context < 0) throw refused(context, []);
  const log = openKernelLog(sys, context);
  try {
    const tooOld = configure(sys, context, log, options, source);
    if (tooOld) return TOO_OLD;
    const made = sys.fsconfig(context, FSCONFIG_CMD_CREATE, null, null, 0);
    if (made < 0) throw refused(made, log.read());
    const mount = sys.fsmount(context, 0, mountAttributes(options.flags));
    if (mount < 0) throw refused(mount, log.read());
    return mount;
  } finally {
    log.close();
    sys.close(context);
  }
}

/** Hands every option to the context. @returns true when the kernel does not know `lowerdir+`. */
function configure(sys: Sys, context: number, log: KernelLog, options: MountOptions, source: ByteString): boolean {
  const p = options.overlay;
  const setLayer = (key: string, path: ByteString): void => {
    const err = setPath(sys, context, key, path);
    if (err < 0) throw refused(err, log.read());
  };
  const set = (key: string, value: ByteString | undefined): void => {
    const command = value === undefined ? FSCONFIG_SET_FLAG : FSCONFIG_SET_STRING;
    const err = sys.fsconfig(context, command, key, value ?? null, 0);
    if (err < 0) throw refused(err, log.read());
  };
  set('source', source);
  for (const [i, path] of p.lowerdirs.entries()) {
    const err = setPath(sys, context, 'lowerdir+', path);
    if (err >= 0) continue;
    const reasons = log.read();
    if (i === 0 && reasons.some((reason) => reason.includes("Unknown parameter 'lowerdir+'"))) return true;
    throw refused(err, reasons);
  }
  for (const path of p.datadirs) setLayer('datadir+', path);
  if (p.upperdir !== undefined) setLayer('upperdir', p.upperdir);
  if (p.workdir !== undefined) setLayer('workdir', p.workdir);
  for (const word of superFlags(options.flags)) set(word, undefined);
  for (const [key, value] of overlayFeatures(options)) set(key, value);
  for (const [key, value] of securityOptions(sys, options)) set(key, value);
  return false;
}

/**
 * A path as a string where it fits; else by descriptor (6.13), else by the name of one. A
 * backslash would be taken out of `upperdir` and `workdir` again, which a descriptor avoids.
 */
function setPath(sys: Sys, context: number, key: string, path: ByteString): number {
  if (path.length <= FSCONFIG_STRING_MAX && !path.includes('\\')) {
    return sys.fsconfig(context, FSCONFIG_SET_STRING, key, path, 0);
  }
  const fd = sys.openat(AT_FDCWD, path, O_PATH | O_DIRECTORY, 0);
  if (fd < 0) return fd;
  let err = sys.fsconfig(context, FSCONFIG_SET_FD, key, null, fd);
  if (err < 0) err = sys.fsconfig(context, FSCONFIG_SET_STRING, key, `/proc/self/fd/${fd}`, 0);
  sys.close(fd);
  return err;
}

/** SELinux contexts, left out where there is no SELinux, as mount(8) leaves them out. */
function securityOptions(sys: Sys, options: MountOptions): [string, ByteString][] {
  if (options.security.length === 0) return [];
  return sys.statx(AT_FDCWD, '/sys/fs/selinux/enforce', 0, new Stat()) < 0 ? [] : options.security;
}

/** mount(2): every option in one page. */
function mountByPage(sys: Sys, options: MountOptions, source: ByteString, point: number): void {
  const data = [
    ...formatLayers(options.overlay),
    ...[...overlayFeatures(options), ...securityOptions(sys, options)].map(([key, value]) =>
      value === undefined ? key : `${key}=${value}`,
    ),
  ].join(',');
  if (data.length > MOUNT_DATA_MAX) {
    throw new MountError(
      -E2BIG,
      `these layers need ${data.length} bytes of options and this kernel takes ${MOUNT_DATA_MAX} (from 6.8 on there is no limit): use shorter paths or the fuse backend`,
    );
  }
  const log = openKernelLog(sys, -1);
  const err = sys.mount(source, `/proc/self/fd/${point}`, 'overlay', mountFlags(options.flags), data);
  const reasons = err < 0 ? log.read() : [];
  log.close();
  if (err < 0) throw refused(err, reasons);
}

/** The kernel's answer as one sentence. */
function refused(err: number, reasons: readonly string[]): MountError {
  const why = reasons.length > 0 ? reasons.join('; ') : errnoName(err);
  switch (err) {
    case -EPERM:
      return new MountError(
        err,
        `this user may not mount the kernel's overlay${reasons.length > 0 ? ` (${why})` : ''}: run as root, or use the fuse backend`,
        1,
      );
    case -ENODEV:
      return new MountError(
        err,
        'this kernel has no overlay filesystem (modprobe overlay loads it): use the fuse backend',
      );
    case -ENOMEM:
    case -EMFILE:
    case -ENFILE:
      return new MountError(err, `the kernel's overlay could not be made: ${why}`, 2);
    default:
      return new MountError(err, `the kernel's overlay refuses this mount: ${why}`);
  }
}
