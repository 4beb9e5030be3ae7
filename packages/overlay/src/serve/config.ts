/**
 * What a server is told: plain data, so that it travels as JSON to another process. Every path in
 * it is absolute, because the server stands in `/`.
 */
import { absoluteLayers } from '../mount/checks.ts';
import { MountError } from '../mount/mount-error.ts';
import type { MountOptions } from '../mount/options.ts';
import { absolutePath, workingDirectory } from '../mount/paths.ts';
import type { ByteString } from '../sys/bytes.ts';
import { errnoName } from '../sys/errno.ts';
import type { Sys } from '../sys/sys.ts';

export interface ServeConfig {
  options: MountOptions;
  /** What the mount table shows as SOURCE. */
  source: ByteString;
  /** The mount point. */
  merged: ByteString;
  /** Write a trace of every request to stderr, and keep stderr. */
  debug: boolean;
  /** The mount point may lie inside a lower, as CheckRules has it. */
  covered?: boolean;
}

/** A configuration with paths as seen from the working directory. @throws MountError. */
export function serveConfig(sys: Sys, config: ServeConfig): ServeConfig {
  const cwd = workingDirectory(sys);
  if (typeof cwd === 'number') {
    throw new MountError(cwd, `the working directory cannot be read: ${errnoName(cwd)}`, 2);
  }
  return { ...config, options: absoluteLayers(sys, config.options), merged: absolutePath(cwd, config.merged) };
}
