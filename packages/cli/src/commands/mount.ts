/** `strata mount`: makes a mount, or lists those that are there. Exit statuses are mount(8)'s. */
import { InvalidArgumentError } from 'commander';
import type { Backend } from 'stratafs/internal/mount/backend';
import { parseOptions } from 'stratafs/internal/mount/parse-options';
import type { ByteString } from 'stratafs/internal/sys/bytes';
import { openSys } from 'stratafs/internal/sys/sys-koffi';
import { CliError } from '../cli-error.ts';
import { listMounts, type MountListing } from '../mounts.ts';
import { bytesField } from '../output/json.ts';
import { print, printJson } from '../output/streams.ts';
import { formatTable } from '../output/table.ts';
import { makeUnion } from '../union.ts';
import type { DefineVerb } from '../verb.ts';

interface Flags {
  options?: ByteString[];
  backend?: 'auto' | Backend;
  foreground?: boolean;
  debug?: boolean;
  json?: boolean;
}

export function backendArgument(value: string): 'auto' | Backend {
  if (value !== 'auto' && value !== 'kernel' && value !== 'fuse') {
    throw new InvalidArgumentError('It is one of auto, kernel, fuse.');
  }
  return value;
}

/** For options that may be repeated. */
export function collect(value: ByteString, before: ByteString[] = []): ByteString[] {
  return [...before, value];
}

export const mount: DefineVerb = (command) => {
  command
    .description('Mount a union of layers at MERGED. Without MERGED: list the mounts.')
    .usage('[-o OPT,...]... [options] [SOURCE] MERGED')
    .argument('[operands...]')
    .option('-o, --options <OPT,...>', 'mount options, as of mount -t overlay', collect)
    .option('--backend <BACKEND>', 'auto, kernel or fuse (default: auto)', backendArgument)
    .option('-f, --foreground', 'serve in the foreground; implies --backend fuse')
    .option('-d, --debug', 'trace every request on stderr; implies -f')
    .option('--json', 'list as JSON (schema strata.mounts/1)')
    .addHelpText(
      'after',
      `
Layers are named topmost first. All options of the kernel's overlay are taken, with its escapes
(\\, \\: \\\\), lowerdir+= and :: for data-only layers; the generic ones (ro, nosuid, noatime, ...);
and ours: timeout=SECONDS, whiteouts=aufs.

Examples:
  strata mount -o lowerdir=/base,upperdir=/changes,workdir=/work /mnt
  strata mount --backend fuse -o lowerdir=/two:/one /mnt
  strata mount`,
    )
    .action(async (operands: ByteString[], flags: Flags) => {
      if (operands.length > 2) {
        throw new CliError(
          1,
          'there are more operands than SOURCE and MERGED: strata mount [-o OPT,...] [SOURCE] MERGED',
        );
      }
      if (operands.length === 0) {
        if (flags.options !== undefined) throw new CliError(1, 'MERGED is missing: strata mount -o OPT,... MERGED');
        return list(flags.json ?? false);
      }
      const merged = operands[operands.length - 1];
      const serves = flags.foreground === true || flags.debug === true;
      if (serves && flags.backend === 'kernel') {
        throw new CliError(1, "-f and -d are the fuse backend's: the kernel's overlay has no server to watch");
      }
      await makeUnion(openSys(), {
        options: parseOptions(flags.options ?? []),
        backend: serves ? 'fuse' : (flags.backend ?? 'auto'),
        source: operands.length === 2 ? operands[0] : 'overlay',
        merged,
        foreground: serves,
        debug: flags.debug ?? false,
      });
    });
};

function list(json: boolean): void {
  const mounts = listMounts(openSys());
  if (json) printJson({ schema: 'strata.mounts/1', mounts: mounts.map(toJson) });
  else print(formatTable(['MOUNTED ON', 'BACKEND', 'SOURCE', 'UPPER', 'LOWERS'], mounts.map(toRow)));
}

function toRow(mount: MountListing): ByteString[] {
  const { layers } = mount;
  return [
    mount.mountPoint,
    mount.backend + (mount.state === 'dead' ? ' (dead)' : mount.pending ? ` (${mount.pending} pending)` : ''),
    mount.source,
    layers?.upperdir ?? '-',
    layers === null ? '?' : [...layers.lowerdirs, ...layers.datadirs].join(':'),
  ];
}

function toJson(mount: MountListing): Record<string, unknown> {
  const { layers } = mount;
  return {
    ...bytesField('mountPoint', mount.mountPoint),
    backend: mount.backend,
    state: mount.state,
    ...bytesField('source', mount.source),
    options: mount.options,
    pid: mount.pid,
    layers: layers && {
      lowerdirs: layers.lowerdirs.map((path) => bytesField('path', path)),
      datadirs: layers.datadirs.map((path) => bytesField('path', path)),
      upperdir: layers.upperdir === undefined ? null : bytesField('path', layers.upperdir),
      workdir: layers.workdir === undefined ? null : bytesField('path', layers.workdir),
    },
    pending: mount.pending,
  };
}
