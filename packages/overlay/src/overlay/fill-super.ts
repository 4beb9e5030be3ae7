/**
 * Mounting (kernel: ovl_fill_super and what it calls in fs/overlayfs/super.c): looks at the
 * workdir, refuses what an earlier mount left behind as incompatible, clears the rest away, tries
 * what the upper's filesystem can, and builds the root. Reads no directory but the layers' roots
 * and the workdir.
 */
import { Dentry, type Layer, type RawDirent } from '../layer/layer.ts';

import { O_RDWR, S_IFDIR } from '../sys/constants.ts';
import { EEXIST, EINVAL, ENODATA, EOPNOTSUPP } from '../sys/errno.ts';
import { readUpperRoot } from './index-names.ts';
import { prepareIndex, withoutIndex } from './index-verify.ts';
import { DirInode } from './inode.ts';
import { resumeLazy } from './lazy-complete.ts';
import { settleLeftovers } from './left-whiteout.ts';
import { type Config, LAZY_FEATURE, type Refusal } from './params.ts';
import { readProtattr } from './protattr.ts';
import { protectionOf } from './protection.ts';
import { Super, type SuperHooks, type SuperLayers } from './super.ts';
import { isImpure } from './util.ts';
import { clearWatch, prepareVolatile } from './volatile.ts';
import { AUFS_OPAQUE, cleanTree } from './whiteout.ts';

/** The kernel gives the directory no rights at all, which only a privileged server can work in. */
const WORK_MODE = 0;
const WORK_MODE_UNPRIVILEGED = 0o700;
/** Nothing that an overlay leaves in work/ lies deeper. */
const WORK_DEPTH = 1;

/** Builds a union of opened layers, or says why it cannot be. Layers are destroyed by the caller on refusal. */
export function fillSuper(config: Config, layers: SuperLayers, hooks: SuperHooks): Super | Refusal {
  const sb = new Super(withoutIndex(config, layers, hooks), layers, hooks);
  if (layers.work && !config.readOnly) {
    const refusal = prepareWork(sb, layers.work);
    if (refusal) return refusal;
  }
  if (layers.work && layers.upper && sb.config.index) {
    const refusal = prepareIndex(sb, layers.upper, layers.work);
    if (refusal) return refusal;
  }
  const refusal = prepareRoot(sb);
  if (refusal) return refusal;
  if (layers.work && !config.readOnly) resumeLazy(sb);
  return sb;
}

/** kernel: ovl_get_workdir and ovl_make_workdir. */
function prepareWork(sb: Super, layer: Layer): Refusal | null {
  const base = layer.root;
  const fail = (errno: number, what: string): Refusal => ({ errno, message: `${layer.label}: ${what}` });
  const incompat = incompatible(base);
  if (incompat) return incompat;
  const work = new Dentry(layer, base, 'work');
  if (sb.hooks.uid !== 0) layer.chmod(work, WORK_MODE_UNPRIVILEGED);
  let err = clearWatch(base);
  // A dentry of its own: the directory that it holds open goes.
  const before = new Dentry(layer, base, 'work');
  // Anything else in its place is removed as a whole.
  const isDirectory = layer.lookup(base, 'work', sb.scratch) >= 0 && sb.scratch.type === S_IFDIR;
  if (err >= 0 && isDirectory) err = settleLeftovers(sb, before);
  layer.release(before);
  if (err >= 0) err = clearWork(base);
  if (err < 0) return fail(err, 'what an earlier mount left in work/ cannot be removed');
  err = layer.mkdir(base, 'work', sb.hooks.uid === 0 ? WORK_MODE : WORK_MODE_UNPRIVILEGED);
  if (err < 0 && err !== -EEXIST) return fail(err, 'work/ cannot be made in it');
  sb.work = work;
  err = layer.setxattr(work, sb.names.opaque, Buffer.from('0'), 0);
  if (err < 0) {
    const from = err === -EOPNOTSUPP ? '' : ' from us';
    return fail(err, `the filesystem takes no ${sb.names.prefix}* extended attributes${from}`);
  }
  layer.removexattr(work, sb.names.opaque);
  const file = layer.tmpfile(work, O_RDWR, 0o600);
  sb.tmpfileWorks = file >= 0;
  if (file >= 0) layer.close(file);
  return sb.config.fsync === 'volatile' ? prepareVolatile(sb, work) : null;
}

