/** `strata rm NAME…` forgets runs with what they changed; `strata discard NAME…` those that still run, too. */
import { type ByteString, toText } from 'stratafs/internal/sys/bytes';
import type { Sys } from 'stratafs/internal/sys/sys';
import { openSys } from 'stratafs/internal/sys/sys-koffi';
import { CliError } from '../cli-error.ts';
import { print } from '../output/streams.ts';
import { storeRoot } from '../root.ts';
import { isRunning, type RunRecord, RunStore } from '../runs/record.ts';
import type { DefineVerb } from '../verb.ts';

/** A run has so long to end after SIGTERM. */
const TERM_MS = 5_000;
const LOOK_MS = 10;
const SIGTERM = 15;
const SIGKILL = 9;

interface Flags {
  force?: boolean;
  root?: ByteString;
}

export const rm: DefineVerb = (command, globals) => {
  command
    .description('Forget runs, and everything that they changed.')
    .argument('<name...>', 'names or ids of runs')
    .option('-f, --force', 'end those that still run')
    .option('--root <DIR>', 'where runs are kept')
    .addHelpText('after', '\nExample:\n  strata rm try')
    .action((names: ByteString[], flags: Flags) => forget(names, flags.root ?? globals.root, flags.force ?? false));
};

export const discard: DefineVerb = (command, globals) => {
  command
    .description('Throw away what runs changed, and end those that still run (as rm -f).')
    .argument('<name...>', 'names or ids of runs')
    .option('--root <DIR>', 'where runs are kept')
    .addHelpText('after', '\nExample:\n  strata discard try')
    .action((names: ByteString[], flags: Flags) => forget(names, flags.root ?? globals.root, true));
};

async function forget(names: readonly ByteString[], root: ByteString | undefined, force: boolean): Promise<void> {
  const sys = openSys();
  const store = new RunStore(sys, storeRoot(sys, root).path);
  for (const name of names) {
    const record = store.find(name);
    if (isRunning(record)) {
      if (!force) {
        throw new CliError(1, `'${toText(name)}' is running (process ${record.pid}): end it first, or give --force`);
      }
      await end(sys, record);
    }
    store.remove(record);
    print(`${name}\n`);
  }
}

/** SIGTERM, and SIGKILL to what does not listen: the guard of a run then takes the rest away. */
async function end(sys: Sys, record: RunRecord): Promise<void> {
  for (const [signal, ms] of [
    [SIGTERM, TERM_MS],
    [SIGKILL, TERM_MS],
  ]) {
    sys.kill(record.pid, signal);
    const until = performance.now() + ms;
    while (isRunning(record) && performance.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
    if (!isRunning(record)) return;
  }
  throw new CliError(1, `process ${record.pid} does not end`);
}
