/**
 * `strata run DIR CMD…`: decides everything that can be decided outside, makes the record, and
 * becomes the process inside the namespaces (runs/inside.ts) through unshare(1): with the same pid,
 * terminal and process group, so that shells see one job.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Option } from 'commander';
import type { Backend } from 'stratafs/internal/mount/backend';
import { parseLayerList } from 'stratafs/internal/mount/escape';
import { absolutePath, realPath, show, workingDirectory } from 'stratafs/internal/mount/paths';
import { mayUseTrustedXattrs } from 'stratafs/internal/mount/privilege';
import { namespaceObstacle } from 'stratafs/internal/mount/probe';
import { readFile } from 'stratafs/internal/mount/read-file';
import { findProgram, inMountNamespace } from 'stratafs/internal/mount/userns';
import { startTime } from 'stratafs/internal/serve/state';
import { type ByteString, fromText } from 'stratafs/internal/sys/bytes';
import { AT_FDCWD, O_DIRECTORY, O_PATH } from 'stratafs/internal/sys/constants';
import { errnoName } from 'stratafs/internal/sys/errno';
import { execve } from 'stratafs/internal/sys/process';
import type { Sys } from 'stratafs/internal/sys/sys';
import { openSys } from 'stratafs/internal/sys/sys-koffi';
import { CliError } from '../cli-error.ts';
import { makeDirectory, storeRoot } from '../root.ts';
import { mountNamespace } from '../runs/namespace.ts';
import type { RunPlan, Volume } from '../runs/plan.ts';
import { prepareLayers } from '../runs/prepare.ts';
import { isValidName, type RunRecord, RunStore } from '../runs/record.ts';
import type { DefineVerb } from '../verb.ts';
import { backendArgument, collect } from './mount.ts';

interface Flags {
  root?: ByteString;
  name?: ByteString;
  rm?: boolean;
  env?: ByteString[];
  workdir?: ByteString;
  volume?: ByteString[];
  lower?: ByteString;
  backend?: 'auto' | Backend;
  network?: ByteString;
}

/** Known to `docker run` and the contract, and not for the view of a directory (yet): refused by name. */
const refused = [
  '-d, --detach',
  '-u, --user <USER>',
  '--entrypoint <CMD>',
  '--read-only',
  '--tmpfs <DIR>',
  '--isolate',
];

