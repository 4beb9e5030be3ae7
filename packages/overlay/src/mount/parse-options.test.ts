import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { escapeLayer, escapeValue, parseLayerList, splitOptions, unescapeValue } from './escape.ts';
import { formatOptions } from './format-options.ts';
import { isMountError } from './mount-error.ts';
import type { MountOptions } from './options.ts';
import { parseOptions } from './parse-options.ts';

const bytes = fc.string({ unit: fc.integer({ min: 1, max: 255 }).map((c) => String.fromCharCode(c)), minLength: 1 });
/** Paths rich in the bytes that the grammar cares for. */
const layerPath = fc.oneof(
  bytes,
  fc.string({
    unit: fc.constantFrom('a', '\\', ',', ':', ' ', '"', '=', '\n', '\xff', '/'),
    minLength: 1,
    maxLength: 8,
  }),
);

function failure(...texts: string[]): { exitStatus: number; errnoName: string; message: string } {
  try {
    parseOptions(texts);
  } catch (error) {
    if (isMountError(error)) return error;
    throw error;
  }
  throw new Error(`'${texts.join("' '")}' was accepted`);
}

describe('escapes', () => {
  it('cuts at commas that no backslash precedes', () => {
    expect(splitOptions('ro,lowerdir=/a\\,b,upperdir=/c')).toEqual(['ro', 'lowerdir=/a\\,b', 'upperdir=/c']);
    expect(splitOptions(',,a,,b,')).toEqual(['a', 'b']);
    expect(splitOptions('a\\\\,b')).toEqual(['a\\\\', 'b']);
    expect(splitOptions('context="u:r:t:s0:c1,c2",ro')).toEqual(['context="u:r:t:s0:c1,c2"', 'ro']);
    expect(splitOptions('lowerdir="a,b"')).toEqual(['lowerdir="a', 'b"']);
  });

  it('reads layer lists as the kernel does', () => {
    expect(parseLayerList('/a:/b\\:c:/d\\\\')).toEqual({ lowerdirs: ['/a', '/b:c', '/d\\'], datadirs: [] });
    expect(parseLayerList('/a:/b::/c::/d')).toEqual({ lowerdirs: ['/a', '/b'], datadirs: ['/c', '/d'] });
    expect(parseLayerList('')).toEqual({ lowerdirs: [], datadirs: [] });
    for (const bad of [':/a', '/a:', '/a:::/b', '/a::/b:/c', '::/a', '/a::']) {
      expect(parseLayerList(bad), bad).toBeTypeOf('string');
    }
  });

  it('comes back from what it wrote', () => {
    fc.assert(fc.property(layerPath, (path) => unescapeValue(escapeValue(path)) === path));
    fc.assert(
      fc.property(fc.array(layerPath, { minLength: 1 }), (paths) => {
        expect(parseLayerList(paths.map(escapeLayer).join(':'))).toEqual({ lowerdirs: paths, datadirs: [] });
      }),
    );
  });
});

describe('parseOptions', () => {
  it('reads the line that everybody writes', () => {
    expect(parseOptions(['lowerdir=/l1:/l2,upperdir=/u,workdir=/w'])).toEqual({
      overlay: { lowerdirs: ['/l1', '/l2'], datadirs: [], upperdir: '/u', workdir: '/w' },
      flags: {},
      fuse: {},
      security: [],
      userspace: [],
    });
  });

  it('joins repeated -o, and the last word counts', () => {
    const o = parseOptions(['lowerdir=/a', 'ro,nosuid', 'rw,lowerdir=/b:/c']);
    expect(o.overlay.lowerdirs).toEqual(['/b', '/c']);
    expect(o.flags).toEqual({ readOnly: false, nosuid: true });
  });

  it('collects lowerdir+ and datadir+ one by one', () => {
    const o = parseOptions(['lowerdir+=/a:b,lowerdir+=/c\\,d', 'datadir+=/e']);
    expect(o.overlay).toEqual({ lowerdirs: ['/a:b', '/c,d'], datadirs: ['/e'] });
  });

  it('reads every overlay option', () => {
    const o = parseOptions([
      'redirect_dir=follow,index=off,nfs_export=off,xino=auto,metacopy=off,verity=off,uuid=null,fsync=strict',
      'userxattr,default_permissions,nooverride_creds',
    ]);
    expect(o.overlay).toEqual({
      lowerdirs: [],
      datadirs: [],
      redirectDir: 'follow',
      index: false,
      nfsExport: false,
      xino: 'auto',
      metacopy: false,
      verity: 'off',
      uuid: 'null',
      fsync: 'strict',
      userxattr: true,
    });
    expect([o.defaultPermissions, o.overrideCreds]).toEqual([true, false]);
    expect(parseOptions(['volatile']).overlay.fsync).toBe('volatile');
  });

  it('takes what fstab and mount(8) add', () => {
    const o = parseOptions(['defaults,noauto,nofail,_netdev,x-systemd.requires=/a,X-mount.mkdir,user,suid,noatime']);
    expect(o.userspace).toEqual(['noauto', 'nofail', '_netdev', 'x-systemd.requires=/a', 'X-mount.mkdir', 'user']);
    expect(o.flags).toMatchObject({ noexec: true, nosuid: false, nodev: true, atime: 'noatime' });
  });

  it.each([
    ['lowerdirs=/a', "unknown mount option 'lowerdirs': did you mean 'lowerdir'?"],
    ['zzzzzzzz', "unknown mount option 'zzzzzzzz'"],
    ['constructor', "unknown mount option 'constructor'"],
    ['redirect_dir=yes', "mount option 'redirect_dir=yes': takes one of on, follow, nofollow, off"],
    ['index', "mount option 'index': takes one of on, off"],
    ['ro=1', "mount option 'ro=1': takes no value"],
    ['upperdir=', "mount option 'upperdir=': needs a path"],
    ['lowerdir=/a:', "mount option 'lowerdir=/a:': lowerdir ends with a colon"],
    ['timeout=soon', "mount option 'timeout=soon': needs a number of seconds"],
    ['uidmapping=1:2', "mount option 'uidmapping=1:2': is read as ID:MAPPED:COUNT[:...]"],
    [
      'remount,ro',
      "mount option 'remount': the layers and options of a union cannot be changed while it is mounted; 'mount -i -o remount,...' changes what every filesystem has (ro, noatime, nosuid)",
    ],
    ['lowerdir=/a,lowerdir+=/b', "mount option 'lowerdir+=/b': cannot follow lowerdir=; name all layers in one way"],
    [
      'lowerdir+=/a,datadir+=/b,lowerdir+=/c',
      "mount option 'lowerdir+=/c': cannot follow datadir+=; data-only layers come last",
    ],
  ])('refuses %s', (text, message) => {
    expect(failure(text)).toMatchObject({ exitStatus: 32, errnoName: 'EINVAL', message });
  });

  it('only warns of unknown options where its model does', () => {
    const warnings: string[] = [];
    const o = parseOptions([',,lowerdir=/a,,nosuchthing=1,'], { warn: (message) => warnings.push(message) });
    expect(o.overlay.lowerdirs).toEqual(['/a']);
    expect(warnings).toEqual(["unknown mount option 'nosuchthing'"]);
  });
});

