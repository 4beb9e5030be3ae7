/**
 * What a mount can be told, as one plain object that both backends take. `undefined` always means
 * "not said", so that each backend keeps its own default. From text to it: parse-options.ts; back:
 * format-options.ts. Which backend can do what was asked is backend.ts.
 */
import type { OverlayParams } from '../overlay/params.ts';
import type { ByteString } from '../sys/bytes.ts';

/** What every filesystem's mount can be told: mount(8), FILESYSTEM-INDEPENDENT MOUNT OPTIONS. */
export interface MountFlags {
  readOnly?: boolean;
  nosuid?: boolean;
  nodev?: boolean;
  noexec?: boolean;
  nosymfollow?: boolean;
  nodiratime?: boolean;
  atime?: 'relatime' | 'noatime' | 'strictatime';
  lazytime?: boolean;
  sync?: boolean;
  dirsync?: boolean;
}

/** What only a FUSE mount has. */
export interface FuseOptions {
  allowOther?: boolean;
  allowRoot?: boolean;
  autoUnmount?: boolean;
  /** Bytes. */
  maxRead?: number;
  fsname?: ByteString;
  subtype?: ByteString;
  /** Seconds that the kernel may keep attributes and names. */
  timeout?: number;
  /** Honour `.wh.NAME` and `.wh..wh..opq` in lowers. */
  whiteouts?: 'aufs';
  /** How the server waits for requests. */
  serving?: 'auto' | 'follow' | 'spin' | 'block';
  copyup?: 'auto' | 'full' | 'lazy';
  /** Bytes. */
  copyupThreshold?: number;
  /** Bytes: from here on another thread copies. */
  copyupAside?: number;
  hydrate?: 'background';
  lowerIo?: 'cached' | 'passthrough';
  /** `ID:MAPPED:COUNT[:…]` as fuse-overlayfs spells it. */
  uidmapping?: ByteString;
  gidmapping?: ByteString;
  squashToRoot?: boolean;
  squashToUid?: number;
  squashToGid?: number;
  staticNlink?: boolean;
  noacl?: boolean;
}

export interface MountOptions {
  overlay: OverlayParams;
  /** `override_creds` true, as our server always acts; `nooverride_creds` false, for the kernel's overlay only. */
  overrideCreds?: boolean;
  defaultPermissions?: boolean;
  flags: MountFlags;
  fuse: FuseOptions;
  /** `context`, `fscontext`, … with their values. */
  security: [key: string, value: ByteString][];
  /** Options that speak to mount(8) and fstab readers (`x-…`, `_netdev`, `comment=…`), as they were written. */
  userspace: ByteString[];
}
