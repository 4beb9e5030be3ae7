/** The generic mount options as the bits of fsmount(2) and mount(2), and the words that belong to the superblock. */
import {
  MOUNT_ATTR_NOATIME,
  MOUNT_ATTR_NODEV,
  MOUNT_ATTR_NODIRATIME,
  MOUNT_ATTR_NOEXEC,
  MOUNT_ATTR_NOSUID,
  MOUNT_ATTR_NOSYMFOLLOW,
  MOUNT_ATTR_RDONLY,
  MOUNT_ATTR_STRICTATIME,
  MS_DIRSYNC,
  MS_LAZYTIME,
  MS_NOATIME,
  MS_NODEV,
  MS_NODIRATIME,
  MS_NOEXEC,
  MS_NOSUID,
  MS_NOSYMFOLLOW,
  MS_RDONLY,
  MS_RELATIME,
  MS_STRICTATIME,
  MS_SYNCHRONOUS,
} from '../sys/constants.ts';
import type { MountFlags } from './options.ts';

const bits: [keyof MountFlags, attribute: number, flag: number][] = [
  ['readOnly', MOUNT_ATTR_RDONLY, MS_RDONLY],
  ['nosuid', MOUNT_ATTR_NOSUID, MS_NOSUID],
  ['nodev', MOUNT_ATTR_NODEV, MS_NODEV],
  ['noexec', MOUNT_ATTR_NOEXEC, MS_NOEXEC],
  ['nodiratime', MOUNT_ATTR_NODIRATIME, MS_NODIRATIME],
  ['nosymfollow', MOUNT_ATTR_NOSYMFOLLOW, MS_NOSYMFOLLOW],
  ['sync', 0, MS_SYNCHRONOUS],
  ['dirsync', 0, MS_DIRSYNC],
  ['lazytime', 0, MS_LAZYTIME],
];

const atimes = {
  relatime: [0, MS_RELATIME],
  noatime: [MOUNT_ATTR_NOATIME, MS_NOATIME],
  strictatime: [MOUNT_ATTR_STRICTATIME, MS_STRICTATIME],
} as const;

function sum(flags: MountFlags, column: 1 | 2): number {
  let all: number = atimes[flags.atime ?? 'relatime'][column - 1];
  for (const row of bits) if (flags[row[0]]) all |= row[column];
  return all;
}

/** MOUNT_ATTR_* for fsmount(2). */
export function mountAttributes(flags: MountFlags): number {
  return sum(flags, 1);
}

/** MS_* for mount(2). */
export function mountFlags(flags: MountFlags): number {
  return sum(flags, 2);
}

/** Parameters of the superblock, for fsconfig(2). */
export function superFlags(flags: MountFlags): string[] {
  const words: string[] = [];
  if (flags.readOnly) words.push('ro');
  if (flags.sync) words.push('sync');
  if (flags.dirsync) words.push('dirsync');
  if (flags.lazytime) words.push('lazytime');
  return words;
}
