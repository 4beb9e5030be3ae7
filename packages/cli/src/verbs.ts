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
    name: 'hydrate',
    summary: 'complete lazy copy-ups',
    load: async () => (await import('./commands/hydrate.ts')).hydrate,
  },
  {
    name: 'run',
    summary: 'run a command on a copy-on-write view of a directory',
    load: async () => (await import('./commands/run.ts')).run,
    usageStatus: 125,
  },
  {
    name: 'ps',
    summary: 'list the runs',
    load: async () => (await import('./commands/ps.ts')).ps,
  },
  {
    name: 'diff',
    summary: 'list what a run changed',
    load: async () => (await import('./commands/diff.ts')).diff,
  },
  {
    name: 'rm',
    summary: 'forget runs and what they changed',
    load: async () => (await import('./commands/rm.ts')).rm,
  },
  {
    name: 'discard',
    summary: 'throw away what runs changed, and end them',
    load: async () => (await import('./commands/rm.ts')).discard,
  },
  {
    name: 'explain',
    summary: 'which layer serves a path, and why',
    load: async () => (await import('./commands/explain.ts')).explain,
  },
  {
    name: 'doctor',
    summary: 'what this host can do, and which backend would be chosen',
    load: async () => (await import('./commands/doctor.ts')).doctor,
  },
  {
    name: 'info',
    summary: 'where runs are kept, and how many there are',
    load: async () => (await import('./commands/info.ts')).info,
  },
  {
    name: 'version',
    summary: 'print the versions of strata, node and the kernel',
    load: async () => (await import('./commands/version.ts')).version,
  },
];
