/**
 * Lookup through the layers (kernel: fs/overlayfs/namei.c). From the upper down, each layer adds
 * to the stack until something says stop: a whiteout, an opaque directory, a non-directory.
 * Redirects change the name to look for in the layers below; an absolute one goes back to the
 * stack of the root. What a layer's attributes say is read with one listxattr an object.
 */
import { Dentry } from '../layer/layer.ts';
import type { ByteString } from '../sys/bytes.ts';
import { S_IFDIR, S_IFMT, S_IFREG } from '../sys/constants.ts';
import { EACCES, EINVAL, EIO, ELOOP, ENAMETOOLONG, ENODATA, ENOENT, EOPNOTSUPP, EPERM, ESTALE } from '../sys/errno.ts';
import { Stat } from '../sys/stat.ts';
import { asWhiteoutDevice, isEscapedWhiteout } from './escaped-whiteout.ts';
import type { Found } from './found.ts';
import { getInode } from './get-inode.ts';
import { identify, isOrigin, isStale } from './identify.ts';
import { expectLooks, mayHold, namesOf } from './index-names.ts';
import { attach, type DirInode, type Inode, isDir, prefer } from './inode.ts';
import { hasLazyMarks } from './lazy-files.ts';
import { metacopySize } from './metacopy.ts';
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
  /** The last redirect that was met began at the root. */
  absoluteRedirect: boolean;
  /** The last object is metadata alone: the length of its attribute, else 0. */
  metacopy: number;
  /** The upper has only some of the file's data. */
  lazy: boolean;
  /** Nothing below is asked: the object's opaque and redirect marks cannot matter. */
  last: boolean;
  /** The overlay's own attributes found on the last object. */
  hasOriginXattr: boolean;
  protattr: boolean;
  /** The last object has no attributes at all, as far as that was looked at. */
  bare: boolean;
}

const none: readonly ByteString[] = [];
/** What an object without attributes has. */
const bare: readonly ByteString[] = [];
/** There are no attributes, or none that this user may know of. */
const noXattrs: ReadonlySet<number> = new Set([-EOPNOTSUPP, -ENODATA, -EACCES, -EPERM]);

/** The overlay's own attributes, escaped ones too. Any other failure fails the lookup: a mark that is not seen would show what it hides. */
function overlayXattrs(sb: Super, d: Dentry): readonly ByteString[] | number {
  const names = d.layer.listxattr(d);
  if (typeof names === 'number') return noXattrs.has(names) ? none : names;
  return names.length === 0 ? bare : names.filter((name) => name.startsWith(sb.names.prefix));
}

/**
 * One component in one layer (kernel: ovl_lookup_single). `prefix` and `post` are what stands
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
  const type = st.mode & S_IFMT;
  const blocked = type === S_IFDIR ? false : w.isDir || !lastElement;
  // What is metadata alone above has its data in a regular file or nowhere.
  if (blocked || (lastElement && w.metacopy > 0 && type !== S_IFREG)) {
    w.stop = true;
    return null;
  }
  if (type !== S_IFDIR) return lookupFile(sb, d, w, prefix, st);
  if (sb.traps.has(layer, st)) return -ELOOP;
  if (lastElement) w.isDir = true;
  if (w.last && layer !== sb.upper) return d;
  if (aufs && layer.lookup(d, AUFS_OPAQUE, sb.scratch) >= 0) {
    w.stop = true;
    if (lastElement) w.opaque = true;
    return d;
  }
  const names = overlayXattrs(sb, d);
  if (typeof names === 'number') return names;
  w.hasOriginXattr = names.includes(sb.names.origin);
  w.protattr = names.includes(sb.names.protattr);
  if (w.last) return d;
  if (names.includes(sb.names.opaque)) {
    const value = layer.getxattr(d, sb.names.opaque);
    // Without the mark what it hides would show again.
    if (typeof value === 'number' && !noXattrs.has(value)) return value;
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

/** The half of lookupSingle for what is no directory: `d` ends the walk unless it is metadata alone. */
function lookupFile(sb: Super, d: Dentry, w: Walk, prefix: ByteString, st: Stat): Dentry | null | number {
  w.metacopy = 0;
  w.hasOriginXattr = false;
  w.bare = false;
  const regular = (st.mode & S_IFMT) === S_IFREG;
  if (regular || d.layer === sb.upper) {
    const names = overlayXattrs(sb, d);
    if (typeof names === 'number') return names;
    w.bare = names === bare;
    if (regular && names.includes(sb.names.whiteout) && st.size === 0) {
      w.stop = w.opaque = true;
      return null;
    }
    w.hasOriginXattr = names.includes(sb.names.origin);
    w.protattr = names.includes(sb.names.protattr);
    w.lazy = regular && d.layer === sb.upper && hasLazyMarks(sb, names);
    if (regular && !w.lazy && names.includes(sb.names.metacopy)) return lookupMetacopy(sb, d, w, prefix, names);
    const escaped = names.includes(sb.names.escapedWhiteout) ? isEscapedWhiteout(sb, d, st) : 0;
    if (escaped < 0) return escaped;
    if (escaped > 0) asWhiteoutDevice(st);
  }
  w.stop = true;
  return d;
}

