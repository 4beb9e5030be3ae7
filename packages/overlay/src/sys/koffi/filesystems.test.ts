import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, statfsSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type LoopMount, mountImage } from '../../../test/support/loop-mount.ts';
import { isRoot, needsRoot, useTempDir } from '../../../test/support/temp-dir.ts';
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  EXT4_SUPER_MAGIC,
  FS_IMMUTABLE_FL,
  FS_IOC_GETFLAGS,
  FS_XFLAG_NOATIME,
  O_PATH,
  O_RDONLY,
  O_RDWR,
} from '../constants.ts';
import { EBADF, EINVAL, ENOENT, ENOSYS, ENOTTY, EOPNOTSUPP, ESTALE } from '../errno.ts';
import { Stat, StatFs } from '../stat.ts';
import { openSys } from '../sys-koffi.ts';

const sys = openSys();
const dir = useTempDir(sys);
const NO_FD = 1 << 20;
/** PROC_SUPER_MAGIC of linux/magic.h. */
const PROC = 0x9fa0;
const FIONREAD = 0x541b;

describe('statfs', () => {
  it('agrees with node and stat(1)', () => {
    const s = new StatFs();
    expect(sys.statfs(dir.path, s)).toBe(0);
    const b = statfsSync(dir.path);
    expect([s.type, s.bsize, s.blocks, s.files]).toEqual([b.type, b.bsize, b.blocks, b.files]);
    const line = execFileSync('stat', ['-f', '-c', '%t %S %l %i', dir.path], { encoding: 'utf8' }).trim();
    const fsid = s.fsid.map((word) => word.toString(16).padStart(8, '0'));
    expect(line).toBe(`${s.type.toString(16)} ${s.frsize} ${s.namelen} ${`${fsid[0]}${fsid[1]}`.replace(/^0+/, '')}`);
  });

  it('takes descriptors, O_PATH too', () => {
    const s = new StatFs();
    const fd = sys.openat(AT_FDCWD, '/proc', O_PATH, 0);
    expect(sys.fstatfs(fd, s)).toBe(0);
    expect(s.type).toBe(PROC);
    sys.close(fd);
    expect(sys.fstatfs(NO_FD, s)).toBe(-EBADF);
    expect(sys.statfs(dir.at('missing'), s)).toBe(-ENOENT);
    expect(sys.statfs('a\0', s)).toBe(-EINVAL);
  });
});

describe('file handles', () => {
  it('name an inode by name and by descriptor alike', () => {
    writeFileSync(dir.at('f'), '');
    const fd = sys.openat(dir.fd, 'f', O_PATH, 0);
    const byName = sys.nameToHandleAt(dir.fd, 'f', 0);
    expect(byName).toEqual(sys.nameToHandleAt(fd, '', AT_EMPTY_PATH));
    if (typeof byName === 'number') throw new Error(`name_to_handle_at: ${byName}`);
    expect(byName.handle.length).toBeGreaterThanOrEqual(8);
    const again = sys.nameToHandleAt(dir.fd, '.', 0);
    expect(again).not.toEqual(byName);
    sys.close(fd);
    expect(sys.nameToHandleAt(dir.fd, 'missing', 0)).toBe(-ENOENT);
    expect(sys.nameToHandleAt(AT_FDCWD, '/proc/self/status', 0)).toBe(-EOPNOTSUPP);
  });

  it.skipIf(!isRoot)(needsRoot('open what they name until it is gone'), () => {
    writeFileSync(dir.at('f'), 'data');
    const id = sys.nameToHandleAt(dir.fd, 'f', 0);
    if (typeof id === 'number') throw new Error(`name_to_handle_at: ${id}`);
    const fd = sys.openByHandleAt(dir.fd, id.type, id.handle, O_RDONLY);
    const buf = Buffer.alloc(10);
    expect(sys.read(fd, buf, 0, 10)).toBe(4);
    sys.close(fd);
    unlinkSync(dir.at('f'));
    expect(sys.openByHandleAt(dir.fd, id.type, id.handle, O_RDONLY)).toBe(-ESTALE);
    expect(sys.openByHandleAt(dir.fd, id.type, Buffer.alloc(129), O_RDONLY)).toBe(-EINVAL);
    expect(sys.openByHandleAt(NO_FD, id.type, id.handle, O_RDONLY)).toBe(-EBADF);
  });
});

