/**
 * `strata-overlay`: a drop-in for fuse-overlayfs, as podman's and buildah's `mount_program` and as
 * mount(8)'s helper (`mount -t fuse.strata-overlay`, which calls `SRC MNT -o rw,…`). Always FUSE,
 * with aufs whiteouts honoured in lowers, because that is how containers/storage keeps them for
 * such a program. What it does not know it warns of, as its model does; success is silent.
 */
import { dropDispensable } from 'stratafs/internal/mount/backend';
import { parseOptions } from 'stratafs/internal/mount/parse-options';
import { type ByteString, toText } from 'stratafs/internal/sys/bytes';
import { openSys } from 'stratafs/internal/sys/sys-koffi';
import { byteArguments } from './argv.ts';
import { CliError } from './cli-error.ts';
import { collect } from './commands/mount.ts';
import { ownVersion } from './commands/version.ts';
import { runCommand } from './main.ts';
import { print, quietOnClosedPipe, say } from './output/streams.ts';
import { startedByShell } from './starter.ts';
import { makeUnion } from './union.ts';
import type { DefineVerb } from './verb.ts';

const NAME = 'strata-overlay';

interface Flags {
  options?: ByteString[];
  foreground?: boolean;
  debug?: boolean;
  version?: boolean;
}

/**
 * @param byShell a shell waits for the outcome and not for this process (starter.ts).
 * @returns the exit status, as mount(8) has them.
 */
export async function main(argv: readonly string[], byShell = false): Promise<number> {
  quietOnClosedPipe();
  if (byShell) startedByShell(true);
  return runCommand(NAME, define, byteArguments(argv), {}, 1);
}

function warn(message: string): void {
  say(`${NAME}: warning: ${message}`);
}

const define: DefineVerb = (command) => {
  command
    .description('Mount a union of layers by FUSE, called as fuse-overlayfs is.')
    .usage('[-f] [-d] -o OPT,... [SOURCE] MERGED')
    .argument('[operands...]')
    .option('-o, --options <OPT,...>', 'mount options: lowerdir=, upperdir=, workdir=, ...', collect)
    .option('-f, --foreground', 'serve in the foreground')
    .option('-d, --debug', 'trace every request on stderr; implies -f')
    .option('-V, --version', 'print the version')
    // What mount(8) hands to its helpers, without a meaning here.
    .option('-s', 'taken for mount(8)')
    .option('-n', 'taken for mount(8)')
    .option('-v', 'taken for mount(8)')
    .option('-N <NAMESPACE>', 'taken for mount(8)')
    .option('-t <TYPE>', 'taken for mount(8)')
    .allowUnknownOption()
    .addHelpText(
      'after',
      `
Examples:
  strata-overlay -o lowerdir=/two:/one,upperdir=/changes,workdir=/work /mnt
  podman --storage-opt overlay.mount_program=/usr/bin/strata-overlay run ...`,
    )
    .action(async (args: ByteString[], flags: Flags) => {
      if (flags.version) return print(`${NAME}: version ${ownVersion()}\n`);
      const operands = args.filter((arg) => {
        if (!arg.startsWith('-')) return true;
        warn(`unknown option '${toText(arg)}' is ignored`);
        return false;
      });
      if (operands.length === 0) throw new CliError(1, 'MERGED is missing: strata-overlay -o OPT,... [SOURCE] MERGED');
      if (operands.length > 2) throw new CliError(1, 'there are more operands than SOURCE and MERGED');
      const options = parseOptions(flags.options ?? [], { warn });
      dropDispensable(options, warn);
      options.fuse.whiteouts = 'aufs';
      // Container tools read the upper as it lies there, and would take a file without its data for zeros.
      options.overlay.metacopy ??= false;
      options.fuse.copyup ??= 'full';
      if (!options.overlay.nfsExport) options.overlay.index ??= false;
      await makeUnion(openSys(), {
        options,
        backend: 'fuse',
        source: operands.length === 2 ? operands[0] : NAME,
        merged: operands[operands.length - 1],
        foreground: flags.foreground ?? flags.debug ?? false,
        debug: flags.debug ?? false,
      });
    });
};
