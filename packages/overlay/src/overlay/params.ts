/**
 * The overlay's own mount options, as the kernel's fs/overlayfs/params.c holds them: what was
 * asked (mount/parse-options.ts reads the `-o` text), and `resolveParams`, which applies the
 * implications and conflicts that the kernel applies, with the same errno.
 */
import type { ByteString } from '../sys/bytes.ts';
import { EINVAL } from '../sys/errno.ts';

/** Ours in work/work/incompat: files whose copy-up is not complete (lazy-registry.ts). */
export const LAZY_FEATURE: ByteString = 'strata.lazy';

export type RedirectMode = 'on' | 'follow' | 'nofollow' | 'off';
export type XinoMode = 'off' | 'auto' | 'on';
export type VerityMode = 'off' | 'on' | 'require';
export type FsyncMode = 'auto' | 'strict' | 'volatile';
export type UuidMode = 'off' | 'null' | 'auto' | 'on';

/** What a person asked for; `undefined` is "not said", so that defaults can depend on the door. */
export interface OverlayParams {
  /** Topmost first. Unescaped paths, as bytes. */
  lowerdirs: ByteString[];
  /** Data-only layers (`::` or `datadir+`), below all lowers. */
  datadirs: ByteString[];
  upperdir?: ByteString;
  workdir?: ByteString;
  redirectDir?: RedirectMode;
  index?: boolean;
  nfsExport?: boolean;
  xino?: XinoMode;
  metacopy?: boolean;
  verity?: VerityMode;
  fsync?: FsyncMode;
  uuid?: UuidMode;
  userxattr?: boolean;
}

/** What the engine runs by, after all implications. */
export interface Config {
  /** Redirects are written on rename (`redirect_dir=on`). */
  readonly redirectOn: boolean;
  /** Redirects that are found are followed; else they are -EPERM. */
  readonly redirectFollow: boolean;
  /** Copied-up files keep one inode over all their names (`index=on`); never without an upper. */
  readonly index: boolean;
  /** Every copy-up is indexed, directories too, so that handles of any age decode. */
  readonly nfsExport: boolean;
  /** The index was asked for: where an upper cannot have it, that is an error. */
  readonly indexAsked: boolean;
  /** Changing attributes copies up metadata alone; metadata-only files that are found are -EPERM without it. */
  readonly metacopy: boolean;
  /** Digests of metadata-only files are checked where they are there (`on`) or must be there (`require`). */
  readonly verity: VerityMode;
  readonly fsync: FsyncMode;
  readonly uuid: UuidMode;
  readonly xino: XinoMode;
  /** `user.overlay.` in place of `trusted.overlay.`. */
  readonly userxattr: boolean;
  /** Lowers may hold `.wh.NAME` and `.wh..wh..opq` files in place of whiteouts and opaque xattrs. */
  readonly aufsWhiteouts: boolean;
  readonly readOnly: boolean;
}

/** Why a set of options cannot be mounted. */
export interface Refusal {
  /** Negative errno, as the kernel answers. */
  readonly errno: number;
  /** One sentence naming the option. */
  readonly message: string;
}

export interface ConfigContext {
  /** `redirect_dir` when it was not said: the kernel's module default is off, which follows. */
  readonly redirectDefault: RedirectMode;
  /** `index` when it was not said, false if absent: the kernel's module default. */
  readonly indexDefault?: boolean;
  /** `metacopy` when it was not said, likewise. */
  readonly metacopyDefault?: boolean;
  readonly aufsWhiteouts: boolean;
  readonly readOnly: boolean;
  /** Redirects in `user.overlay.redirect` count: this process has no more rights than who may write them. */
  readonly userRedirect?: boolean;
}

function refuse(message: string, errno = -EINVAL): Refusal {
  return { errno, message };
}

function conflict(...options: string[]): Refusal {
  return refuse(`conflicting options: ${options.join(',')}`);
}

