/**
 * The overlay's own mount options, as the kernel's fs/overlayfs/params.c holds them: what was
 * asked (mount/options.ts reads the `-o` text), and `resolveParams`, which applies the
 * implications and conflicts that the kernel applies, with the same errno.
 */
import type { ByteString } from '../sys/bytes.ts';

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
