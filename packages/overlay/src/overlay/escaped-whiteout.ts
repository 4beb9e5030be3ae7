/**
 * 0:0 character devices of a user: the whiteouts of another overlay, whose upper or lower lies in
 * this one. In our own upper such a device would be a whiteout of ours, so that it is kept as what
 * the kernel calls an xwhiteout, one level down (kernel: ovl_path_check_xwhiteout_xattr): an empty regular file with
 * `overlay.overlay.whiteout`, in a directory with `overlay.overlay.opaque` = `x`. Mounted by the
 * kernel, the layer shows an overlay on top `overlay.whiteout` and `x`, which mean the same to it.
 *
 * The kernel asks for no value of the attribute. Ours tells a device, which is shown as one, from an
 * empty file that somebody has marked himself, which is shown as it is, as the kernel shows it.
 * Listings look for them only in directories that bear `overlay.overlay.opaque`, whatever its value:
 * an overlay on top may have replaced our `x` by its `y`.
 */
import { Dentry, type RawDirent } from '../layer/layer.ts';
import type { ByteString } from '../sys/bytes.ts';
import { DT_REG, S_IFCHR, S_IFREG } from '../sys/constants.ts';
import { EACCES, ENODATA, EOPNOTSUPP } from '../sys/errno.ts';
import { Stat } from '../sys/stat.ts';
import type { DirInode } from './inode.ts';
import type { Super } from './super.ts';

const DEVICE = Buffer.from('c0:0');
const MAY_HOLD_WHITEOUTS = Buffer.from('x');

/** Whether a user who asks for this node asks for a whiteout. */
export function isWhiteoutDevice(mode: number, rdev: number): boolean {
  return (mode & 0o170000) === S_IFCHR && rdev === 0;
}

/** Whether a layer's object, `st` as it lies there, is a user's whiteout: 1, 0, or a negative errno. */
export function isEscapedWhiteout(sb: Super, d: Dentry, st: Stat): number {
  if (st.type !== S_IFREG || st.size !== 0) return 0;
  const value = d.layer.getxattr(d, sb.names.escapedWhiteout);
  if (typeof value !== 'number') return value.equals(DEVICE) ? 1 : 0;
  if (value === -ENODATA || value === -EOPNOTSUPP) return 0;
  // Without rights a file of mode 0 keeps its user.* attributes to itself; the kernel makes its whiteouts so.
  return value === -EACCES ? 1 : value;
}

/** Turns the attributes of the file that stands for it into those of the device. */
export function asWhiteoutDevice(st: Stat): void {
  st.mode = S_IFCHR | (st.mode & 0o7777);
  st.rdev = 0;
  st.size = 0;
  st.blocks = 0;
}

/** Whether a listing of this real directory has to look at its regular files. */
export function mayHoldEscapedWhiteouts(sb: Super, dir: Dentry): boolean {
  const value = dir.layer.getxattr(dir, sb.names.escapedOpaque);
  return value !== -ENODATA && value !== -EOPNOTSUPP;
}

/** Before a user's whiteout appears in an upper directory: listings have to look for it. */
export function expectEscapedWhiteouts(sb: Super, dir: DirInode): number {
  const upper = dir.upper!;
  const have = upper.layer.getxattr(upper, sb.names.escapedOpaque);
  if (have !== -ENODATA) return typeof have === 'number' ? have : 0;
  return upper.layer.setxattr(upper, sb.names.escapedOpaque, MAY_HOLD_WHITEOUTS, 0);
}

/** When none came, in a directory that had no mark before: users see the mark. */
export function expectNoEscapedWhiteouts(sb: Super, dir: DirInode): void {
  const upper = dir.upper!;
  upper.layer.removexattr(upper, sb.names.escapedOpaque);
}

/** After a user has removed `overlay.opaque` from a directory: put back where listings need it. */
export function stillExpectEscapedWhiteouts(sb: Super, dir: DirInode): number {
  const upper = dir.upper!;
  const entries: RawDirent[] = [];
  const st = new Stat();
  const err = upper.layer.readdir(upper, entries);
  if (err < 0) return err;
  const holds = entries.some(
    ({ name, type }) =>
      type === DT_REG &&
      upper.layer.lookup(upper, name, st) >= 0 &&
      isEscapedWhiteout(sb, new Dentry(upper.layer, upper, name), st) !== 0,
  );
  return holds ? expectEscapedWhiteouts(sb, dir) : 0;
}

/** Makes (dir, name), which nobody sees yet, the file that stands for a whiteout; the caller dresses it. */
export function makeEscapedWhiteout(sb: Super, dir: Dentry, name: ByteString): number {
  const layer = dir.layer;
  let err = layer.mknod(dir, name, S_IFREG | 0o600, 0);
  if (err < 0) return err;
  const made = new Dentry(layer, dir, name);
  err = layer.setxattr(made, sb.names.escapedWhiteout, DEVICE, 0);
  layer.release(made);
  if (err < 0) layer.unlink(dir, name);
  return err;
}

/** A user's own `overlay.whiteout` must not turn his file into a device under him: any other value means the same. */
export function userWhiteoutValue(value: Uint8Array): Uint8Array {
  return DEVICE.equals(value) ? Buffer.alloc(0) : value;
}
