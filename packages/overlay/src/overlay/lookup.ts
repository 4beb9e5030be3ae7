/**
 * Lookup through the layers (kernel: fs/overlayfs/namei.c). From the upper down, each layer adds
 * to the stack until something says stop: a whiteout, an opaque directory, a non-directory.
 * Redirects change the name to look for in the layers below; an absolute one goes back to the
 * stack of the root. What a layer's attributes say is read with one listxattr an object.
 */
import { Dentry, type Layer } from '../layer/layer.ts';
import type { ByteString } from '../sys/bytes.ts';
import { S_IFDIR, S_IFMT, S_IFREG } from '../sys/constants.ts';
import { EINVAL, ENAMETOOLONG, ENOENT, EPERM } from '../sys/errno.ts';
import { Stat } from '../sys/stat.ts';
import { asWhiteoutDevice, isEscapedWhiteout } from './escaped-whiteout.ts';
import type { Found } from './found.ts';
import { getInode } from './get-inode.ts';
import { identify, isOrigin } from './identify.ts';
import { attach, type DirInode, type Inode, isDir, prefer } from './inode.ts';
import { readProtattr } from './protattr.ts';
import type { Super } from './super.ts';
import { setImpure, setOrigin } from './util.ts';
import { AUFS_OPAQUE, AUFS_PREFIX, isWhiteout } from './whiteout.ts';

/** The kernel's ovl_lookup_data: what the layers above have decided for those below. */
interface Walk {
  /** What to look for: one name, or an absolute path from the root. */
  target: ByteString;
  isDir: boolean;
  /** Nothing below counts. */
  stop: boolean;
  opaque: boolean;
  redirect: ByteString | null;
  metacopy: boolean;
  /** The lowest layer: its opaque and redirect marks cannot matter. */
  last: boolean;
  /** The overlay's own attributes found on the last object. */
  hasOriginXattr: boolean;
  protattr: boolean;
}

const none: readonly ByteString[] = [];

/** The overlay's own attributes, escaped ones too. */
function overlayXattrs(sb: Super, d: Dentry): readonly ByteString[] {
  const names = d.layer.listxattr(d);
  if (typeof names === 'number' || names.length === 0) return none;
  return names.filter((name) => name.startsWith(sb.names.prefix));
}

/**
 * One component in one layer (kernel: ovl_lookup_single). `prefixLength` and `post` are what stands
 * before and after the component in an absolute target, for a redirect met on the way.
 * @returns the dentry, null for nothing (or nothing that counts), or a negative errno.
 */
function lookupSingle(
  sb: Super,
  base: Dentry,
  name: ByteString,
  w: Walk,
  prefix: ByteString,
  post: ByteString,
  st: Stat,
): Dentry | null | number {
  const layer = base.layer;
  const lastElement = post === '';
  const aufs = sb.config.aufsWhiteouts && layer !== sb.upper;
  if (aufs) {
    if (name.startsWith(AUFS_PREFIX)) return null;
    // It hides the layers below, and not what stands beside it in its own layer.
    if (layer.lookup(base, AUFS_PREFIX + name, st) >= 0) w.stop = w.opaque = true;
  }
  const err = layer.lookup(base, name, st);
  if (err === -ENOENT || err === -ENAMETOOLONG) return null;
  if (err < 0) return err;
  if (isWhiteout(st)) {
    w.stop = w.opaque = true;
    return null;
  }
  const d = new Dentry(layer, base, name);
  if ((st.mode & S_IFMT) !== S_IFDIR) {
    if (w.isDir || !lastElement) {
      w.stop = true;
      return null;
    }
    w.stop = true;
    w.hasOriginXattr = false;
    if ((st.mode & S_IFMT) === S_IFREG) {
      const names = overlayXattrs(sb, d);
      if (names.includes(sb.names.whiteout) && st.size === 0) {
        w.opaque = true;
        return null;
      }
      w.metacopy = names.includes(sb.names.metacopy);
      w.hasOriginXattr = names.includes(sb.names.origin);
      if (names.includes(sb.names.escapedWhiteout) && isEscapedWhiteout(sb, d, st)) asWhiteoutDevice(st);
      w.protattr = names.includes(sb.names.protattr);
    } else if (layer === sb.upper) {
      w.hasOriginXattr = overlayXattrs(sb, d).includes(sb.names.origin);
    }
    return d;
  }
  if (lastElement) w.isDir = true;
  if (w.last) return d;
  if (aufs && layer.lookup(d, AUFS_OPAQUE, sb.scratch) >= 0) {
    w.stop = true;
    if (lastElement) w.opaque = true;
    return d;
  }
  const names = overlayXattrs(sb, d);
  w.hasOriginXattr = names.includes(sb.names.origin);
  w.protattr = names.includes(sb.names.protattr);
  if (names.includes(sb.names.opaque)) {
    const value = layer.getxattr(d, sb.names.opaque);
    if (typeof value !== 'number' && value.length === 1 && value[0] === 0x79) {
      w.stop = true;
      if (lastElement) w.opaque = true;
      return d;
    }
  }
  if (names.includes(sb.names.redirect)) {
    const bad = readRedirect(sb, d, w, prefix, post);
    if (bad < 0) return bad;
  }
  return d;
}

