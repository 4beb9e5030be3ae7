/** The workloads by their names, in the order of the table. */
import type { Case } from '../case.ts';
import * as changing from './changing.ts';
import * as data from './data.ts';
import * as layers from './layers.ts';
import * as reading from './reading.ts';

export const workloads: ReadonlyMap<string, (c: Case) => Promise<void>> = new Map([
  ['stat', reading.stat],
  ['readdir', reading.readdir],
  ['find', reading.find],
  ['open-read', reading.openRead],
  ['parallel', reading.parallel],
  ['seq-read', data.seqRead],
  ['rand-read', data.randRead],
  ['write', data.write],
  ['append', data.append],
  ['rootless', data.rootless],
  ['fsync', data.fsync],
  ['create', changing.create],
  ['mkdir', changing.mkdirDeep],
  ['untar', changing.untar],
  ['rm-lower', changing.removeLower],
  ['change-lower', changing.changeLower],
  ['git', changing.git],
  ['copyup-big', data.copyUpBig],
  ['copyup-big-xfs', data.copyUpXfs],
  ['copyup-big-btrfs', data.copyUpBtrfs],
  ['depth', layers.depth],
  ['mount', layers.mountTime],
  ['memory', layers.memory],
]);

/** Those that a user without rights runs: root of a user namespace, with a mount table of his own. */
export const rootlessWorkloads: ReadonlySet<string> = new Set(['rootless']);
