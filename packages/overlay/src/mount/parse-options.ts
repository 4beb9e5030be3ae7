/**
 * `-o` text, read as `mount -t overlay` reads it, into one plain object that both backends take. The
 * words themselves are in option-table.ts, the backslashes in escape.ts.
 */
import type { ByteString } from '../sys/bytes.ts';
import { EINVAL } from '../sys/errno.ts';
import { splitOptions } from './escape.ts';
import { MountError } from './mount-error.ts';
import { optionTable, type Parsing } from './option-table.ts';
import type { MountOptions } from './options.ts';
import { show } from './paths.ts';
import { suggest } from './suggest.ts';

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
