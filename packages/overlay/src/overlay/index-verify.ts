/**
 * The index at mount (kernel: ovl_get_indexdir, ovl_indexdir_cleanup, ovl_verify_index): whether the
 * layers can have one, whether this upper and this index belong to these lowers and to each other,
 * and what in it has to go: the leftovers of unfinished work, entries that name something else than
 * they hold, and copies whose last name has gone.
 */
import { Dentry, type Layer, type RawDirent } from '../layer/layer.ts';
import type { ByteString } from '../sys/bytes.ts';
import { S_IFDIR } from '../sys/constants.ts';
import { EEXIST, EIO, ENODATA, ENOENT, ENOTDIR, ESTALE, errnoName } from '../sys/errno.ts';
import { Stat } from '../sys/stat.ts';
import { ambiguousFilesystems } from './ambiguous-uuids.ts';
import { verifyHandle } from './identify.ts';
import { settleLeftovers } from './left-whiteout.ts';
import { unionNlink } from './nlink.ts';
import { decodeOrigin } from './origin.ts';
import type { Config, Refusal } from './params.ts';
import type { Super, SuperHooks, SuperLayers } from './super.ts';
import { originValue } from './util.ts';
import { cleanTree, isWhiteout, whiteoutOver } from './whiteout.ts';

/** Nothing that is built in the index lies deeper. */
const TEMP_DEPTH = 0;

/** `config`, without the index where a layer's files cannot be found again by their handles. */
export function withoutIndex(config: Config, layers: SuperLayers, hooks: SuperHooks): Config {
  if (!config.index || !layers.upper) return config;
  const why = obstacle(config, layers, layers.upper);
  if (why === null) return config;
  // Who did not ask for one is not told at each mount that there is none.
  if (config.indexAsked) hooks.log(`${why}: going on with index=off${config.nfsExport ? ',nfs_export=off' : ''}`);
  return { ...config, index: false, nfsExport: false };
}

function obstacle(config: Config, layers: SuperLayers, upper: Layer): string | null {
  const st = new Stat();
  const seen = new Set<number>();
  for (const layer of [upper, ...layers.lowers]) {
    // All of one filesystem are alike: kernel ovl_can_decode_fh() asks the superblock.
    if (seen.has(layer.dev)) continue;
    seen.add(layer.dev);
    const id = layer.fileHandle(layer.root);
    if (typeof id === 'number') return `the filesystem of ${layer.label} has no file handles`;
    if (layer.handleIno(id, st) < 0) return `file handles of ${layer.label} cannot be opened`;
  }
  if (config.uuid === 'off') return null;
  const ambiguous = ambiguousFilesystems(layers);
  const twin = layers.lowers.findLast((layer) => ambiguous.has(layer.dev));
  return twin ? `the filesystem of ${twin.label} has the same uuid as that of another layer` : null;
}

/**
 * Verifies the origin of the upper and the index, clears the index up, and makes it the place where
 * things are built. In a read-only mount nothing is changed, and without an index there is none.
 */
export function prepareIndex(sb: Super, upper: Layer, layer: Layer): Refusal | null {
  const refusal = verify(sb, upper, layer);
  if (refusal === null || sb.config.indexAsked) return refusal;
  // It was our idea to have one: this upper was used with other lowers, say.
  sb.hooks.log(`${refusal.message}: going on with index=off`);
  sb.config = { ...sb.config, index: false, nfsExport: false };
  return null;
}

function verify(sb: Super, upper: Layer, layer: Layer): Refusal | null {
  const fail = (errno: number, what: string): Refusal => ({ errno, message: `${what} (${errnoName(errno)})` });
  let err = verifyOrSet(sb, upper.root, sb.names.origin, originValue(sb, sb.lowers[0].root));
  if (err < 0) {
    return fail(err, `${upper.label} was not made on ${sb.lowers[0].label}, or that was replaced since`);
  }
  const dir = new Dentry(layer, layer.root, 'index');
  const st = new Stat();
  err = layer.lookup(layer.root, 'index', st);
  if (err === -ENOENT && sb.config.readOnly) return null;
  if (err === -ENOENT) err = layer.mkdir(layer.root, 'index', sb.hooks.uid === 0 ? 0 : 0o700);
  else if (err >= 0 && st.type !== S_IFDIR) return fail(-ENOTDIR, `${layer.label}: index in it is not a directory`);
  if (err < 0 && err !== -EEXIST) return fail(err, `${layer.label}: index/ cannot be made in it`);
  err = verifyOrSet(sb, dir, sb.names.upper, originValue(sb, upper.root, true));
  if (err < 0) return fail(err, `${layer.label}: its index/ belongs to another upper than ${upper.label}`);
  if (!sb.config.readOnly) {
    const before = sb.work;
    sb.work = dir;
    err = clearUp(sb, dir);
    if (err < 0) {
      sb.work = before;
      return fail(err, `${layer.label}: index/ holds what no index should: remove it, or mount with index=off`);
    }
  }
  sb.indexDir = dir;
  return null;
}