export const run: DefineVerb = (command, globals) => {
  command
    .description(
      `Run CMD on a copy-on-write view of a directory, which stands at the directory's own path in a
private mount namespace: CMD sees and changes everything there as usual, with your uid, gid and
groups, and the directory stays as it is. What changed is kept under the run's name or id.`,
    )
    .usage('[options] DIRECTORY [--] CMD [ARG...]')
    .argument('<directory>', "begins with '.', '/' or '~'")
    .argument('[command...]')
    .option('--name <NAME>', 'name of the run (default: its id)')
    .option('--rm', 'forget the changes at the end')
    .option('-e, --env <K=V>', 'set an environment variable', collect)
    .option(
      '-w, --workdir <DIR>',
      'where CMD starts; relative paths are seen from DIRECTORY (default: your working directory, or DIRECTORY from outside of it)',
    )
    .option('-v, --volume <SRC:DST[:ro]>', 'bind SRC of the host at DST', collect)
    .option('--lower <A:B>', 'more layers below the directory, topmost first')
    .option('--backend <BACKEND>', 'auto, kernel or fuse (default: auto)', backendArgument)
    .option('--network <NETWORK>', 'host or none (default: host; none has a loopback of its own)')
    .option('--root <DIR>', 'where the run is kept')
    .passThroughOptions()
    .addHelpText(
      'after',
      `
Outside the directory the host is as it is: what CMD does there is done. Mounts below the directory
are the host's own too, and are named at the start. Options behind DIRECTORY belong to CMD. Processes
that CMD leaves behind are ended with it. Exit status: CMD's own; 128+N where signal N ended it; 125
when strata fails, 126 when CMD cannot be executed, 127 when it is not found.

Examples:
  strata run . -- npm install
  strata run --name try ~/project make test; strata diff try; strata rm try`,
    );
  for (const option of refused) command.addOption(new Option(option).hideHelp());
  // The command has the caller's stdin and terminal in any case.
  for (const option of ['-i, --interactive', '-t, --tty']) command.addOption(new Option(option).hideHelp());
  command.action((what: ByteString, words: ByteString[], flags: Flags & Record<string, unknown>) => {
    for (const option of refused) {
      const name = /--([\w-]+)/.exec(option)![1];
      const key = name.replace(/-(\w)/g, (_, c: string) => c.toUpperCase());
      if (flags[key] !== undefined) throw new CliError(125, `--${name} is not available for the view of a directory`);
    }
    const cmd = words[0] === '--' ? words.slice(1) : words;
    if (cmd.length === 0) throw new CliError(125, 'CMD is missing: strata run [options] DIRECTORY CMD [ARG...]');
    const sys = openSys();
    const directory = resolveDirectory(sys, what);
    checkName(flags.name);
    const network = flags.network ?? 'host';
    if (network !== 'host' && network !== 'none') {
      throw new CliError(125, `--network takes host or none, not ${show(network)}`);
    }
    const backend = flags.backend ?? 'auto';
    if (backend === 'kernel' && !mayUseTrustedXattrs(sys)) {
      throw new CliError(
        125,
        "the kernel's overlay cannot rename lower directories for this user (redirect_dir=on needs trusted xattrs): use --backend fuse",
      );
    }
    for (const entry of flags.env ?? []) {
      if (entry === '' || entry.startsWith('=')) throw new CliError(125, `--env ${show(entry)} names no variable: K=V`);
    }
    const volumes = (flags.volume ?? []).map((text) => parseVolume(sys, text));
    const lowers = [directory, ...parseLowers(sys, flags.lower)];
    checkNamespaces(sys, network);
    become(sys, flags, { directory, cmd, lowers, volumes, network, backend, given: flags.root ?? globals.root });
  });
};

/** A path of the caller, absolute. */
function absolute(sys: Sys, path: ByteString): ByteString {
  const cwd = workingDirectory(sys);
  if (typeof cwd === 'number') throw new CliError(125, `the working directory cannot be read: ${errnoName(cwd)}`);
  return absolutePath(cwd, path);
}

/** The path of a directory without symlinks. @throws CliError naming it as `kind`. */
function directoryPath(sys: Sys, path: ByteString, kind: string): ByteString {
  const fd = sys.openat(AT_FDCWD, path, O_PATH | O_DIRECTORY, 0);
  const real = fd < 0 ? fd : realPath(sys, fd);
  if (fd >= 0) sys.close(fd);
  if (typeof real === 'number') throw new CliError(125, `${kind} ${show(path)} cannot be opened: ${errnoName(real)}`);
  return real;
}

function resolveDirectory(sys: Sys, what: ByteString): ByteString {
  if (!/^[./~]/.test(what)) {
    throw new CliError(
      125,
      `${show(what)} is no directory: those begin with '.', '/' or '~' (did you mean ${show(`./${what}`)}?)`,
    );
  }
  const home = process.env.HOME;
  const path = /^~(\/|$)/.test(what) && home !== undefined ? fromText(home) + what.slice(1) : what;
  return directoryPath(sys, path, 'directory');
}

function checkName(name: ByteString | undefined): void {
  if (name === undefined || isValidName(name)) return;
  throw new CliError(
    125,
    `${show(name)} is no name for a run: it takes letters, digits, '_', '.' and '-', beginning with a letter or digit`,
  );
}

function parseVolume(sys: Sys, text: ByteString): Volume {
  const [source, target, mode, ...rest] = text.split(':');
  const wrong = (why: string): CliError => new CliError(125, `volume ${show(text)} ${why}`);
  if (!source || !target || rest.length > 0) throw wrong('is not read: SRC:DST or SRC:DST:ro');
  if (mode !== undefined && mode !== 'ro' && mode !== 'rw') throw wrong('has a mode that is not ro or rw');
  if (!target.startsWith('/') || /\/\.\.?(\/|$)/.test(target)) throw wrong('needs an absolute DST without . and ..');
  return {
    source: absolute(sys, source),
    target: target.replace(/\/+/g, '/').replace(/(.)\/$/, '$1'),
    readOnly: mode === 'ro',
  };
}

