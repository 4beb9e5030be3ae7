/** Looking at a layer on disk, and reading its files. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmdirSync, statSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { at, opened, useLayers } from '../../test/support/layers.ts';
import { isRoot, needsRoot, useTempDir } from '../../test/support/temp-dir.ts';
import { wrapSys } from '../sys/calls.ts';
import {
  DT_CHR,
  DT_DIR,
  DT_FIFO,
  DT_LNK,
  DT_REG,
  O_DIRECTORY,
  O_RDONLY,
  O_WRONLY,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFREG,
  SEEK_DATA,
  SEEK_HOLE,
} from '../sys/constants.ts';
import { EACCES, ELOOP, ENODATA, ENOENT, ENOTDIR, ENXIO, EPERM, ESTALE } from '../sys/errno.ts';
import { Stat, StatFs } from '../sys/stat.ts';
import { openSys } from '../sys/sys-koffi.ts';
import { DescriptorCache } from './descriptor-cache.ts';
import { DiskLayer } from './disk-layer.ts';
import type { RawDirent } from './layer.ts';

const sys = openSys();
const dir = useTempDir(sys);
const layers = useLayers(sys);
const s = new Stat();

describe('open', () => {
  it('follows a symlink at the end of the path, and answers the errno of what is no directory', () => {
    mkdirSync(dir.at('real'));
    symlinkSync('real', dir.at('link'));
    writeFileSync(dir.at('file'), '');
    const layer = layers.open(dir.at('link'), true);
    expect(layer.stat(layer.root, s)).toBe(0);
    expect(s.ino).toBe(statSync(dir.at('real'), { bigint: true }).ino);
    expect(layer.dev).toBe(statSync(dir.at('real')).dev);
    expect(layer.label).toBe(dir.at('link'));
    expect(layer.uuid.length).toBe(16);
    const cache = new DescriptorCache(sys, 8);
    const open = (path: string): unknown => DiskLayer.open(sys, cache, { path, label: path, writable: false });
    expect(open(dir.at('file'))).toBe(-ENOTDIR);
    expect(open(dir.at('missing'))).toBe(-ENOENT);
  });

  it('takes a path below a descriptor', () => {
    mkdirSync(dir.at('u'));
    const options = { path: 'u', dirfd: dir.fd, label: 'u', writable: true };
    const layer = DiskLayer.open(sys, new DescriptorCache(sys, 8), options) as DiskLayer;
    layer.stat(layer.root, s);
    expect(s.ino).toBe(statSync(dir.at('u'), { bigint: true }).ino);
    layer.destroy();
  });
});

describe.each([
  ['an upper', true],
  ['a lower', false],
])('%s', (_kind, writable) => {
  it('finds one name in one directory, and nothing else', () => {
    mkdirSync(dir.at('d'));
    writeFileSync(dir.at('d/f'), 'abc');
    symlinkSync('f', dir.at('d/l'));
    const layer = layers.open(dir.path, writable);
    const d = at(layer, 'd');
    expect(layer.lookup(layer.root, 'd', s)).toBe(0);
    expect(s.type).toBe(S_IFDIR);
    expect(layer.lookup(d, 'f', s)).toBe(0);
    expect([s.type, s.size]).toEqual([S_IFREG, 3]);
    expect(layer.lookup(d, 'l', s)).toBe(0);
    expect(s.type).toBe(S_IFLNK);
    expect(layer.lookup(d, 'missing', s)).toBe(-ENOENT);
    expect(layer.lookup(at(layer, 'd', 'f'), 'x', s)).toBe(-ESTALE);
    expect(layer.readlink(at(layer, 'd', 'l'))).toBe('f');
    expect(layer.stat(at(layer, 'd', 'f'), s)).toBe(0);
    expect(s.size).toBe(3);
    expect(layer.stat(d, s)).toBe(0);
    expect(s.ino).toBe(statSync(dir.at('d'), { bigint: true }).ino);
  });

  it.each(['', '.', '..', '../etc', 'd/f', '/etc'])('refuses %j as a name', (name) => {
    mkdirSync(dir.at('d'));
    writeFileSync(dir.at('d/f'), '');
    const layer = layers.open(dir.path, writable);
    expect(layer.lookup(layer.root, name, s)).toBe(-EACCES);
    expect(layer.open(at(layer, name), O_RDONLY)).toBe(-EACCES);
    expect(layer.stat(at(layer, name), s)).toBe(-EACCES);
    expect(layer.getxattr(at(layer, name), 'user.a')).toBe(-EACCES);
    expect(layer.lookup(at(layer, name), 'f', s)).toBe(-EACCES);
  });

  it('lists every entry once with its bytes, type and inode number', () => {
    // Names of all lengths, and more than one call's worth of them.
    const made = Array.from({ length: 600 }, (_, i) => `${'n'.repeat(Math.min(i, 250))}\xff${i}`);
    const writer = layers.open(dir.path, true);
    for (const name of made) writer.mknod(writer.root, name, S_IFREG | 0o600, 0);
    writer.mkdir(writer.root, '...', 0o755);
    writer.mkdir(writer.root, '.hidden', 0o755);
    writer.symlink(writer.root, 'l', 'x');
    writer.mknod(writer.root, 'p', S_IFIFO | 0o600, 0);
    if (isRoot) writer.mknod(writer.root, 'c', S_IFCHR, 0);
    const layer = layers.open(dir.path, writable);
    const into: RawDirent[] = [];
    expect(layer.readdir(layer.root, into)).toBeGreaterThanOrEqual(0);
    expect(into.map((e) => e.name).sort()).toEqual(readdirSync(dir.path, { encoding: 'latin1' }).sort());
    const types = new Map(into.map((e) => [e.name, e.type]));
    expect(['...', '.hidden', 'l', 'p', made[7]].map((name) => types.get(name))).toEqual([
      DT_DIR,
      DT_DIR,
      DT_LNK,
      DT_FIFO,
      DT_REG,
    ]);
    if (isRoot) expect(types.get('c')).toBe(DT_CHR);
    for (const entry of into.slice(0, 50)) {
      expect(layer.lookup(layer.root, entry.name, s)).toBe(0);
      expect(entry.ino).toBe(s.ino);
    }
    expect(layer.readdir(at(layer, made[0]), [])).toBe(-ESTALE);
  });

  it('reads files by position, sees holes, and never follows a symlink', () => {
    writeFileSync(dir.at('f'), '0123456789');
    execFileSync('truncate', ['-s', '1M', dir.at('f')]);
    symlinkSync('f', dir.at('l'));
    const layer = layers.open(dir.path, writable);
    const file = opened(layer.open(at(layer, 'f'), O_RDONLY));
    const buf = Buffer.alloc(8, '.');
    expect(layer.read(file, buf, 2, 4, 3)).toBe(4);
    expect(buf.toString()).toBe('..3456..');
    expect(layer.lseek(file, 0, SEEK_HOLE)).toBe(4096);
    expect(layer.lseek(file, 8192, SEEK_DATA)).toBe(-ENXIO);
    expect(layer.fstat(file, s)).toBe(0);
    expect(s.size).toBe(1 << 20);
    expect(layer.descriptor(file)).toBe(file);
    expect(layer.fsync(file, true)).toBe(0);
    expect(layer.fsync(file, false)).toBe(0);
    expect(layer.close(file)).toBe(0);
    expect(layer.open(at(layer, 'l'), O_RDONLY)).toBe(-ELOOP);
    expect(layer.open(at(layer, 'missing'), O_RDONLY)).toBe(-ENOENT);
  });

  it('opens directories for syncing, the root too', () => {
    mkdirSync(dir.at('d'));
    const layer = layers.open(dir.path, writable);
    const d = at(layer, 'd');
    layer.lookup(d, 'x', s);
    for (const dentry of [layer.root, d, at(layer, 'd')]) {
      const file = opened(layer.open(dentry, O_RDONLY | O_DIRECTORY));
      expect(layer.fsync(file, false)).toBe(0);
      layer.close(file);
    }
  });

  it('does not hang on a FIFO that took the place of a file', () => {
    const writer = layers.open(dir.path, true);
    writer.mknod(writer.root, 'p', S_IFIFO | 0o600, 0);
    const layer = layers.open(dir.path, writable);
    layer.close(opened(layer.open(at(layer, 'p'), O_RDONLY)));
    if (writable) expect(layer.open(at(layer, 'p'), O_WRONLY)).toBe(-ENXIO);
  });

  it('tells of its filesystem', () => {
    const layer = layers.open(dir.path, writable);
    const mine = new StatFs();
    const theirs = new StatFs();
    expect(layer.statfs(mine)).toBe(0);
    sys.statfs(dir.path, theirs);
    expect([mine.type, mine.blocks, mine.bsize]).toEqual([theirs.type, theirs.blocks, theirs.bsize]);
  });
});

describe('xattrs', () => {
  it('of any size, of files, directories and the root', () => {
    mkdirSync(dir.at('d'));
    writeFileSync(dir.at('d/f'), '');
    const layer = layers.open(dir.path, true);
    for (const d of [layer.root, at(layer, 'd'), at(layer, 'd', 'f')]) {
      expect(layer.getxattr(d, 'user.a')).toBe(-ENODATA);
      expect(layer.listxattr(d)).toEqual([]);
      for (const value of [Buffer.alloc(0), Buffer.from('y'), Buffer.alloc(3000, 7)]) {
        expect(layer.setxattr(d, 'user.a', value, 0)).toBe(0);
        expect(layer.getxattr(d, 'user.a')).toEqual(value);
      }
      expect(layer.setxattr(d, 'user.\xff', Buffer.from('z'), 0)).toBe(0);
      expect((layer.listxattr(d) as string[]).sort()).toEqual(['user.a', 'user.\xff']);
      expect(layer.removexattr(d, 'user.a')).toBe(0);
      expect(layer.listxattr(d)).toEqual(['user.\xff']);
    }
  });

  it('that do not fit the first buffer are asked for again', () => {
    const huge = Buffer.alloc(50_000, 9);
    const names = Array.from({ length: 300 }, (_, i) => `user.name-number-${i}`);
    const rich = wrapSys(sys, (name, args, call) => {
      const answer =
        name === 'getxattrat' ? huge : name === 'listxattrat' ? Buffer.from(`${names.join('\0')}\0`) : null;
      if (answer === null) return call(args);
      const buf = args.at(-1) as Buffer;
      return buf.length < answer.length ? -34 : answer.copy(buf);
    });
    const layer = layers.open(dir.path, true, rich);
    expect(layer.getxattr(layer.root, 'user.a')).toEqual(huge);
    expect(layer.listxattr(layer.root)).toEqual(names);
  });

  it('values are copies, which the next call leaves alone', () => {
    const layer = layers.open(dir.path, true);
    layer.setxattr(layer.root, 'user.a', Buffer.from('one'), 0);
    layer.setxattr(layer.root, 'user.b', Buffer.from('two'), 0);
    const one = layer.getxattr(layer.root, 'user.a');
    layer.getxattr(layer.root, 'user.b');
    expect(one).toEqual(Buffer.from('one'));
  });
});

describe('pinned dentries', () => {
  it('live on after their last name: files', () => {
    const layer = layers.open(dir.path, true);
    writeFileSync(dir.at('f'), 'text');
    const d = at(layer, 'f');
    layer.setxattr(d, 'user.a', Buffer.from('v'), 0);
    expect(layer.pin(d)).toBe(0);
    expect(layer.pin(d)).toBe(0);
    unlinkSync(dir.at('f'));
    writeFileSync(dir.at('f'), 'another file');

    expect(layer.stat(d, s)).toBe(0);
    expect([s.size, s.nlink]).toEqual([4, 0]);
    expect(layer.getxattr(d, 'user.a')).toEqual(Buffer.from('v'));
    expect(layer.setxattr(d, 'user.b', Buffer.from('w'), 0)).toBe(0);
    expect((layer.listxattr(d) as string[]).sort()).toEqual(['user.a', 'user.b']);
    expect(layer.removexattr(d, 'user.a')).toBe(0);
    expect(layer.chmod(d, 0o4711)).toBe(0);
    expect(layer.utimens(d, -3, 4, 5, 6)).toBe(0);
    if (isRoot) expect(layer.chown(d, 7, -1)).toBe(0);
    layer.stat(d, s);
    expect([s.atime, s.atimeNsec, s.mtime, s.mtimeNsec]).toEqual([-3, 4, 5, 6]);
    expect(s.uid).toBe(isRoot ? 7 : process.getuid?.());
    const file = opened(layer.open(d, O_WRONLY));
    expect(layer.write(file, Buffer.from('TEXT!'), 0, 5, 0)).toBe(5);
    layer.close(file);
    layer.stat(d, s);
    expect(s.size).toBe(5);

    layer.release(d);
    expect([d.fd, d.pinned]).toEqual([-1, false]);
    layer.stat(d, s);
    expect(s.size).toBe('another file'.length);
  });

  it('live on after their last name: directories and symlinks', () => {
    mkdirSync(dir.at('d'));
    symlinkSync('target', dir.at('l'));
    const layer = layers.open(dir.path, true);
    const d = at(layer, 'd');
    const l = at(layer, 'l');
    layer.lookup(d, 'x', s);
    expect(d.fd).toBeGreaterThan(0);
    expect(layer.pin(d)).toBe(0);
    expect(layer.pin(l)).toBe(0);
    rmdirSync(dir.at('d'));
    unlinkSync(dir.at('l'));
    // As on any filesystem: a removed directory lists nothing, not even its dots.
    expect(layer.readdir(d, [])).toBe(-ENOENT);
    expect(layer.lookup(d, 'x', s)).toBe(-ENOENT);
    expect(layer.mkdir(d, 'x', 0o755)).toBe(-ENOENT);
    layer.close(opened(layer.open(d, O_RDONLY | O_DIRECTORY)));
    expect(layer.stat(d, s)).toBe(0);
    expect(layer.readlink(l)).toBe('target');
    expect(layer.open(l, O_RDONLY)).toBe(-ELOOP);
    expect(layer.stat(l, s)).toBe(0);
    expect(s.type).toBe(S_IFLNK);
    // destroy() closes what is still pinned: the descriptor count after the test says so.
  });

  it('of what is gone already cannot be had', () => {
    const layer = layers.open(dir.path, true);
    const d = at(layer, 'f');
    expect(layer.pin(d)).toBe(-ENOENT);
    expect([d.fd, d.pinned]).toEqual([-1, false]);
    layer.release(d);
    layer.release(layer.root);
    expect(layer.stat(layer.root, s)).toBe(0);
  });
});

describe('file handles', () => {
  it.skipIf(!isRoot)(needsRoot('lead to inode numbers until the file is gone'), () => {
    writeFileSync(dir.at('f'), '');
    const layer = layers.open(dir.path, false);
    const id = layer.fileHandle(at(layer, 'f'));
    if (typeof id === 'number') throw new Error(`name_to_handle_at: ${id}`);
    expect(layer.fileHandle(at(layer, 'missing'))).toBe(-ENOENT);
    expect(layer.handleIno(id, s)).toBe(0);
    expect(s.ino).toBe(statSync(dir.at('f'), { bigint: true }).ino);
    const root = layer.fileHandle(layer.root);
    if (typeof root === 'number') throw new Error(`name_to_handle_at: ${root}`);
    expect(layer.handleIno(root, s)).toBe(0);
    expect(s.ino).toBe(statSync(dir.path, { bigint: true }).ino);

    const d = at(layer, 'f');
    layer.pin(d);
    unlinkSync(dir.at('f'));
    expect(layer.fileHandle(d)).toEqual(id);
    expect(layer.handleIno(id, s)).toBe(-ESTALE);
    layer.release(d);
    expect(layer.handleIno(id, s)).toBe(-ESTALE);
  });

  it('are not asked for twice where it is not permitted', () => {
    let asked = 0;
    const unprivileged = wrapSys(sys, (name, args, call) => {
      if (name !== 'openByHandleAt') return call(args);
      asked++;
      return -EPERM;
    });
    const layer = layers.open(dir.path, false, unprivileged);
    const id = { type: 1, handle: Buffer.alloc(8) };
    expect(layer.handleIno(id, s)).toBe(-EPERM);
    expect(layer.handleIno(id, s)).toBe(-EPERM);
    expect(layer.opensHandles()).toBe(false);
    expect(asked).toBe(1);
  });
});
