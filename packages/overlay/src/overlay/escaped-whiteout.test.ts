import fs from 'node:fs';
import { beforeEach, describe, expect, it } from 'vitest';
import { NEEDS_UPPER, upperBase } from '../../test/support/privilege.ts';
import { isRoot } from '../../test/support/temp-dir.ts';
import { me, setattr, stat, touch, useUnion, walk } from '../../test/support/union.ts';
import { changeSet } from '../diff/change-set.ts';
import { explain } from '../diff/explain.ts';
import { EntryOut, OpenOut } from '../ops/ops.ts';
import type { OverlayOps } from '../ops/overlay-ops.ts';
import { fromText } from '../sys/bytes.ts';
import {
  AT_FDCWD,
  DT_CHR,
  O_RDONLY,
  RENAME_EXCHANGE,
  RENAME_NOREPLACE,
  RENAME_WHITEOUT,
  S_IFCHR,
  S_IFREG,
} from '../sys/constants.ts';
import { EEXIST, EINVAL, EIO, ENAMETOOLONG, ENODATA, ENOENT, ENOTEMPTY, ENXIO } from '../sys/errno.ts';
import { Stat } from '../sys/stat.ts';
import type { Sys } from '../sys/sys.ts';
import { type FaultPlan, faultSys } from '../sys/sys-fault.ts';
import { openSys } from '../sys/sys-koffi.ts';
import { ATTR_MODE, ATTR_SIZE } from './setattr.ts';

const union = useUnion();
const sys = openSys();
const prefix = isRoot ? 'trusted.overlay.' : 'user.overlay.';

beforeEach((context) => {
  if (upperBase === null) context.skip(NEEDS_UPPER);
});

function put(file: string, content = ''): void {
  fs.mkdirSync(union.at(file, '..'), { recursive: true });
  fs.writeFileSync(union.at(file), content);
}

function kept(file: string, name: string): string | null {
  const value = Buffer.alloc(64);
  const length = sys.getxattrat(AT_FDCWD, fromText(union.at(file)), prefix + name, value);
  return length < 0 ? null : value.toString('latin1', 0, length);
}

function mark(file: string, name: string, value: string): void {
  expect(sys.setxattrat(AT_FDCWD, fromText(union.at(file)), prefix + name, Buffer.from(value), 0)).toBe(0);
}

function mknod(ops: OverlayOps, dir: string, name: string, mode = 0): EntryOut {
  const out = new EntryOut(new Stat());
  expect(ops.mknod({ ...me, umask: 0 }, walk(ops, dir), fromText(name), S_IFCHR | mode, 0, out)).toBe(0);
  return out;
}

function rename(ops: OverlayOps, from: [string, string], to: [string, string], flags: number): number {
  return ops.rename(me, walk(ops, from[0]), fromText(from[1]), walk(ops, to[0]), fromText(to[1]), flags);
}

/** `name` or `name|` for a device, sorted. */
function listing(ops: OverlayOps, where: string): string[] {
  const dir = new OpenOut();
  expect(ops.opendir(me, walk(ops, where), dir)).toBe(0);
  const names: string[] = [];
  const add = (name: string, _ino: bigint, type: number) => names.push(type === DT_CHR ? `${name}|` : name);
  expect(ops.readdir(me, dir.fh, 0, false, { fits: () => true, add })).toBe(0);
  ops.releasedir(dir.fh);
  return names.filter((name) => name !== '.' && name !== '..').sort();
}

function expectDevice(ops: OverlayOps, where: string): void {
  const st = stat(ops, where);
  expect([st.type, st.rdev, st.size, st.blocks]).toEqual([S_IFCHR, 0, 0, 0]);
}

