/**
 * The bytes of a copy-up (kernel: ovl_copy_up_file): a reflink of the whole file where the
 * filesystem can, else copy_file_range over the data extents, else read and write. Holes stay holes.
 *
 * `copyExtents` is the copying itself, in steps: whoever takes them may do other things in between. Here
 * they are taken one after the other; for a large file another thread may take them (asides.ts).
 */
import type { Dentry, Layer } from '../layer/layer.ts';
import { O_RDONLY, SEEK_DATA, SEEK_HOLE } from '../sys/constants.ts';
import { EBADF, EINTR, EINVAL, EIO, ENOSYS, ENXIO, EOPNOTSUPP, EPERM, ERESTART, ETXTBSY, EXDEV } from '../sys/errno.ts';
import { Stat } from '../sys/stat.ts';
import type { Super } from './super.ts';

/** Long enough to be quick, short enough that a stop is noticed (see SuperHooks.cancelled). */
const RANGE = 16 * 1024 * 1024;
const CHUNK = 1024 * 1024;

const unsupported: ReadonlySet<number> = new Set([-EOPNOTSUPP, -EXDEV, -EINVAL, -ENOSYS, -EPERM, -EBADF, -ETXTBSY]);

/** A copy that another thread could make: descriptors of this process, which stay open until it has ended. */
export interface CopyOrder {
  readonly source: number;
  readonly target: number;
  /** Bytes to copy, and the size that the target gets, which may be larger. */
  readonly length: number;
  readonly size: number;
}

/** Has the copy made by another thread, and keeps what is needed for it; false: it is to be made here. `data`: the bytes that are no hole. */
export type Elsewhere = (order: CopyOrder, data: number, from: Layer) => boolean;

/**
 * What a copy answers that shares all its data with the lower: the filesystem had the source on disk first, and orders
 * the sharing before the name that the copy gets, so that there is nothing to flush.
 */
export const SHARED = 1;

/**
 * Copies the first `length` bytes of `from` into the upper's open `file`. Where metadata says more
 * than the data has, the rest is a hole. @returns 0, SHARED, or a negative errno with `file` in any state; -ERESTART when
 * `elsewhere` has taken it over.
 */
export function copyFrom(sb: Super, from: Dentry, file: number, length: number, elsewhere?: Elsewhere): number {
  if (length === 0) return 0;
  const { layer } = from;
  const source = layer.open(from, O_RDONLY);
  if (source < 0) return source;
  const st = new Stat();
  let err = layer.fstat(source, st);
  const order = { source, target: file, length: Math.min(length, st.size), size: length };
  if (err >= 0) err = copyData(sb, layer, order, st, elsewhere);
  if (err === -ERESTART) return err;
  if (err >= 0 && st.size < length) err = sb.upper!.ftruncate(file, length);
  layer.close(source);
  return err;
}

/** @returns 0 or SHARED when `file` now shares the first `length` bytes of `from`; else a negative errno, and nothing has happened. */
export function cloneFrom(sb: Super, from: Dentry, file: number, length: number): number {
  const { layer } = from;
  const to = sb.upper!;
  if (sb.unclonable.has(layer)) return -EOPNOTSUPP;
  const source = layer.open(from, O_RDONLY);
  if (source < 0) return source;
  const st = new Stat();
  let err = layer.descriptor(source) < 0 ? -EOPNOTSUPP : layer.fstat(source, st);
  if (err >= 0) err = clone(sb, layer, source, file);
  layer.close(source);
  if (err < 0) return err;
  return length === st.size ? SHARED : to.ftruncate(file, length);
}

function clone(sb: Super, from: Layer, source: number, target: number): number {
  const err = sb.upper!.clone(from.descriptor(source), target);
  // Two filesystems, or one that shares no blocks: so it is for every file of that layer.
  if (err === -EXDEV || err === -EOPNOTSUPP) sb.unclonable.add(from);
  return err;
}

/** Copies a file that has the attributes `st`, but for what lies beyond `length`. @returns 0, SHARED, or a negative errno with the target in any state. */
function copyData(sb: Super, from: Layer, order: CopyOrder, st: Stat, elsewhere?: Elsewhere): number {
  const to = sb.upper!;
  const { source, target, length } = order;
  const descriptors = from.descriptor(source) >= 0 && to.descriptor(target) >= 0;
  if (descriptors && !sb.unclonable.has(from)) {
    const cloned = clone(sb, from, source, target);
    if (cloned >= 0) return length < st.size ? to.ftruncate(target, length) : SHARED;
  }
  if (descriptors && elsewhere?.(order, Math.min(length, st.blocks * 512), from)) return -ERESTART;
  // A small file with as many blocks as it has bytes for is not worth a search for holes.
  const dense = st.size <= CHUNK && st.blocks * 512 >= st.size;
  const steps = copyExtents(from, to, order, dense, descriptors);
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
    if (sb.hooks.cancelled()) return -EINTR;
  }
}

/**
 * Copies the data of an order, stopping before each range of it. `dense`: it has no holes; `ranges`: both
 * are descriptors, for copy_file_range. @returns in the end 0, or a negative errno.
 */
export function* copyExtents(
  from: Pick<Layer, 'read' | 'lseek'>,
  to: Pick<Layer, 'write' | 'ftruncate' | 'copyFileRange'>,
  { source, target, length }: CopyOrder,
  dense: boolean,
  ranges: boolean,
): Generator<void, number, void> {
  let pos = 0;
  let buf: Buffer | null = null;
  while (pos < length) {
    const start = dense ? pos : from.lseek(source, pos, SEEK_DATA);
    if (start === -ENXIO) break;
    // A filesystem without SEEK_DATA has one extent: the file.
    const dataStart = start < 0 ? pos : start;
    const hole = start < 0 || dense ? length : from.lseek(source, dataStart, SEEK_HOLE);
    const end = Math.min(hole < 0 ? length : hole, length);
    pos = dataStart;
    while (pos < end) {
      yield;
      if (ranges) {
        const n = to.copyFileRange(source, pos, target, pos, Math.min(RANGE, end - pos));
        if (n > 0) {
          pos += n;
          continue;
        }
        if (n < 0 && !unsupported.has(n)) return n;
        // 0 before the end: some filesystems answer so for what they cannot splice.
        ranges = false;
      }
      buf ??= Buffer.allocUnsafe(CHUNK);
      const n = from.read(source, buf, 0, Math.min(CHUNK, end - pos), pos);
      if (n < 0) return n;
      if (n === 0) return -EIO;
      for (let done = 0; done < n; ) {
        const w = to.write(target, buf, done, n - done, pos + done);
        if (w < 0) return w;
        done += w;
      }
      pos += n;
    }
  }
  // After data to its end it has its size.
  return dense && pos === length ? 0 : to.ftruncate(target, length);
}
