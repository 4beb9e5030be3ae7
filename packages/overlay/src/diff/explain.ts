/**
 * Why a path of a union is what it is: the engine's own lookup, name by name, with what each layer
 * holds beside it. Data only; the sentences are made by who shows it.
 */
import { Dentry, type Layer } from '../layer/layer.ts';
import { asWhiteoutDevice, isEscapedWhiteout } from '../overlay/escaped-whiteout.ts';
import type { Found } from '../overlay/found.ts';
import { identify } from '../overlay/identify.ts';
import { DirInode } from '../overlay/inode.ts';
import { lookupLayers } from '../overlay/lookup.ts';
import { foundData } from '../overlay/lower-data.ts';
import { metacopyOf } from '../overlay/metacopy.ts';
import type { Super } from '../overlay/super.ts';
import { isAnyWhiteout } from '../overlay/xwhiteout.ts';
import type { ByteString } from '../sys/bytes.ts';
import { S_IFDIR, S_IFREG } from '../sys/constants.ts';
import { ENOENT } from '../sys/errno.ts';
import { Stat } from '../sys/stat.ts';

export type Holding =
  /** The object that serves, or one of the directories that are merged. */
  | 'serves'
  | 'merged'
  /** The data of the file that serves, which is metadata alone. */
  | 'data'
  /** A data-only layer, which this path does not concern. */
  | 'unasked'
  /** There, and an upper or higher layer hides it. */
  | 'hidden'
  | 'whiteout'
  | 'nothing'
  /** An ancestor is missing, hidden or no directory in this layer: see `path`. */
  | 'unreached';

export interface LayerAnswer {
  kind: 'upper' | 'lower' | 'data-only';
  /** Counted from 1 below the upper. */
  number: number;
  label: string;
  holding: Holding;
  /** Where in the layer it is (or in the work directory's index), or was looked for; for `unreached` the ancestor where the way ended. */
  path: ByteString;
  /** Attributes, where there is an object. */
  st: Stat | null;
  opaque: boolean;
  redirect: ByteString | null;
  /** A file of metadata alone. */
  metacopy: boolean;
  /** A file of which the upper holds some blocks: its copy-up is not complete. */
  incomplete: boolean;
  /** The layer that hides it. */
  hiddenBy: number | null;
}

export interface Write {
  /**
   * `in-place`: the object is in the upper. `copy-up`: it, or its data, is copied there first. `create`: there is
   * nothing, and it would be made. `read-only`: the union has no upper. `no-parent`: neither.
   */
  effect: 'in-place' | 'copy-up' | 'create' | 'read-only' | 'no-parent';
  /** Bytes of data that the first write copies. */
  bytes: number;
  /** Directories that are made in the upper first, outermost first. */
  directories: ByteString[];
}

export interface Explanation {
  /** From the root, beginning with `/`. */
  path: ByteString;
  exists: boolean;
  /** Where the lookup itself fails: negative, else 0. */
  errno: number;
  layers: LayerAnswer[];
  write: Write;
}

function components(path: ByteString): ByteString[] {
  return path.split('/').filter((name) => name !== '' && name !== '.');
}

/** Where a dentry stands in its layer. */
function pathOf(d: Dentry): ByteString {
  let path = '';
  for (let at: Dentry | null = d; at?.parent; at = at.parent) path = `/${at.name}${path}`;
  return path === '' ? '/' : path;
}

export function explain(sb: Super, path: ByteString): Explanation {
  const names = components(path);
  const answers = new Map<Layer, LayerAnswer>();
  const layers = sb.upper ? [sb.upper, ...sb.lowers] : [...sb.lowers];
  layers.forEach((layer, i) => {
    answers.set(layer, {
      kind: layer === sb.upper ? 'upper' : 'lower',
      number: sb.upper ? i : i + 1,
      label: layer.label,
      holding: 'merged',
      path: '/',
      st: statOf(sb, layer.root),
      opaque: false,
      redirect: null,
      metacopy: false,
      incomplete: false,
      hiddenBy: null,
    });
  });
  const dataLayers = sb.dataLayers.map(
    (layer, i): LayerAnswer => ({
      kind: 'data-only',
      number: layers.length + i + (sb.upper ? 0 : 1),
      label: layer.label,
      holding: 'unasked',
      path: '/',
      st: null,
      opaque: false,
      redirect: null,
      metacopy: false,
      incomplete: false,
      hiddenBy: null,
    }),
  );
  /** The directory that the walk has come to; null behind a file. */
  let dir: DirInode | null = new DirInode(sb.root.upper, sb.root.lowers);
  let found: Found | null = null;
  let errno = 0;
  let depth = 0;
  /** What is not in the upper yet on the way. */
  const missing: ByteString[] = [];
  for (; depth < names.length && dir !== null; depth++) {
    const isLast = depth === names.length - 1;
    const st = new Stat();
    const looked: Found | null | number = lookupLayers(sb, dir, names[depth], st);
    errno = typeof looked === 'number' ? looked : 0;
    found = typeof looked === 'number' ? null : looked;
    if (found !== null && found.upper === null) errno = identify(sb, found, st);
    if (errno < 0) found = null;
    judge(sb, layers, answers, dir, names[depth], found, isLast);
    if (found === null) break;
    if (found.upper === null) missing.push(`/${names.slice(0, depth + 1).join('/')}`);
    if (found.isDir || !isLast) dir = found.isDir ? new DirInode(found.upper, found.lowers) : null;
  }
  // Behind a file there is nothing to be served.
  if (dir === null)
    for (const answer of answers.values()) if (answer.holding === 'serves') answer.holding = 'unreached';
  const exists = depth === names.length;
  if (exists && found?.dataRedirect) judgeData(sb, dataLayers, found, found.dataRedirect);
  return {
    path: `/${names.join('/')}`,
    exists,
    errno: errno === -ENOENT ? 0 : errno,
    layers: [...layers.map((layer) => answers.get(layer)!), ...dataLayers],
    write: writeEffect(
      sb,
      exists ? found : null,
      exists || (dir !== null && depth === names.length - 1),
      exists,
      missing,
    ),
  };
}