describe('a 0:0 device made through the union', () => {
  it('is a device there, and a marked empty file in the upper, never a whiteout of ours', () => {
    put('l1/d/f', 'content');
    let ops = union.mount();
    const made = mknod(ops, 'd', 'w', 0o640).attr;
    expect([made.type, made.rdev, made.mode & 0o7777, made.uid]).toEqual([S_IFCHR, 0, 0o640, me.uid]);
    for (const remount of [false, true]) {
      if (remount) {
        union.unmount();
        ops = union.mount();
      }
      expectDevice(ops, 'd/w');
      expect(listing(ops, 'd')).toEqual(['f', 'w|']);
      expect(ops.unlink(me, walk(ops, 'd'), 'f')).toBe(0);
      expect(ops.symlink(me, walk(ops, 'd'), 'f', 'back', new EntryOut(new Stat()))).toBe(0);
    }
    const st = fs.lstatSync(union.at('u/d/w'));
    expect([st.isFile(), st.size]).toEqual([true, 0]);
    expect([kept('u/d/w', 'overlay.whiteout'), kept('u/d', 'overlay.opaque')]).toEqual(['c0:0', 'x']);
    expect(kept('u/d/w', 'whiteout')).toBeNull();
  });

  it('hides what a lower has under its name, and leaves a whiteout of ours when it goes', () => {
    put('l1/f', 'content');
    const ops = union.mount();
    expect(ops.unlink(me, 1, 'f')).toBe(0);
    mknod(ops, '', 'f');
    expect(listing(ops, '')).toEqual(['f|']);
    expect(ops.unlink(me, 1, 'f')).toBe(0);
    expect(walk(ops, 'f')).toBe(-ENOENT);
    expect(fs.lstatSync(union.at('u/f')).isCharacterDevice()).toBe(true);
  });

  it('keeps its directory from being removed', () => {
    put('l1/d/f', 'content');
    const ops = union.mount();
    expect(ops.unlink(me, walk(ops, 'd'), 'f')).toBe(0);
    mknod(ops, 'd', 'f');
    expect(ops.rmdir(me, 1, 'd')).toBe(-ENOTEMPTY);
  });

  it('is linked, renamed, exchanged, changed: each directory that gets one lists it', () => {
    for (const dir of ['a', 'b', 'c', 'e']) put(`l1/${dir}/f`, dir);
    let ops = union.mount();
    const nodeid = mknod(ops, 'a', 'w').nodeid;
    expect(ops.link(me, nodeid, walk(ops, 'b'), 'w2', new EntryOut(new Stat()))).toBe(0);
    expect(stat(ops, 'b/w2').nlink).toBe(2);
    expect(rename(ops, ['a', 'w'], ['c', 'w'], 0)).toBe(0);
    expect(rename(ops, ['c', 'w'], ['e', 'f'], RENAME_EXCHANGE)).toBe(0);
    expect(setattr(ops, 'e/f', { valid: ATTR_MODE, mode: 0o600 })).toBe(0);
    expect(setattr(ops, 'e/f', { valid: ATTR_SIZE, size: 5 })).toBe(-EINVAL);
    expect(touch(ops, 'e/f', O_RDONLY)).toBe(-ENXIO);
    for (const remount of [false, true]) {
      if (remount) {
        union.unmount();
        ops = union.mount();
      }
      expect([listing(ops, 'a'), listing(ops, 'b')]).toEqual([['f'], ['f', 'w2|']]);
      expect([listing(ops, 'c'), listing(ops, 'e')]).toEqual([['f', 'w'], ['f|']]);
      expectDevice(ops, 'e/f');
      expect(stat(ops, 'b/w2').nlink).toBe(2);
      expect(stat(ops, 'b/w2').mode & 0o7777).toBe(0o600);
    }
  });

  it('is shown and copied up from a lower, below a directory that does not say so', () => {
    put('l2/d/w');
    mark('l2/d', 'overlay.opaque', 'x');
    mark('l2/d/w', 'overlay.whiteout', 'c0:0');
    put('l1/d/f', 'content');
    let ops = union.mount(sys, isRoot ? { metacopy: true, index: true } : {});
    expect(listing(ops, 'd')).toEqual(['f', 'w|']);
    expect(setattr(ops, 'd/w', { valid: ATTR_MODE, mode: 0o600 })).toBe(0);
    union.unmount();
    ops = union.mount();
    expectDevice(ops, 'd/w');
    expect(listing(ops, 'd')).toEqual(['f', 'w|']);
    expect(kept('u/d', 'overlay.opaque')).toBe('x');
    expect(kept('u/d/w', 'metacopy')).toBeNull();
  });

  it('has none of the attribute that makes it one', () => {
    const ops = union.mount();
    const { nodeid } = mknod(ops, '', 'w', 0o600);
    expect(ops.listxattr({ ...me, uid: 0 }, nodeid)).toEqual([]);
    expect(ops.getxattr(me, nodeid, `${prefix}whiteout`)).toBe(-ENODATA);
    expect(ops.removexattr(me, nodeid, `${prefix}whiteout`)).toBe(-ENODATA);
    expect(ops.setxattr(me, nodeid, `${prefix}whiteout`, Buffer.from('y'), 0, false)).toBeLessThan(0);
    expectDevice(ops, 'w');
  });

  it('stays listed when its directory is made opaque by an overlay on top, and when that is taken back', () => {
    let ops = union.mount();
    mknod(ops, '', 'w');
    expect(ops.setxattr(me, 1, `${prefix}opaque`, Buffer.from('y'), 0, false)).toBe(0);
    expect(ops.getxattr(me, 1, `${prefix}opaque`)).toEqual(Buffer.from('y'));
    mknod(ops, '', 'v');
    expect(listing(ops, '')).toEqual(['v|', 'w|']);
    expect(kept('u', 'overlay.opaque')).toBe('y');
    expect(ops.removexattr(me, 1, `${prefix}opaque`)).toBe(0);
    union.unmount();
    ops = union.mount();
    expect(listing(ops, '')).toEqual(['v|', 'w|']);
    mknod(ops, '', 'u');
    expect(listing(ops, '')).toEqual(['u|', 'v|', 'w|']);
  });

  it('is told by diff and explain', () => {
    put('l1/f', 'content');
    const ops = union.mount();
    expect(rename(ops, ['', 'f'], ['', 'g'], RENAME_WHITEOUT)).toBe(0);
    mknod(ops, '', 'w');
    expect(changeSet(ops.sb)).toEqual([
      { kind: 'C', path: '/f' },
      { kind: 'A', path: '/g' },
      { kind: 'A', path: '/w' },
    ]);
    const e = explain(ops.sb, 'f');
    expect(e.layers.map((l) => [l.holding, l.st?.type ?? null])).toEqual([
      ['serves', S_IFCHR],
      ['hidden', S_IFREG],
      ['nothing', null],
    ]);
  });
});

