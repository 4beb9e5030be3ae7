/**
 * The table of bad input: each row is a stage, the options on it, and the one sentence that must
 * come. After every row nothing of the stage may have changed.
 */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { NEEDS_MOUNTS, NEEDS_UPPER, privileged, upperBase } from '../../test/support/privilege.ts';
import { fromText } from '../sys/bytes.ts';
import { CLONE_NEWNS, MNT_DETACH, MS_PRIVATE, MS_REC, NFS_SUPER_MAGIC, O_PATH } from '../sys/constants.ts';
import { EACCES, EPERM } from '../sys/errno.ts';
import type { Sys } from '../sys/sys.ts';
import { openSys } from '../sys/sys-koffi.ts';
import { absoluteLayers, type CheckRules, checkMount } from './checks.ts';
import { mountKernel } from './kernel-mount.ts';
import { isMountError, type MountError } from './mount-error.ts';
import { parseOptions } from './parse-options.ts';

const sys = openSys();
let top: string;

function dir(name: string): string {
  const at = path.join(top, name);
  fs.mkdirSync(at, { recursive: true });
  return at;
}

beforeEach((context) => {
  if (upperBase === null) return context.skip(NEEDS_UPPER);
  top = fs.mkdtempSync(path.join(upperBase, 'strata-checks-'));
  for (const name of ['l', 'l2', 'u', 'w', 'm']) dir(name);
});
afterEach(() => {
  if (upperBase !== null) fs.rmSync(top, { recursive: true, force: true });
});

/** `T` stands for the stage in options and messages. */
function failure(text: string, merged = 'T/m', rules: Partial<CheckRules> = {}, table: Sys = sys): MountError | null {
  const here = (s: string) => fromText(s.replaceAll('T/', `${top}/`));
  try {
    const userxattr = privileged ? [] : ['userxattr'];
    const options = absoluteLayers(table, parseOptions([here(text), ...userxattr]));
    checkMount(table, options, here(merged), { backend: 'fuse', ...rules });
  } catch (error) {
    if (isMountError(error)) return error;
    throw error;
  }
  return null;
}

function tree(): string[] {
  return (fs.readdirSync(top, { recursive: true }) as string[]).sort();
}