function lookupMetacopy(
  sb: Super,
  d: Dentry,
  w: Walk,
  prefix: ByteString,
  names: readonly ByteString[],
): Dentry | number {
  w.metacopy = metacopySize(sb, d);
  if (w.metacopy < 0) return w.metacopy;
  if (w.metacopy === 0) w.stop = true;
  if (w.metacopy === 0 || w.last || !names.includes(sb.names.redirect)) return d;
  const bad = readRedirect(sb, d, w, prefix, '');
  return bad < 0 ? bad : d;
}

/** kernel: ovl_check_redirect. The value decides what the layers below are asked for. */
function readRedirect(sb: Super, d: Dentry, w: Walk, prefix: ByteString, post: ByteString): number {
  const value = d.layer.getxattr(d, sb.names.redirect);
  if (typeof value === 'number') return value;
  // The kernel reads it as a C string.
  const [redirect] = value.toString('latin1').split('\0', 1);
  if (value.length === 0 || !validRedirect(redirect)) {
    sb.hooks.log(`invalid redirect '${redirect}' in ${d.layer.label}`);
    return -EINVAL;
  }
  const absolute = redirect.startsWith('/');
  // A parent on the way may have been opaque; what lies elsewhere it does not hide.
  if (absolute) w.stop = false;
  w.absoluteRedirect = absolute;
  w.redirect = (absolute ? '' : prefix) + redirect + post;
  w.target = w.redirect;
  return 0;
}

/** A name without `/`, or an absolute path without empty components. */
function validRedirect(redirect: ByteString): boolean {
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
    // A redirect on the way changes what stands before, never what is still to come.
    const rest = parts.slice(i).join('/');
    const prefix = w.target.slice(0, w.target.length - rest.length);
    const post = rest.slice(parts[i].length);
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
    absoluteRedirect: false,
    metacopy: 0,
    lazy: false,
    last: !sb.config.redirectFollow && parent.lowers.length === 0,
    hasOriginXattr: false,
    protattr: false,
    bare: false,
  };
  const found: Found = {
    upper: null,
    lowers: [],
    isDir: false,
    opaque: false,
    redirect: null,
    upperMetacopy: false,
    upperLazy: false,
    metacopySize: 0,
    dataRedirect: null,
    upperHasOrigin: false,
    protection: 0,
    bare: false,
    upperIno: 0n,
    lowerIno: 0n,
    lowerNlink: 0,
    origin: null,
    index: null,
  };
  let stack = parent.lowers;
  expectLooks(sb, parent);
  if (parent.upper && mayHold(parent.upper, name)) {
    const got = lookupLayer(sb, parent.upper, w, out);
    if (typeof got === 'number') return got;
    if (got === null) parent.looksInVain++;
    found.upper = got;
    found.opaque = w.opaque;
    found.redirect = w.redirect;
    if (got) {
      found.upperHasOrigin = w.hasOriginXattr;
      found.upperIno = out.ino;
      if (w.protattr) found.protection = readProtattr(sb, got);
      found.upperMetacopy = w.metacopy > 0;
      found.upperLazy = w.lazy;
      found.bare = w.bare;
      found.metacopySize = w.metacopy;
      if (w.redirect?.startsWith('/')) stack = sb.root.lowers;
    }
  }
  const err = lookupLowers(sb, parent, stack, name, w, found, out);
  if (err < 0) return err;
  found.isDir = w.isDir;
  if (!found.upper && found.lowers.length === 0) return null;
  return found;
}

