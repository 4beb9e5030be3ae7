/**
 * Every mount option by its name: which value it takes and what it sets. A reader answers nothing
 * when it took the value, or says what is wrong with it. Names and values are those of the kernel's
 * overlay (fs/overlayfs/params.c), mount(8), libfuse and fuse-overlayfs.
 */
import type { OverlayParams } from '../overlay/params.ts';
import type { ByteString } from '../sys/bytes.ts';
import { parseLayerList, unescapeValue } from './escape.ts';
import type { FuseOptions, MountFlags, MountOptions } from './options.ts';

export interface Parsing {
  readonly options: MountOptions;
  /** The layers so far came from `lowerdir=`, to which `lowerdir+=` cannot add. */
  lowerList: boolean;
}

type Read = (parsing: Parsing, value: ByteString | undefined, key: string) => string | undefined;

// ---- kinds of options ------------------------------------------------------------------------

function word(set: (options: MountOptions) => void): Read {
  return ({ options }, value) => {
    if (value !== undefined) return 'takes no value';
    set(options);
  };
}

function flag(set: MountFlags): Read {
  return word((options) => Object.assign(options.flags, set));
}

function fuse(set: FuseOptions): Read {
  return word((options) => Object.assign(options.fuse, set));
}

function oneOf<V extends string>(values: readonly V[], set: (options: MountOptions, value: V) => void): Read {
  return ({ options }, value) => {
    if (!values.includes(value as V)) return `takes one of ${values.join(', ')}`;
    set(options, value as V);
  };
}

function overlay<K extends 'redirectDir' | 'xino' | 'verity' | 'fsync' | 'uuid'>(
  name: K,
  values: readonly NonNullable<OverlayParams[K]>[],
): Read {
  return oneOf(values as readonly string[], (options, value) => {
    options.overlay[name] = value as OverlayParams[K];
  });
}

function overlaySwitch(name: 'index' | 'nfsExport' | 'metacopy'): Read {
  return oneOf(['on', 'off'], (options, value) => {
    options.overlay[name] = value === 'on';
  });
}

function layer(set: (parsing: Parsing, path: ByteString) => string | undefined): Read {
  return (parsing, value) => (value ? set(parsing, unescapeValue(value)) : 'needs a path');
}

function fuseText(name: 'fsname' | 'subtype'): Read {
  return ({ options }, value) => {
    if (!value) return 'needs a value';
    options.fuse[name] = unescapeValue(value);
  };
}

function fuseNumber(name: 'maxRead' | 'copyupThreshold' | 'copyupAside' | 'squashToUid' | 'squashToGid'): Read {
  return ({ options }, value) => {
    if (value === undefined || !/^\d{1,10}$/.test(value)) return 'needs a number';
    options.fuse[name] = Number(value);
  };
}

function idMapping(name: 'uidmapping' | 'gidmapping'): Read {
  return ({ options }, value) => {
    if (value === undefined || !/^\d+:\d+:\d+(:\d+:\d+:\d+)*$/.test(value)) return 'is read as ID:MAPPED:COUNT[:...]';
    options.fuse[name] = value;
  };
}

const context: Read = ({ options }, value, key) => {
  if (!value) return 'needs a value';
  const quoted = /^"(.*)"$/s.exec(value);
  options.security.push([key, quoted ? quoted[1] : unescapeValue(value)]);
};

/** Speaks to those who read fstab, not to us: kept for the mount table. */
const userspace: Read = ({ options }, value, key) => {
  options.userspace.push(value === undefined ? key : `${key}=${value}`);
};

/** mount(8): what an ordinary user may mount is harmless until a later option says otherwise. */
function ofUser(set: MountFlags): Read {
  return (parsing, value, key) => {
    Object.assign(parsing.options.flags, set);
    return userspace(parsing, value, key);
  };
}

const nothing: Read = word(() => {});

function refused(reason: string): Read {
  return () => reason;
}

// ---- the table -------------------------------------------------------------------------------

const layers: Record<string, Read> = {
  lowerdir: (parsing, value) => {
    if (value === undefined) return 'needs a list of paths';
    const list = parseLayerList(value);
    if (typeof list === 'string') return list;
    Object.assign(parsing.options.overlay, list);
    parsing.lowerList = list.lowerdirs.length > 0;
  },
  'lowerdir+': layer((parsing, path) => {
    if (parsing.lowerList) return 'cannot follow lowerdir=; name all layers in one way';
    const { lowerdirs, datadirs } = parsing.options.overlay;
    if (datadirs.length > 0) return 'cannot follow datadir+=; data-only layers come last';
    lowerdirs.push(path);
  }),
  'datadir+': layer((parsing, path) => {
    if (parsing.lowerList) return 'cannot follow lowerdir=; name all layers in one way';
    parsing.options.overlay.datadirs.push(path);
  }),
  upperdir: layer(({ options }, path) => {
    options.overlay.upperdir = path;
  }),
  workdir: layer(({ options }, path) => {
    options.overlay.workdir = path;
  }),
};