function parseLowers(sys: Sys, text: ByteString | undefined): ByteString[] {
  if (text === undefined) return [];
  const list = parseLayerList(text);
  if (typeof list === 'string') throw new CliError(125, `--lower ${show(text)}: ${list.replace('lowerdir', 'it')}`);
  if (list.datadirs.length > 0)
    throw new CliError(125, `--lower ${show(text)}: data-only layers are not available here`);
  return list.lowerdirs.map((path) => directoryPath(sys, path, 'lower layer'));
}

/** Says what is in the way of namespaces, while there is still something to say it. */
function checkNamespaces(sys: Sys, network: 'host' | 'none'): void {
  if (findProgram('unshare') === undefined) throw new CliError(125, 'unshare(1) is missing: install util-linux');
  const [file, ...args] = inMountNamespace(sys, ['true'], network);
  const tried = spawnSync(file, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  if (tried.status === 0) return;
  const complaint = tried.stderr?.toString().trim() || String(tried.error ?? `exit status ${tried.status}`);
  throw new CliError(125, `no namespaces for the run: ${namespaceObstacle(sys, complaint)}`);
}

/** Where CMD starts, when it is not where it is called: null. */
function startingPlace(sys: Sys, directory: ByteString, given: ByteString | undefined): ByteString | null {
  if (given !== undefined) return absolutePath(directory, given);
  const cwd = workingDirectory(sys);
  if (typeof cwd === 'number') return directory;
  return directory === '/' || cwd === directory || cwd.startsWith(`${directory}/`) ? null : directory;
}

interface Decided {
  directory: ByteString;
  cmd: ByteString[];
  lowers: ByteString[];
  volumes: Volume[];
  network: 'host' | 'none';
  backend: 'auto' | Backend;
  given: ByteString | undefined;
}

/** Makes the record and becomes the process inside. Comes back only by an error, with the record removed. */
function become(sys: Sys, flags: Flags, decided: Decided): never {
  const { directory } = decided;
  const path = storeRoot(sys, decided.given).path;
  makeDirectory(sys, path);
  const root = directoryPath(sys, path, 'store root');
  if (root === directory)
    throw new CliError(125, `${show(directory)} is the store root itself: run on another directory, or give --root`);
  const store = new RunStore(sys, root);
  const name = flags.name ?? null;
  const id = store.create(name);
  const record: RunRecord = {
    version: 1,
    id,
    name,
    directory,
    lowers: decided.lowers,
    command: decided.cmd,
    created: Date.now(),
    finished: null,
    exitCode: null,
    // It stays this process, through the exec too.
    pid: process.pid,
    startTime: startTime('self') ?? 0,
    backend: null,
    userxattr: !mayUseTrustedXattrs(sys),
    mounts: [],
  };
  try {
    prepareLayers(sys, store, record);
    store.write(record);
    const plan: RunPlan = {
      root,
      id,
      namespace: mountNamespace(sys),
      backend: decided.backend,
      env: (flags.env ?? []).filter((entry) => entry.includes('=')),
      workdir: startingPlace(sys, directory, flags.workdir),
      volumes: decided.volumes,
      network: decided.network,
      remove: flags.rm ?? false,
    };
    const inside = fileURLToPath(new URL('../runs/inside.js', import.meta.url));
    const argv = inMountNamespace(sys, [process.execPath, inside, JSON.stringify(plan)], decided.network);
    const own = readFile(sys, '/proc/self/environ');
    const env =
      typeof own === 'number' ? Object.entries(process.env).map(([k, v]) => fromText(`${k}=${v}`)) : own.split('\0');
    const err = execve(
      fromText(findProgram('unshare')!),
      argv.map(fromText),
      env.filter((entry) => entry !== ''),
    );
    throw new CliError(125, `unshare(1) cannot be executed: ${errnoName(err)}`);
  } catch (error) {
    store.remove(record);
    throw error;
  }
}