/** As the union shows it: a user's whiteout is a device. */
function statOf(sb: Super, d: Dentry): Stat | null {
  const st = new Stat();
  if (d.layer.stat(d, st) < 0) return null;
  if (isEscapedWhiteout(sb, d, st) > 0) asWhiteoutDevice(st);
  return st;
}

function join(dir: Dentry | null | undefined, name: ByteString): ByteString {
  return `${dir ? pathOf(dir) : ''}/${name}`.replace('//', '/');
}

/** One step: what each layer has for `name`. */
function judge(
  sb: Super,
  layers: readonly Layer[],
  answers: Map<Layer, LayerAnswer>,
  parent: DirInode,
  name: ByteString,
  found: Found | null,
  last: boolean,
): void {
  let stopper: LayerAnswer | null = null;
  /** The one that serves. */
  let first: LayerAnswer | null = null;
  for (const layer of layers) {
    const answer = answers.get(layer)!;
    const above = layer === sb.upper ? parent.upper : parent.lowers.find((d) => d.layer === layer);
    const got = layer === sb.upper ? found?.upper : found?.lowers.find((d) => d.layer === layer);
    if (!got && !above) {
      if (answer.holding !== 'unreached') Object.assign(answer, { holding: 'unreached', st: null });
      continue;
    }
    if (got) {
      const st = statOf(sb, got);
      const opaque = readMark(sb, got, sb.names.opaque)?.toString('latin1') === 'y';
      const incomplete = first === null && found?.upperLazy === true;
      // Of an incomplete file it is a guard, and leads nowhere.
      const redirect = incomplete ? null : (readMark(sb, got, sb.names.redirect)?.toString('latin1') ?? null);
      const isFile = st?.type === S_IFREG;
      Object.assign(answer, {
        holding: first === null ? 'serves' : isFile ? 'data' : 'merged',
        metacopy: first === null && isFile && found !== null && metacopyOf(found) !== null,
        path: pathOf(got),
        st,
        opaque,
        redirect,
        incomplete,
        hiddenBy: null,
      });
      if (opaque || st?.type !== S_IFDIR) stopper ??= answer;
      first ??= answer;
      continue;
    }
    if (found !== null && found.redirect !== null && layer !== sb.upper) {
      // Asked for another path, which it does not have.
      const path = found.redirect.startsWith('/') ? found.redirect : join(above, found.redirect);
      Object.assign(answer, { holding: last ? 'nothing' : 'unreached', path, st: null, hiddenBy: null });
      continue;
    }
    const st = new Stat();
    const missing = layer.lookup(above!, name, st) < 0;
    const whiteout = !missing && isAnyWhiteout(sb, above!, name, st) > 0;
    const path = join(above, name);
    const shown = missing || whiteout ? null : statOf(sb, new Dentry(layer, above!, name));
    Object.assign(answer, { path, opaque: false, redirect: null, st: shown });
    if (missing) {
      answer.holding = last ? 'nothing' : 'unreached';
      continue;
    }
    // A file below a directory of a higher layer is hidden by it, and hides in turn what is below.
    const hidden = stopper ?? (whiteout ? null : (first ?? answer));
    if (hidden === null) answer.holding = 'whiteout';
    else Object.assign(answer, { holding: 'hidden', hiddenBy: hidden.number });
    stopper ??= answer;
  }
}

/** Which data-only layer has the data. */
function judgeData(sb: Super, answers: readonly LayerAnswer[], found: Found, path: ByteString): void {
  const data = foundData(sb, found);
  const at = typeof data === 'number' ? -1 : sb.dataLayers.indexOf(data.layer);
  answers.forEach((answer, i) => {
    if (i === at && typeof data !== 'number') Object.assign(answer, { holding: 'data', path, st: statOf(sb, data) });
    else if (i < at || at < 0) Object.assign(answer, { holding: 'nothing', path });
  });
}

function readMark(sb: Super, d: Dentry, name: ByteString): Buffer | undefined {
  if (!name.startsWith(sb.names.prefix)) return undefined;
  const value = d.layer.getxattr(d, name);
  return typeof value === 'number' ? undefined : value;
}

function writeEffect(
  sb: Super,
  found: Found | null,
  parentIsThere: boolean,
  exists: boolean,
  missing: ByteString[],
): Write {
  if (sb.upper === null) return { effect: 'read-only', bytes: 0, directories: [] };
  if (!exists) {
    return parentIsThere
      ? { effect: 'create', bytes: 0, directories: missing }
      : { effect: 'no-parent', bytes: 0, directories: [] };
  }
  if (found?.upper && found.upperMetacopy) {
    return { effect: 'copy-up', bytes: statOf(sb, found.upper)?.size ?? 0, directories: [] };
  }
  if (found === null || found.upper) return { effect: 'in-place', bytes: 0, directories: [] };
  const st = statOf(sb, found.lowers[0]);
  // The last that is missing is what is asked for.
  return { effect: 'copy-up', bytes: st?.type === S_IFREG ? st.size : 0, directories: missing.slice(0, -1) };
}
