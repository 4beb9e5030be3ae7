/** Where strata keeps things: `--root`, else STRATA_ROOT, else the user's data folder; root: /var/lib/strata. */
import { absolutePath, show, workingDirectory } from 'stratafs/internal/mount/paths';
import { type ByteString, fromText } from 'stratafs/internal/sys/bytes';
import { AT_FDCWD } from 'stratafs/internal/sys/constants';
import { EEXIST, ENOENT, errnoName } from 'stratafs/internal/sys/errno';
import type { Sys } from 'stratafs/internal/sys/sys';
import { CliError } from './cli-error.ts';

export interface StoreRoot {
  /** Absolute. Need not exist. */
  path: ByteString;
}

/** The root's path. @throws CliError when none is said and there is no home. */
export function storeRoot(sys: Sys, given: ByteString | undefined): StoreRoot {
  const said = given ?? (process.env.STRATA_ROOT ? fromText(process.env.STRATA_ROOT) : undefined);
  if (said !== undefined && said !== '') {
    const cwd = workingDirectory(sys);
    if (typeof cwd === 'number') throw new CliError(1, `the working directory cannot be read: ${errnoName(cwd)}`);
    return { path: absolutePath(cwd, said) };
  }
  if (sys.geteuid() === 0) return { path: '/var/lib/strata' };
  const data = process.env.XDG_DATA_HOME;
  if (data?.startsWith('/')) return { path: fromText(`${data}/strata`) };
  const home = process.env.HOME;
  if (home?.startsWith('/')) return { path: fromText(`${home}/.local/share/strata`) };
  throw new CliError(1, 'there is no folder to keep runs in: set HOME, XDG_DATA_HOME or STRATA_ROOT, or give --root');
}

/** Makes `path` with its parents; the last component is for this user alone. @throws CliError. */
export function makeDirectory(sys: Sys, path: ByteString): void {
  const made = sys.mkdirat(AT_FDCWD, path, 0o700);
  if (made >= 0 || made === -EEXIST) return;
  const slash = path.lastIndexOf('/');
  if (made === -ENOENT && slash > 0) {
    makeDirectory(sys, path.slice(0, slash));
    const again = sys.mkdirat(AT_FDCWD, path, 0o700);
    if (again >= 0 || again === -EEXIST) return;
    throw new CliError(1, `${show(path)} cannot be made: ${errnoName(again)}`);
  }
  throw new CliError(1, `${show(path)} cannot be made: ${errnoName(made)}`);
}
