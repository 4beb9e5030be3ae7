/**
 * The overlay's own mount options, as the kernel's fs/overlayfs/params.c holds them: what was
 * asked (mount/options.ts reads the `-o` text), and `resolveParams`, which applies the
 * implications and conflicts that the kernel applies, with the same errno.
 */
import type { ByteString } from '../sys/bytes.ts';
import { EINVAL, EOPNOTSUPP } from '../sys/errno.ts';

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
  readonly aufsWhiteouts: boolean;
  readonly readOnly: boolean;
  /** Redirects in `user.overlay.redirect` count: this process has no more rights than who may write them. */
  readonly userRedirect?: boolean;
}

function refuse(message: string, errno = -EINVAL): Refusal {
  return { errno, message };
}

/**
 * The conflicts of the kernel's ovl_fs_params_verify that do not need a look at any layer. With
 * `userRedirect` (see ConfigContext) `userxattr` and redirects are none.
 */
export function verifyParams(p: OverlayParams, userRedirect = false): Refusal | null {
  if (p.upperdir !== undefined && p.workdir === undefined) return refuse('upperdir needs a workdir beside it');
  if (p.metacopy && p.redirectDir !== undefined && p.redirectDir !== 'on') {
    if (!(p.redirectDir === 'follow' && p.upperdir === undefined)) {
      return refuse(`conflicting options: metacopy=on,redirect_dir=${p.redirectDir}`);
    }
  }
  if (p.verity !== undefined && p.verity !== 'off') {
    if (p.metacopy === false) return refuse(`conflicting options: metacopy=off,verity=${p.verity}`);
    if (p.userxattr) return refuse(`conflicting options: userxattr,verity=${p.verity}`);
  }
  if (p.nfsExport && p.metacopy) return refuse('conflicting options: nfs_export=on,metacopy=on');
  if (p.nfsExport && p.index === false) return refuse('conflicting options: nfs_export=on,index=off');
  if (p.userxattr) {
    if (!userRedirect && p.redirectDir !== undefined && p.redirectDir !== 'nofollow' && p.redirectDir !== 'off') {
      return refuse(`conflicting options: userxattr,redirect_dir=${p.redirectDir}`);
    }
    if (p.metacopy) return refuse('conflicting options: userxattr,metacopy=on');
  }
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
  const absent: [boolean, string][] = [
    [p.index === true, 'index=on'],
    [p.nfsExport === true, 'nfs_export=on'],
    [p.metacopy === true, 'metacopy=on'],
    [p.verity !== undefined && p.verity !== 'off', `verity=${p.verity}`],
    [p.datadirs.length > 0, 'data-only layers'],
  ];
  for (const [asked, name] of absent) {
    if (asked) return refuse(`${name} is served by the kernel's overlay only (backend=kernel)`, -EOPNOTSUPP);
  }
  // A server with more rights than the owner of a lower would follow him anywhere.
  const redirect = p.userxattr && !ctx.userRedirect ? 'nofollow' : (p.redirectDir ?? ctx.redirectDefault);
  return {
    redirectOn: redirect === 'on' && p.upperdir !== undefined,
    redirectFollow: redirect !== 'nofollow',
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
