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
import { EACCES, ENODATA, EOPNOTSUPP, EPERM } from '../sys/errno.ts';
import type { Stat } from '../sys/stat.ts';
import type { Super } from './super.ts';
import { isWhiteout } from './whiteout.ts';

/** There is no such attribute, or none that this user may know of: then the kernel goes on without, too. */
const absent: ReadonlySet<number> = new Set([-ENODATA, -EOPNOTSUPP, -EACCES, -EPERM]);

/** Whether a layer's object, `st` as it lies there, is such a file: 1, 0, or a negative errno. */
export function isXwhiteout(sb: Super, d: Dentry, st: Stat): number {
  if (st.type !== S_IFREG || st.size !== 0) return 0;
  const value = d.layer.getxattr(d, sb.names.whiteout);
  if (typeof value !== 'number') return 1;
  // Were a failure passed over, what the whiteout deletes would count as there.
  return absent.has(value) ? 0 : value;
}

/** Whether what was found at (dir, name) says that the name is deleted, in whichever way: 1, 0, or a negative errno. */
export function isAnyWhiteout(sb: Super, dir: Dentry, name: ByteString, st: Stat): number {
  return isWhiteout(st) ? 1 : isXwhiteout(sb, new Dentry(dir.layer, dir, name), st);
}

/** Whether a listing of this real directory has to look at its regular files: 1, 0, or a negative errno. */
export function mayHoldXwhiteouts(sb: Super, dir: Dentry): number {
  if (dir.layer === sb.upper) return 0;
  const value = dir.layer.getxattr(dir, sb.names.opaque);
  if (typeof value !== 'number') return value.length === 1 && value[0] === 0x78 ? 1 : 0;
  return absent.has(value) ? 0 : value;
}
