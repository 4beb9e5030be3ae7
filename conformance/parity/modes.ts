/**
 * The option sets that are compared. Both sides are mounted with the same options, every one said,
 * so that differing defaults play no part; but for `defaults`, where ours is mounted with none and
 * the kernel is told what ours come to.
 */
import type { Filesystem } from './filesystems.ts';

export interface Mode {
  readonly about: string;
  /** The kernel's, beyond the layers. */
  readonly options: readonly string[];
  /** Ours, where it is mounted otherwise. */
  readonly ours?: readonly string[];
  /** Where the lowers lie, by turns, and where the upper. */
  readonly lowersOn: readonly Filesystem[];
  readonly upperOn: Filesystem;
  /** In a user namespace, by `user.overlay.*`. */
  readonly userns?: boolean;
  /** With what the kernel makes the lowers that come of other layers. */
  readonly making: readonly string[];
}

const off = ['index=off', 'metacopy=off', 'nfs_export=off'];
const same = { lowersOn: ['base'], upperOn: 'base' } as const;

export const modes: Readonly<Record<string, Mode>> = {
  defaults: {
    about: 'ours without any option',
    ...same,
    options: ['redirect_dir=on', 'xino=auto', 'index=on', 'metacopy=on', 'nfs_export=off'],
    // What is not said of the index counts as off in these tests (targets/fuse.ts); by `strata mount` it is on.
    ours: ['index=on'],
    making: ['redirect_dir=on', 'metacopy=on'],
  },
  'redirect-index-metacopy': {
    about: 'everything that changes what is written',
    ...same,
    options: ['redirect_dir=on', 'index=on', 'metacopy=on', 'nfs_export=off', 'xino=on'],
    making: ['redirect_dir=on', 'metacopy=on'],
  },
  metacopy: {
    about: 'metadata-only files without an index',
    ...same,
    options: ['redirect_dir=on', 'metacopy=on', 'index=off', 'nfs_export=off', 'xino=on'],
    making: ['redirect_dir=on', 'metacopy=on'],
  },
  off: {
    about: 'everything off that can be off',
    ...same,
    options: ['redirect_dir=off', 'xino=off', ...off],
    making: ['redirect_dir=on'],
  },
  xino: {
    about: 'lowers on tmpfs, ext4 and xfs, the upper on another ext4',
    lowersOn: ['tmpfs', 'ext4', 'xfs'],
    upperOn: 'ext4',
    options: ['redirect_dir=on', 'xino=on', ...off],
    making: ['redirect_dir=on'],
  },
  userxattr: {
    about: 'in a user namespace, marks in user.overlay.*',
    ...same,
    userns: true,
    options: ['userxattr', 'redirect_dir=nofollow', 'xino=on', ...off],
    making: ['userxattr', 'redirect_dir=nofollow'],
  },
  aside: {
    about: 'whole copy-ups, each made by the thread for long ones',
    ...same,
    options: ['redirect_dir=on', 'xino=on', ...off],
    ours: ['redirect_dir=on', 'xino=on', ...off, 'copyup=full', 'copyup_aside=0'],
    making: ['redirect_dir=on'],
  },
  nfs_export: {
    about: 'every copy-up indexed, directories too',
    ...same,
    options: ['redirect_dir=on', 'nfs_export=on', 'index=on', 'metacopy=off', 'xino=on'],
    making: ['redirect_dir=on'],
  },
};
