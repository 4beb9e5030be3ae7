/**
 * Trees as data: what a layer (or a plain directory) holds before a case runs, and how it is put
 * on disk. Whiteouts, opaque and redirected directories are written as the kernel's overlay
 * writes them; the xattr prefix (trusted or user) is the target's.
 *
 * Everything is dated 2001 unless a case says otherwise, so that a copied-up object that lost its
 * times shows, and so that "now" is always later.
 */
import type { ByteString } from 'stratafs/internal/sys/bytes';
import { toBuffer } from 'stratafs/internal/sys/bytes';
import * as c from 'stratafs/internal/sys/constants';
import type { Sys } from 'stratafs/internal/sys/sys';
import { check } from './expect.ts';

/** 2001-02-03 04:05:06.123456789 UTC. */
export const OLD: readonly [number, number] = [981173106, 123456789];

export interface Attrs {
  mode?: number;
  uid?: number;
  gid?: number;
  atime?: readonly [number, number];
  mtime?: readonly [number, number];
  xattrs?: Readonly<Record<ByteString, string | Uint8Array>>;
  /** chattr(1) flags beside what the filesystem gives, FS_*_FL; of files and directories. */
  flags?: number;
}

export interface FileNode extends Attrs {
  type: 'file';
  size: number;
  /** What is written, at which offset; the rest are holes. */
  extents: readonly (readonly [off: number, data: string | Uint8Array])[];
  /** The file is metadata alone: the mark's value. */
  metacopy?: string | Uint8Array;
  /** Where its data is, as it is stored; `~` at the beginning stands for the case's directory. */
  redirect?: ByteString;
}

export interface DirNode extends Attrs {
  type: 'dir';
  entries: Tree;
  opaque?: boolean;
  /** A redirect, as it is stored. */
  redirect?: ByteString;
}

export interface SymlinkNode extends Attrs {
  type: 'symlink';
  target: ByteString;
}

export interface SpecialNode extends Attrs {
  type: 'special';
  /** S_IFIFO, S_IFSOCK, S_IFCHR or S_IFBLK. */
  kind: number;
  rdev: number;
}

/** A further name of `to`, a path from the directory that holds it, made after everything else there. */
export interface HardlinkNode {
  type: 'hardlink';
  to: ByteString;
}

export interface WhiteoutNode {
  type: 'whiteout';
}

export type Node = FileNode | DirNode | SymlinkNode | SpecialNode | HardlinkNode | WhiteoutNode;
export type Tree = Readonly<Record<ByteString, Node>>;

export function file(data: string | Uint8Array = '', attrs: Attrs = {}): FileNode {
  return { type: 'file', size: data.length, extents: data.length > 0 ? [[0, data]] : [], ...attrs };
}

export function sparse(size: number, extents: FileNode['extents'], attrs: Attrs = {}): FileNode {
  return { type: 'file', size, extents, ...attrs };
}

/** A file of metadata alone, as the kernel leaves it. */
export function metacopy(size: number, redirect?: ByteString, attrs: Attrs = {}): FileNode {
  return { ...sparse(size, [], attrs), metacopy: '', ...(redirect !== undefined && { redirect }) };
}

export function dir(entries: Tree = {}, attrs: Attrs & { redirect?: ByteString } = {}): DirNode {
  return { type: 'dir', entries, ...attrs };
}

export function opaque(entries: Tree = {}, attrs: Attrs = {}): DirNode {
  return { type: 'dir', entries, opaque: true, ...attrs };
}

export function symlink(target: ByteString, attrs: Attrs = {}): SymlinkNode {
  return { type: 'symlink', target, ...attrs };
}

export function fifo(attrs: Attrs = {}): SpecialNode {
  return { type: 'special', kind: c.S_IFIFO, rdev: 0, ...attrs };
}

export function socket(attrs: Attrs = {}): SpecialNode {
  return { type: 'special', kind: c.S_IFSOCK, rdev: 0, ...attrs };
}

export function chr(rdev: number, attrs: Attrs = {}): SpecialNode {
  return { type: 'special', kind: c.S_IFCHR, rdev, ...attrs };
}

export function hardlink(to: ByteString): HardlinkNode {
  return { type: 'hardlink', to };
}

export const whiteout: WhiteoutNode = { type: 'whiteout' };

export function bytes(data: string | Uint8Array): Uint8Array {
  return typeof data === 'string' ? toBuffer(data) : data;
}

/** Puts `tree` into the directory `dirfd`; `prefix` is `trusted.overlay.` or `user.overlay.`. */
export function plant(sys: Sys, dirfd: number, tree: Tree, prefix: ByteString): void {
  const links: [to: ByteString, name: ByteString][] = [];
  for (const [name, node] of Object.entries(tree)) {
    switch (node.type) {
      case 'hardlink':
        links.push([node.to, name]);
        break;
      case 'whiteout':
        check(sys.mknodat(dirfd, name, c.S_IFCHR, 0), `whiteout ${name}`);
        break;
      case 'symlink':
        check(sys.symlinkat(node.target, dirfd, name), `symlink ${name}`);
        dress(sys, dirfd, name, node, null);
        break;
      case 'special':
        check(sys.mknodat(dirfd, name, node.kind | 0o600, node.rdev), `mknod ${name}`);
        dress(sys, dirfd, name, node, 0o644);
        break;
      case 'file':
        plantFile(sys, dirfd, name, node);
        dress(sys, dirfd, name, { ...node, xattrs: { ...node.xattrs, ...marksOf(node, prefix) } }, 0o644);
        break;
      case 'dir':
        plantDir(sys, dirfd, name, node, prefix);
    }
  }
  for (const [to, name] of links) {
    check(sys.linkat(dirfd, to, dirfd, name, 0), `link ${to} ${name}`);
  }
}

