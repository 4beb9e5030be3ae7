/**
 * `fsync=volatile` (kernel: ovl_create_volatile_dirty and ovl_sync_status in fs/overlayfs/super.c):
 * nothing is flushed, on copy-up or on request. Whoever mounts the upper next is told so by
 * incompat/volatile/dirty in work/; and once the upper's filesystem has failed to write something
 * back, every fsync and syncfs of the mount fails: a program that asks must not believe that its
 * data is safe.
 */
import { Dentry } from '../layer/layer.ts';
import type { ByteString } from '../sys/bytes.ts';
import { O_WRONLY, S_IFDIR } from '../sys/constants.ts';
import { EEXIST, EIO, ENOENT, errnoName } from '../sys/errno.ts';
import { Stat } from '../sys/stat.ts';
import type { Refusal } from './params.ts';
import type { Super } from './super.ts';
import { cleanTree } from './whiteout.ts';

/** In work/, while the watch is being made; what the kernel makes in it lies deeper than what work/ is cleared of. */
const WATCH: ByteString = '#writeback';
const WATCH_DEPTH = 6;

/** Marks `work` and begins to watch the upper's filesystem. */
export function prepareVolatile(sb: Super, work: Dentry): Refusal | null {
  const { label } = work.layer;
  let err = watch(work);
  if (err === -EIO) {
    const message = `${label}: its filesystem has failed to write something back, and nobody has been told yet: a volatile mount could not tell older failures from its own; run sync -f on it and mount again`;
    return { errno: err, message };
  }
  if (err < 0) {
    sb.hooks.log(
      `failures to write back cannot be watched for here (${errnoName(err)}): fsync will answer 0 in any case`,
    );
  }
  err = markDirty(sb, work);
  return err < 0 ? { errno: err, message: `${label}: the marker of a volatile mount cannot be made` } : null;
}

/** What a crash while the watch was being made has left in work/, which is going to be another directory. */
export function clearWatch(workdir: Dentry): number {
  const work = new Dentry(workdir.layer, workdir, 'work');
  const st = new Stat();
  const found = workdir.layer.lookup(workdir, 'work', st);
  // Anything else in its place is removed as a whole.
  if (found === -ENOENT || (found >= 0 && st.type !== S_IFDIR)) return 0;
  const err = cleanTree(work, WATCH, WATCH_DEPTH);
  work.layer.release(work);
  return err;
}

function watch(work: Dentry): number {
  const { layer } = work;
  let err = layer.mkdir(work, WATCH, 0o700);
  if (err < 0) return err;
  const dir = new Dentry(layer, work, WATCH);
  for (const name of ['u', 'w', 'l']) {
    err = layer.mkdir(dir, name, 0o700);
    if (err < 0) break;
  }
  if (err >= 0) err = layer.watchWriteback(dir);
  layer.release(dir);
  const cleared = cleanTree(work, WATCH, WATCH_DEPTH);
  return err < 0 ? err : cleared;
}

function markDirty(sb: Super, work: Dentry): number {
  const { layer } = work;
  // As the kernel leaves them, unless this process could not look into them again.
  const mode = sb.hooks.uid === 0 ? 0 : 0o700;
  let dir = work;
  for (const name of ['incompat', 'volatile']) {
    const err = layer.mkdir(dir, name, mode);
    if (err < 0 && err !== -EEXIST) return err;
    dir = new Dentry(layer, dir, name);
  }
  const file = layer.create(dir, 'dirty', O_WRONLY, mode);
  if (file < 0) return file;
  layer.close(file);
  return 0;
}

/**
 * What an fsync, or for `whole` a syncfs, of a volatile mount answers; null where the mount is not
 * volatile and is to flush.
 */
export function volatileStatus(sb: Super, whole: boolean): number | null {
  if (sb.config.fsync !== 'volatile') return null;
  return sb.workLayer?.writebackStatus(whole) ?? 0;
}
