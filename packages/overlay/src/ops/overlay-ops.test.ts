import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fromText, toText } from '../sys/bytes.ts';
import { AT_FDCWD, O_RDWR, O_TRUNC, O_WRONLY, RENAME_EXCHANGE, RENAME_NOREPLACE } from '../sys/constants.ts';
import { EEXIST, ENOENT, ENOTEMPTY, EROFS, EXDEV } from '../sys/errno.ts';
import { Stat } from '../sys/stat.ts';
import { openSys } from '../sys/sys-koffi.ts';
import { openOverlay } from './open-overlay.ts';
import { type Caller, EntryOut, OpenOut } from './ops.ts';
import { OverlayOps } from './overlay-ops.ts';

const root = process.getuid?.() === 0;
const me: Caller = { uid: process.getuid!(), gid: process.getgid!(), pid: process.pid, umask: 0o022 };

let base: string;
let ops: OverlayOps | null = null;

beforeEach(() => {
  base = fs.mkdtempSync(path.join(os.tmpdir(), 'strata-ops-'));
  for (const dir of ['l1', 'l2', 'u', 'w']) fs.mkdirSync(path.join(base, dir));
});

afterEach(() => {
  ops?.destroy();
  ops = null;
  execFileSync('chmod', ['-R', 'u+rwX', base]);
  fs.rmSync(base, { recursive: true, force: true });
});

const at = (...parts: string[]): string => path.join(base, ...parts);

function mount(
  opts: { readOnly?: boolean; redirect?: 'on' | 'off' | 'nofollow'; fsync?: 'volatile' } = {},
): OverlayOps {
  const opened = openOverlay(
    openSys(),
    {
      lowerdirs: [fromText(at('l1')), fromText(at('l2'))],
      datadirs: [],
      ...(opts.readOnly ? {} : { upperdir: fromText(at('u')), workdir: fromText(at('w')) }),
      userxattr: !root,
      ...(opts.fsync ? { fsync: opts.fsync } : {}),
    },
    {
      redirectDefault: opts.redirect ?? 'on',
      readOnly: opts.readOnly ?? false,
      aufsWhiteouts: false,
      log: () => {},
      cancelled: () => false,
      random: randomBytes,
    },
  );
  if (!(opened instanceof OverlayOps)) throw new Error(`${opened.errno}: ${opened.message}`);
  ops = opened;
  return opened;
}

/** Walks a path by lookups, keeping the references as a kernel would. */
function walk(o: OverlayOps, where: string): number {
  let nodeid = 1;
  for (const part of where.split('/').filter((p) => p !== '')) {
    const out = new EntryOut(new Stat());
    const err = o.lookup(me, nodeid, fromText(part), out);
    if (err < 0) return err;
    nodeid = out.nodeid;
  }
  return nodeid;
}

function must(value: number): number {
  expect(value).toBeGreaterThanOrEqual(0);
  return value;
}

function names(o: OverlayOps, where: string, plus = false): string[] {
  const dir = new OpenOut();
  must(o.opendir(me, must(walk(o, where)), dir));
  const got: string[] = [];
  const nodes: number[] = [];
  must(
    o.readdir(me, dir.fh, 0, plus, {
      fits: () => true,
      add: (name, _ino, _type, _off, entry) => {
        got.push(toText(name));
        if (entry) nodes.push(entry.nodeid);
      },
    }),
  );
  o.releasedir(dir.fh);
  for (const nodeid of nodes) o.forget(nodeid, 1);
  return got.filter((n) => n !== '.' && n !== '..').sort();
}

function read(o: OverlayOps, where: string): string {
  const open = new OpenOut();
  must(o.open(me, must(walk(o, where)), 0, false, open));
  const buf = Buffer.alloc(4096);
  const n = must(o.read(me, open.fh, buf, 0, buf.length, 0));
  o.release(open.fh);
  return buf.toString('utf8', 0, n);
}

function write(o: OverlayOps, where: string, text: string, flags: number = O_WRONLY, pos = 0): void {
  const open = new OpenOut();
  must(o.open(me, must(walk(o, where)), flags, false, open));
  expect(o.write(me, open.fh, Buffer.from(text), 0, text.length, pos, false)).toBe(text.length);
  o.release(open.fh);
}

function create(o: OverlayOps, dir: string, name: string, text = ''): void {
  const out = new EntryOut(new Stat());
  const open = new OpenOut();
  must(o.create(me, must(walk(o, dir)), fromText(name), O_RDWR, 0o644, out, open));
  if (text) expect(o.write(me, open.fh, Buffer.from(text), 0, text.length, 0, false)).toBe(text.length);
  o.release(open.fh);
}

const mk = (o: OverlayOps, dir: string, name: string): number =>
  o.mkdir(me, must(walk(o, dir)), fromText(name), 0o755, new EntryOut(new Stat()));