/** kernel: ovl_check_redirect. The value decides what the layers below are asked for. */
function readRedirect(sb: Super, d: Dentry, w: Walk, prefix: ByteString, post: ByteString): number {
  const value = d.layer.getxattr(d, sb.names.redirect);
  if (typeof value === 'number') return value;
  const redirect = value.toString('latin1');
  if (!validRedirect(redirect)) {
    sb.hooks.log(`invalid redirect '${redirect}' in ${d.layer.label}`);
    return -EINVAL;
  }
  w.redirect = redirect.startsWith('/') ? redirect + post : prefix + redirect + post;
  w.target = w.redirect;
  return 0;
}

/** A name without `/`, or an absolute path without empty components. */
function validRedirect(redirect: ByteString): boolean {
  if (redirect === '' || redirect.includes('\0')) return false;
  if (!redirect.startsWith('/')) return !redirect.includes('/');
  return redirect
    .split('/')
    .slice(1)
    .every((part) => part !== '');
}

/** The walk's target in one layer (kernel: ovl_lookup_layer). */
function lookupLayer(sb: Super, base: Dentry, w: Walk, st: Stat): Dentry | null | number {
  if (!w.target.startsWith('/')) return lookupSingle(sb, base, w.target, w, '', '', st);
  const parts = w.target.slice(1).split('/');
  let at: Dentry = base;
  // Nobody else knows the directories on the way: their descriptors would stay until others push them out.
  const leave = (): void => {
    for (let d = at; d !== base; d = d.parent!) base.layer.release(d);
  };
  for (let i = 0; i < parts.length; i++) {
    const prefix = `/${parts
      .slice(0, i)
      .map((p) => `${p}/`)
      .join('')}`;
    const post = i + 1 < parts.length ? `/${parts.slice(i + 1).join('/')}` : '';
    const found = lookupSingle(sb, at, parts[i], w, prefix, post, st);
    if (found === null || typeof found === 'number') {
      leave();
      return found;
    }
    at = found;
  }
  leave();
  return at;
}

/**
 * Looks `name` up in every layer of `parent`'s stack. `out` gets the real object's attributes.
 * @returns what was found, null for nothing, or a negative errno.
 */
