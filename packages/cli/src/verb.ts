/** What a verb is: a commander command of its own, made when it is called. */
import type { Command } from 'commander';
import type { ByteString } from 'stratafs/internal/sys/bytes';

export interface Globals {
  /** `--root` as it was given before the verb. */
  root?: ByteString;
}

/**
 * Adds arguments, options and the action to `command`; all strings that reach the action are byte
 * strings. The action throws CliError or MountError, and sets `process.exitCode` for other ends.
 */
export type DefineVerb = (command: Command, globals: Globals) => void;

export interface Verb {
  name: string;
  summary: string;
  load: () => Promise<DefineVerb>;
  /** Exit status of a wrong call; mount(8) has its own. */
  usageStatus?: number;
}
