import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync, statSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { isRoot, needsRoot, useTempDir } from '../../../test/support/temp-dir.ts';
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_REMOVEDIR,
  AT_SYMLINK_NOFOLLOW,
  DT_DIR,
  DT_LNK,
  DT_REG,
  O_NOFOLLOW,
  O_PATH,
  O_RDWR,
  O_TMPFILE,
  RENAME_EXCHANGE,
  RENAME_NOREPLACE,
  RENAME_WHITEOUT,
  S_IFBLK,
  S_IFCHR,
  S_IFIFO,
  S_IFREG,
} from '../constants.ts';
import { EBADF, EEXIST, EINVAL, EISDIR, ENAMETOOLONG, ENOENT, ENOTDIR, ENOTEMPTY } from '../errno.ts';
import { makedev, Stat } from '../stat.ts';
import { openSys } from '../sys-koffi.ts';

const sys = openSys();
const dir = useTempDir(sys);
const NO_FD = 1 << 20;

/** Names that are bytes and nothing else: what JavaScript's strings of UTF-8 would lose. */
const odd = [
  '\xff\xfe',
  '\xc3',
  'new\nline',
  '\x01\x7f',
  'ends in space ',
  '-rf',
  '*',
  "it's",
  '\xfc'.repeat(10),
  '\xe2\x80\xa6',
];

const onDisk = (): string[] => readdirSync(dir.path, { encoding: 'latin1' }).sort();

describe('names are bytes', () => {
  it.each(odd)('%j is made, found, renamed and removed', (name) => {
    const s = new Stat();
    expect(sys.mkdirat(dir.fd, name, 0o700)).toBe(0);
    expect(onDisk()).toEqual([name]);
    expect(sys.statx(dir.fd, name, 0, s)).toBe(0);
    expect(sys.renameat2(dir.fd, name, dir.fd, `${name}2`, 0)).toBe(0);
    expect(onDisk()).toEqual([`${name}2`]);
    expect(sys.unlinkat(dir.fd, `${name}2`, AT_REMOVEDIR)).toBe(0);
    expect(sys.symlinkat(name, dir.fd, 'l')).toBe(0);
    expect(sys.readlinkat(dir.fd, 'l')).toBe(name);
    expect(readlinkSync(dir.at('l'), { encoding: 'latin1' })).toBe(name);
  });

  it('of 255 bytes and links of 4095 are whole', () => {
    const name = '\xff'.repeat(255);
    expect(sys.mkdirat(dir.fd, name, 0o700)).toBe(0);
    expect(sys.mkdirat(dir.fd, `${name}x`, 0o700)).toBe(-ENAMETOOLONG);
    const target = `${'a/'.repeat(2047)}b`;
    expect(sys.symlinkat(target, dir.fd, 'l')).toBe(0);
    expect(sys.readlinkat(dir.fd, 'l')).toBe(target);
    expect(sys.symlinkat(`${target}c`, dir.fd, 'm')).toBe(-ENAMETOOLONG);
  });
});

describe('making and removing', () => {
  it('answers errors', () => {
    writeFileSync(dir.at('f'), '');
    expect(sys.mkdirat(dir.fd, 'f', 0o700)).toBe(-EEXIST);
    expect(sys.mkdirat(dir.fd, 'a\0b', 0o700)).toBe(-EINVAL);
    expect(sys.mkdirat(NO_FD, 'd', 0o700)).toBe(-EBADF);
    expect(sys.unlinkat(dir.fd, 'f', AT_REMOVEDIR)).toBe(-ENOTDIR);
    expect(sys.unlinkat(dir.fd, 'missing', 0)).toBe(-ENOENT);
    expect(sys.symlinkat('', dir.fd, 'l')).toBe(-ENOENT);
    expect(sys.symlinkat('x', dir.fd, 'f')).toBe(-EEXIST);
    expect(sys.readlinkat(dir.fd, 'f')).toBe(-EINVAL);
    expect(sys.mkdirat(dir.fd, 'd', 0o700)).toBe(0);
    expect(sys.unlinkat(dir.fd, 'd', 0)).toBe(-EISDIR);
    expect(sys.mkdirat(dir.fd, 'd/e', 0o700)).toBe(0);
    expect(sys.unlinkat(dir.fd, 'd', AT_REMOVEDIR)).toBe(-ENOTEMPTY);
    expect(sys.mknodat(dir.fd, 'f', S_IFREG | 0o600, 0)).toBe(-EEXIST);
  });

  it('mknodat makes files and FIFOs', () => {
    expect(sys.mknodat(dir.fd, 'f', S_IFREG | 0o600, 0)).toBe(0);
    expect(sys.mknodat(dir.fd, 'p', S_IFIFO | 0o600, 0)).toBe(0);
    expect(lstatSync(dir.at('f')).isFile()).toBe(true);
    expect(lstatSync(dir.at('p')).isFIFO()).toBe(true);
  });

  it.skipIf(!isRoot)(needsRoot('mknodat makes devices with any number'), () => {
    const s = new Stat();
    for (const dev of [makedev(0, 0), makedev(1, 3), makedev(4095, 0xfffff), makedev(259, 70000)]) {
      for (const type of [S_IFCHR, S_IFBLK]) {
        expect(sys.mknodat(dir.fd, 'd', type | 0o600, dev)).toBe(0);
        expect(sys.statx(dir.fd, 'd', 0, s)).toBe(0);
        expect(s.rdev).toBe(dev);
        expect(s.type).toBe(type);
        sys.unlinkat(dir.fd, 'd', 0);
      }
    }
  });
});

