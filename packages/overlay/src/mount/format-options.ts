/**
 * Mount options back to `-o` text, for mount(2), for the mount table and for what a person may
 * paste into a command: `parseOptions([formatOptions(o)])` gives `o` again.
 */
import type { OverlayParams } from '../overlay/params.ts';
import type { ByteString } from '../sys/bytes.ts';
import { escapeValue, formatLayerList } from './escape.ts';
import type { FuseOptions, MountFlags, MountOptions } from './options.ts';

type Entry = [key: string, value: ByteString | undefined];

function onOff(value: boolean | undefined): string | undefined {
  return value === undefined ? undefined : value ? 'on' : 'off';
}

/** The layers, as `lowerdir=…`, `upperdir=…`, `workdir=…` with the kernel's escapes. */
export function formatLayers(p: OverlayParams): ByteString[] {
  const options: ByteString[] = [];
  if (p.lowerdirs.length > 0) options.push(`lowerdir=${formatLayerList(p)}`);
  else for (const path of p.datadirs) options.push(`datadir+=${escapeValue(path)}`);
  if (p.upperdir !== undefined) options.push(`upperdir=${escapeValue(p.upperdir)}`);
  if (p.workdir !== undefined) options.push(`workdir=${escapeValue(p.workdir)}`);
  return options;
}

/** The overlay's features by the kernel's names; those that were not said are left out. */
export function overlayFeatures(options: MountOptions): Entry[] {
  const p = options.overlay;
  const entries: Entry[] = [
    ['redirect_dir', p.redirectDir],
    ['index', onOff(p.index)],
    ['nfs_export', onOff(p.nfsExport)],
    ['xino', p.xino],
    ['metacopy', onOff(p.metacopy)],
    ['verity', p.verity],
    ['uuid', p.uuid],
    // `volatile` is what kernels before fsync= know it by.
    ['fsync', p.fsync === 'volatile' ? undefined : p.fsync],
  ];
  const said = entries.filter(([, value]) => value !== undefined);
  if (p.fsync === 'volatile') said.push(['volatile', undefined]);
  if (p.userxattr) said.push(['userxattr', undefined]);
  if (options.defaultPermissions) said.push(['default_permissions', undefined]);
  if (options.overrideCreds !== undefined) {
    said.push([options.overrideCreds ? 'override_creds' : 'nooverride_creds', undefined]);
  }
  return said;
}

const flagWords: [keyof MountFlags, on: string, off: string | undefined][] = [
  ['readOnly', 'ro', 'rw'],
  ['nosuid', 'nosuid', 'suid'],
  ['nodev', 'nodev', 'dev'],
  ['noexec', 'noexec', 'exec'],
  ['nosymfollow', 'nosymfollow', 'symfollow'],
  ['nodiratime', 'nodiratime', 'diratime'],
  ['lazytime', 'lazytime', 'nolazytime'],
  ['sync', 'sync', 'async'],
  ['dirsync', 'dirsync', undefined],
];

function formatFlags(flags: MountFlags): string[] {
  const words: string[] = [];
  for (const [name, on, off] of flagWords) {
    const word = flags[name] === true ? on : flags[name] === false ? off : undefined;
    if (word !== undefined) words.push(word);
  }
  if (flags.atime !== undefined) words.push(flags.atime);
  return words;
}

/** Options of the FUSE server by what they are called. */
export const fuseWords: readonly (readonly [keyof FuseOptions, string])[] = [
  ['allowOther', 'allow_other'],
  ['allowRoot', 'allow_root'],
  ['autoUnmount', 'auto_unmount'],
  ['maxRead', 'max_read'],
  ['fsname', 'fsname'],
  ['subtype', 'subtype'],
  ['timeout', 'timeout'],
  ['whiteouts', 'whiteouts'],
  ['serving', 'serving'],
  ['copyup', 'copyup'],
  ['copyupThreshold', 'copyup_threshold'],
  ['copyupAside', 'copyup_aside'],
  ['hydrate', 'hydrate'],
  ['lowerIo', 'lower_io'],
  ['uidmapping', 'uidmapping'],
  ['gidmapping', 'gidmapping'],
  ['squashToRoot', 'squash_to_root'],
  ['squashToUid', 'squash_to_uid'],
  ['squashToGid', 'squash_to_gid'],
  ['staticNlink', 'static_nlink'],
  ['noacl', 'noacl'],
];

function formatFuse(fuse: FuseOptions): ByteString[] {
  const words: ByteString[] = [];
  for (const [name, key] of fuseWords) {
    const value = fuse[name];
    if (value === undefined || value === false) continue;
    words.push(value === true ? key : `${key}=${escapeValue(String(value))}`);
  }
  return words;
}

export function formatOptions(options: MountOptions): ByteString {
  return [
    // First, because `user` sets flags that those behind it take back.
    ...options.userspace,
    ...formatFlags(options.flags),
    ...formatLayers(options.overlay),
    ...overlayFeatures(options).map(([key, value]) => (value === undefined ? key : `${key}=${value}`)),
    ...options.security.map(([key, value]) => `${key}=${escapeValue(value)}`),
    ...formatFuse(options.fuse),
  ].join(',');
}
