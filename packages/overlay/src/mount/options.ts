/**
 * `-o` text, read as `mount -t overlay` reads it, into one plain object that both backends take.
 * `undefined` always means "not said", so that each backend keeps its own default. The words
 * themselves are in option-table.ts, the backslashes in escape.ts, the way back to text in
 * format-options.ts. Which backend can do what was asked is backend.ts.
 */
import type { OverlayParams } from '../overlay/params.ts';
import type { ByteString } from '../sys/bytes.ts';
import { EINVAL } from '../sys/errno.ts';
import { splitOptions } from './escape.ts';
import { MountError } from './mount-error.ts';
import { optionTable, type Parsing } from './option-table.ts';
import { show } from './paths.ts';
import { suggest } from './suggest.ts';

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

export interface ParseMode {
  /** As fuse-overlayfs: an unknown option is handed to `warn` and skipped. */
  warn?: (message: string) => void;
}

/**
 * Reads the texts of all `-o`, in order; of two that contradict each other the last one counts.
 * @throws MountError (exit status 32, EINVAL) naming the option that is unknown or has a wrong value.
 */
export function parseOptions(texts: readonly ByteString[], mode: ParseMode = {}): MountOptions {
  const options: MountOptions = {
    overlay: { lowerdirs: [], datadirs: [] },
    flags: {},
    fuse: {},
    security: [],
    userspace: [],
  };
  const parsing: Parsing = { options, lowerList: false };
  for (const text of texts) {
    for (const option of splitOptions(text)) parseOption(parsing, option, mode);
  }
  return options;
}

function parseOption(parsing: Parsing, option: ByteString, mode: ParseMode): void {
  const eq = option.indexOf('=');
  const key = eq < 0 ? option : option.slice(0, eq);
  const value = eq < 0 ? undefined : option.slice(eq + 1);
  if (/^x-./i.test(key)) {
    parsing.options.userspace.push(option);
    return;
  }
  const read = optionTable.get(key);
  if (read === undefined) {
    const near = suggest(key, optionTable.keys());
    const message = `unknown mount option ${show(key)}${near === undefined ? '' : `: did you mean '${near}'?`}`;
    if (mode.warn === undefined) throw new MountError(-EINVAL, message);
    mode.warn(message);
    return;
  }
  const wrong = read(parsing, value, key);
  if (wrong !== undefined) throw new MountError(-EINVAL, `mount option ${show(option)}: ${wrong}`);
}