describe('each call of a mknod of 0:0 failing', () => {
  it('leaves nothing or the device, and the next try makes it', { timeout: 60_000 }, () => {
    put('l1/d/f', 'content');
    put('l1/d/gone', 'gone');
    for (const name of ['new', 'gone']) {
      let fired = true;
      let points = 0;
      for (let n = 1; fired; n++) {
        const plan: FaultPlan = { at: Number.POSITIVE_INFINITY, errno: EIO };
        const faulty = faultSys(sys, plan);
        let ops = union.mount(faulty.sys);
        walk(ops, 'd/gone') >= 0 && ops.unlink(me, walk(ops, 'd'), 'gone');
        const dir = walk(ops, 'd');
        plan.at = faulty.counted + n;
        const make = (): number => ops.mknod(me, dir, name, S_IFCHR, 0, new EntryOut(new Stat()));
        const result = make();
        fired = faulty.fired;
        points += fired ? 1 : 0;
        expect(result === 0 || result === -EIO).toBe(true);
        plan.at = Number.POSITIVE_INFINITY;
        if (result < 0 && walk(ops, `d/${name}`) < 0) expect(make()).toBe(0);
        union.unmount();
        ops = union.mount();
        expect(listing(ops, 'd')).toEqual(name === 'new' ? ['f', 'new|'] : ['f', 'gone|']);
        expect(fs.readdirSync(union.at('w/work'))).toEqual([]);
        expect(ops.unlink(me, walk(ops, 'd'), name)).toBe(0);
        union.unmount();
      }
      // A whiteout that is a file needs at least its name, its mark and that of the directory.
      expect(points).toBeGreaterThan(5);
    }
  });
});

describe('a file that a user has marked as a whiteout', () => {
  it('stays a file, as the kernel shows it, even with our own value', () => {
    put('l1/f');
    mark('l1/f', 'overlay.whiteout', '');
    let ops = union.mount();
    const out = new EntryOut(new Stat());
    expect(ops.mknod(me, 1, 'g', S_IFREG | 0o600, 0, out)).toBe(0);
    for (const value of ['', 'y', 'c0:0']) {
      expect(ops.setxattr(me, out.nodeid, `${prefix}whiteout`, Buffer.from(value), 0, false)).toBe(0);
      union.unmount();
      ops = union.mount();
      expect(ops.lookup(me, 1, 'g', out)).toBe(0);
      expect(out.attr.type).toBe(S_IFREG);
      expect(ops.getxattr(me, out.nodeid, `${prefix}whiteout`)).toEqual(Buffer.from(value === 'c0:0' ? '' : value));
    }
    expect(stat(ops, 'f').type).toBe(S_IFREG);
  });
});

