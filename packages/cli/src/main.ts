/**
 * `strata VERB …`: finds the verb, loads its code, runs it, and turns every error into one line on
 * stderr and an exit status. Arguments are byte strings from here on (argv.ts).
 */
import { Command, CommanderError } from 'commander';
import { isMountError } from 'stratafs/internal/mount/mount-error';
import { suggest } from 'stratafs/internal/mount/suggest';
import { type ByteString, toText } from 'stratafs/internal/sys/bytes';
import { byteArguments } from './argv.ts';
import { CliError, usageError } from './cli-error.ts';
import { mountErrorText } from './mount-error-text.ts';
import { print, quietOnClosedPipe, say } from './output/streams.ts';
import type { DefineVerb, Globals } from './verb.ts';
import { verbs } from './verbs.ts';

/** @returns the exit status. */
export async function main(argv: readonly string[]): Promise<number> {
  quietOnClosedPipe();
  const { globals, rest } = splitGlobals(byteArguments(argv));
  const name = rest[0];
  if (name === undefined || name === 'help' || name === '--help' || name === '-h') {
    const topic = name === 'help' ? rest[1] : undefined;
    if (topic !== undefined) return runVerb(topic, ['--help'], globals);
    (name === undefined ? (text: string) => say(text.trimEnd()) : print)(help());
    return name === undefined ? 2 : 0;
  }
  if (name === '--version' || name === '-V') return runVerb('version', rest.slice(1), globals);
  return runVerb(name, rest.slice(1), globals);
}

/** Takes `--root DIR` off the front. */
function splitGlobals(argv: ByteString[]): { globals: Globals; rest: ByteString[] } {
  const globals: Globals = {};
  const rest = [...argv];
  while (rest[0] === '--root' || rest[0]?.startsWith('--root=')) {
    const option = rest.shift()!;
    const value = option === '--root' ? rest.shift() : option.slice('--root='.length);
    if (value !== undefined) globals.root = value;
  }
  return { globals, rest };
}

async function runVerb(name: ByteString, args: ByteString[], globals: Globals): Promise<number> {
  const verb = verbs.find((candidate) => candidate.name === name);
  if (verb === undefined) {
    const names = verbs.map((candidate) => candidate.name);
    const near = suggest(toText(name), names);
    const hint = near === undefined ? "'strata --help' lists the commands" : `did you mean '${near}'?`;
    return fail('strata', usageError(`unknown command '${toText(name)}': ${hint}`));
  }
  return runCommand(`strata ${name}`, await verb.load(), args, globals, verb.usageStatus);
}

/** Parses `args` by the definition and runs its action. @returns the exit status. */
export async function runCommand(
  name: string,
  define: DefineVerb,
  args: readonly ByteString[],
  globals: Globals,
  usageStatus = 2,
): Promise<number> {
  const command = new Command(name)
    .exitOverride()
    .helpOption('-h, --help', 'show this help')
    .configureOutput({ writeOut: print, writeErr: () => {}, outputError: () => {} });
  try {
    define(command, globals);
    await command.parseAsync(args, { from: 'user' });
    return Number(process.exitCode ?? 0);
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return 0;
      const message = toText(error.message)
        .replace(/^error: /, '')
        .replace(/\n\((.*)\)/, ': $1');
      return fail(name, new CliError(usageStatus, `${message} ('${name} --help' shows how)`));
    }
    return fail(name, error);
  }
}

/** One line for people, and the exit status. */
function fail(name: string, error: unknown): number {
  if (error instanceof CliError) {
    say(`${name}: ${error.message}`);
    return error.exitStatus;
  }
  if (isMountError(error)) {
    say(`${name}: ${mountErrorText(error)}`);
    return error.exitStatus;
  }
  const known = error instanceof Error ? error : new Error(String(error));
  say(`${name}: ${process.env.STRATA_DEBUG ? (known.stack ?? known.message) : known.message}`);
  return 1;
}

function help(): string {
  const width = Math.max(...verbs.map((verb) => verb.name.length));
  const lines = verbs.map((verb) => `  ${verb.name.padEnd(width)}  ${verb.summary}`);
  return `Usage: strata [--root DIR] COMMAND ...

A union filesystem: layers seen as one writable tree.

Commands:
${lines.join('\n')}

Options:
  --root DIR     where runs are kept (STRATA_ROOT; default: the user's data folder)
  -V, --version  print the version
  -h, --help     show this help; 'strata COMMAND --help' shows a command's

Example:
  strata mount -o lowerdir=/base,upperdir=/changes,workdir=/work /mnt
`;
}