/** Whether these trees need rights of root to be made. */
export function needsRoot(tree: Tree): boolean {
  return Object.values(tree).some((node) => {
    if (node.type === 'hardlink' || node.type === 'whiteout') {
      return false;
    }
    if (node.uid !== undefined || node.gid !== undefined || node.flags !== undefined) {
      return true;
    }
    if (Object.keys(node.xattrs ?? {}).some((name) => !name.startsWith('user.'))) {
      return true;
    }
    return node.type === 'dir' ? needsRoot(node.entries) : node.type === 'special' && node.rdev !== 0;
  });
}

function plantFile(sys: Sys, dirfd: number, name: ByteString, node: FileNode): void {
  const fd = check(sys.openat(dirfd, name, c.O_CREAT | c.O_EXCL | c.O_WRONLY, 0o600), `create ${name}`);
  check(sys.ftruncate(fd, node.size), 'ftruncate');
  for (const [off, data] of node.extents) {
    check(sys.pwrite(fd, bytes(data), 0, data.length, off), 'pwrite');
  }
  sys.close(fd);
}

function plantDir(sys: Sys, dirfd: number, name: ByteString, node: DirNode, prefix: ByteString): void {
  check(sys.mkdirat(dirfd, name, 0o700), `mkdir ${name}`);
  const fd = check(sys.openat(dirfd, name, c.O_RDONLY | c.O_DIRECTORY, 0), `open ${name}`);
  plant(sys, fd, node.entries, prefix);
  sys.close(fd);
  dress(sys, dirfd, name, { ...node, xattrs: { ...node.xattrs, ...marksOf(node, prefix) } }, 0o755);
}

function marksOf(node: FileNode | DirNode, prefix: ByteString): Record<ByteString, string | Uint8Array> {
  const marks: Record<ByteString, string | Uint8Array> = {};
  if (node.type === 'dir' && node.opaque) {
    marks[`${prefix}opaque`] = 'y';
  }
  if (node.type === 'file' && node.metacopy !== undefined) {
    marks[`${prefix}metacopy`] = node.metacopy;
  }
  if (node.redirect !== undefined) {
    marks[`${prefix}redirect`] = node.redirect;
  }
  return marks;
}

/** `tree` with `~` at the beginning of redirects spelled out as `at`. */
export function placed(tree: Tree, at: ByteString): Tree {
  const one = (node: Node): Node => {
    if (node.type !== 'file' && node.type !== 'dir') {
      return node;
    }
    const to = node.redirect?.startsWith('~') ? { redirect: at + node.redirect.slice(1) } : {};
    return node.type === 'dir' ? { ...node, ...to, entries: placed(node.entries, at) } : { ...node, ...to };
  };
  return Object.fromEntries(Object.entries(tree).map(([name, node]) => [name, one(node)]));
}

function dress(sys: Sys, dirfd: number, name: ByteString, attrs: Attrs, mode: number | null): void {
  if (attrs.uid !== undefined || attrs.gid !== undefined) {
    check(sys.fchownat(dirfd, name, attrs.uid ?? -1, attrs.gid ?? -1, c.AT_SYMLINK_NOFOLLOW), `chown ${name}`);
  }
  for (const [xattr, value] of Object.entries(attrs.xattrs ?? {})) {
    check(sys.setxattrat(dirfd, name, xattr, bytes(value), 0), `setxattr ${name} ${xattr}`);
  }
  // After the xattrs: an ordinary user sets none on what may not be written.
  if (mode !== null) {
    check(sys.fchmodat(dirfd, name, attrs.mode ?? mode, 0), `chmod ${name}`);
  }
  const [as, an] = attrs.atime ?? attrs.mtime ?? OLD;
  const [ms, mn] = attrs.mtime ?? OLD;
  check(sys.utimensat(dirfd, name, as, an, ms, mn, c.AT_SYMLINK_NOFOLLOW), `utimens ${name}`);
  if (attrs.flags !== undefined) {
    setFlags(sys, dirfd, name, attrs.flags);
  }
}

function setFlags(sys: Sys, dirfd: number, name: ByteString, flags: number): void {
  const fd = check(sys.openat(dirfd, name, c.O_RDONLY | c.O_NOATIME, 0), `open ${name}`);
  const word = Buffer.alloc(8);
  check(sys.ioctl(fd, c.FS_IOC_GETFLAGS, word), `flags of ${name}`);
  word.writeUInt32LE(word.readUInt32LE(0) | flags, 0);
  check(sys.ioctl(fd, c.FS_IOC_SETFLAGS, word), `flags of ${name}`);
  sys.close(fd);
}