const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
const anyOptions: fc.Arbitrary<MountOptions> = fc.record({
  overlay: fc.record({
    lowerdirs: fc.array(layerPath, { minLength: 1, maxLength: 4 }),
    datadirs: fc.array(layerPath, { maxLength: 2 }),
    upperdir: maybe(layerPath),
    workdir: maybe(layerPath),
    redirectDir: maybe(fc.constantFrom('on' as const, 'follow' as const, 'nofollow' as const, 'off' as const)),
    index: maybe(fc.boolean()),
    nfsExport: maybe(fc.boolean()),
    metacopy: maybe(fc.boolean()),
    xino: maybe(fc.constantFrom('on' as const, 'off' as const, 'auto' as const)),
    verity: maybe(fc.constantFrom('on' as const, 'off' as const, 'require' as const)),
    fsync: maybe(fc.constantFrom('auto' as const, 'strict' as const, 'volatile' as const)),
    uuid: maybe(fc.constantFrom('on' as const, 'off' as const, 'null' as const, 'auto' as const)),
    userxattr: maybe(fc.constant(true)),
  }),
  overrideCreds: maybe(fc.boolean()),
  defaultPermissions: maybe(fc.constant(true)),
  flags: fc.record({
    readOnly: maybe(fc.boolean()),
    nosuid: maybe(fc.boolean()),
    nodev: maybe(fc.boolean()),
    noexec: maybe(fc.boolean()),
    nosymfollow: maybe(fc.boolean()),
    nodiratime: maybe(fc.boolean()),
    lazytime: maybe(fc.boolean()),
    sync: maybe(fc.boolean()),
    dirsync: maybe(fc.constant(true)),
    atime: maybe(fc.constantFrom('relatime' as const, 'noatime' as const, 'strictatime' as const)),
  }),
  fuse: fc.record({
    allowOther: maybe(fc.constant(true)),
    fsname: maybe(layerPath),
    subtype: maybe(layerPath),
    maxRead: maybe(fc.nat()),
    timeout: maybe(fc.nat(1000)),
    whiteouts: maybe(fc.constant('aufs' as const)),
    copyup: maybe(fc.constantFrom('auto' as const, 'full' as const, 'lazy' as const)),
    squashToUid: maybe(fc.nat(100000)),
    uidmapping: maybe(fc.constant('0:100000:65536')),
  }),
  security: fc.array(fc.tuple(fc.constantFrom('context', 'fscontext'), fc.constantFrom('u:r:t:s0:c1,c2', 'plain'))),
  userspace: fc.subarray(['x-a=b', '_netdev', 'user', 'comment=hello']),
});

it('formatOptions gives text that reads back the same', () => {
  fc.assert(
    fc.property(anyOptions, (options) => {
      // 'user' sets flags of its own where nothing was said.
      if (options.userspace.includes('user')) {
        for (const name of ['nosuid', 'nodev', 'noexec'] as const) options.flags[name] ??= true;
      }
      expect(parseOptions([formatOptions(options)])).toEqual(options);
    }),
    { numRuns: 500 },
  );
});