const prefix = root ? 'trusted' : 'user';
const xattr = (file: string, name: string): string => {
  const value = Buffer.alloc(256);
  const length = openSys().getxattrat(AT_FDCWD, fromText(file), `${prefix}.overlay.${name}`, value);
  expect(length).toBeGreaterThanOrEqual(0);
  return value.toString('latin1', 0, length);
};

describe('a union of two lowers and an upper', () => {
  beforeEach(() => {
    fs.writeFileSync(at('l1', 'both'), 'top');
    fs.writeFileSync(at('l2', 'both'), 'bottom');
    fs.writeFileSync(at('l2', 'file'), 'lower');
    fs.mkdirSync(at('l1', 'dir/sub'), { recursive: true });
    fs.mkdirSync(at('l2', 'dir'));
    fs.writeFileSync(at('l1', 'dir', 'a'), 'a');
    fs.writeFileSync(at('l2', 'dir', 'b'), 'b');
  });

  it('shows the topmost of each name and merges directories', () => {
    const o = mount();
    expect(read(o, 'both')).toBe('top');
    expect(read(o, 'file')).toBe('lower');
    expect(names(o, '/')).toEqual(['both', 'dir', 'file']);
    expect(names(o, 'dir')).toEqual(['a', 'b', 'sub']);
    expect(walk(o, 'dir/none')).toBe(-ENOENT);
  });

  it('copies up on the first write and leaves the lower alone', () => {
    fs.utimesSync(at('l2', 'file'), 1000, 2000);
    const o = mount();
    write(o, 'file', '+', O_WRONLY, 5);
    expect(read(o, 'file')).toBe('lower+');
    expect(fs.readFileSync(at('l2', 'file'), 'utf8')).toBe('lower');
    expect(fs.statSync(at('l2', 'file')).mtimeMs).toBe(2_000_000);
    expect(fs.readFileSync(at('u', 'file'), 'utf8')).toBe('lower+');
  });

  it('an old reader sees what was written after copy-up', () => {
    const o = mount();
    const open = new OpenOut();
    must(o.open(me, must(walk(o, 'file')), 0, false, open));
    write(o, 'file', 'LOWER');
    const buf = Buffer.alloc(16);
    expect(o.read(me, open.fh, buf, 0, 16, 0)).toBe(5);
    expect(buf.toString('utf8', 0, 5)).toBe('LOWER');
    o.release(open.fh);
  });

  it('O_TRUNC copies no data up', () => {
    const o = mount();
    write(o, 'file', 'x', O_WRONLY | O_TRUNC);
    expect(fs.readFileSync(at('u', 'file'), 'utf8')).toBe('x');
  });

  it('unlink leaves a whiteout where a lower has the name, and nothing where none has', () => {
    const o = mount();
    create(o, '/', 'new', 'n');
    must(o.unlink(me, 1, 'new'));
    must(o.unlink(me, 1, 'file'));
    expect(walk(o, 'file')).toBe(-ENOENT);
    expect(names(o, '/')).toEqual(['both', 'dir']);
    const st = fs.lstatSync(at('u', 'file'));
    expect([st.isCharacterDevice(), st.rdev]).toEqual([true, 0]);
    expect(fs.existsSync(at('u', 'new'))).toBe(false);
    create(o, '/', 'file', 'again');
    expect(read(o, 'file')).toBe('again');
    expect(fs.readFileSync(at('u', 'file'), 'utf8')).toBe('again');
  });

  it('a directory made over a whiteout is opaque', () => {
    const o = mount();
    expect(o.rmdir(me, 1, 'dir')).toBe(-ENOTEMPTY);
    const dir = must(walk(o, 'dir'));
    for (const name of ['a', 'b']) must(o.unlink(me, dir, name));
    must(o.rmdir(me, dir, 'sub'));
    must(o.rmdir(me, 1, 'dir'));
    expect(fs.lstatSync(at('u', 'dir')).isCharacterDevice()).toBe(true);
    must(mk(o, '/', 'dir'));
    expect(names(o, 'dir')).toEqual([]);
    expect(xattr(at('u', 'dir'), 'opaque')).toBe('y');
    ops!.destroy();
    expect(names(mount(), 'dir')).toEqual([]);
  });

  it('a lower directory renamed twice is found after a remount, with its inode number', (context) => {
    if (!root) context.skip('needs root');
    let o = mount();
    const out = new EntryOut(new Stat());
    must(o.lookup(me, 1, 'dir', out));
    const ino = out.attr.ino;
    must(mk(o, '/', 'to'));
    must(o.rename(me, 1, 'dir', 1, 'dir2', 0));
    expect(xattr(at('u', 'dir2'), 'redirect')).toBe('dir');
    must(o.rename(me, 1, 'dir2', must(walk(o, 'to')), 'dir3', 0));
    expect(xattr(at('u', 'to', 'dir3'), 'redirect')).toBe('/dir');
    expect(names(o, 'to/dir3')).toEqual(['a', 'b', 'sub']);
    o.destroy();
    o = mount();
    expect(names(o, 'to/dir3')).toEqual(['a', 'b', 'sub']);
    expect(read(o, 'to/dir3/b')).toBe('b');
    must(o.lookup(me, must(walk(o, 'to')), 'dir3', out));
    expect(out.attr.ino).toBe(ino);
    expect(walk(o, 'dir')).toBe(-ENOENT);
  });

  it('without redirects a lower directory cannot be renamed', () => {
    const o = mount({ redirect: 'off' });
    expect(o.rename(me, 1, 'dir', 1, 'dir2', 0)).toBe(-EXDEV);
  });

  it('rename of a lower file leaves a whiteout; NOREPLACE and EXCHANGE do as they say', () => {
    const o = mount();
    expect(o.rename(me, 1, 'file', 1, 'both', RENAME_NOREPLACE)).toBe(-EEXIST);
    must(o.rename(me, 1, 'file', 1, 'both', RENAME_EXCHANGE));
    expect([read(o, 'file'), read(o, 'both')]).toEqual(['top', 'lower']);
    must(o.rename(me, 1, 'file', 1, 'moved', 0));
    expect(walk(o, 'file')).toBe(-ENOENT);
    expect(fs.lstatSync(at('u', 'file')).isCharacterDevice()).toBe(true);
    expect(read(o, 'moved')).toBe('top');
  });

  it('an unlinked open file keeps its data and attributes', () => {
    const o = mount();
    create(o, '/', 'gone', 'still');
    const nodeid = must(walk(o, 'gone'));
    const open = new OpenOut();
    must(o.open(me, nodeid, O_RDWR, false, open));
    must(o.unlink(me, 1, 'gone'));
    const st = new Stat();
    must(o.getattr(me, nodeid, 0, st));
    expect([st.nlink, st.size]).toEqual([0, 5]);
    const buf = Buffer.alloc(8);
    expect(o.read(me, open.fh, buf, 0, 8, 0)).toBe(5);
    o.release(open.fh);
  });

  it('an unlinked lower file that is in use has no links, and is written without a name', () => {
    const o = mount();
    const nodeid = must(walk(o, 'file'));
    const reader = new OpenOut();
    must(o.open(me, nodeid, 0, false, reader));
    must(o.unlink(me, 1, 'file'));
    const st = new Stat();
    must(o.getattr(me, nodeid, 0, st));
    expect(st.nlink).toBe(0);
    const writer = new OpenOut();
    must(o.open(me, nodeid, O_RDWR, false, writer));
    expect(o.write(me, writer.fh, Buffer.from('L'), 0, 1, 0, false)).toBe(1);
    const buf = Buffer.alloc(8);
    expect(o.read(me, reader.fh, buf, 0, 8, 0)).toBe(5);
    expect(buf.toString('utf8', 0, 5)).toBe('Lower');
    o.release(reader.fh);
    o.release(writer.fh);
    expect(fs.readFileSync(at('l2', 'file'), 'utf8')).toBe('lower');
    expect(fs.lstatSync(at('u', 'file')).isCharacterDevice()).toBe(true);
  });

  it('hard links of an upper file are one inode by every name, whichever goes first', () => {
    const o = mount();
    create(o, '/', 'one', '1');
    const nodeid = must(walk(o, 'one'));
    must(o.link(me, nodeid, must(walk(o, 'dir')), 'two', new EntryOut(new Stat())));
    expect(must(walk(o, 'dir/two'))).toBe(nodeid);
    must(o.unlink(me, 1, 'one'));
    write(o, 'dir/two', '2');
    const st = new Stat();
    must(o.getattr(me, nodeid, 0, st));
    expect(st.nlink).toBe(1);
    expect(fs.readFileSync(at('u', 'dir', 'two'), 'utf8')).toBe('2');
  });

  it('read-only without an upper', () => {
    const o = mount({ readOnly: true });
    expect(read(o, 'both')).toBe('top');
    expect(mk(o, '/', 'x')).toBe(-EROFS);
    expect(o.unlink(me, 1, 'file')).toBe(-EROFS);
  });

  it('forgets what it is told to forget', () => {
    const o = mount();
    for (let i = 0; i < 50; i++) create(o, '/', `f${i}`);
    names(o, '/', true);
    const ids: number[] = [];
    for (let i = 0; i < 50; i++) ids.push(must(walk(o, `f${i}`)));
    expect(o.nodes.size).toBe(51);
    // create, and the walk above: two references each.
    for (const id of ids) o.forget(id, 2);
    expect(o.nodes.size).toBe(1);
  });

  it('a volatile mount that was not ended refuses the next', () => {
    mount({ fsync: 'volatile' }).destroy();
    ops = null;
    expect(() => mount()).toThrow(/volatile/);
  });
});
