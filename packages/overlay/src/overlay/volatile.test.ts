import { execFileSync } from 'node:child_process';
import { closeSync, fsyncSync, mkdirSync, openSync, readdirSync, rmSync, writeSync } from 'node:fs';
import { expect, test } from 'vitest';
import { isRoot } from '../../test/support/temp-dir.ts';
import { me, useUnion } from '../../test/support/union.ts';
import { EntryOut, OpenOut } from '../ops/ops.ts';
import type { OverlayOps } from '../ops/overlay-ops.ts';
import { fromText } from '../sys/bytes.ts';
import { CLONE_NEWNS, MNT_DETACH, MS_PRIVATE, MS_REC, O_RDWR, S_IFREG } from '../sys/constants.ts';
import { EIO, ENOSPC, EPERM } from '../sys/errno.ts';
import { Stat } from '../sys/stat.ts';
import { openSys } from '../sys/sys-koffi.ts';

const union = useUnion();
const sys = openSys();

function created(ops: OverlayOps): number {
  const open = new OpenOut();
  expect(ops.create(me, 1, 'file', O_RDWR, S_IFREG | 0o600, new EntryOut(new Stat()), open)).toBe(0);
  return open.fh;
}

/** Has a filesystem fail to write back: more is written than the image that it lies in can hold. */
function overfill(dir: string): void {
  const fd = openSync(`${dir}/big`, 'w');
  const block = Buffer.alloc(1 << 20, 'x');
  try {
    for (let i = 0; i < 40; i++) writeSync(fd, block);
    fsyncSync(fd);
  } catch {
    closeSync(fd);
    return;
  }
  closeSync(fd);
  throw new Error('set-up: an overfull filesystem has taken everything');
}

test('fsync and syncfs answer 0 until the filesystem fails to write back, and fail from then on', (ctx) => {
  if (!isRoot || sys.unshare(CLONE_NEWNS) < 0) return ctx.skip('needs root and a mount namespace of its own');
  expect(sys.mount('none', '/', '', MS_REC | MS_PRIVATE, null)).toBe(0);
  const disk = union.at('disk');
  const at = union.at('mnt');
  mkdirSync(disk);
  mkdirSync(at);
  try {
    expect(sys.mount('small', fromText(disk), 'tmpfs', 0, 'size=12m')).toBe(0);
    execFileSync('truncate', ['-s', '64M', `${disk}/image`]);
    execFileSync('mkfs.ext4', ['-q', `${disk}/image`]);
    execFileSync('mount', ['-o', 'loop', `${disk}/image`, at]);
    for (const dir of ['u', 'w']) mkdirSync(`${at}/${dir}`);
    const layers = { upperdir: fromText(`${at}/u`), workdir: fromText(`${at}/w`), fsync: 'volatile' as const };
    const ops = union.mount(sys, layers);
    const fh = created(ops);
    const dir = new OpenOut();
    expect(ops.opendir(me, 1, dir)).toBe(0);
    expect([ops.fsync(me, fh, false), ops.fsyncdir(me, dir.fh, false), ops.syncfs()]).toEqual([0, 0, 0]);
    overfill(at);
    for (let again = 0; again < 2; again++) {
      expect([-EIO, -ENOSPC]).toContain(ops.fsync(me, fh, true));
      expect([-EIO, -ENOSPC]).toContain(ops.fsyncdir(me, dir.fh, false));
      expect(ops.syncfs()).toBe(-EIO);
    }
  } finally {
    union.unmount();
    for (const path of [at, disk]) sys.umount2(fromText(path), MNT_DETACH);
  }
});

test('nothing but the mark of a volatile mount stays in the workdir', () => {
  union.mount(sys, { fsync: 'volatile' });
  expect(readdirSync(union.at('w', 'work'))).toEqual(['incompat']);
});

test('where failures cannot be watched for, a line says so and fsync answers 0', () => {
  const lines: string[] = [];
  const ops = union.mount({ ...sys, fsopen: () => -EPERM }, { fsync: 'volatile' }, { log: (line) => lines.push(line) });
  expect(lines.join()).toContain('EPERM');
  expect(ops.fsync(me, created(ops), false)).toBe(0);
  expect(ops.syncfs()).toBe(0);
  expect(readdirSync(union.at('w', 'work'))).toEqual(['incompat']);
});

test('a failure that nobody has been told of refuses the mount', () => {
  const refused = { ...sys, fsopen: () => -EIO };
  expect(() => union.mount(refused, { fsync: 'volatile' })).toThrow('sync -f');
  expect(readdirSync(union.at('w', 'work'))).toEqual([]);
});

test('what a crash while the watch was made has left is cleared away', () => {
  const left = ['work', '#writeback', 'w', 'work', 'incompat', 'volatile', 'dirty'];
  mkdirSync(union.at('w', ...left), { recursive: true });
  union.mount(sys);
  expect(readdirSync(union.at('w', 'work'))).toEqual([]);
  rmSync(union.at('w', 'work'), { recursive: true });
});
