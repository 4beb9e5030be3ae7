/**
 * Whether a filesystem has failed to write something back, asked without flushing anything. The
 * kernel keeps that in the superblock (s_wb_err), and the only system call that tells, syncfs(2),
 * flushes first, which is what a volatile mount is to be spared. The kernel's own volatile overlay
 * compares it at each fsync (ovl_sync_status in fs/overlayfs/super.c): so one is made on an empty
 * directory of the filesystem, never attached to any tree, and asked in its place. That takes the
 * right to mount; an answer costs less than a microsecond.
 */
import type { ByteString } from '../sys/bytes.ts';
import {
  FSCONFIG_CMD_CREATE,
  FSCONFIG_SET_FLAG,
  FSCONFIG_SET_STRING,
  FSMOUNT_CLOEXEC,
  FSOPEN_CLOEXEC,
  O_DIRECTORY,
  O_RDONLY,
} from '../sys/constants.ts';
import type { Sys } from '../sys/sys.ts';

export class WritebackWatch {
  readonly #sys: Sys;
  /** The root of the overlay that nobody sees; it lives as long as this. */
  readonly #root: number;

  /** `dir` has the empty directories `u`, `w` and `l`, which may go afterwards. @returns the watch, or a negative errno. */
  static open(sys: Sys, dir: number): WritebackWatch | number {
    const context = sys.fsopen('overlay', FSOPEN_CLOEXEC);
    if (context < 0) return context;
    const root = attempt(sys, context, dir);
    sys.close(context);
    return root < 0 ? root : new WritebackWatch(sys, root);
  }

  private constructor(sys: Sys, root: number) {
    this.#sys = sys;
    this.#root = root;
  }

  /** 0, or the errno of what has failed since `open`: as fsync(2), or for `whole` as syncfs(2) of a volatile overlay. */
  status(whole: boolean): number {
    return whole ? this.#sys.syncfs(this.#root) : this.#sys.fsync(this.#root);
  }

  close(): void {
    this.#sys.close(this.#root);
  }
}

/** @returns a descriptor of the root, or a negative errno. */
function attempt(sys: Sys, context: number, dir: number): number {
  const set = (key: ByteString, name: ByteString): number =>
    sys.fsconfig(context, FSCONFIG_SET_STRING, key, `/proc/self/fd/${dir}/${name}`, 0);
  let err = set('lowerdir', 'l');
  if (err >= 0) err = set('upperdir', 'u');
  if (err >= 0) err = set('workdir', 'w');
  if (err >= 0) err = sys.fsconfig(context, FSCONFIG_SET_FLAG, 'volatile', null, 0);
  if (err >= 0) err = sys.fsconfig(context, FSCONFIG_CMD_CREATE, null, null, 0);
  if (err < 0) return err;
  const mount = sys.fsmount(context, FSMOUNT_CLOEXEC, 0);
  if (mount < 0) return mount;
  const root = sys.openat(mount, '.', O_RDONLY | O_DIRECTORY, 0);
  sys.close(mount);
  return root;
}
