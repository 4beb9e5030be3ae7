/** `strata hydrate`: completes lazy copy-ups, of a mount, of a run or of layers that are not mounted. */
import { absoluteLayers } from 'stratafs/internal/mount/checks';
import { parseOptions } from 'stratafs/internal/mount/parse-options';
import type { ByteString } from 'stratafs/internal/sys/bytes';
import { openSys } from 'stratafs/internal/sys/sys-koffi';
import { CliError, usageError } from '../cli-error.ts';
import { type Hydrated, hydrateLayers, hydrateMount } from '../hydrating.ts';
import { storeRoot } from '../root.ts';
import { RunStore } from '../runs/record.ts';
import type { DefineVerb } from '../verb.ts';
import { collect } from './mount.ts';
import { findUnion } from './umount.ts';

interface Flags {
  options?: ByteString[];
  root?: ByteString;
}

export const hydrate: DefineVerb = (command, globals) => {
  command
    .description('Complete lazy copy-ups: what lowers still have of files in the upper is copied.')
    .usage('-o OPT,... | MERGED | NAME')
    .argument('[operand]')
    .option('-o, --options <OPT,...>', 'the mount options of a union that is not mounted', collect)
    .option('--root <DIR>', 'where runs are kept')
    .addHelpText(
      'after',
      `
MERGED is a mount point, NAME a run. Copying can be interrupted at any time, and goes on where it was.

Examples:
  strata hydrate /mnt
  strata hydrate -o lowerdir=/base,upperdir=/changes,workdir=/work`,
    )
    .action(async (operand: ByteString | undefined, flags: Flags) => {
      if ((operand === undefined) === (flags.options === undefined)) {
        throw usageError('it takes either -o OPT,... or one operand, MERGED or NAME');
      }
      const { failed } = await complete(operand, flags, flags.root ?? globals.root);
      if (failed > 0) throw new CliError(1, `${failed} of the files could not be completed: the lines above say why`);
    });
};

async function complete(
  operand: ByteString | undefined,
  { options }: Flags,
  root: ByteString | undefined,
): Promise<Hydrated> {
  const sys = openSys();
  if (options !== undefined) return hydrateLayers(sys, absoluteLayers(sys, parseOptions(options)));
  const where = operand!;
  const store = new RunStore(sys, storeRoot(sys, root).path);
  const run = where.includes('/')
    ? undefined
    : store.list().find(({ name, id }) => name === where || id.startsWith(where));
  if (run === undefined) return hydrateMount(sys, findUnion(sys, where).mountPoint);
  const overlay = {
    lowerdirs: run.lowers,
    datadirs: [],
    upperdir: store.path(run.id, 'upper'),
    workdir: store.path(run.id, 'work'),
    userxattr: run.userxattr,
  };
  return hydrateLayers(sys, { ...parseOptions([]), overlay });
}
