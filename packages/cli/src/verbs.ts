/** Every verb of `strata`, with the line that help shows for it. Its code is loaded when it is called. */
import type { Verb } from './verb.ts';

export const verbs: readonly Verb[] = [
  {
    name: 'mount',
    summary: 'mount a union of layers, or list the mounts',
    load: async () => (await import('./commands/mount.ts')).mount,
    usageStatus: 1,
  },
  {
    name: 'umount',
    summary: 'end a mount and its server',
    load: async () => (await import('./commands/umount.ts')).umount,
    usageStatus: 1,
  },
  {
    name: 'doctor',
    summary: 'what this host can do, and which backend would be chosen',
    load: async () => (await import('./commands/doctor.ts')).doctor,
  },
  {
    name: 'version',
    summary: 'print the versions of strata, node and the kernel',
    load: async () => (await import('./commands/version.ts')).version,
  },
];
