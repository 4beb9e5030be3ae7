/** A union of two lowers and an upper on disk for each test of a file, and calls on it by path. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach } from 'vitest';
import { type OpenOptions, openOverlay } from '../../src/ops/open-overlay.ts';
import { type Caller, EntryOut, OpenOut, type SetAttr } from '../../src/ops/ops.ts';
import { OverlayOps } from '../../src/ops/overlay-ops.ts';
import type { OverlayParams } from '../../src/overlay/params.ts';
import { fromText, toText } from '../../src/sys/bytes.ts';
import { O_RDONLY, S_IFDIR, S_IFLNK, S_IFREG } from '../../src/sys/constants.ts';
import { ENODATA } from '../../src/sys/errno.ts';
import { Stat } from '../../src/sys/stat.ts';
import type { Sys } from '../../src/sys/sys.ts';
import { openSys } from '../../src/sys/sys-koffi.ts';
import { isRoot } from './temp-dir.ts';

export const me: Caller = { uid: process.getuid!(), gid: process.getgid!(), pid: process.pid, umask: 0o022 };

/** Where the layers are: `l1` above `l2`, `u` and `w`. */
export class Union {
  base = '';
  readonly mounted: OverlayOps[] = [];

  at(...parts: string[]): string {
    return path.join(this.base, ...parts);
  }

  mount(sys: Sys = openSys(), params: Partial<OverlayParams> = {}, options: Partial<OpenOptions> = {}): OverlayOps {
    const opened = openOverlay(
      sys,
      {
        lowerdirs: [fromText(this.at('l1')), fromText(this.at('l2'))],
        datadirs: [],
        upperdir: fromText(this.at('u')),
        workdir: fromText(this.at('w')),
        userxattr: !isRoot,
        ...params,
      },
      {
        redirectDefault: 'on',
        userRedirect: true,
        readOnly: false,
        aufsWhiteouts: false,
        log: () => {},
        cancelled: () => false,
        random: randomBytes,
        ...options,
      },
    );
    if (!(opened instanceof OverlayOps)) throw new Error(`${opened.errno}: ${opened.message}`);
    this.mounted.push(opened);
    return opened;
  }

  /** Fresh, empty layers. */
  create(): void {
    this.base = mkdtempSync(path.join(tmpdir(), 'stratafs-union-'));
    for (const dir of ['l1', 'l2', 'u', 'w']) mkdirSync(this.at(dir));
  }

  unmount(): void {
    for (const ops of this.mounted.splice(0)) ops.destroy();
  }

  remove(): void {
    this.unmount();
    rmSync(this.base, { recursive: true, force: true });
  }
}

export function useUnion(): Union {
  const union = new Union();
  beforeEach(() => union.create());
  afterEach(() => union.remove());
  return union;
}

/** The nodeid of `where`, with a reference for each of its components; or a negative errno. */
export function walk(ops: OverlayOps, where: string): number {
  let nodeid = 1;
  for (const part of where.split('/').filter((p) => p !== '')) {
    const out = new EntryOut(new Stat());
    const err = ops.lookup(me, nodeid, fromText(part), out);
    if (err < 0) return err;
    nodeid = out.nodeid;
  }
  return nodeid;
}

export function stat(ops: OverlayOps, where: string): Stat {
  const st = new Stat();
  const nodeid = walk(ops, where);
  const err = nodeid < 0 ? nodeid : ops.getattr(me, nodeid, 0, st);
  if (err < 0) throw new Error(`stat ${where}: ${err}`);
  return st;
}

/** A setattr that asks for nothing. */
export const nothing: SetAttr = {
  valid: 0,
  mode: 0,
  uid: 0,
  gid: 0,
  size: 0,
  atime: 0,
  atimeNsec: 0,
  mtime: 0,
  mtimeNsec: 0,
  fh: 0,
};

export function setattr(ops: OverlayOps, where: string, set: Partial<SetAttr>): number {
  return ops.setattr(me, walk(ops, where), { ...nothing, ...set }, new Stat());
}

/** Opens and closes. */
export function touch(ops: OverlayOps, where: string, flags: number, killPriv = false): number {
  const open = new OpenOut();
  const err = ops.open(me, walk(ops, where), flags, killPriv, open);
  if (err >= 0) ops.release(open.fh);
  return err;
}

/** The names in a directory, `.` and `..` apart. */
export function list(ops: OverlayOps, where: string): string[] {
  const dir = new OpenOut();
  const err = ops.opendir(me, walk(ops, where), dir);
  if (err < 0) throw new Error(`opendir ${where}: ${err}`);
  const names: string[] = [];
  const listed = ops.readdir(me, dir.fh, 0, false, { fits: () => true, add: (name) => names.push(name) });
  if (listed < 0) throw new Error(`readdir ${where}: ${listed}`);
  ops.releasedir(dir.fh);
  return names.filter((name) => name !== '.' && name !== '..');
}

/** Everything that is seen from the root down, a line for each object; every reference is given back. */
export function view(ops: OverlayOps): string[] {
  const lines: string[] = [];
  const visit = (nodeid: number, where: string): void => {
    const dir = new OpenOut();
    const err = ops.opendir(me, nodeid, dir);
    if (err < 0) throw new Error(`opendir ${where}: ${err}`);
    const names: string[] = [];
    const listed = ops.readdir(me, dir.fh, 0, false, {
      fits: () => true,
      add: (name) => names.push(name),
    });
    if (listed < 0) throw new Error(`readdir ${where}: ${listed}`);
    ops.releasedir(dir.fh);
    for (const name of names.filter((n) => n !== '.' && n !== '..').sort()) {
      const out = new EntryOut(new Stat());
      const found = ops.lookup(me, nodeid, name, out);
      const child = `${where}/${toText(name)}`;
      if (found < 0) throw new Error(`lookup ${child}: ${found}`);
      const st = out.attr;
      if (st.ino === 0n) throw new Error(`${child} has no inode number`);
      lines.push(`${child} ${st.mode.toString(8)} ${st.uid} ${st.type === S_IFDIR ? '' : st.size} ${more(ops, out)}`);
      if (st.type === S_IFDIR) visit(out.nodeid, child);
      ops.forget(out.nodeid, 1);
    }
  };
  visit(1, '');
  return lines;
}

/** Content, target, and the one attribute that tests set. */
function more(ops: OverlayOps, { nodeid, attr }: EntryOut): string {
  if (attr.type === S_IFLNK) return String(ops.readlink(me, nodeid));
  const value = ops.getxattr(me, nodeid, 'user.test');
  if (typeof value === 'number' && value !== -ENODATA && attr.type === S_IFREG) throw new Error(`getxattr: ${value}`);
  const xattr = typeof value === 'number' ? '' : `[${value}]`;
  if (attr.type !== S_IFREG) return xattr;
  const open = new OpenOut();
  const err = ops.open(me, nodeid, O_RDONLY, false, open);
  if (err < 0) throw new Error(`open: ${err}`);
  const buf = Buffer.alloc(4096);
  const length = ops.read(me, open.fh, buf, 0, buf.length, 0);
  ops.release(open.fh);
  return buf.toString('latin1', 0, length) + xattr;
}