describe('renameat2', () => {
  it('replaces, refuses to, and exchanges', () => {
    writeFileSync(dir.at('a'), 'a');
    writeFileSync(dir.at('b'), 'b');
    expect(sys.renameat2(dir.fd, 'a', dir.fd, 'b', RENAME_NOREPLACE)).toBe(-EEXIST);
    expect(sys.renameat2(dir.fd, 'a', dir.fd, 'b', RENAME_EXCHANGE)).toBe(0);
    expect(readFileSync(dir.at('a'), 'utf8')).toBe('b');
    expect(sys.renameat2(dir.fd, 'a', dir.fd, 'b', 0)).toBe(0);
    expect(onDisk()).toEqual(['b']);
    expect(sys.renameat2(dir.fd, 'a', dir.fd, 'b', 0)).toBe(-ENOENT);
    expect(sys.renameat2(dir.fd, 'b', dir.fd, 'c', RENAME_EXCHANGE)).toBe(-ENOENT);
    expect(sys.renameat2(dir.fd, 'b', dir.fd, 'x\0', 0)).toBe(-EINVAL);
  });

  it.skipIf(!isRoot)(needsRoot('leaves a whiteout behind'), () => {
    writeFileSync(dir.at('a'), '');
    expect(sys.renameat2(dir.fd, 'a', dir.fd, 'b', RENAME_WHITEOUT)).toBe(0);
    const s = new Stat();
    expect(sys.statx(dir.fd, 'a', AT_SYMLINK_NOFOLLOW, s)).toBe(0);
    expect([s.type, s.rdev]).toEqual([S_IFCHR, 0]);
  });
});

describe('linkat', () => {
  it('links names, and never replaces', () => {
    writeFileSync(dir.at('a'), '');
    expect(sys.linkat(dir.fd, 'a', dir.fd, 'b', 0)).toBe(0);
    expect(statSync(dir.at('a')).nlink).toBe(2);
    expect(sys.linkat(dir.fd, 'a', dir.fd, 'b', 0)).toBe(-EEXIST);
    expect(sys.linkat(dir.fd, 'missing', dir.fd, 'c', 0)).toBe(-ENOENT);
  });

  it('names an unnamed file by its descriptor', () => {
    const fd = sys.openat(dir.fd, '.', O_TMPFILE | O_RDWR, 0o600);
    sys.write(fd, Buffer.from('data'), 0, 4);
    expect(sys.linkat(fd, '', dir.fd, 'f', AT_EMPTY_PATH)).toBe(0);
    expect(readFileSync(dir.at('f'), 'utf8')).toBe('data');
    expect(sys.linkat(fd, '', dir.fd, 'f', AT_EMPTY_PATH)).toBe(-EEXIST);
    expect(sys.linkat(fd, '', dir.fd, 'no/f', AT_EMPTY_PATH)).toBe(-ENOENT);
    sys.close(fd);
  });
});

describe('readlinkat', () => {
  it('reads an O_PATH descriptor by the empty name', () => {
    sys.symlinkat('to\xff', dir.fd, 'l');
    const fd = sys.openat(dir.fd, 'l', O_PATH | O_NOFOLLOW, 0);
    expect(sys.readlinkat(fd, '')).toBe('to\xff');
    sys.close(fd);
    expect(sys.readlinkat(AT_FDCWD, '/proc/self/exe')).toBe(Buffer.from(process.execPath).toString('latin1'));
    expect(existsSync(dir.at('to'))).toBe(false);
  });
});

describe('getdents64', () => {
  it('fills raw records', () => {
    sys.mkdirat(dir.fd, 'd\xff', 0o700);
    writeFileSync(dir.at('f'), '');
    sys.symlinkat('x', dir.fd, 'l');
    const buf = Buffer.alloc(4096);
    const filled = sys.getdents64(dir.fd, buf);
    expect(filled).toBeGreaterThan(0);
    const seen = new Map<string, number>();
    for (let at = 0; at < filled; at += buf.readUInt16LE(at + 16)) {
      seen.set(buf.toString('latin1', at + 19, buf.indexOf(0, at + 19)), buf[at + 18]);
    }
    expect([...seen].sort()).toEqual([
      ['.', DT_DIR],
      ['..', DT_DIR],
      ['d\xff', DT_DIR],
      ['f', DT_REG],
      ['l', DT_LNK],
    ]);
    expect(sys.getdents64(dir.fd, buf)).toBe(0);
    expect(sys.getdents64(NO_FD, buf)).toBe(-EBADF);
    sys.lseek(dir.fd, 0, 0);
    expect(sys.getdents64(dir.fd, Buffer.alloc(8))).toBe(-EINVAL);
  });
});
