/**
 * Commands as an ordinary user, who may not be able to reach this checkout or this Node where they
 * lie (below /root, say): then they are bound to a place that everybody can reach, in the mount
 * namespace of the tests.
 */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { MS_BIND } from 'stratafs/internal/sys/constants';
import { openSys } from 'stratafs/internal/sys/sys-koffi';
import { ORDINARY } from './stage.ts';

const prefix: readonly string[] = [
  'setpriv',
  ...['--reuid', `${ORDINARY}`],
  ...['--regid', `${ORDINARY}`],
  // Supplementary groups that run must keep.
  ...['--groups', `${ORDINARY},64400`],
];

/** `folder`, or where it is bound so that an ordinary user can use `file` in it. */
function reachable(folder: string, file: string): string {
  const [command, ...args] = [...prefix, 'test', '-r', path.join(folder, file)];
  if (spawnSync(command, args).status === 0) return folder;
  const place = fs.mkdtempSync(path.join(os.tmpdir(), 'strata-reach-'));
  fs.chmodSync(place, 0o755);
  const err = openSys().mount(folder, place, '', MS_BIND, null);
  if (err < 0) throw new Error(`${folder} cannot be bound: errno ${-err}`);
  // The folder below the mount stays empty: with the namespace goes the mount, and this removes the rest.
  process.once('exit', () => spawnSync('sh', ['-c', `umount '${place}'; rmdir '${place}'`]));
  return place;
}

let places: { bin: string; node: string } | undefined;

/** The command line of `strata` for an ordinary user. */
export function ordinaryStrata(): string[] {
  if (places === undefined) {
    const checkout = fileURLToPath(new URL('../../../..', import.meta.url));
    const node = path.dirname(process.execPath);
    places = {
      bin: path.join(reachable(checkout, 'packages/cli/bin/strata.js'), 'packages/cli/bin/strata.js'),
      node: path.join(reachable(node, path.basename(process.execPath)), path.basename(process.execPath)),
    };
  }
  return [...prefix, places.node, places.bin];
}
