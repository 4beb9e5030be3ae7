/** `strata ps`: the runs that are kept. */
import { InvalidArgumentError } from 'commander';
import { type ByteString, fromText, printable } from 'stratafs/internal/sys/bytes';
import { openSys } from 'stratafs/internal/sys/sys-koffi';
import { bytesField } from '../output/json.ts';
import { print, printJson } from '../output/streams.ts';
import { formatTable } from '../output/table.ts';
import { ago } from '../output/time.ts';
import { storeRoot } from '../root.ts';
import { isRunning, type RunRecord, RunStore } from '../runs/record.ts';
import type { DefineVerb } from '../verb.ts';

interface Flags {
  all?: boolean;
  quiet?: boolean;
  filter?: ByteString[];
  json?: boolean;
  root?: ByteString;
}

function nameFilter(value: ByteString, before: ByteString[] = []): ByteString[] {
  if (!value.startsWith('name=')) throw new InvalidArgumentError('It is name=NAME.');
  return [...before, value.slice('name='.length)];
}

export const ps: DefineVerb = (command, globals) => {
  command
    .description('List the runs: those that run now, or with -a all that are kept.')
    .option('-a, --all', 'ended ones too')
    .option('-q, --quiet', 'ids only')
    .option('--filter <name=NAME>', 'those whose name contains NAME', nameFilter)
    .option('--json', 'as JSON (schema strata.ps/1)')
    .option('--root <DIR>', 'where runs are kept')
    .addHelpText('after', '\nExample:\n  strata ps -a')
    .action((flags: Flags) => {
      const sys = openSys();
      const store = new RunStore(sys, storeRoot(sys, flags.root ?? globals.root).path);
      const runs = store
        .list()
        .filter((record) => flags.all || isRunning(record))
        .filter((record) => flags.filter?.every((part) => (record.name ?? record.id).includes(part)) ?? true)
        .reverse();
      if (flags.json) printJson({ schema: 'strata.ps/1', runs: runs.map(toJson) });
      else if (flags.quiet) print(runs.map((record) => `${record.id}\n`).join(''));
      else print(formatTable(['RUN ID', 'NAME', 'DIRECTORY', 'COMMAND', 'CREATED', 'STATUS'], runs.map(toRow)));
    });
};

type State = 'running' | 'exited' | 'dead';

/** `dead`: its process was killed before it could write how the run ended. */
function stateOf(record: RunRecord): State {
  if (record.finished !== null) return 'exited';
  return isRunning(record) ? 'running' : 'dead';
}

function toRow(record: RunRecord): ByteString[] {
  const now = Date.now();
  const state = stateOf(record);
  const status = {
    running: 'Up',
    exited: `Exited (${record.exitCode}) ${ago(now - (record.finished ?? now))}`,
    dead: 'Dead',
  };
  const command = fromText(record.command.map(printable).join(' '));
  return [
    record.id,
    record.name ?? record.id,
    record.directory,
    command.length > 30 ? `${command.slice(0, 27)}...` : command,
    ago(now - record.created),
    status[state],
  ];
}

function toJson(record: RunRecord): Record<string, unknown> {
  return {
    id: record.id,
    name: record.name,
    ...bytesField('directory', record.directory),
    command: record.command.map((word) => bytesField('word', word)),
    state: stateOf(record),
    created: new Date(record.created).toISOString(),
    finished: record.finished === null ? null : new Date(record.finished).toISOString(),
    exitCode: record.exitCode,
    backend: record.backend,
    pid: isRunning(record) ? record.pid : null,
  };
}