describe('checkMount', () => {
  it('lets good input through, and leaves no trace', () => {
    const before = tree();
    expect(failure('lowerdir=T/l:T/l2,upperdir=T/u,workdir=T/w')).toBeNull();
    expect(failure('lowerdir=T/l:T/l2')).toBeNull();
    expect(failure('lowerdir=T/,upperdir=T/u,workdir=T/w')).toBeNull();
    expect(tree()).toEqual(before);
  });

  it.each([
    [
      'a missing lower',
      'lowerdir=T/no:T/l',
      'ENOENT',
      "lower layer 'T/no' does not exist: make the directory or correct its path",
    ],
    ['a lower that is a file', 'lowerdir=T/file:T/l', 'EINVAL', "lower layer 'T/file' is not a directory"],
    [
      'a lower below a file',
      'lowerdir=T/file/x:T/l',
      'ENOTDIR',
      "lower layer 'T/file/x' does not exist: a file is in its path",
    ],
    ['a missing upper', 'lowerdir=T/l,upperdir=T/no,workdir=T/w', 'ENOENT', "upperdir 'T/no' does not exist"],
    [
      'a work that is a file',
      'lowerdir=T/l,upperdir=T/u,workdir=T/file',
      'EINVAL',
      "workdir 'T/file' is not a directory",
    ],
    ['no work', 'lowerdir=T/l,upperdir=T/u', 'EINVAL', 'upperdir needs a workdir'],
    ['no lower', 'upperdir=T/u,workdir=T/w', 'EINVAL', 'lowerdir is missing'],
    ['one lower and no upper', 'lowerdir=T/l', 'EINVAL', 'at least two lower layers'],
    [
      'the same lower twice',
      'lowerdir=T/l:T/l2:T/link,upperdir=T/u,workdir=T/w',
      'ELOOP',
      "lower layer 'T/link' is named twice",
    ],
    [
      'a lower that is the upper',
      'lowerdir=T/u,upperdir=T/u,workdir=T/w',
      'ELOOP',
      "'T/u' is both upperdir and lower layer",
    ],
    [
      'a lower inside the upper',
      'lowerdir=T/u/in,upperdir=T/u,workdir=T/w',
      'ELOOP',
      "lower layer 'T/u/in' lies inside upperdir 'T/u'",
    ],
    ['a lower inside a lower', 'lowerdir=T/u:T/u/in', 'ELOOP', "lower layer 'T/u/in' lies inside lower layer 'T/u'"],
    [
      'work inside upper',
      'lowerdir=T/l,upperdir=T/u,workdir=T/u/in',
      'EINVAL',
      "workdir 'T/u/in' lies inside upperdir 'T/u'",
    ],
    [
      'upper inside work',
      'lowerdir=T/l,upperdir=T/u/in,workdir=T/u',
      'EINVAL',
      "upperdir 'T/u/in' lies inside workdir 'T/u'",
    ],
    ['upper that is work', 'lowerdir=T/l,upperdir=T/u,workdir=T/u', 'EINVAL', "workdir and upperdir are both 'T/u'"],
    [
      'metacopy without redirects',
      'lowerdir=T/l,upperdir=T/u,workdir=T/w,metacopy=on,redirect_dir=off',
      'EINVAL',
      'conflicting options: metacopy=on,redirect_dir=off',
    ],
    [
      'userxattr with metacopy',
      'lowerdir=T/l:T/l2,userxattr,metacopy=on',
      'EINVAL',
      'conflicting options: userxattr,metacopy=on',
    ],
    [
      'nfs_export without index',
      'lowerdir=T/l,upperdir=T/u,workdir=T/w,nfs_export=on,index=off',
      'EINVAL',
      'conflicting options: nfs_export=on,index=off',
    ],
  ])('refuses %s', (_, text, errnoName, message) => {
    fs.writeFileSync(path.join(top, 'file'), '');
    fs.symlinkSync('l', path.join(top, 'link'));
    dir('u/in');
    const before = tree();
    expect(failure(text)).toMatchObject({
      exitStatus: 32,
      errnoName,
      message: expect.stringContaining(message.replaceAll('T/', `${top}/`)),
    });
    expect(tree()).toEqual(before);
  });

  it.each([
    ['missing', 'T/no', 'ENOENT', "mount point 'T/no' does not exist: make the directory first"],
    ['a file', 'T/file', 'ENOTDIR', "mount point 'T/file' is not a directory"],
  ])('refuses a mount point that is %s', (_, merged, errnoName, message) => {
    fs.writeFileSync(path.join(top, 'file'), '');
    expect(failure('lowerdir=T/l:T/l2', merged)).toMatchObject({
      errnoName,
      message: message.replaceAll('T/', `${top}/`),
    });
  });

  it('keeps its sentence on one line, whatever the path holds', () => {
    expect(failure('lowerdir=T/a\nb\x1b[1m\xff:T/l')?.message).toContain(
      "a\\nb\\x1b[1m\\xc3\\xbf'".replace('\\xc3\\xbf', 'ÿ'),
    );
  });

  it.each([
    ['volatile', 'was used by a volatile mount'],
    ['other', "was used with the feature 'other'"],
  ])('refuses a workdir with the mark %s', (mark, message) => {
    dir(`w/work/incompat/${mark}`);
    expect(failure('lowerdir=T/l,upperdir=T/u,workdir=T/w')).toMatchObject({
      errnoName: 'EINVAL',
      message: expect.stringContaining(message),
    });
  });

  it('refuses a network filesystem as upper', () => {
    const faked: Sys = {
      ...sys,
      fstatfs: (fd, out) => {
        const r = sys.fstatfs(fd, out);
        out.type = NFS_SUPER_MAGIC;
        return r;
      },
    };
    expect(failure('lowerdir=T/l,upperdir=T/u,workdir=T/w', 'T/m', {}, faked)).toMatchObject({
      errnoName: 'EINVAL',
      message: `upperdir '${top}/u' is on a network filesystem (NFS), which cannot hold an upper: choose a local one`,
    });
  });

  it('refuses an upper that takes no whiteouts', () => {
    const faked: Sys = { ...sys, mknodat: () => -EPERM };
    expect(failure('lowerdir=T/l,upperdir=T/u,workdir=T/w', 'T/m', {}, faked)?.message).toContain('takes no whiteouts');
  });

  it('tells that trusted xattrs are not permitted, unless the kernel can do without', () => {
    const faked: Sys = { ...sys, setxattrat: () => -EPERM };
    const text = 'lowerdir=T/l,upperdir=T/u,workdir=T/w';
    expect(failure(text, 'T/m', {}, faked)).toMatchObject({ errnoName: 'EPERM' });
    expect(failure(text, 'T/m', { backend: 'kernel' }, faked)).toBeNull();
  });

  it('asks who serves the upper', () => {
    const usedByServer = (at: string) => (at.endsWith('/w') ? "a server (pid 7) at '/mnt'" : null);
    expect(failure('lowerdir=T/l,upperdir=T/u,workdir=T/w', 'T/m', { usedByServer })).toMatchObject({
      errnoName: 'EBUSY',
      message: `workdir '${top}/w' is in use by a server (pid 7) at '/mnt': unmount that first or take another`,
    });
  });

  it('refuses a lower that may not be read', () => {
    const faked: Sys = {
      ...sys,
      openat: (dirfd, at, flags, mode) =>
        at.endsWith('/l') && (flags & O_PATH) === 0 ? -EACCES : sys.openat(dirfd, at, flags, mode),
    };
    expect(failure('lowerdir=T/l:T/l2', 'T/m', {}, faked)).toMatchObject({
      errnoName: 'EACCES',
      message: `lower layer '${top}/l' cannot be read: it needs permission to read and search for this user`,
    });
  });
});