describe('RENAME_WHITEOUT', () => {
  it('leaves a device of the caller at the old name, of a lower or an upper object', () => {
    put('l1/low', 'low');
    put('l1/over', 'over');
    put('l1/dir/f', 'f');
    put('u/up', 'up');
    let ops = union.mount();
    expect(rename(ops, ['', 'low'], ['', 'low2'], RENAME_WHITEOUT)).toBe(0);
    expect(rename(ops, ['', 'up'], ['', 'over'], RENAME_WHITEOUT)).toBe(0);
    expect(rename(ops, ['', 'dir'], ['', 'dir2'], RENAME_WHITEOUT | RENAME_NOREPLACE)).toBe(0);
    for (const remount of [false, true]) {
      if (remount) {
        union.unmount();
        ops = union.mount();
      }
      expect(listing(ops, '')).toEqual(['dir2', 'dir|', 'low2', 'low|', 'over', 'up|']);
      expect(listing(ops, 'dir2')).toEqual(['f']);
      for (const name of ['low', 'up', 'dir']) {
        expectDevice(ops, name);
        expect([stat(ops, name).mode & 0o7777, stat(ops, name).uid]).toEqual([0, me.uid]);
      }
      expect([stat(ops, 'low2').size, stat(ops, 'over').size]).toEqual([3, 2]);
    }
    expect(fs.readdirSync(union.at('w/work'))).toEqual([]);
  });

  it('changes nothing where the target is a directory with something in it', () => {
    put('u/dir/f');
    put('u/full/g');
    fs.utimesSync(union.at('u'), 1000, 1000);
    const ops = union.mount();
    expect(rename(ops, ['', 'dir'], ['', 'full'], RENAME_WHITEOUT)).toBe(-ENOTEMPTY);
    expect(fs.statSync(union.at('u')).mtimeMs).toBe(1_000_000);
    expect(listing(ops, '')).toEqual(['dir', 'full']);
    expect(fs.readdirSync(union.at('w/work'))).toEqual([]);
  });

  it.each(['later', 'by the next mount'])('is done once the rename is: its whiteout is put in place %s', (when) => {
    put('l1/f', 'content');
    put('l1/gone', 'gone');
    put('l1/d/g', 'g');
    put('u/up', 'up');
    const real = openSys();
    let fails = '';
    const failing: Sys = Object.create(real, {
      renameat2: {
        value: (...args: Parameters<Sys['renameat2']>) => (args[3] === fails ? -EIO : real.renameat2(...args)),
      },
    });
    let ops = union.mount(failing);
    expect(ops.unlink(me, 1, 'gone')).toBe(0);
    // Its copy-up is a rename of that name too.
    expect(setattr(ops, 'd', { valid: ATTR_MODE, mode: 0o755 })).toBe(0);
    const moves: [from: string, to: string][] = [
      ['f', 'gone'],
      ['d', 'new'],
      ['up', 'gone'],
    ];
    for (const [from, to] of moves) {
      fails = from;
      expect(rename(ops, ['', from], ['', to], RENAME_WHITEOUT)).toBe(0);
      // Nobody is told that there is nothing.
      expect(walk(ops, from)).toBe(-EIO);
      expect(ops.mkdir(me, 1, from, 0o755, new EntryOut(new Stat()))).toBe(-EIO);
      if (when !== 'later') union.unmount();
      fails = '';
      if (when !== 'later') ops = union.mount(failing);
      expectDevice(ops, from);
    }
    expect(listing(ops, '')).toEqual(['d|', 'f|', 'gone', 'new', 'up|']);
    expect(stat(ops, 'gone').size).toBe(2);
    expect(fs.readdirSync(union.at('w/work')).filter((name) => name.endsWith('.left'))).toEqual([]);
  });

  it('below a directory, for which no note is long enough, leaves its whiteout too', () => {
    put('l1/f', 'content');
    const ops = union.mount(Object.create(openSys(), { symlinkat: { value: () => -ENAMETOOLONG } }) as Sys);
    expect(rename(ops, ['', 'f'], ['', 'g'], RENAME_WHITEOUT)).toBe(0);
    expectDevice(ops, 'f');
  });

  it('changes nothing where the rename is refused', () => {
    put('l1/f', 'content');
    put('l1/g', 'g');
    const ops = union.mount();
    expect(rename(ops, ['', 'f'], ['', 'g'], RENAME_WHITEOUT | RENAME_NOREPLACE)).toBe(-EEXIST);
    expect(rename(ops, ['', 'f'], ['', 'g'], RENAME_WHITEOUT | RENAME_EXCHANGE)).toBe(-EINVAL);
    expect(rename(ops, ['', 'none'], ['', 'g'], RENAME_WHITEOUT)).toBe(-ENOENT);
    expect(rename(ops, ['', 'f'], ['', 'f'], RENAME_WHITEOUT)).toBe(0);
    expect(listing(ops, '')).toEqual(['f', 'g']);
    expect(fs.readdirSync(union.at('u'))).toEqual([]);
  });
});
