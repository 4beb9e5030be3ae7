/** Lazy copy-up by the engine: what is read, what is stored, what the next mount finds. Needs root for the marks. */
import fs from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isRoot } from '../../test/support/temp-dir.ts';
import { me, nothing, setattr, stat, useUnion, walk } from '../../test/support/union.ts';
import { changeSet } from '../diff/change-set.ts';
import { openLayers } from '../diff/open-layers.ts';
import { hydrate, pendingOf } from '../overlay/lazy-complete.ts';
import { holdsStubs } from '../overlay/lazy-stub.ts';
import { ATTR_MTIME, ATTR_SIZE } from '../overlay/setattr.ts';
import { fromText } from '../sys/bytes.ts';
import {
  FALLOC_FL_COLLAPSE_RANGE,
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  FALLOC_FL_ZERO_RANGE,
  O_RDONLY,
  O_RDWR,
  O_TRUNC,
  O_WRONLY,
} from '../sys/constants.ts';
import { EIO, ENODATA, EOPNOTSUPP } from '../sys/errno.ts';
import { Stat } from '../sys/stat.ts';
import { openSys } from '../sys/sys-koffi.ts';
import { EntryOut, OpenOut } from './ops.ts';
import type { OverlayOps } from './overlay-ops.ts';

const union = useUnion();
const sys = openSys();
const SIZE = 300_123;

function bytes(seed: number, length: number): Buffer {
  return Buffer.from(Array.from({ length }, (_, i) => 1 + ((seed * 31 + i * 7 + (i >> 8)) % 255)));
}

const content = bytes(1, SIZE);

function mount(log: string[] = []): OverlayOps {
  const options = { copyup: 'lazy' as const, copyupThreshold: 1, log: (line: string) => log.push(line) };
  return union.mount(sys, { index: true, metacopy: false, redirectDir: 'on' }, options);
}

function remount(log: string[] = []): OverlayOps {
  union.unmount();
  return mount(log);
}

/** A lower file with data, a hole and data again. */
function lower(name = 'f'): void {
  const fd = fs.openSync(union.at('l2', name), 'w');
  fs.writeSync(fd, content.subarray(0, 100_000), 0, 100_000, 0);
  fs.writeSync(fd, content.subarray(200_000), 0, SIZE - 200_000, 200_000);
  fs.closeSync(fd);
  fs.utimesSync(union.at('l2', name), 1_000_000, 1_000_000.5);
}

function model(): Buffer {
  const whole = Buffer.from(content);
  whole.fill(0, 100_000, 200_000);
  return whole;
}

function open(ops: OverlayOps, name: string, flags: number): number {
  const out = new OpenOut();
  const err = ops.open(me, walk(ops, name), flags, false, out);
  if (err < 0) throw new Error(`open: ${err}`);
  return out.fh;
}

function readAll(ops: OverlayOps, name = 'f'): Buffer {
  const fh = open(ops, name, O_RDONLY);
  const buf = Buffer.alloc(SIZE * 4);
  const n = ops.read(me, fh, buf, 0, buf.length, 0);
  ops.release(fh);
  if (n < 0) throw new Error(`read: ${n}`);
  return buf.subarray(0, n);
}

function write(ops: OverlayOps, name: string, data: Buffer, pos: number): void {
  const fh = open(ops, name, O_WRONLY);
  expect(ops.write(me, fh, data, 0, data.length, pos, false)).toBe(data.length);
  ops.release(fh);
}

function stored(name = 'f'): number {
  return fs.statSync(union.at('u', name)).blocks * 512;
}

function entries(): string[] {
  const dir = union.at('w', 'work', 'incompat', 'strata.lazy');
  return fs.existsSync(dir) ? fs.readdirSync(dir) : [];
}

function marks(name = 'f'): string[] {
  const fd = fs.openSync(union.at('u', name), 'r');
  const found = [
    'trusted.overlay.metacopy',
    'user.overlay.metacopy',
    'trusted.overlay.redirect',
    'trusted.overlay.strata.lazy',
  ].filter((mark) => sys.getxattrat(fd, '', mark, Buffer.alloc(4096)) >= 0);
  fs.closeSync(fd);
  return found;
}

function complete(ops: OverlayOps): void {
  const failed = new Map<string, number>();
  while (!hydrate(ops.sb, 40_000, failed).done);
  expect(failed.size).toBe(0);
}