/** All that an earlier mount left in work/, but for what it has still to do. */
function clearWork(base: Dentry): number {
  const { layer } = base;
  const work = new Dentry(layer, base, 'work');
  const entries: RawDirent[] = [];
  const incompat = new Dentry(layer, work, 'incompat');
  const kept = layer.readdir(incompat, entries) >= 0 && entries.length > 0;
  layer.release(incompat);
  if (!kept) {
    layer.release(work);
    return cleanTree(base, 'work', WORK_DEPTH);
  }
  entries.length = 0;
  let err = layer.readdir(work, entries);
  for (const { name } of entries) {
    if (err >= 0 && name !== 'incompat') err = cleanTree(work, name, WORK_DEPTH - 1);
  }
  layer.release(work);
  return Math.min(0, err);
}

/** work/work/incompat/NAME refuses every mount; an empty `incompat` does not count. */
function incompatible(base: Dentry): Refusal | null {
  const layer = base.layer;
  const work = new Dentry(layer, base, 'work');
  const incompat = new Dentry(layer, work, 'incompat');
  const names: RawDirent[] = [];
  const err = layer.readdir(incompat, names);
  layer.release(incompat);
  layer.release(work);
  const unknown = err < 0 ? undefined : names.find((entry) => entry.name !== LAZY_FEATURE);
  if (unknown === undefined) return null;
  const { name } = unknown;
  const why =
    name === 'volatile'
      ? 'the upper was mounted volatile and not ended cleanly, so it may have lost data; if that is acceptable remove work/incompat/volatile and mount again'
      : `feature '${name}' is not known here`;
  return {
    errno: -EINVAL,
    message: `${layer.label}: overlay with incompat feature '${name}' cannot be mounted: ${why}`,
  };
}

/** The root: all layers' roots, merged. */
function prepareRoot(sb: Super): Refusal | null {
  const st = sb.scratch;
  const { upper } = sb;
  const root = new DirInode(upper?.root ?? null, visibleRoots(sb));
  for (const layer of [upper, sb.workLayer]) if (layer) sb.traps.add(layer.root);
  const real = root.real;
  const err = real.layer.stat(real, st);
  if (err < 0) return { errno: err, message: `${real.layer.label}: the layer's root cannot be read` };
  // Nothing was copied up to make it: unlike other merged directories it has the upper's own number.
  root.ino = sb.mapIno(sb.fsNumber(real.layer), st.ino);
  root.protection = protectionOf(st) | (upper ? readProtattr(sb, upper.root) : 0);
  root.mode = st.mode;
  root.gid = st.gid;
  if (upper) {
    if (!sb.config.readOnly) {
      initUuid(sb, upper, root);
      readUpperRoot(upper.root);
    }
  }
  // The root is never forgotten.
  root.nlookup = 1;
  sb.root = root;
  return null;
}

/** The lowers' roots, down to one that an aufs mark makes opaque. */
function visibleRoots(sb: Super): Dentry[] {
  const roots = sb.lowers.map((layer) => layer.root);
  if (!sb.config.aufsWhiteouts) return roots;
  const opaque = roots.findIndex((root) => root.layer.lookup(root, AUFS_OPAQUE, sb.scratch) >= 0);
  return opaque < 0 ? roots : roots.slice(0, opaque + 1);
}

/** kernel ovl_init_uuid_xattr: a fresh upper gets an identity; one that was used without keeps none. */
function initUuid(sb: Super, upper: Layer, root: DirInode): void {
  if (sb.config.uuid !== 'auto' && sb.config.uuid !== 'on') return;
  if (upper.getxattr(upper.root, sb.names.uuid) !== -ENODATA) return;
  if (sb.config.uuid === 'auto' && isImpure(sb, root)) return;
  upper.setxattr(upper.root, sb.names.uuid, sb.hooks.random(16), 0);
}