const overlays: Record<string, Read> = {
  redirect_dir: overlay('redirectDir', ['on', 'follow', 'nofollow', 'off']),
  index: overlaySwitch('index'),
  nfs_export: overlaySwitch('nfsExport'),
  metacopy: overlaySwitch('metacopy'),
  xino: overlay('xino', ['on', 'auto', 'off']),
  verity: overlay('verity', ['on', 'off', 'require']),
  uuid: overlay('uuid', ['on', 'auto', 'null', 'off']),
  fsync: overlay('fsync', ['auto', 'strict', 'volatile']),
  volatile: word((options) => {
    options.overlay.fsync = 'volatile';
  }),
  userxattr: word((options) => {
    options.overlay.userxattr = true;
  }),
  default_permissions: word((options) => {
    options.defaultPermissions = true;
  }),
  override_creds: word((options) => {
    options.overrideCreds = true;
  }),
  nooverride_creds: word((options) => {
    options.overrideCreds = false;
  }),
};

const generic: Record<string, Read> = {
  defaults: flag({ readOnly: false, nosuid: false, nodev: false, noexec: false, sync: false }),
  ro: flag({ readOnly: true }),
  rw: flag({ readOnly: false }),
  nosuid: flag({ nosuid: true }),
  suid: flag({ nosuid: false }),
  nodev: flag({ nodev: true }),
  dev: flag({ nodev: false }),
  noexec: flag({ noexec: true }),
  exec: flag({ noexec: false }),
  nosymfollow: flag({ nosymfollow: true }),
  symfollow: flag({ nosymfollow: false }),
  noatime: flag({ atime: 'noatime' }),
  atime: flag({ atime: 'relatime' }),
  relatime: flag({ atime: 'relatime' }),
  norelatime: flag({ atime: 'strictatime' }),
  strictatime: flag({ atime: 'strictatime' }),
  nostrictatime: flag({ atime: 'relatime' }),
  nodiratime: flag({ nodiratime: true }),
  diratime: flag({ nodiratime: false }),
  lazytime: flag({ lazytime: true }),
  nolazytime: flag({ lazytime: false }),
  sync: flag({ sync: true }),
  async: flag({ sync: false }),
  dirsync: flag({ dirsync: true }),
  // Without an effect in the kernel: mandatory locks went in 5.15, `silent` concerns its log.
  mand: nothing,
  nomand: nothing,
  silent: nothing,
  loud: nothing,
  iversion: nothing,
  noiversion: nothing,
  user: ofUser({ noexec: true, nosuid: true, nodev: true }),
  users: ofUser({ noexec: true, nosuid: true, nodev: true }),
  owner: ofUser({ nosuid: true, nodev: true }),
  group: ofUser({ nosuid: true, nodev: true }),
  nouser: userspace,
  nousers: userspace,
  noowner: userspace,
  nogroup: userspace,
  auto: userspace,
  noauto: userspace,
  nofail: userspace,
  _netdev: userspace,
  comment: userspace,
  context,
  fscontext: context,
  defcontext: context,
  rootcontext: context,
  remount: refused(
    "the layers and options of a union cannot be changed while it is mounted; 'mount -i -o remount,...' changes what every filesystem has (ro, noatime, nosuid)",
  ),
  bind: refused('strata makes unions; bind mounts are made by mount(8)'),
  rbind: refused('strata makes unions; bind mounts are made by mount(8)'),
};

const ours: Record<string, Read> = {
  allow_other: fuse({ allowOther: true }),
  allow_root: fuse({ allowRoot: true }),
  auto_unmount: fuse({ autoUnmount: true }),
  max_read: fuseNumber('maxRead'),
  fsname: fuseText('fsname'),
  subtype: fuseText('subtype'),
  timeout: ({ options }, value) => {
    if (value === undefined || !/^\d{1,9}(\.\d*)?$/.test(value)) return 'needs a number of seconds';
    options.fuse.timeout = Number(value);
  },
  whiteouts: oneOf(['aufs'], (options, value) => {
    options.fuse.whiteouts = value;
  }),
  serving: oneOf(['auto', 'follow', 'spin', 'block'], (options, value) => {
    options.fuse.serving = value;
  }),
  copyup: oneOf(['auto', 'full', 'lazy'], (options, value) => {
    options.fuse.copyup = value;
  }),
  copyup_threshold: fuseNumber('copyupThreshold'),
  copyup_aside: fuseNumber('copyupAside'),
  hydrate: oneOf(['background'], (options, value) => {
    options.fuse.hydrate = value;
  }),
  lower_io: oneOf(['cached', 'passthrough'], (options, value) => {
    options.fuse.lowerIo = value;
  }),
  uidmapping: idMapping('uidmapping'),
  gidmapping: idMapping('gidmapping'),
  squash_to_root: fuse({ squashToRoot: true }),
  squash_to_uid: fuseNumber('squashToUid'),
  squash_to_gid: fuseNumber('squashToGid'),
  static_nlink: fuse({ staticNlink: true }),
  noacl: fuse({ noacl: true }),
};

/** How each option is read. */
export const optionTable: ReadonlyMap<string, Read> = new Map(
  Object.entries({ ...layers, ...overlays, ...generic, ...ours }),
);