/** The lowers' half of ovl_lookup. */
function lookupLowers(
  sb: Super,
  parent: DirInode,
  from: readonly Dentry[],
  name: ByteString,
  w: Walk,
  found: Found,
  out: Stat,
): number {
  const st = found.upper ? new Stat() : out;
  const root = sb.root.lowers;
  const { lowers } = found;
  let stack = from;
  let names = namesOf(sb, parent, stack);
  let sought: ByteString | null = null;
  for (let i = 0; !w.stop && i < stack.length; i++) {
    // Before any layer is passed over: there is one below to be asked.
    if (!mayFollow(sb, w, name)) return -EPERM;
    const first = names ? firstComponent(w.target) : '';
    // No listing has these two: what a redirect makes of them is the layer's to say.
    if (names && first !== '.' && first !== '..') {
      if (sought !== w.target) names.seek(first);
      sought = w.target;
      i = names.next(i);
      if (i === stack.length) break;
    }
    const base = stack[i];
    // The lowest file may still say where in the data-only layers its data is.
    if (!sb.config.redirectFollow && sb.dataLayers.length === 0) w.last = i === stack.length - 1;
    else if (w.isDir || sb.dataLayers.length === 0) w.last = base.layer === root[root.length - 1].layer;
    const got = lookupLayer(sb, base, w, lowers.length > 0 ? sb.scratch : st);
    if (typeof got === 'number') return got;
    if (got === null) {
      if (stack === parent.lowers) parent.looksInVain++;
      continue;
    }
    if (sb.config.nfsExport && found.upper && lowers.length === 0 && w.isDir) {
      const fixed = found.upperHasOrigin ? 0 : fixOrigin(sb, parent, found.upper, got);
      if (fixed < 0) return fixed;
      found.upperHasOrigin = true;
      const same = isOrigin(sb, found.upper, got);
      if (typeof same === 'number') return same;
      if (!same) break;
    }
    if (found.upper && lowers.length === 0 && !w.isDir && isStale(sb, found.upper, got)) return -ESTALE;
    if (lowers.length === 0) {
      found.lowerIno = st.ino;
      found.lowerNlink = st.nlink;
      if (!found.upper) {
        found.metacopySize = w.metacopy;
        found.bare = w.bare;
      }
    }
    // Of files that are metadata alone the topmost counts; those between it and the data do not.
    if (w.metacopy === 0 || lowers.length === 0) lowers.push(got);
    if (w.redirect?.startsWith('/') && stack !== root) {
      stack = root;
      names = namesOf(sb, parent, root);
      sought = null;
      i = sb.lowers.indexOf(base.layer);
    }
  }
  if (w.metacopy > 0 && lowers.length > 0 && sb.dataLayers.length > 0 && w.absoluteRedirect) {
    found.dataRedirect = w.redirect;
    return 0;
  }
  if (!mayFollow(sb, w, name)) return -EPERM;
  if (w.metacopy > 0) {
    sb.hooks.log(`metacopy with no lower data found - abort lookup (${name})`);
    return -EIO;
  }
  return 0;
}

/** What a target begins with in the directory where it is looked for. */
function firstComponent(target: ByteString): ByteString {
  if (!target.startsWith('/')) return target;
  const end = target.indexOf('/', 1);
  return end < 0 ? target.slice(1) : target.slice(1, end);
}

/** kernel: ovl_check_follow_redirect. Zeros must never be shown as data, nor what another name was to hide. */
function mayFollow(sb: Super, w: Walk, name: ByteString): boolean {
  const metacopy = w.metacopy > 0 && !sb.config.metacopy;
  const redirect = w.redirect !== null && !sb.config.redirectFollow;
  if (metacopy) sb.hooks.log(`refusing to follow metacopy origin for ${name}`);
  else if (redirect) sb.hooks.log(`refusing to follow redirect '${w.redirect}' of ${name}`);
  return !metacopy && !redirect;
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

/** kernel ovl_fix_origin: an upper directory that merges and does not say with what is told so. */
function fixOrigin(sb: Super, parent: DirInode, upper: Dentry, lower: Dentry): number {
  if (sb.config.readOnly) return 0;
  const err = setOrigin(sb, upper, lower);
  return err < 0 ? err : setImpure(sb, parent);
}