/** What options imply of each other (the kernel's ovl_fs_params_verify): the modes, before a look at any layer. */
interface Implied {
  /** `on` without an upper means: all kinds of redirects are followed. */
  redirect: 'on' | 'follow' | 'nofollow';
  index: boolean;
  nfsExport: boolean;
  metacopy: boolean;
}

type Defaults = Pick<ConfigContext, 'redirectDefault' | 'indexDefault' | 'metacopyDefault' | 'userRedirect'>;

/** Said beats default; between two that were said the conflict is an error. */
function imply(p: OverlayParams, defaults: Defaults): Implied | Refusal {
  const writable = p.upperdir !== undefined;
  const asked = p.redirectDir ?? defaults.redirectDefault;
  const follows = asked === 'off' ? 'follow' : asked;
  let redirect = writable || follows === 'nofollow' ? follows : 'on';
  let metacopy = p.metacopy ?? defaults.metacopyDefault ?? false;
  if (metacopy && redirect !== 'on') {
    if (p.redirectDir === undefined) redirect = 'on';
    else if (p.metacopy) return conflict('metacopy=on', `redirect_dir=${p.redirectDir}`);
    else metacopy = false;
  }
  let nfsExport = (p.nfsExport ?? false) && (writable || redirect === 'nofollow');
  if (nfsExport && p.index === false) return conflict('nfs_export=on', 'index=off');
  if (nfsExport && metacopy) {
    if (p.metacopy) return conflict('nfs_export=on', 'metacopy=on');
    metacopy = false;
  }
  if (p.userxattr) {
    if (p.metacopy) return conflict('userxattr', 'metacopy=on');
    metacopy = false;
    if (!defaults.userRedirect) {
      if (p.redirectDir !== undefined && p.redirectDir !== 'nofollow') {
        return conflict('userxattr', `redirect_dir=${p.redirectDir}`);
      }
      redirect = 'nofollow';
    }
  }
  nfsExport &&= writable;
  const index = writable && (nfsExport || (p.index ?? defaults.indexDefault ?? false));
  return { redirect, index, nfsExport, metacopy };
}

/**
 * The conflicts of the kernel's ovl_fs_params_verify that do not need a look at any layer. With
 * `userRedirect` (see ConfigContext) `userxattr` and redirects are none.
 */
export function verifyParams(p: OverlayParams, userRedirect = false): Refusal | null {
  if (p.upperdir !== undefined && p.workdir === undefined) return refuse('upperdir needs a workdir beside it');
  const implied = imply(p, { redirectDefault: 'off', userRedirect });
  if (isRefusal(implied)) return implied;
  const lowers = p.lowerdirs.length + p.datadirs.length;
  if (p.lowerdirs.length === 0) return refuse('lowerdir is missing: a union needs at least one lower layer');
  if (p.upperdir === undefined && lowers < 2) {
    return refuse('without an upperdir at least two lower layers are needed');
  }
  return null;
}

/** The engine's configuration, or why these options cannot be served by it. */
export function resolveParams(p: OverlayParams, ctx: ConfigContext): Config | Refusal {
  const refusal = verifyParams(p, ctx.userRedirect);
  if (refusal) return refusal;
  const implied = imply(p, ctx);
  if (isRefusal(implied)) return implied;
  return {
    redirectOn: implied.redirect === 'on' && p.upperdir !== undefined,
    redirectFollow: implied.redirect !== 'nofollow',
    index: implied.index,
    nfsExport: implied.nfsExport,
    indexAsked: p.index === true || p.nfsExport === true,
    metacopy: implied.metacopy,
    verity: p.verity ?? 'off',
    fsync: p.fsync ?? 'auto',
    uuid: p.uuid ?? 'auto',
    xino: p.xino ?? 'auto',
    userxattr: p.userxattr ?? false,
    aufsWhiteouts: ctx.aufsWhiteouts,
    readOnly: ctx.readOnly || p.upperdir === undefined,
  };
}

export function isRefusal(value: object): value is Refusal {
  return 'errno' in value;
}
