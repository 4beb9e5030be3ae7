/** Invariant 1: no lower is ever written, not even its atime. */
import { lstatSync, lutimesSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { beforeEach, describe, expect, it } from 'vitest';
import { at, opened, useLayers } from '../../test/support/layers.ts';
import { isRoot, needsRoot, useTempDir } from '../../test/support/temp-dir.ts';
import { wrapSys } from '../sys/calls.ts';
import {
  AT_FDCWD,
  O_APPEND,
  O_CREAT,
  O_NOATIME,
  O_RDONLY,
  O_RDWR,
  O_TRUNC,
  O_WRONLY,
  S_IFREG,
} from '../sys/constants.ts';
import { EINVAL, EPERM, EROFS } from '../sys/errno.ts';
import { Stat } from '../sys/stat.ts';
import type { Sys } from '../sys/sys.ts';
import { faultSys } from '../sys/sys-fault.ts';
import { openSys } from '../sys/sys-koffi.ts';
import type { DiskLayer } from './disk-layer.ts';

const sys = openSys();
const dir = useTempDir(sys);
const layers = useLayers(sys);
const s = new Stat();

/** Where mounts may not be cloned: no privilege, or a kernel before 5.2. */
const noClone = wrapSys(sys, (name, args, call) => (name === 'openTree' ? -EPERM : call(args)));
const old = new Date('2001-01-01T00:00:00Z');
const names = ['d', 'd/f', 'd/l'];

beforeEach(() => {
  mkdirSync(dir.at('d'));
  writeFileSync(dir.at('d/f'), 'text');
  symlinkSync('f', dir.at('d/l'));
  // Older than the last change, so that relatime must update it at the next read.
  for (const name of names) lutimesSync(dir.at(name), old, new Date());
});

const atimes = (): number[] => names.map((name) => lstatSync(dir.at(name)).atimeMs);

function readAll(layer: DiskLayer): void {
  expect(layer.readdir(at(layer, 'd'), [])).toBeGreaterThanOrEqual(0);
  const file = opened(layer.open(at(layer, 'd', 'f'), O_RDONLY));
  expect(layer.read(file, Buffer.alloc(4), 0, 4, 0)).toBe(4);
  layer.close(file);
}

describe('atime', () => {
  it('of this filesystem changes when others read', () => {
    readdirSync(dir.at('d'));
    readFileSync(dir.at('d/f'));
    expect(atimes().slice(0, 2)).not.toContain(old.getTime());
  });

  it.skipIf(!isRoot)(needsRoot('stays through a private clone of the mount, of symlinks too'), () => {
    const layer = layers.open(dir.path, false);
    expect(layer.cloned).toBe(true);
    readAll(layer);
    expect(layer.readlink(at(layer, 'd', 'l'))).toBe('f');
    expect(atimes()).toEqual(names.map(() => old.getTime()));
  });

  it('stays without a clone, by O_NOATIME', () => {
    const layer = layers.open(dir.path, false, noClone);
    expect(layer.cloned).toBe(false);
    readAll(layer);
    expect(atimes().slice(0, 2)).toEqual([old.getTime(), old.getTime()]);
  });

  it('is given up where O_NOATIME is not permitted, and reading works', () => {
    const stranger = wrapSys(noClone, (name, args, call) =>
      name === 'openat' && (args[2] as number) & O_NOATIME ? -EPERM : call(args),
    );
    readAll(layers.open(dir.path, false, stranger));
  });

  it('of an upper changes as on any filesystem', () => {
    readAll(layers.open(dir.path, true));
    expect(atimes().slice(0, 2)).not.toContain(old.getTime());
  });
});

describe('the clone', () => {
  it.skipIf(!isRoot)(needsRoot('refuses writing even to who has its descriptors'), () => {
    const layer = layers.open(dir.path, false);
    expect(sys.mkdirat(layer.root.fd, 'x', 0o700)).toBe(-EROFS);
    const file = opened(layer.open(at(layer, 'd', 'f'), O_RDONLY));
    expect(sys.openat(AT_FDCWD, `/proc/self/fd/${file}`, O_RDWR, 0)).toBe(-EROFS);
    layer.close(file);
  });

  it.skipIf(!isRoot)(needsRoot('is given up where it cannot be made read-only, or is of another directory'), () => {
    const answers: ((sys: Sys) => Sys)[] = [
      (inner) => wrapSys(inner, (name, args, call) => (name === 'mountSetattr' ? -EINVAL : call(args))),
      (inner) =>
        wrapSys(inner, (name, args, call) =>
          name === 'openTree' ? inner.openTree(AT_FDCWD, '/', args[2] as number) : call(args),
        ),
    ];
    for (const wrap of answers) {
      const layer = layers.open(dir.path, false, wrap(sys));
      expect(layer.cloned).toBe(false);
      expect(layer.lookup(layer.root, 'd', s)).toBe(0);
    }
  });

  it.skipIf(!isRoot)(needsRoot('is read-only where the kind of atime is locked'), () => {
    const locked = wrapSys(sys, (name, args, call) => (name === 'mountSetattr' && args[3] !== 1 ? -EPERM : call(args)));
    const layer = layers.open(dir.path, false, locked);
    expect(layer.cloned).toBe(true);
    readAll(layer);
    expect(layer.readlink(at(layer, 'd', 'l'))).toBe('f');
    expect(atimes()).toEqual(names.map(() => old.getTime()));
  });
});

describe('every change', () => {
  it('is EROFS before any system call', () => {
    const counter = faultSys(sys, { at: Number.POSITIVE_INFINITY });
    const layer = layers.open(dir.path, false, counter.sys);
    const file = opened(layer.open(at(layer, 'd', 'f'), O_RDONLY));
    const counted = counter.counted;
    const d = at(layer, 'd');
    const f = at(layer, 'd', 'f');
    const buf = Buffer.from('x');
    const answers = [
      layer.open(f, O_WRONLY),
      layer.open(f, O_RDWR),
      layer.open(f, O_RDONLY | O_TRUNC),
      layer.open(f, O_WRONLY | O_APPEND),
      layer.open(f, O_RDONLY | O_CREAT),
      layer.write(file, buf, 0, 1, 0),
      layer.ftruncate(file, 0),
      layer.fallocate(file, 0, 0, 1),
      layer.copyFileRange(file, 0, file, 0, 1),
      layer.clone(file, file),
      layer.create(d, 'new', O_RDWR, 0o600),
      layer.tmpfile(d, 0, 0o600),
      layer.linkFile(file, d, 'new'),
      layer.mkdir(d, 'new', 0o700),
      layer.mknod(d, 'new', S_IFREG, 0),
      layer.symlink(d, 'new', 'x'),
      layer.link(f, d, 'new'),
      layer.unlink(d, 'f'),
      layer.rmdir(layer.root, 'd'),
      layer.rename(d, 'f', d, 'new', 0),
      layer.chmod(f, 0o600),
      layer.chown(f, 1, 1),
      layer.utimens(f, 0, 0, 0, 0),
      layer.setxattr(f, 'user.a', buf, 0),
      layer.removexattr(f, 'user.a'),
      layer.fchmod(file, 0o600),
      layer.fchown(file, 1, 1),
      layer.futimens(file, 0, 0, 0, 0),
      layer.fsetxattr(file, 'user.a', buf, 0),
      layer.syncfs(),
    ];
    expect(answers).toEqual(answers.map(() => -EROFS));
    expect(counter.counted).toBe(counted);
    layer.close(file);
    expect(readFileSync(dir.at('d/f'), 'utf8')).toBe('text');
  });
});
