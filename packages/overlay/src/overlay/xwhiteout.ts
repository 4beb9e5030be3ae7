/**
 * Whiteouts without device nodes (kernel: ovl_path_check_xwhiteout_xattr in fs/overlayfs/util.c): an
 * empty regular file with `overlay.whiteout`. Lookup takes one for a whiteout in any layer. A
 * listing looks for them only in directories of lowers that say by `overlay.opaque` = `x` that they
 * may be there; elsewhere it shows the name, as the kernel's does.
 *
 * Only tools that build layers make them, composefs's among them; we write none. What a user of this
 * overlay makes (escaped-whiteout.ts) is the same one level down.
 */
import { Dentry } from '../layer/layer.ts';
import type { ByteString } from '../sys/bytes.ts';
import { S_IFREG } from '../sys/constants.ts';
import type { Stat } from '../sys/stat.ts';
import type { Super } from './super.ts';
import { isWhiteout } from './whiteout.ts';

/** Whether a layer's object, `st` as it lies there, is such a file. */
export function isXwhiteout(sb: Super, d: Dentry, st: Stat): boolean {
  if (st.type !== S_IFREG || st.size !== 0) return false;
  return typeof d.layer.getxattr(d, sb.names.whiteout) !== 'number';
}

/** Whether what was found at (dir, name) says that the name is deleted, in whichever way. */
export function isAnyWhiteout(sb: Super, dir: Dentry, name: ByteString, st: Stat): boolean {
  return isWhiteout(st) || isXwhiteout(sb, new Dentry(dir.layer, dir, name), st);
}

/** Whether a listing of this real directory has to look at its regular files. */
export function mayHoldXwhiteouts(sb: Super, dir: Dentry): boolean {
  if (dir.layer === sb.upper) return false;
  const value = dir.layer.getxattr(dir, sb.names.opaque);
  return typeof value !== 'number' && value.length === 1 && value[0] === 0x78;
}
