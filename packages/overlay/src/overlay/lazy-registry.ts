/**
 * work/work/incompat/strata.lazy: one empty file for each file of the upper whose copy-up is not
 * complete, named by its handle. A name in `incompat` makes every mount of the kernel's with this
 * workdir fail, so that nobody takes such a file for a whole one (by an old file handle, say, where
 * no attribute is looked at); and it says at the next mount what is left to do.
 *
 * Crash points: the entry is on disk before the file has a name. An entry whose file is gone, or is
 * complete, goes at the next mount.
 */
import { Dentry, type FileHandleId, type RawDirent } from '../layer/layer.ts';
import { type ByteString, fromText } from '../sys/bytes.ts';
import { O_WRONLY } from '../sys/constants.ts';
import { EEXIST, ENOENT, ESTALE } from '../sys/errno.ts';
import { LAZY_FEATURE } from './params.ts';
import type { Super } from './super.ts';
import { syncReal } from './util.ts';

const INCOMPAT: ByteString = 'incompat';

function directories(sb: Super): Dentry[] {
  const { root } = sb.workLayer!;
  const work = new Dentry(root.layer, root, 'work');
  const incompat = new Dentry(root.layer, work, INCOMPAT);
  return [work, incompat, new Dentry(root.layer, incompat, LAZY_FEATURE)];
}

function release(dirs: readonly Dentry[]): void {
  for (const dir of dirs.toReversed()) dir.layer.release(dir);
}

function within(sb: Super, act: (dirs: readonly Dentry[]) => number): number {
  const dirs = directories(sb);
  const result = act(dirs);
  release(dirs);
  return result;
}

export function entryName({ type, handle }: FileHandleId): ByteString {
  return fromText(`${type.toString(16)}-${handle.toString('hex')}`);
}

export function entryHandle(name: ByteString): FileHandleId | null {
  const parts = /^([0-9a-f]+)-((?:[0-9a-f]{2})+)$/.exec(name);
  return parts && { type: Number.parseInt(parts[1], 16), handle: Buffer.from(parts[2], 'hex') };
}

/** Enters a file, durably but for `volatile`. @returns 0 or a negative errno. */
export function register(sb: Super, name: ByteString): number {
  const flushes = sb.config.fsync !== 'volatile';
  return within(sb, (dirs) => {
    const [work, incompat, dir] = dirs;
    const { layer } = dir;
    let file = layer.create(dir, name, O_WRONLY, 0o600);
    if (file === -ESTALE) {
      for (const missing of [incompat, dir]) {
        const err = layer.mkdir(missing.parent!, missing.name, 0o700);
        if (err < 0 && err !== -EEXIST) return err;
      }
      const err = flushes ? Math.min(syncReal(incompat), syncReal(work)) : 0;
      if (err < 0) return err;
      file = layer.create(dir, name, O_WRONLY, 0o600);
    }
    if (file === -EEXIST) return 0;
    if (file < 0) return file;
    layer.close(file);
    return flushes ? syncReal(dir) : 0;
  });
}

/** Takes an entry out, and with the last one the whole marker. */
export function unregister(sb: Super, name: ByteString): number {
  const err = within(sb, ([, , dir]) => dir.layer.unlink(dir, name));
  if (err < 0 && err !== -ENOENT && err !== -ESTALE) return err;
  dropEmptyMarker(sb);
  return 0;
}

/** A crash can leave the marker without an entry too. */
export function dropEmptyMarker(sb: Super): void {
  within(sb, ([work, incompat, dir]) => {
    const { layer } = dir;
    // Not empty while there are others, of ours or of other features.
    if (layer.rmdir(incompat, LAZY_FEATURE) < 0) return 0;
    layer.release(dir);
    layer.release(incompat);
    return layer.rmdir(work, INCOMPAT);
  });
}

/** The names of all entries; none where there is no marker. */
export function registered(sb: Super): ByteString[] | number {
  const names: RawDirent[] = [];
  const err = within(sb, ([, , dir]) => dir.layer.readdir(dir, names));
  // There is no such directory.
  if (err < 0) return err === -ESTALE ? [] : err;
  return names.map(({ name }) => name);
}
