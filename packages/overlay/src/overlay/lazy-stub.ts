/**
 * The beginning of a lazy copy-up: whether a file gets one, and the marks on the upper's file, which
 * has its size and all attributes by then and no data.
 */
import type { Dentry, Layer } from '../layer/layer.ts';
import type { ByteString } from '../sys/bytes.ts';
import { FS_IOC_FSGETXATTR, FS_XFLAG_REALTIME, O_RDWR, STATX_ATTR_DAX } from '../sys/constants.ts';
import { ENODATA, EOPNOTSUPP } from '../sys/errno.ts';
import { Stat } from '../sys/stat.ts';
import { blockSizeOf, LazyFile } from './lazy-file.ts';
import { USER_GUARD } from './lazy-files.ts';
import { BlockMap, mapsBlocks } from './lazy-map.ts';
import { encodeLazy, type LazyRecord, lowerState } from './lazy-record.ts';
import { entryName, register, unregister } from './lazy-registry.ts';
import { encodeOrigin } from './origin.ts';
import type { Super } from './super.ts';

/** Too short for any kernel to follow. */
const GUARD = Buffer.from([1]);
/** No redirect may hold a slash but at its beginning. */
const BAD_REDIRECT = Buffer.from('a/b');

/** Whether a file of `length` bytes is large enough not to be copied whole. */
export function isLarge({ lazy }: Super, length: number): boolean {
  return lazy.mode !== 'full' && length > 0 && length >= lazy.threshold;
}

/** Whether the upper can hold an incomplete file. Looked at once, and not before one is wanted: it takes a few calls. */
export function holdsStubs(sb: Super): boolean {
  const { lazy } = sb;
  if (lazy.usable === undefined) {
    const obstacle = findObstacle(sb);
    lazy.usable = obstacle === null;
    if (obstacle !== null && lazy.mode === 'lazy') sb.hooks.log(`files are copied up whole: ${obstacle}`);
  }
  return lazy.usable;
}

/** Why this upper cannot hold incomplete files. */
function findObstacle(sb: Super): string | null {
  // A mount with trusted marks would not see those that anybody may write.
  if (sb.config.userxattr) return 'copyup=lazy needs trusted.overlay.* attributes';
  const order = sb.upper!.writeOrder();
  // What only the device's cache can spoil is for those who know theirs, and asked for it by name.
  if (!sb.tmpfileWorks || order === 'none' || (order === 'cached' && sb.lazy.mode !== 'lazy')) {
    return "after a power cut the upper's filesystem may show extents that were never written";
  }
  const work = sb.work!;
  const file = work.layer.tmpfile(work, O_RDWR, 0o600);
  if (file < 0) return 'the workdir takes no unnamed files';
  const marked = Math.min(
    work.layer.fsetxattr(file, sb.names.metacopy, GUARD, 0),
    work.layer.fsetxattr(file, USER_GUARD, GUARD, 0),
  );
  const apart = bypassesJournal(work.layer, file);
  const maps = mapsBlocks(work.layer, file, blockSizeOf(sb));
  work.layer.close(file);
  if (apart) return 'files of the upper are on a device of their own, or on DAX';
  if (marked < 0) return "the upper's filesystem takes no user.* attributes";
  return maps ? null : "the upper's filesystem does not tell which blocks of a file were written (FIEMAP)";
}

/** The extents of `file` are entered before its bytes (DAX), or its bytes go to a device that the journal does not flush (xfs realtime). */
function bypassesJournal(layer: Layer, file: number): boolean {
  const st = new Stat();
  if (layer.fstat(file, st) < 0 || (st.attributes & STATX_ATTR_DAX) !== 0) return true;
  const fsxattr = Buffer.alloc(28);
  return layer.fileattr(file, FS_IOC_FSGETXATTR, fsxattr) >= 0 && (fsxattr.readUInt32LE(0) & FS_XFLAG_REALTIME) !== 0;
}

/** A copy-up that is going to be lazy. */
export interface Stub {
  readonly record: LazyRecord;
  entry: ByteString;
}

/**
 * For `data`, whose first `length` bytes are wanted; `lower` has the attributes.
 * @returns null where this file must be copied up whole.
 */
export function planStub(data: Dentry, lower: Dentry, length: number): Stub | null {
  const st = new Stat();
  if (data.layer.stat(data, st) < 0 || st.size < length) return null;
  const guard = lower.layer.getxattr(lower, USER_GUARD);
  if (guard !== -ENODATA && guard !== -EOPNOTSUPP) return null;
  const id = data.layer.fileHandle(data);
  if (typeof id === 'number') return null;
  const origin = encodeOrigin({ type: id.type, uuid: data.layer.uuid, handle: id.handle });
  // It is by the handle that the lower is found from now on.
  const found = origin.length > 0 ? data.layer.byHandle(id) : -EOPNOTSUPP;
  if (typeof found === 'number') return null;
  data.layer.release(found);
  const lowerNow = lowerState(st);
  return {
    record: { origin, lower: lowerNow, limit: length, ino: 0n, btime: 0, btimeNsec: 0, pin: null },
    entry: '',
  };
}

/**
 * Marks the open `file` and enters it in the registry.
 * @returns 0, or a negative errno with the marks as they were: of metadata alone it has some already.
 */
export function markStub(sb: Super, stub: Stub, file: number): number {
  const layer = sb.upper!;
  const st = new Stat();
  let err = layer.fstat(file, st);
  if (err < 0) return err;
  const d = layer.anonymous(file);
  if (typeof d === 'number') return d;
  const id = layer.fileHandle(d);
  if (typeof id === 'number') err = id;
  else {
    stub.entry = entryName(id);
    err = register(sb, stub.entry);
  }
  Object.assign(stub.record, { ino: st.ino, btime: st.btime, btimeNsec: st.btimeNsec });
  const had = [sb.names.metacopy, sb.names.redirect].map((name) => layer.getxattr(d, name));
  const marks: [ByteString, Buffer][] = [
    [sb.names.lazy, encodeLazy(stub.record)],
    [USER_GUARD, GUARD],
    [sb.names.redirect, BAD_REDIRECT],
    [sb.names.metacopy, GUARD],
  ];
  for (const [name, value] of marks) {
    if (err >= 0) err = layer.fsetxattr(file, name, value, 0);
  }
  if (err < 0) {
    // Metadata alone is never without its mark: that would make zeros of its data.
    for (const [i, name] of [sb.names.metacopy, sb.names.redirect].entries()) {
      const value = had[i];
      if (typeof value === 'number') layer.removexattr(d, name);
      else layer.setxattr(d, name, value, 0);
    }
    layer.removexattr(d, USER_GUARD);
    layer.removexattr(d, sb.names.lazy);
    dropStub(sb, stub);
  }
  layer.release(d);
  return err;
}

/** The file did not come to be. */
export function dropStub(sb: Super, stub: Stub): void {
  if (stub.entry !== '') unregister(sb, stub.entry);
}

/** What the file is from now on: no block of it is held. */
export function stubFile(sb: Super, { record, entry }: Stub): LazyFile {
  return new LazyFile(sb, record, entry, new BlockMap(blockSizeOf(sb), record.limit));
}