describe('checkMount with filesystems of its own', () => {
  beforeAll(() => {
    if (!privileged) return;
    expect(sys.unshare(CLONE_NEWNS)).toBe(0);
    expect(sys.mount('none', '/', '', MS_PRIVATE | MS_REC, null)).toBe(0);
  });
  beforeEach((context) => context.skip(!privileged, NEEDS_MOUNTS));
  const mounted: string[] = [];
  const loops: string[] = [];
  afterEach(() => {
    for (const at of mounted.splice(0).reverse()) sys.umount2(fromText(at), MNT_DETACH);
    for (const loop of loops.splice(0)) execFileSync('losetup', ['-d', loop]);
  });
  afterAll(() => expect(loops).toEqual([]));

  function mountAt(at: string, type: string, source = 'none', data: string | null = null): string {
    expect(sys.mount(source, fromText(dir(at)), type, 0, data)).toBe(0);
    mounted.push(path.join(top, at));
    for (const name of ['l', 'u', 'w']) dir(`${at}/${name}`);
    return at;
  }

  it('refuses work on another filesystem', () => {
    mountAt('t', 'tmpfs');
    expect(failure('lowerdir=T/l,upperdir=T/u,workdir=T/t/w')).toMatchObject({
      errnoName: 'EINVAL',
      message: `workdir '${top}/t/w' is on another filesystem than upperdir '${top}/u': put both on the same one`,
    });
  });

  it('refuses an upper in use by the kernel, here and in another mount namespace', () => {
    mountKernel(sys, parseOptions([`lowerdir=${top}/l,upperdir=${top}/u,workdir=${top}/w`]), 'x', dir('m2'));
    mounted.push(path.join(top, 'm2'));
    dir('w2');
    dir('u2');
    expect(failure('lowerdir=T/l,upperdir=T/u,workdir=T/w2')).toMatchObject({
      exitStatus: 32,
      errnoName: 'EBUSY',
      message: `upperdir '${top}/u' is in use by the kernel's overlay at '${top}/m2': unmount that first or take another`,
    });
    expect(failure('lowerdir=T/l,upperdir=T/u2,workdir=T/w')?.message).toContain(`workdir '${top}/w' is in use`);
    expect(failure('lowerdir=T/l,upperdir=T/u2,workdir=T/w2')).toBeNull();

    const there = execFileSync(
      'unshare',
      [
        '--mount',
        'sh',
        '-c',
        `mount -t overlay -o lowerdir=${top}/l,upperdir=${top}/u2,workdir=${top}/w2 x ${top}/m && sleep 60 >/dev/null & echo $!`,
      ],
      { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] },
    );
    const pid = Number(there);
    try {
      const deadline = Date.now() + 5000;
      while (failure('lowerdir=T/l,upperdir=T/u2,workdir=T/w2') === null && Date.now() < deadline);
      expect(failure('lowerdir=T/l,upperdir=T/u2,workdir=T/w2')).toMatchObject({
        errnoName: 'EBUSY',
        message: expect.stringContaining(`upperdir '${top}/u2' is in use by the kernel's overlay at '${top}/m'`),
      });
    } finally {
      process.kill(pid);
    }
  });

  it('warns of lowers that somebody writes, and refuses them with an index', () => {
    mountKernel(sys, parseOptions([`lowerdir=${top}/l,upperdir=${top}/u,workdir=${top}/w`]), 'x', dir('m3'));
    mounted.push(path.join(top, 'm3'));
    for (const name of ['u4', 'w4', 'l4']) dir(name);
    const said: string[] = [];
    const warn = (message: string) => said.push(message);
    const usedByServer = (at: string) => (at.endsWith('/l4') ? "a server (pid 7) at '/mnt'" : null);
    const layers = 'lowerdir=T/l:T/l4:T/u,upperdir=T/u4,workdir=T/w4';
    const warnings = [
      `lower layer '${top}/u' is in use by the kernel's overlay at '${top}/m3': what changes there may show here or not`,
      `lower layer '${top}/l4' is in use by a server (pid 7) at '/mnt': what changes there may show here or not`,
    ];
    expect(failure(layers, 'T/m', { usedByServer, warn })).toBeNull();
    expect(said.splice(0)).toEqual(warnings);
    expect(failure('lowerdir=T/l:T/l4:T/u', 'T/m', { usedByServer, warn })).toBeNull();
    expect(said.splice(0)).toEqual(warnings);
    expect(failure(`${layers},index=on`, 'T/m', { usedByServer, warn })).toMatchObject({ errnoName: 'EBUSY' });
    expect(failure('lowerdir=T/l,upperdir=T/u4,workdir=T/w4', 'T/m', { usedByServer, warn })).toBeNull();
    expect(said).toEqual([]);
  });

  it('refuses an upper on a read-only mount, unless the union is read-only too', () => {
    mountAt('t', 'tmpfs');
    execFileSync('mount', ['-o', 'remount,ro', `${top}/t`]);
    expect(failure('lowerdir=T/l,upperdir=T/t/u,workdir=T/t/w')).toMatchObject({
      errnoName: 'EINVAL',
      message: expect.stringContaining('is on a read-only mount'),
    });
    expect(failure('lowerdir=T/l,upperdir=T/t/u,workdir=T/t/w,ro')).toBeNull();
  });

  it('refuses an upper on an overlay', () => {
    mountKernel(sys, parseOptions([`lowerdir=${top}/l,upperdir=${top}/u,workdir=${top}/w`]), 'x', dir('m2'));
    mounted.push(path.join(top, 'm2'));
    dir('m2/u');
    dir('m2/w');
    expect(failure('lowerdir=T/l2,upperdir=T/m2/u,workdir=T/m2/w')).toMatchObject({
      errnoName: 'EINVAL',
      message: expect.stringContaining('is on an overlay, which cannot hold an upper'),
    });
  });

  it.each([
    ['u', 'upperdir'],
    ['w', 'workdir'],
  ])('refuses a mount point inside %s, by FUSE only', (layer, kind) => {
    dir(`${layer}/a/b`);
    const options = 'lowerdir=T/l,upperdir=T/u,workdir=T/w';
    expect(failure(options, `T/${layer}/a/b`)).toMatchObject({
      errnoName: 'ELOOP',
      message: expect.stringMatching(new RegExp(`^mount point '.*' lies inside ${kind} '.*': mount it elsewhere`)),
    });
    expect(failure(options, `T/${layer}/a/b`, { backend: 'kernel' })).toBeNull();
    expect(failure(options, `T/${layer}`)).toBeNull();
  });

  it('refuses a mount point inside a lower only where that cannot be held without it', () => {
    dir('l/a');
    const options = 'lowerdir=T/l,upperdir=T/u,workdir=T/w';
    const noClone: Sys = Object.create(sys, { openTree: { value: () => -EPERM } });
    if (privileged) expect(failure(options, 'T/l/a')).toBeNull();
    expect(failure(options, 'T/l/a', {}, noClone)).toMatchObject({ errnoName: 'ELOOP' });
    expect(failure(options, 'T/l/a', { covered: true }, noClone)).toBeNull();
  });

  it('refuses a filesystem without xattrs', () => {
    mountAt('r', 'ramfs');
    expect(failure('lowerdir=T/l,upperdir=T/r/u,workdir=T/r/w')).toMatchObject({
      errnoName: 'EOPNOTSUPP',
      message: expect.stringContaining('takes no extended attribute trusted.overlay.opaque (EOPNOTSUPP)'),
    });
  });

  it('refuses an ext4 without d_type', () => {
    const image = path.join(top, 'image');
    execFileSync('truncate', ['-s', '16M', image]);
    execFileSync('mkfs.ext4', ['-q', '-O', '^filetype', image]);
    const loop = execFileSync('losetup', ['-f', '--show', image], { encoding: 'utf8' }).trim();
    loops.push(loop);
    mountAt('e', 'ext4', loop);
    const before = fs.readdirSync(path.join(top, 'e/w'));
    expect(failure('lowerdir=T/l,upperdir=T/e/u,workdir=T/e/w')).toMatchObject({
      errnoName: 'EINVAL',
      message: expect.stringContaining('keeps no file types in directories (d_type)'),
    });
    expect(fs.readdirSync(path.join(top, 'e/w'))).toEqual(before);
  });
});
