/** The overlays that are compared, each by its mount command. `NAME:OPTIONS` has further mount options. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** What a mount is made of. `dir` holds the rest under short names: the kernel takes one page of options. */
export interface Layers {
  dir: string;
  /** Topmost first, relative to `dir`, as the others are. */
  lowers: string[];
  upper: string;
  work: string;
  merged: string;
}

export interface Mounter {
  name: string;
  /** A command and its arguments, run in `layers.dir`. */
  mount(layers: Layers): string[];
  /** A pattern of the server's command line; null where the kernel serves. */
  server(merged: string): string | null;
}

const strata = fileURLToPath(new URL('../../packages/cli/bin/strata', import.meta.url));

function layerOptions({ dir, lowers, upper, work }: Layers, absolute: boolean): string {
  const at = (name: string): string => (absolute ? path.join(dir, name) : name);
  return `lowerdir=${lowers.map(at).join(':')},upperdir=${at(upper)},workdir=${at(work)}`;
}

type Make = (options: string) => Omit<Mounter, 'name'>;

const kinds: Record<string, Make> = {
  kernel: (more) => ({
    mount: (layers) => ['mount', '-t', 'overlay', 'overlay', '-o', layerOptions(layers, false) + more, layers.merged],
    server: () => null,
  }),
  // No union: the physical limit. Writes go to the lower.
  native: () => ({
    mount: (layers) => ['mount', '--bind', fs.realpathSync(path.join(layers.dir, layers.lowers[0])), layers.merged],
    server: () => null,
  }),
  'fuse-overlayfs': (more) => ({
    mount: (layers) => [
      process.env.FUSE_OVERLAYFS ?? 'fuse-overlayfs',
      '-o',
      layerOptions(layers, true) + more,
      path.join(layers.dir, layers.merged),
    ],
    server: (merged) => `fuse-overlayfs .*${merged}`,
  }),
  strata: (more) => ({
    mount: (layers) => [
      strata,
      'mount',
      '--backend',
      'fuse',
      '-o',
      layerOptions(layers, true) + more,
      path.join(layers.dir, layers.merged),
    ],
    server: (merged) => `strata-overlay ${merged}`,
  }),
};

export const mounterNames: readonly string[] = Object.keys(kinds);

/** @throws Error for a name that is none. */
export function mounterOf(spec: string): Mounter {
  const colon = spec.indexOf(':');
  const kind = colon < 0 ? spec : spec.slice(0, colon);
  const make = Object.hasOwn(kinds, kind) ? kinds[kind] : undefined;
  if (make === undefined) throw new Error(`no mounter ${kind}: there are ${mounterNames.join(', ')}`);
  return { name: spec, ...make(colon < 0 ? '' : `,${spec.slice(colon + 1)}`) };
}

/** The process whose whole command line matches. */
export function findServer(pattern: string): number | null {
  const found = spawnSync('pgrep', ['-fx', '--', pattern], { encoding: 'utf8' });
  const pid = Number(found.stdout.trim().split('\n')[0]);
  return pid > 0 ? pid : null;
}
