import { describe, expect, it } from 'vitest';
import { EINVAL } from '../sys/errno.ts';
import { isRefusal, type OverlayParams, resolveParams, verifyParams } from './params.ts';

const upper = { lowerdirs: ['/l'], datadirs: [], upperdir: '/u', workdir: '/w' } satisfies OverlayParams;
const ctx = { redirectDefault: 'on', aufsWhiteouts: false, readOnly: false } as const;

/** The kernel's table of conflicts: what it answers EINVAL to. */
const conflicts: [string, OverlayParams][] = [
  ['upperdir without workdir', { lowerdirs: ['/l'], datadirs: [], upperdir: '/u' }],
  ['no lower at all', { lowerdirs: [], datadirs: [], upperdir: '/u', workdir: '/w' }],
  ['one lower and no upper', { lowerdirs: ['/l'], datadirs: [] }],
  ['metacopy=on,redirect_dir=off', { ...upper, metacopy: true, redirectDir: 'off' }],
  ['metacopy=on,redirect_dir=nofollow', { ...upper, metacopy: true, redirectDir: 'nofollow' }],
  ['metacopy=on,redirect_dir=follow with an upper', { ...upper, metacopy: true, redirectDir: 'follow' }],
  ['nfs_export=on,metacopy=on', { ...upper, nfsExport: true, metacopy: true }],
  ['nfs_export=on,index=off', { ...upper, nfsExport: true, index: false }],
  ['userxattr,redirect_dir=on', { ...upper, userxattr: true, redirectDir: 'on' }],
  ['userxattr,redirect_dir=follow', { ...upper, userxattr: true, redirectDir: 'follow' }],
  ['userxattr,metacopy=on', { ...upper, userxattr: true, metacopy: true }],
  ['userxattr,redirect_dir=off', { ...upper, userxattr: true, redirectDir: 'off' }],
  [
    'nfs_export=on,index=off without an upper',
    { lowerdirs: ['/a', '/b'], datadirs: [], redirectDir: 'nofollow', nfsExport: true, index: false },
  ],
];

describe('verifyParams', () => {
  it.each(conflicts)('%s is EINVAL', (_name, params) => {
    expect(verifyParams(params)?.errno).toBe(-EINVAL);
  });

  it.each<[string, OverlayParams]>([
    ['one lower and an upper', upper],
    ['two lowers, read-only', { lowerdirs: ['/a', '/b'], datadirs: [] }],
    ['a lower and a data-only layer', { lowerdirs: ['/a'], datadirs: ['/d'] }],
    [
      'metacopy=on,redirect_dir=follow without an upper',
      { lowerdirs: ['/a', '/b'], datadirs: [], metacopy: true, redirectDir: 'follow' },
    ],
    ['userxattr,redirect_dir=nofollow', { ...upper, userxattr: true, redirectDir: 'nofollow' }],
    ['metacopy=off,verity=on', { ...upper, metacopy: false, verity: 'on' }],
    ['userxattr,verity=require', { ...upper, userxattr: true, verity: 'require' }],
    [
      'metacopy=on,redirect_dir=off without an upper',
      { lowerdirs: ['/a', '/b'], datadirs: [], metacopy: true, redirectDir: 'off' },
    ],
    [
      'nfs_export=on,index=off without an upper, where redirects are followed',
      { lowerdirs: ['/a', '/b'], datadirs: [], nfsExport: true, index: false },
    ],
  ])('%s is accepted', (_name, params) => {
    expect(verifyParams(params)).toBeNull();
  });
});

describe('resolveParams', () => {
  const resolve = (params: OverlayParams) => {
    const config = resolveParams(params, ctx);
    if (isRefusal(config)) throw new Error(config.message);
    return config;
  };

  it.each([
    ['on', true, true],
    ['follow', false, true],
    ['nofollow', false, false],
    ['off', false, true],
  ] as const)('redirect_dir=%s writes %s, follows %s', (redirectDir, writes, follows) => {
    const config = resolve({ ...upper, redirectDir });
    expect([config.redirectOn, config.redirectFollow]).toEqual([writes, follows]);
  });

  it('userxattr forces nofollow, whatever the door would choose', () => {
    const config = resolve({ ...upper, userxattr: true });
    expect([config.redirectOn, config.redirectFollow]).toEqual([false, false]);
  });

  it('without an upper nothing can be written', () => {
    expect(resolve({ lowerdirs: ['/a', '/b'], datadirs: [] }).readOnly).toBe(true);
  });
});