/** kernel ovl_verify_origin_xattr with `set`. */
function verifyOrSet(sb: Super, d: Dentry, mark: ByteString, handle: Buffer): number {
  const err = verifyHandle(d, mark, handle);
  if (err !== -ENODATA || sb.config.readOnly) return err === -ENODATA ? 0 : err;
  return d.layer.setxattr(d, mark, handle, 0);
}

/** kernel ovl_indexdir_cleanup. */
function clearUp(sb: Super, dir: Dentry): number {
  const { layer } = dir;
  const names: RawDirent[] = [];
  const st = new Stat();
  let err = settleLeftovers(sb, dir);
  if (err >= 0) err = layer.readdir(dir, names);
  const temporary = (name: ByteString): boolean => name.startsWith('#');
  // They go first: what is made here would have the names of some.
  for (const { name } of names) {
    const left = err >= 0 && temporary(name) ? cleanTree(dir, name, TEMP_DEPTH) : 0;
    if (left < 0) sb.hooks.log(`index: ${name} could not be removed (${errnoName(left)}) and is left`);
  }
  for (const { name } of names) {
    if (err < 0) break;
    if (temporary(name)) continue;
    err = layer.lookup(dir, name, st);
    if (err < 0) break;
    const isDir = st.type === S_IFDIR;
    const entry = new Dentry(layer, dir, name);
    const state = verifyEntry(sb, entry, st);
    layer.release(entry);
    if (state >= 0) continue;
    sb.hooks.log(`index entry ${name} ${state === -ENOENT ? 'has no name left' : `is wrong: ${errnoName(state)}`}`);
    if (state !== -ESTALE && state !== -ENOENT) return state;
    err = state === -ENOENT && sb.config.nfsExport ? whiteoutOver(sb, dir, name, isDir) : cleanTree(dir, name, 0);
  }
  return err;
}

/** kernel ovl_verify_index. @returns 0; -ENOENT for a copy without a name, -ESTALE for what names another lower, or why the index cannot be used. */
function verifyEntry(sb: Super, entry: Dentry, st: Stat): number {
  // As in the kernel half a byte at the end does not count.
  const [hex] = /^([0-9a-f]{2})*(?=.?$)/is.exec(entry.name) ?? [''];
  const handle = Buffer.from(hex, 'hex');
  const origin = decodeOrigin(handle);
  if (origin === null) return -ENODATA;
  if (typeof origin === 'number') return origin;
  if (isWhiteout(st)) return 0;
  if (st.type === S_IFDIR) return sb.config.nfsExport ? verifyDirEntry(sb, entry, handle) : 0;
  const err = verifyHandle(entry, sb.names.origin, handle);
  if (err < 0 || st.nlink > 1) return err;
  const layer = sb.layerByUuid(origin.uuid);
  const lower = new Stat();
  if (!layer || layer.handleIno({ type: origin.type, handle: origin.handle }, lower) < 0) return -ESTALE;
  if (lower.nlink === 1) return -ENOENT;
  return unionNlink(sb, entry, st.nlink, lower.nlink, 0) === 0 ? -ENOENT : 0;
}

/** The entry of a directory: its upper must be there and say that it comes from the lower in the entry's name. */
function verifyDirEntry(sb: Super, entry: Dentry, handle: Buffer): number {
  const value = entry.layer.getxattr(entry, sb.names.upper);
  if (typeof value === 'number') return value === -ENODATA ? -ESTALE : value;
  const id = decodeOrigin(value);
  if (id === null || typeof id === 'number') return -ESTALE;
  const upper = sb.upper!.byHandle({ type: id.type, handle: id.handle });
  if (typeof upper === 'number') return upper === -ESTALE ? -ENOENT : upper;
  const st = new Stat();
  let err = upper.layer.stat(upper, st);
  if (err >= 0 && st.nlink === 0) err = -ENOENT;
  else if (err >= 0 && st.type !== S_IFDIR) err = -EIO;
  if (err >= 0) err = verifyHandle(upper, sb.names.origin, handle);
  upper.layer.release(upper);
  return err;
}
