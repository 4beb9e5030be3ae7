/** `strata diff NAME`: what a run changed, a line for each path as docker prints it. */
import { isChangeFailure } from 'stratafs/internal/diff/change-set';
import { show } from 'stratafs/internal/mount/paths';
import type { ByteString } from 'stratafs/internal/sys/bytes';
import { EACCES, errnoName } from 'stratafs/internal/sys/errno';
import { openSys } from 'stratafs/internal/sys/sys-koffi';
import { CliError } from '../cli-error.ts';
import { bytesField } from '../output/json.ts';
import { print, printJson } from '../output/streams.ts';
import { storeRoot } from '../root.ts';
import { becomeOwner } from '../runs/as-owner.ts';
import { runChanges } from '../runs/changes.ts';
import { RunStore } from '../runs/record.ts';
import type { DefineVerb } from '../verb.ts';

const kinds = { A: 'added', C: 'changed', D: 'deleted' } as const;

export const diff: DefineVerb = (command, globals) => {
  command
    .description('List what a run changed: A added, C changed (or something below it is), D deleted.')
    .argument('<name>', 'name or id of a run')
    .option('--json', 'as JSON (schema strata.diff/1)')
    .option('--root <DIR>', 'where runs are kept')
    .addHelpText('after', '\nPaths begin at the directory of the run.\n\nExample:\n  strata diff try')
    .action((name: ByteString, flags: { json?: boolean; root?: ByteString }) => {
      const sys = openSys();
      const store = new RunStore(sys, storeRoot(sys, flags.root ?? globals.root).path);
      const record = store.find(name);
      const changes = runChanges(sys, store, record);
      if (isChangeFailure(changes)) {
        if (changes.errno === -EACCES) {
          becomeOwner(sys, ['diff', '--root', store.root, ...(flags.json ? ['--json'] : []), record.id]);
        }
        throw new CliError(1, `${show(changes.path)} cannot be compared: ${errnoName(changes.errno)}`);
      }
      if (!flags.json) {
        print(changes.map(({ kind, path }) => `${kind} ${path}\n`).join(''));
        return;
      }
      printJson({
        schema: 'strata.diff/1',
        run: { id: record.id, name: record.name, ...bytesField('directory', record.directory) },
        changes: changes.map(({ kind, path }) => ({ kind: kinds[kind], ...bytesField('path', path) })),
      });
    });
};
