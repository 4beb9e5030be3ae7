/** What changes an upper on disk, across the upper and its work directory. */
import { lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, statSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { at, opened, useLayers } from '../../test/support/layers.ts';
import { type LoopMount, mountImage } from '../../test/support/loop-mount.ts';
import { isRoot, needsRoot, useTempDir } from '../../test/support/temp-dir.ts';
import { wrapSys } from '../sys/calls.ts';
import {
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  O_RDONLY,
  O_RDWR,
  O_TRUNC,
  O_WRONLY,
  RENAME_EXCHANGE,
  RENAME_NOREPLACE,
  RENAME_WHITEOUT,
  S_IFCHR,
  S_IFREG,
  UTIME_NOW,
  UTIME_OMIT,
} from '../sys/constants.ts';
import { EACCES, EEXIST, EISDIR, ENOENT, ENOTDIR, ENOTEMPTY, EOPNOTSUPP } from '../sys/errno.ts';
import { makedev, Stat } from '../sys/stat.ts';
import { openSys } from '../sys/sys-koffi.ts';
import type { DiskLayer } from './disk-layer.ts';

const sys = openSys();
const dir = useTempDir(sys);
const layers = useLayers(sys);
const s = new Stat();
let upper: DiskLayer;
let work: DiskLayer;

beforeEach(() => {
  mkdirSync(dir.at('u'));
  mkdirSync(dir.at('w'));
  upper = layers.open(dir.at('u'), true);
  work = layers.open(dir.at('w'), true);
});

const text = (name: string): string => readFileSync(dir.at(name), 'utf8');

describe('files', () => {
  it('are created once, written, truncated and given space', () => {
    const file = opened(upper.create(upper.root, 'f\xff', O_RDWR, 0o600));
    expect(upper.create(upper.root, 'f\xff', O_RDWR, 0o600)).toBe(-EEXIST);
    expect(readdirSync(dir.at('u'), { encoding: 'latin1' })).toEqual(['f\xff']);
    expect(upper.write(file, Buffer.from('..data'), 2, 4, 1)).toBe(4);
    expect(upper.ftruncate(file, 3)).toBe(0);
    expect(upper.fallocate(file, FALLOC_FL_KEEP_SIZE, 0, 8192)).toBe(0);
    expect(upper.fallocate(file, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, 0, 4096)).toBe(0);
    expect(upper.fchmod(file, 0o640)).toBe(0);
    expect(upper.futimens(file, 1, 2, 3, 4)).toBe(0);
    expect(upper.fsetxattr(file, 'user.a', Buffer.from('v'), 0)).toBe(0);
    if (isRoot) expect(upper.fchown(file, 5, 6)).toBe(0);
    upper.fstat(file, s);
    expect([s.size, s.mode & 0o7777, s.atime, s.mtimeNsec]).toEqual([3, 0o640, 1, 4]);
    if (isRoot) expect([s.uid, s.gid]).toEqual([5, 6]);
    expect(upper.getxattr(at(upper, 'f\xff'), 'user.a')).toEqual(Buffer.from('v'));
    upper.close(file);
    upper.close(opened(upper.open(at(upper, 'f\xff'), O_WRONLY | O_TRUNC)));
    upper.stat(at(upper, 'f\xff'), s);
    expect(s.size).toBe(0);
  });

  it('without a name get one, which never replaces another', () => {
    const file = opened(work.tmpfile(work.root, 0, 0o644));
    const d = work.anonymous(file);
    if (typeof d === 'number') throw new Error(`anonymous: ${d}`);
    work.write(file, Buffer.from('text'), 0, 4, 0);
    expect(work.setxattr(d, 'user.a', Buffer.from('v'), 0)).toBe(0);
    expect(work.chmod(d, 0o4755)).toBe(0);
    expect(work.utimens(d, 0, UTIME_OMIT, 7, 8)).toBe(0);
    expect(work.stat(d, s)).toBe(0);
    expect([s.size, s.nlink, s.mode & 0o7777, s.mtime]).toEqual([4, 0, 0o4755, 7]);
    // From the work directory's layer into the upper's.
    expect(upper.linkFile(file, upper.root, 'f')).toBe(0);
    expect(upper.linkFile(file, upper.root, 'f')).toBe(-EEXIST);
    expect(text('u/f')).toBe('text');
    expect(work.link(d, upper.root, 'g')).toBe(0);
    expect(statSync(dir.at('u/g')).nlink).toBe(2);
    work.release(d);
    work.close(file);
  });

  it('that the filesystem cannot make nameless are refused by the errno that callers know', () => {
    const old = wrapSys(sys, (name, args, call) =>
      name === 'openat' && args[1] === '.' && (args[2] as number) & 0o20000000 ? -EISDIR : call(args),
    );
    const layer = layers.open(dir.at('u'), true, old);
    expect(layer.tmpfile(layer.root, 0, 0o600)).toBe(-EOPNOTSUPP);
  });

  it('copy ranges and share data', () => {
    writeFileSync(dir.at('w/from'), '0123456789');
    const from = opened(work.open(at(work, 'from'), O_RDONLY));
    const to = opened(upper.create(upper.root, 'to', O_RDWR, 0o600));
    expect(upper.copyFileRange(from, 4, to, 1, 3)).toBe(3);
    expect(text('u/to')).toBe('\x00456');
    const cloned = upper.clone(from, to);
    if (cloned === 0) expect(text('u/to')).toBe('0123456789');
    else expect(cloned).toBe(-EOPNOTSUPP);
    work.close(from);
    upper.close(to);
  });
});

describe.skipIf(!isRoot)(needsRoot('on a filesystem that shares extents'), () => {
  let image: LoopMount | undefined;
  beforeAll(() => {
    image = mountImage('btrfs', 128);
  });
  afterAll(() => image?.unmount());

  it('an upper shares the data of a lower behind its private clone', (context) => {
    if (!image?.path) return context.skip(`no btrfs loop mount: ${image?.reason}`);
    for (const name of ['l', 'u']) mkdirSync(`${image.path}/${name}`);
    writeFileSync(`${image.path}/l/f`, 'x'.repeat(100_000));
    const lower = layers.open(`${image.path}/l`, false);
    const onImage = layers.open(`${image.path}/u`, true);
    expect(lower.cloned).toBe(true);
    const from = opened(lower.open(at(lower, 'f'), O_RDONLY));
    const to = opened(onImage.tmpfile(onImage.root, 0, 0o600));
    expect(onImage.clone(from, to)).toBe(0);
    onImage.fstat(to, s);
    expect(s.size).toBe(100_000);
    expect(onImage.copyFileRange(from, 0, to, 100_000, 50)).toBe(50);
    lower.close(from);
    onImage.close(to);
    lower.destroy();
    onImage.destroy();
  });
});

describe('names', () => {
  it('are made and removed', () => {
    expect(upper.mkdir(upper.root, 'd', 0o700)).toBe(0);
    const d = at(upper, 'd');
    expect(upper.symlink(d, 'l', 'to\xff')).toBe(0);
    expect(readlinkSync(dir.at('u/d/l'), { encoding: 'latin1' })).toBe('to\xff');
    expect(upper.mknod(d, 'f', S_IFREG | 0o600, 0)).toBe(0);
    expect(upper.link(at(upper, 'd', 'f'), upper.root, 'g')).toBe(0);
    expect(upper.link(at(upper, 'd', 'l'), upper.root, 'symlink')).toBe(0);
    expect(lstatSync(dir.at('u/symlink')).isSymbolicLink()).toBe(true);
    expect(upper.rmdir(upper.root, 'd')).toBe(-ENOTEMPTY);
    expect(upper.unlink(upper.root, 'd')).toBe(-EISDIR);
    expect(upper.rmdir(d, 'f')).toBe(-ENOTDIR);
    expect(upper.unlink(d, 'f')).toBe(0);
    expect(upper.unlink(d, 'f')).toBe(-ENOENT);
    expect(upper.unlink(d, 'l')).toBe(0);
    expect(upper.rmdir(upper.root, 'd')).toBe(0);
    upper.release(d);
    expect(readdirSync(dir.at('u')).sort()).toEqual(['g', 'symlink']);
  });

  it.skipIf(!isRoot)(needsRoot('of devices, whiteouts among them'), () => {
    expect(upper.mknod(upper.root, 'w', S_IFCHR, 0)).toBe(0);
    expect(upper.mknod(upper.root, 'null', S_IFCHR | 0o666, makedev(1, 3))).toBe(0);
    upper.lookup(upper.root, 'null', s);
    expect([s.type, s.rdev]).toEqual([S_IFCHR, makedev(1, 3)]);
    expect(upper.rename(upper.root, 'null', upper.root, 'moved', RENAME_WHITEOUT)).toBe(0);
    upper.lookup(upper.root, 'null', s);
    expect([s.type, s.rdev]).toEqual([S_IFCHR, 0]);
  });

  it('move between the work directory and the upper', () => {
    work.mkdir(work.root, 'd', 0o700);
    writeFileSync(dir.at('w/d/f'), 'one');
    upper.mkdir(upper.root, 'd', 0o700);
    const inWork = at(work, 'd');
    const inUpper = at(upper, 'd');
    expect(work.rename(inWork, 'f', inUpper, 'g', RENAME_NOREPLACE)).toBe(0);
    expect(text('u/d/g')).toBe('one');
    writeFileSync(dir.at('w/d/f'), 'two');
    expect(work.rename(inWork, 'f', inUpper, 'g', RENAME_NOREPLACE)).toBe(-EEXIST);
    expect(work.rename(inWork, 'f', inUpper, 'g', RENAME_EXCHANGE)).toBe(0);
    expect([text('u/d/g'), text('w/d/f')]).toEqual(['two', 'one']);
    expect(work.link(at(work, 'd', 'f'), inUpper, 'h')).toBe(0);
    expect(text('u/d/h')).toBe('one');
  });

  it.each(['', '.', '..', 'a/b', '../w/x'])('%j is none that anything can be made at', (name) => {
    const file = opened(work.tmpfile(work.root, 0, 0o600));
    upper.mknod(upper.root, 'f', S_IFREG | 0o600, 0);
    const answers = [
      upper.create(upper.root, name, O_RDWR, 0o600),
      upper.linkFile(file, upper.root, name),
      upper.mkdir(upper.root, name, 0o700),
      upper.mknod(upper.root, name, S_IFREG, 0),
      upper.symlink(upper.root, name, 'x'),
      upper.link(at(upper, 'f'), upper.root, name),
      upper.unlink(upper.root, name),
      upper.rmdir(upper.root, name),
      upper.rename(upper.root, name, upper.root, 'x', 0),
      upper.rename(upper.root, 'f', upper.root, name, 0),
    ];
    expect(answers).toEqual(answers.map(() => -EACCES));
    expect(readdirSync(dir.at('w'))).toEqual([]);
    expect(readdirSync(dir.at('u'))).toEqual(['f']);
    work.close(file);
  });
});

describe('inodes', () => {
  it('change by name and by descriptor alike', () => {
    upper.mkdir(upper.root, 'd', 0o700);
    upper.symlink(upper.root, 'l', 'd');
    const byName = at(upper, 'd');
    const byFd = at(upper, 'd');
    upper.lookup(byFd, 'x', s);
    expect([byName.fd >= 0, byFd.fd >= 0]).toEqual([false, true]);
    for (const [n, d] of [byName, byFd].entries()) {
      expect(upper.chmod(d, 0o1750 + n)).toBe(0);
      expect(upper.utimens(d, 10 + n, 1, 20, 2)).toBe(0);
      if (isRoot) expect(upper.chown(d, 30 + n, -1)).toBe(0);
      upper.stat(d, s);
      expect([s.mode & 0o7777, s.atime, s.mtimeNsec]).toEqual([0o1750 + n, 10 + n, 2]);
      if (isRoot) expect([s.uid, s.gid]).toEqual([30 + n, 0]);
    }
    expect(upper.utimens(at(upper, 'l'), 0, UTIME_NOW, 9, 9)).toBe(0);
    upper.stat(at(upper, 'l'), s);
    expect(s.mtime).toBe(9);
    expect(upper.chmod(at(upper, 'l'), 0o600)).toBe(-EOPNOTSUPP);
    upper.stat(byName, s);
    expect(s.mtime).toBe(20);
    expect(upper.chmod(upper.root, 0o711)).toBe(0);
    expect(statSync(dir.at('u')).mode & 0o777).toBe(0o711);
    expect(upper.chmod(at(upper, 'missing'), 0o600)).toBe(-ENOENT);
  });

  it('are synced with their filesystem', () => {
    expect(upper.syncfs()).toBe(0);
  });
});