describe.skipIf(!isRoot)('a lazy copy-up', () => {
  test('stores what is written, shows what it had, and the next mount goes on', (ctx) => {
    lower();
    let ops = mount();
    if (!holdsStubs(ops.sb)) return ctx.skip('this filesystem cannot hold incomplete files');
    const before = stat(ops, 'f');
    const expected = model();
    const out = new OpenOut();
    expect(ops.open(me, walk(ops, 'f'), O_WRONLY, false, out)).toBe(0);
    // Whoever may bypass the server would read zeros.
    expect(out.backingFd).toBe(-1);
    ops.release(out.fh);
    write(ops, 'f', Buffer.from('new'), 5000);
    expected.write('new', 5000);
    expect(stored()).toBeLessThan(20_000);
    expect(readAll(ops).equals(expected)).toBe(true);
    expect(stat(ops, 'f').ino).toBe(before.ino);
    expect(stat(ops, 'f').blocks).toBeGreaterThan(0);
    expect(entries()).toHaveLength(1);
    ops = remount();
    expect(readAll(ops).equals(expected)).toBe(true);
    expect(pendingOf(ops.sb)).toEqual({ files: 1, bytes: Math.ceil(SIZE / 4096) * 4096 - 4096 });
    const { mtime, mtimeNsec } = stat(ops, 'f');
    complete(ops);
    expect(marks()).toEqual([]);
    expect(entries()).toEqual([]);
    expect(fs.existsSync(union.at('w', 'work', 'incompat'))).toBe(false);
    expect(fs.readFileSync(union.at('u', 'f')).equals(expected)).toBe(true);
    expect(stat(ops, 'f')).toMatchObject({ mtime, mtimeNsec });
    expect(readAll(remount()).equals(expected)).toBe(true);
  });

  test('opening for writing changes neither size nor times, and a reader from before sees what is written', (ctx) => {
    lower();
    const ops = mount();
    if (!holdsStubs(ops.sb)) return ctx.skip('this filesystem cannot hold incomplete files');
    const before = stat(ops, 'f');
    const reader = open(ops, 'f', O_RDONLY);
    const writer = open(ops, 'f', O_RDWR);
    const { size, mtime, mtimeNsec, mode } = before;
    expect(stat(ops, 'f')).toMatchObject({ size, mtime, mtimeNsec, mode });
    ops.write(me, writer, Buffer.from('abc'), 0, 3, 4095, false);
    const buf = Buffer.alloc(5);
    expect(ops.read(me, reader, buf, 0, 5, 4094)).toBe(5);
    expect(buf.toString('latin1', 1, 4)).toBe('abc');
    complete(ops);
    expect(ops.read(me, reader, buf, 0, 5, 4094)).toBe(5);
    expect(buf.toString('latin1', 1, 4)).toBe('abc');
    expect(ops.write(me, writer, Buffer.from('xyz'), 0, 3, 4095, false)).toBe(3);
    expect(ops.read(me, reader, buf, 0, 5, 4094)).toBe(5);
    expect(buf.toString('latin1', 1, 4)).toBe('xyz');
    ops.release(reader);
    ops.release(writer);
  });

  test('every sequence of changes leaves what it leaves in one file, over mounts and completion', (ctx) => {
    if (!holdsStubs(mount().sb)) return ctx.skip('this filesystem cannot hold incomplete files');
    const at = fc.oneof(
      fc.nat(SIZE + 50_000),
      fc.nat(80).map((block) => block * 4096),
    );
    const length = fc.oneof(
      fc.integer({ min: 1, max: 9000 }),
      fc.nat(20).map((n) => (n + 1) * 4096),
    );
    const kinds = [
      'write',
      'truncate',
      'punch',
      'zero',
      'zeroGrow',
      'remount',
      'fill',
      'collapse',
      'allocate',
    ] as const;
    const step = fc.record({
      kind: fc.constantFrom(...kinds, 'write', 'write', 'truncate', 'remount'),
      at,
      length,
    });
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 14 }), (steps) => {
        union.remove();
        union.create();
        lower();
        let ops = mount();
        let expected = model();
        const resized = (size: number): void => {
          const next = Buffer.alloc(size);
          expected.copy(next);
          expected = next;
        };
        let fh = open(ops, 'f', O_RDWR);
        for (const { kind, at, length } of steps) {
          const end = at + length;
          switch (kind) {
            case 'write': {
              const data = content.subarray(at % 1000, (at % 1000) + length);
              expect(ops.write(me, fh, data, 0, length, at, false)).toBe(length);
              if (end > expected.length) resized(end);
              data.copy(expected, at);
              break;
            }
            case 'truncate':
              expect(ops.setattr(me, walk(ops, 'f'), { ...nothing, valid: ATTR_SIZE, size: at, fh }, new Stat())).toBe(
                0,
              );
              resized(at);
              break;
            case 'punch':
              expect(ops.fallocate(me, fh, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, length)).toBe(0);
              expected.fill(0, Math.min(at, expected.length), Math.min(end, expected.length));
              break;
            case 'zero':
            case 'zeroGrow': {
              const keep = kind === 'zero' ? FALLOC_FL_KEEP_SIZE : 0;
              expect(ops.fallocate(me, fh, FALLOC_FL_ZERO_RANGE | keep, at, length)).toBe(0);
              if (!keep && end > expected.length) resized(end);
              expected.fill(0, Math.min(at, expected.length), Math.min(end, expected.length));
              break;
            }
            case 'allocate':
              expect(ops.fallocate(me, fh, 0, at, length)).toBe(0);
              if (end > expected.length) resized(end);
              break;
            case 'collapse': {
              const from = at - (at % 4096);
              const cut = 4096 * 2;
              if (from + cut >= expected.length) break;
              const collapsed = ops.fallocate(me, fh, FALLOC_FL_COLLAPSE_RANGE, from, cut);
              // btrfs has none.
              if (collapsed === -EOPNOTSUPP) break;
              expect(collapsed).toBe(0);
              expected = Buffer.concat([expected.subarray(0, from), expected.subarray(from + cut)]);
              break;
            }
            case 'fill':
              hydrate(ops.sb, length, new Map());
              break;
            case 'remount':
              ops = remount();
              fh = open(ops, 'f', O_RDWR);
          }
          const seen = Buffer.alloc(expected.length + 1);
          const n = ops.read(me, fh, seen, 0, seen.length, 0);
          expect(`${kind} ${n}`).toBe(`${kind} ${expected.length}`);
          expect(`${kind} differs at ${differs(seen, expected)}`).toBe(`${kind} differs at -1`);
        }
        complete(ops);
        expect(differs(fs.readFileSync(union.at('u', 'f')), expected)).toBe(-1);
        expect(marks()).toEqual([]);
      }),
      { numRuns: 25 },
    );
  }, 120_000);

  test('data and holes are found in both layers', (ctx) => {
    lower();
    const ops = mount();
    if (!holdsStubs(ops.sb)) return ctx.skip('this filesystem cannot hold incomplete files');
    write(ops, 'f', Buffer.from('in the hole'), 150_000);
    const fh = open(ops, 'f', O_RDONLY);
    const at = (off: number, whence: 3 | 4): number => ops.lseek(me, fh, off, whence);
    const block = 150_000 - (150_000 % 4096);
    expect([at(0, 3), at(0, 4), at(110_000, 3), at(block, 4), at(block + 4096, 3)]).toEqual([
      0,
      102_400,
      block,
      block + 4096,
      196_608,
    ]);
    expect([at(SIZE - 1, 4), at(SIZE, 3)]).toEqual([SIZE, -6]);
    ops.release(fh);
  });

  test('O_TRUNC and truncation to nothing leave a plain empty file', (ctx) => {
    lower();
    lower('g');
    const ops = mount();
    if (!holdsStubs(ops.sb)) return ctx.skip('this filesystem cannot hold incomplete files');
    write(ops, 'f', Buffer.from('x'), 0);
    write(ops, 'g', Buffer.from('x'), 0);
    const out = new OpenOut();
    expect(ops.open(me, walk(ops, 'f'), O_WRONLY | O_TRUNC, false, out)).toBe(0);
    ops.release(out.fh);
    expect(setattr(ops, 'g', { valid: ATTR_SIZE, size: 0 })).toBe(0);
    expect([marks('f'), marks('g'), entries()]).toEqual([[], [], []]);
    expect(setattr(ops, 'g', { valid: ATTR_SIZE, size: 10 })).toBe(0);
    expect(readAll(ops, 'g').equals(Buffer.alloc(10))).toBe(true);
  });

  test('names, modes and owners change on an incomplete file, and the last name takes its entry along', (ctx) => {
    lower();
    let ops = mount();
    if (!holdsStubs(ops.sb)) return ctx.skip('this filesystem cannot hold incomplete files');
    write(ops, 'f', Buffer.from('x'), 0);
    const expected = model();
    expected.write('x');
    expect(ops.rename(me, 1, 'f', 1, 'moved', 0)).toBe(0);
    expect(ops.link(me, walk(ops, 'moved'), 1, 'second', new EntryOut(new Stat()))).toBe(0);
    expect(setattr(ops, 'moved', { valid: 1, mode: 0o640 })).toBe(0);
    ops = remount();
    expect(readAll(ops, 'moved').equals(expected)).toBe(true);
    expect(readAll(ops, 'second').equals(expected)).toBe(true);
    expect(stat(ops, 'second').mode & 0o777).toBe(0o640);
    expect(ops.unlink(me, 1, 'moved')).toBe(0);
    expect(readAll(ops, 'second').equals(expected)).toBe(true);
    expect(ops.unlink(me, 1, 'second')).toBe(0);
    expect(entries()).toHaveLength(1);
    remount();
    expect(entries()).toEqual([]);
  });

  test('the names of a lower hard link stay one file', (ctx) => {
    lower();
    fs.linkSync(union.at('l2', 'f'), union.at('l2', 'other'));
    let ops = mount();
    if (!holdsStubs(ops.sb)) return ctx.skip('this filesystem cannot hold incomplete files');
    write(ops, 'f', Buffer.from('x'), 0);
    const expected = model();
    expected.write('x');
    ops = remount();
    expect(readAll(ops, 'other').equals(expected)).toBe(true);
    write(ops, 'other', Buffer.from('y'), 1);
    expected.write('y', 1);
    expect(readAll(ops, 'f').equals(expected)).toBe(true);
    complete(ops);
    expect(readAll(remount(), 'other').equals(expected)).toBe(true);
  });

  test('the marks are nobody’s attributes', (ctx) => {
    lower();
    const ops = mount();
    if (!holdsStubs(ops.sb)) return ctx.skip('this filesystem cannot hold incomplete files');
    write(ops, 'f', Buffer.from('x'), 0);
    const nodeid = walk(ops, 'f');
    expect(ops.listxattr(me, nodeid)).toEqual([]);
    expect(ops.getxattr(me, nodeid, 'user.overlay.metacopy')).toBe(-ENODATA);
    expect(ops.removexattr(me, nodeid, 'user.overlay.metacopy')).toBe(-ENODATA);
    expect(ops.setxattr(me, nodeid, 'user.overlay.metacopy', Buffer.from('mine'), 0, false)).toBe(0);
    expect(ops.getxattr(me, nodeid, 'user.overlay.metacopy')).toEqual(Buffer.from('mine'));
    expect(marks()).toEqual(['user.overlay.metacopy']);
  });

  test('capabilities and times outlive completion, unless they are changed in between', (ctx) => {
    lower();
    lower('g');
    const capability = Buffer.from('0100000200200000000000000000000000000000', 'hex');
    for (const name of ['f', 'g']) {
      const fd = fs.openSync(union.at('l2', name), 'r');
      expect(sys.setxattrat(fd, '', 'security.capability', capability, 0)).toBe(0);
      fs.closeSync(fd);
    }
    let ops = mount();
    if (!holdsStubs(ops.sb)) return ctx.skip('this filesystem cannot hold incomplete files');
    for (const name of ['f', 'g']) ops.release(open(ops, name, O_RDWR));
    hydrate(ops.sb, 50_000, new Map());
    ops = remount();
    for (const name of ['f', 'g']) {
      expect(ops.getxattr(me, walk(ops, name), 'security.capability')).toEqual(capability);
      expect(stat(ops, name)).toMatchObject({ mtime: 1_000_000, mtimeNsec: 500_000_000 });
    }
    expect(setattr(ops, 'f', { valid: ATTR_MTIME, mtime: 2_000_000, mtimeNsec: 1 })).toBe(0);
    write(ops, 'g', Buffer.from('x'), 0);
    complete(ops);
    expect(ops.getxattr(me, walk(ops, 'f'), 'security.capability')).toEqual(capability);
    expect(stat(ops, 'f')).toMatchObject({ mtime: 2_000_000, mtimeNsec: 1 });
    expect(ops.getxattr(me, walk(ops, 'g'), 'security.capability')).toBe(-ENODATA);
    expect(stat(ops, 'g').mtime).toBeGreaterThan(1_000_000);
  });

  test('a lower that has changed, or an upper that was copied, is EIO and says so', (ctx) => {
    lower();
    lower('g');
    let ops = mount();
    if (!holdsStubs(ops.sb)) return ctx.skip('this filesystem cannot hold incomplete files');
    write(ops, 'f', Buffer.from('x'), 0);
    write(ops, 'g', Buffer.from('x'), 0);
    union.unmount();
    fs.appendFileSync(union.at('l2', 'f'), 'more');
    const lines: string[] = [];
    ops = mount(lines);
    const out = new OpenOut();
    expect(ops.open(me, walk(ops, 'f'), O_RDONLY, false, out)).toBe(-EIO);
    expect(lines.join()).toContain("'f'");
    expect(readAll(ops, 'g').toString('latin1', 0, 1)).toBe('x');
    expect(hydrate(ops.sb, Number.POSITIVE_INFINITY, new Map()).failed.size).toBe(1);
    expect(marks('g')).toEqual([]);
    expect(ops.unlink(me, 1, fromText('f'))).toBe(0);
  });

  test('a file of metadata alone becomes an incomplete one', (ctx) => {
    lower();
    const params = { index: true, metacopy: true, redirectDir: 'on' as const };
    const options = { copyup: 'lazy' as const, copyupThreshold: 1 };
    let ops = union.mount(sys, params, options);
    if (!holdsStubs(ops.sb)) return ctx.skip('this filesystem cannot hold incomplete files');
    expect(setattr(ops, 'f', { valid: 1, mode: 0o600 })).toBe(0);
    expect(ops.rename(me, 1, 'f', 1, 'moved', 0)).toBe(0);
    const fh = open(ops, 'moved', O_RDONLY);
    write(ops, 'moved', Buffer.from('x'), 9000);
    const expected = model();
    expected.write('x', 9000);
    expect(stored('moved')).toBeLessThan(20_000);
    const buf = Buffer.alloc(1);
    expect([ops.read(me, fh, buf, 0, 1, 9000), buf.toString()]).toEqual([1, 'x']);
    union.unmount();
    ops = union.mount(sys, params, options);
    expect(readAll(ops, 'moved').equals(expected)).toBe(true);
    complete(ops);
    expect(fs.readFileSync(union.at('u', 'moved')).equals(expected)).toBe(true);
  });

  test('what a run would be shown to have changed is what a user sees, and not the stub', (ctx) => {
    lower();
    lower('same');
    const ops = mount();
    if (!holdsStubs(ops.sb)) return ctx.skip('this filesystem cannot hold incomplete files');
    ops.release(open(ops, 'same', O_RDWR));
    write(ops, 'f', Buffer.from('x'), 0);
    expect(setattr(ops, 'f', { valid: ATTR_MTIME, mtime: 1_000_000, mtimeNsec: 500_000_000 })).toBe(0);
    union.unmount();
    const layers = { upperdir: fromText(union.at('u')), workdir: fromText(union.at('w')), userxattr: false };
    const sb = openLayers(sys, { ...layers, lowerdirs: [fromText(union.at('l1')), fromText(union.at('l2'))] });
    if ('errno' in sb) throw new Error(sb.message);
    const changes = changeSet(sb);
    sb.destroy();
    expect(changes).toEqual([{ kind: 'C', path: '/f' }]);
    expect(entries()).toHaveLength(2);
  });

  test('a small file, and every file of other modes, is copied up whole', () => {
    lower();
    const ops = union.mount(sys, {}, { copyup: 'lazy', copyupThreshold: SIZE + 1 });
    const out = new OpenOut();
    expect(ops.open(me, walk(ops, 'f'), O_RDWR, false, out)).toBe(0);
    expect(marks()).toEqual([]);
    expect(fs.readFileSync(union.at('u', 'f')).equals(model())).toBe(true);
  });
});

function differs(a: Buffer, b: Buffer): number {
  for (let i = 0; i < b.length; i++) if (a[i] !== b[i]) return i;
  return -1;
}
