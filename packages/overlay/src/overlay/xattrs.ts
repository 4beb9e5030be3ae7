/**
 * The overlay's own extended attributes: their names (the kernel's ovl_xattr_table), who may see
 * them, and the escape that lets an overlay be a layer of another one (fs/overlayfs/xattrs.c).
 * An attribute `trusted.overlay.X` that a user sets is kept as `trusted.overlay.overlay.X`, and
 * one level is taken off again on the way out; the real ones are never shown.
 */
import type { ByteString } from '../sys/bytes.ts';

const TRUSTED_PREFIX = 'trusted.overlay.';
const USER_PREFIX = 'user.overlay.';
const ESCAPE = 'overlay.';

export const POSIX_ACL_ACCESS = 'system.posix_acl_access';
export const CAPABILITY = 'security.capability';
export const POSIX_ACL_DEFAULT = 'system.posix_acl_default';

/** The on-disk names under one prefix, `trusted.overlay.` or `user.overlay.`. */
export class XattrNames {
  readonly prefix: ByteString;
  readonly opaque: ByteString;
  readonly redirect: ByteString;
  readonly origin: ByteString;
  readonly impure: ByteString;
  readonly nlink: ByteString;
  readonly upper: ByteString;
  readonly metacopy: ByteString;
  readonly protattr: ByteString;
  readonly uuid: ByteString;
  readonly whiteout: ByteString;
  /** What an overlay on top of this one calls `whiteout` and `opaque`. */
  readonly escapedWhiteout: ByteString;
  readonly escapedOpaque: ByteString;
  /** Ours: the copy-up of the file's data is not complete (lazy-record.ts). */
  readonly lazy: ByteString;

  constructor(userxattr: boolean) {
    const p = userxattr ? USER_PREFIX : TRUSTED_PREFIX;
    this.prefix = p;
    this.opaque = `${p}opaque`;
    this.redirect = `${p}redirect`;
    this.origin = `${p}origin`;
    this.impure = `${p}impure`;
    this.nlink = `${p}nlink`;
    this.upper = `${p}upper`;
    this.metacopy = `${p}metacopy`;
    this.protattr = `${p}protattr`;
    this.uuid = `${p}uuid`;
    this.whiteout = `${p}whiteout`;
    this.escapedWhiteout = `${p}${ESCAPE}whiteout`;
    this.escapedOpaque = `${p}${ESCAPE}opaque`;
    this.lazy = `${p}strata.lazy`;
  }

  /** Whether a layer's attribute belongs to the overlay itself (an escaped one does not). */
  isPrivate(name: ByteString): boolean {
    return name.startsWith(this.prefix) && !name.startsWith(ESCAPE, this.prefix.length);
  }

  /** The name in the layer for the name that a user gives. */
  toLayer(name: ByteString): ByteString {
    return name.startsWith(this.prefix) ? `${this.prefix}${ESCAPE}${name.slice(this.prefix.length)}` : name;
  }

  /** The name that a user sees for one in the layer, or null for the overlay's own. */
  fromLayer(name: ByteString): ByteString | null {
    if (!name.startsWith(this.prefix)) return name;
    if (!name.startsWith(ESCAPE, this.prefix.length)) return null;
    return this.prefix + name.slice(this.prefix.length + ESCAPE.length);
  }
}

export function isTrusted(name: ByteString): boolean {
  return name.startsWith('trusted.');
}

export function isAcl(name: ByteString): boolean {
  return name === POSIX_ACL_ACCESS || name === POSIX_ACL_DEFAULT;
}
