/**
 * The mount table as proc(5) writes it in /proc/PID/mountinfo: one line a mount, fields separated
 * by spaces, the bytes space, tab, newline, backslash (and, in the filesystem's own options, comma
 * and equals sign) as `\ooo`. Names are bytes throughout.
 */
import type { ByteString } from '../sys/bytes.ts';
import type { Sys } from '../sys/sys.ts';
import { parseLayerList, unescapeValue } from './escape.ts';
import { readFile } from './read-file.ts';

export interface MountEntry {
  id: number;
  parent: number;
  /** `major:minor` of the filesystem. */
  device: string;
  /** The directory of the filesystem that is the root of this mount. */
  root: ByteString;
  mountPoint: ByteString;
  /** Of the mount: `rw`, `nosuid`, `relatime`, … */
  options: string[];
  /** `shared:1`, `master:2`, … */
  propagation: string[];
  fstype: ByteString;
  source: ByteString;
  /** Of the filesystem; the value is undefined where there is no `=`. */
  superOptions: [key: ByteString, value: ByteString | undefined][];
}

function unoctal(field: ByteString): ByteString {
  return field.includes('\\')
    ? field.replace(/\\([0-3][0-7]{2})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal, 8)))
    : field;
}

function parseLine(line: ByteString): MountEntry | undefined {
  const fields = line.split(' ');
  const dash = fields.indexOf('-', 6);
  if (dash < 0 || fields.length < dash + 4) return undefined;
  return {
    id: Number(fields[0]),
    parent: Number(fields[1]),
    device: fields[2],
    root: unoctal(fields[3]),
    mountPoint: unoctal(fields[4]),
    options: fields[5].split(','),
    propagation: fields.slice(6, dash),
    fstype: unoctal(fields[dash + 1]),
    source: unoctal(fields[dash + 2]),
    // Cut before decoding: a comma of a value is written \054.
    superOptions: fields[dash + 3].split(',').map((option) => {
      const eq = option.indexOf('=');
      return eq < 0 ? [unoctal(option), undefined] : [unoctal(option.slice(0, eq)), unoctal(option.slice(eq + 1))];
    }),
  };
}

export function parseMountinfo(text: ByteString): MountEntry[] {
  const entries: MountEntry[] = [];
  for (const line of text.split('\n')) {
    const entry = parseLine(line);
    if (entry !== undefined) entries.push(entry);
  }
  return entries;
}

/**
 * The mounts that this thread sees, or those of another process. (`/proc/self` is the main thread,
 * which may be in another mount namespace than a worker.)
 * @returns a negative errno where /proc is not to be read.
 */
export function readMountinfo(sys: Sys, process: number | 'thread-self' = 'thread-self'): MountEntry[] | number {
  const text = readFile(sys, `/proc/${process}/mountinfo`);
  return typeof text === 'number' ? text : parseMountinfo(text);
}

/** The mount that a path walk to `mountPoint` ends in: the topmost of those stacked there. */
export function mountAt(entries: readonly MountEntry[], mountPoint: ByteString): MountEntry | undefined {
  const there = entries.filter((entry) => entry.mountPoint === mountPoint);
  // Ids are reused, so their order says nothing; what lies on top has no other on it.
  return there.findLast((entry) => !there.some((other) => other !== entry && other.parent === entry.id));
}

/** Mounts whose mount points lie strictly below `directory`, parents before children. */
export function mountsBelow(entries: readonly MountEntry[], directory: ByteString): MountEntry[] {
  const prefix = directory.endsWith('/') ? directory : `${directory}/`;
  return entries
    .filter((entry) => entry.mountPoint.startsWith(prefix) && entry.mountPoint !== directory)
    .sort((a, b) => (a.mountPoint < b.mountPoint ? -1 : a.mountPoint > b.mountPoint ? 1 : 0));
}

/** The type by which the mount table knows our FUSE mounts. */
export const FUSE_TYPE = 'fuse.strata-overlay';

/** Unions, of the kernel and ours. */
export function isUnion(entry: MountEntry): boolean {
  return entry.fstype === 'overlay' || entry.fstype === FUSE_TYPE;
}

export interface MountedLayers {
  lowerdirs: ByteString[];
  datadirs: ByteString[];
  upperdir?: ByteString;
  workdir?: ByteString;
}

/** The layers of a kernel overlay mount, as they were given when it was mounted (perhaps relative). */
export function overlayLayers(entry: MountEntry): MountedLayers {
  const layers: MountedLayers = { lowerdirs: [], datadirs: [] };
  for (const [key, value] of entry.superOptions) {
    if (value === undefined) continue;
    if (key === 'lowerdir') {
      const list = parseLayerList(value);
      if (typeof list !== 'string') Object.assign(layers, list);
    } else if (key === 'lowerdir+') layers.lowerdirs.push(value);
    else if (key === 'datadir+') layers.datadirs.push(value);
    else if (key === 'upperdir' || key === 'workdir') layers[key] = value;
  }
  return layers;
}

/**
 * An `upperdir=` of the mount table is either the path itself (given by descriptor) or the text
 * with its escapes (given as a string), and nothing tells which: both readings.
 */
export function pathReadings(value: ByteString): ByteString[] {
  const plain = unescapeValue(value);
  return plain === value ? [value] : [value, plain];
}