describe('ioctl', () => {
  it('fills a buffer, takes an integer, and answers errors', () => {
    const [r, w] = sys.pipe2(0) as [number, number];
    sys.write(w, Buffer.from('12345'), 0, 5);
    const count = Buffer.alloc(4);
    expect(sys.ioctl(r, FIONREAD, count)).toBe(0);
    expect(count.readInt32LE()).toBe(5);
    expect(sys.ioctlInt(r, 0x7777, 0)).toBe(-ENOTTY);
    expect(sys.ioctl(NO_FD, FIONREAD, count)).toBe(-EBADF);
    sys.close(r);
    sys.close(w);
  });

  it('reads inode flags where the filesystem has them', () => {
    const s = new StatFs();
    sys.fstatfs(dir.fd, s);
    const flags = Buffer.alloc(8);
    const r = sys.ioctl(dir.fd, FS_IOC_GETFLAGS, flags);
    if (s.type === EXT4_SUPER_MAGIC) expect(r).toBe(0);
    expect(flags.readUInt32LE() & FS_IMMUTABLE_FL).toBe(0);
  });
});

describe.skipIf(!isRoot)(needsRoot('ficlone on a filesystem that shares extents'), () => {
  let image: LoopMount | undefined;
  beforeAll(() => {
    image = mountImage('btrfs', 128);
  });
  afterAll(() => image?.unmount());

  it('shares all data, and copies on write', (context) => {
    if (!image?.path) return context.skip(`no btrfs loop mount: ${image?.reason}`);
    mkdirSync(`${image.path}/d`);
    writeFileSync(`${image.path}/d/src`, 'x'.repeat(300_000));
    writeFileSync(`${image.path}/d/dst`, '');
    const src = sys.openat(AT_FDCWD, `${image.path}/d/src`, O_RDONLY, 0);
    const dst = sys.openat(AT_FDCWD, `${image.path}/d/dst`, O_RDWR, 0);
    expect(sys.ficlone(dst, src)).toBe(0);
    expect(sys.pwrite(dst, Buffer.from('y'), 0, 1, 0)).toBe(1);
    expect(readFileSync(`${image.path}/d/dst`, 'utf8')).toBe(`y${'x'.repeat(299_999)}`);
    expect(readFileSync(`${image.path}/d/src`, 'utf8')[0]).toBe('x');
    const s = new Stat();
    sys.fstat(dst, s);
    expect(s.size).toBe(300_000);
    sys.close(src);
    sys.close(dst);
  });
});

describe('file_getattr', () => {
  /** From Linux 6.17 on. */
  const have = sys.fileGetattr(AT_FDCWD, '/', 0) !== -ENOSYS;

  it.skipIf(!have || !isRoot)('tells flags by name, unopened', () => {
    writeFileSync(dir.at('f'), '');
    execFileSync('chattr', ['+A', dir.at('f')]);
    expect(sys.fileGetattr(dir.fd, 'f', AT_SYMLINK_NOFOLLOW)).toBe(FS_XFLAG_NOATIME);
    execFileSync('chattr', ['-A', dir.at('f')]);
    expect(sys.fileGetattr(dir.fd, 'f', AT_SYMLINK_NOFOLLOW)).toBe(0);
    symlinkSync('f', dir.at('l'));
    expect(sys.fileGetattr(dir.fd, 'l', AT_SYMLINK_NOFOLLOW)).toBe(-EOPNOTSUPP);
    expect(sys.fileGetattr(dir.fd, 'missing', AT_SYMLINK_NOFOLLOW)).toBe(-ENOENT);
    expect(sys.fileGetattr(AT_FDCWD, '/proc/self/status', 0)).toBe(-EOPNOTSUPP);
  });
});