export function lookupLayers(sb: Super, parent: DirInode, name: ByteString, out: Stat): Found | null | number {
  if (name.length > sb.nameMax) return -ENAMETOOLONG;
  const w: Walk = {
    target: name,
    isDir: false,
    stop: false,
    opaque: false,
    redirect: null,
    metacopy: false,
    last: false,
    hasOriginXattr: false,
    protattr: false,
  };
  const found: Found = {
    upper: null,
    lowers: [],
    isDir: false,
    opaque: false,
    redirect: null,
    upperHasOrigin: false,
    protection: 0,
    upperIno: 0n,
    lowerIno: 0n,
    lowerNlink: 0,
    origin: null,
    index: null,
  };
  let stack = parent.lowers;
  if (parent.upper) {
    const got = lookupLayer(sb, parent.upper, w, out);
    if (typeof got === 'number') return got;
    if (w.metacopy) return refuseMetacopy(sb, parent.upper.layer, name);
    found.upper = got;
    found.opaque = w.opaque;
    found.redirect = w.redirect;
    if (got) {
      found.upperHasOrigin = w.hasOriginXattr;
      found.upperIno = out.ino;
      if (w.protattr) found.protection = readProtattr(sb, got);
      if (w.redirect?.startsWith('/')) stack = sb.root.lowers;
    }
  }
  const st = found.upper ? new Stat() : out;
  const root = sb.root.lowers;
  for (let i = 0; !w.stop && i < stack.length; i++) {
    const base = stack[i];
    w.last = sb.config.redirectFollow ? base.layer === root[root.length - 1].layer : i === stack.length - 1;
    const redirectBefore = w.redirect;
    const got = lookupLayer(sb, base, w, found.lowers.length > 0 ? sb.scratch : st);
    if (typeof got === 'number') return got;
    if (got === null) continue;
    if (w.metacopy) return refuseMetacopy(sb, base.layer, name);
    if (sb.config.nfsExport && found.upper && found.lowers.length === 0 && w.isDir) {
      if (!found.upperHasOrigin) fixOrigin(sb, parent, found.upper, got);
      found.upperHasOrigin = true;
      if (!isOrigin(sb, found.upper, got)) break;
    }
    if (found.lowers.length === 0) {
      found.lowerIno = st.ino;
      found.lowerNlink = st.nlink;
    }
    found.lowers.push(got);
    if (w.redirect !== null && !sb.config.redirectFollow) {
      sb.hooks.log(`refusing to follow redirect '${w.redirect}' of ${name} in ${base.layer.label}`);
      return -EPERM;
    }
    if (w.redirect?.startsWith('/') && w.redirect !== redirectBefore && stack !== root) {
      stack = root;
      i = sb.lowers.indexOf(base.layer);
    }
  }
  found.isDir = w.isDir;
  if (!found.upper && found.lowers.length === 0) return null;
  return found;
}

/** A file whose data is elsewhere, and the option to follow it is off: its zeros must never be shown as data. */
function refuseMetacopy(sb: Super, layer: Layer, name: ByteString): number {
  sb.hooks.log(`refusing to follow metacopy of ${name} in ${layer.label}`);
  return -EPERM;
}

/**
 * The inode for `name` in `parent`, made if need be; `out` gets its real attributes (not yet
 * mapped: see getattr). @returns the inode, or a negative errno.
 */
export function lookup(sb: Super, parent: DirInode, name: ByteString, out: Stat): Inode | number {
  const known = parent.children.get(name);
  if (known) {
    prefer(known, parent, name);
    const err = known.real.layer.stat(known.real, out);
    return err < 0 ? err : known;
  }
  if (parent.unlinked) return -ENOENT;
  const found = lookupLayers(sb, parent, name, out);
  if (found === null) return -ENOENT;
  if (typeof found === 'number') return found;
  const err = identify(sb, found, out);
  if (err < 0) return err;
  const inode = getInode(sb, found, out);
  attach(inode, parent, name);
  prefer(inode, parent, name);
  if (inode.index === null) inode.nlink = out.nlink;
  if (isDir(inode)) {
    inode.mode = out.mode;
    inode.gid = out.gid;
    if (found.upper && found.lowers.length > 0 && !found.upperHasOrigin) {
      fixOrigin(sb, parent, found.upper, found.lowers[0]);
    }
  }
  return inode;
}

/** kernel ovl_fix_origin: an upper directory that merges and does not say with what is told so. Best effort. */
function fixOrigin(sb: Super, parent: DirInode, upper: Dentry, lower: Dentry): void {
  if (sb.config.readOnly) return;
  if (setOrigin(sb, upper, lower) >= 0) setImpure(sb, parent);
}
