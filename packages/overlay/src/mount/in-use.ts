/**
 * Whether a directory is the upper or the workdir of a live kernel overlay, in any mount namespace
 * that this process can look into. The kernel itself refuses a second use only with index=on and
 * otherwise lets both mounts spoil the upper. Our own FUSE mounts are found by their lock (serve/).
 */
import type { ByteString } from '../sys/bytes.ts';
import { AT_FDCWD, O_PATH, RESOLVE_IN_ROOT } from '../sys/constants.ts';
import { Stat } from '../sys/stat.ts';
import type { Sys } from '../sys/sys.ts';
import type { LayerRoot } from './layer-roots.ts';
import { type MountEntry, overlayLayers, parseMountinfo, pathReadings } from './mountinfo.ts';
import { listDir, readFile } from './read-file.ts';

/** One process for each mount namespace that can be seen, this thread's own first. */
function mountNamespaces(sys: Sys): string[] {
  const processes = ['thread-self'];
  const seen = new Set([sys.readlinkat(AT_FDCWD, '/proc/thread-self/ns/mnt')]);
  const names = listDir(sys, AT_FDCWD, '/proc');
  if (typeof names === 'number') return processes;
  for (const { name } of names) {
    if (!/^\d/.test(name)) continue;
    const namespace = sys.readlinkat(AT_FDCWD, `/proc/${name}/ns/mnt`);
    if (typeof namespace === 'number' || seen.has(namespace)) continue;
    seen.add(namespace);
    processes.push(name);
  }
  return processes;
}

/** Where `path` leads in the mount namespace of `process`. @returns an O_PATH descriptor. */
function openIn(sys: Sys, process: string, path: ByteString): number {
  const root = sys.openat(AT_FDCWD, `/proc/${process}/root`, O_PATH, 0);
  if (root < 0) return root;
  const fd = sys.openat2(root, path, O_PATH, 0, RESOLVE_IN_ROOT);
  sys.close(root);
  return fd;
}

function holds(sys: Sys, process: string, value: ByteString, root: LayerRoot): boolean {
  const st = new Stat();
  for (const path of pathReadings(value)) {
    // A relative path was meant from where the mounter stood, which nothing tells.
    if (!path.startsWith('/')) continue;
    const fd = openIn(sys, process, path);
    if (fd < 0) continue;
    const err = sys.fstat(fd, st);
    sys.close(fd);
    if (err === 0 && st.ino === root.st.ino && st.dev === root.st.dev) return true;
  }
  return false;
}

export interface LiveUse {
  root: LayerRoot;
  mount: MountEntry;
}

/** Those of `roots` that a live kernel overlay uses as upper or workdir, with that mount. */
export function usesByKernel(sys: Sys, roots: readonly LayerRoot[]): LiveUse[] {
  const uses: LiveUse[] = [];
  for (const process of mountNamespaces(sys)) {
    const table = readFile(sys, `/proc/${process}/mountinfo`);
    // Most namespaces have no overlay at all: decode nothing for them.
    if (typeof table === 'number' || !table.includes(' - overlay ')) continue;
    for (const mount of parseMountinfo(table)) {
      if (mount.fstype !== 'overlay') continue;
      const { upperdir, workdir } = overlayLayers(mount);
      for (const value of [upperdir, workdir]) {
        if (value === undefined) continue;
        const found = roots.filter((candidate) => holds(sys, process, value, candidate));
        uses.push(...found.map((root) => ({ root, mount })));
      }
    }
  }
  return uses;
}
