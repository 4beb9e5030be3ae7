/**
 * The process of a run inside its namespaces: `strata run` becomes it through unshare(1). It builds
 * the view, starts the command in it and waits, ends what the command left behind, takes the view
 * away, says what changed and keeps the record. Exit status: the command's, or 125 to 127.
 */
import { spawn } from 'node:child_process';
import { isChangeFailure } from 'stratafs/internal/diff/change-set';
import { show, workingDirectory } from 'stratafs/internal/mount/paths';
import { readFile } from 'stratafs/internal/mount/read-file';
import { type ByteString, fromText, printable } from 'stratafs/internal/sys/bytes';
import { AT_FDCWD, F_OK, O_DIRECTORY, O_PATH } from 'stratafs/internal/sys/constants';
import { errnoName } from 'stratafs/internal/sys/errno';
import { bringLoopbackUp } from 'stratafs/internal/sys/loopback';
import { chroot, clearAmbientCapabilities, fchdir } from 'stratafs/internal/sys/process';
import type { Sys } from 'stratafs/internal/sys/sys';
import { openSys } from 'stratafs/internal/sys/sys-koffi';
import { CliError } from '../cli-error.ts';
import { say } from '../output/streams.ts';
import { runChanges } from './changes.ts';
import { exactCommand } from './exact-command.ts';
import { Guard } from './guard.ts';
import { mountNamespace } from './namespace.ts';
import type { RunPlan } from './plan.ts';
import { type RunRecord, RunStore, writeRecord } from './record.ts';
import { Signals, signalStatus } from './signals.ts';
import { summarize } from './summary.ts';
import { buildView, endView, type View } from './view.ts';

class Run {
  private readonly sys: Sys;
  private readonly plan: RunPlan;
  private readonly store: RunStore;
  private readonly signals: Signals = new Signals();
  private readonly guard: Guard;
  private record: RunRecord;
  /** The folder of the record, which may be covered in the view. */
  private readonly folder: number;

  constructor(sys: Sys, plan: RunPlan) {
    this.sys = sys;
    this.plan = plan;
    this.store = new RunStore(sys, plan.root);
    // Whoever shares its namespace with a run is ended with the run.
    if (mountNamespace(sys) === plan.namespace) throw new CliError(125, 'the run has no mount namespace of its own');
    this.guard = new Guard(sys);
    const record = this.store.read(plan.id);
    this.folder = sys.openat(AT_FDCWD, this.store.path(plan.id), O_PATH | O_DIRECTORY, 0);
    if (record === null || this.folder < 0) throw new CliError(125, `the record of run ${plan.id} is gone`);
    this.record = record;
  }

  /** @returns the exit status. */
  async carryOut(): Promise<number> {
    const { sys, store, plan, guard, signals } = this;
    const cwd = workingDirectory(sys);
    const root = sys.openat(AT_FDCWD, '/', O_PATH | O_DIRECTORY, 0);
    let view: View | null = null;
    let status: number | null = null;
    try {
      if (plan.network === 'none') this.loopback();
      view = await buildView(sys, store, plan, this.record, guard);
      this.began(view);
      this.enter(view, plan.workdir ?? (typeof cwd === 'number' ? '/' : cwd));
      if (signals.early === null) status = await this.command();
    } catch (error) {
      say(`strata run: ${error instanceof Error ? error.message : error}`);
    }
    // Out of the view again, which would be busy otherwise.
    fchdir(root);
    if (view !== null && view.base !== '') chroot('.');
    const left = guard.endOthers();
    if (left > 0) say(`strata run: ended ${left} ${left === 1 ? 'process' : 'processes'} that the command left behind`);
    if (view !== null) await endView(sys, view, this.record.directory);
    if (status === null) {
      // It never began.
      store.remove(this.record);
      status = signals.early === null ? 125 : signalStatus(signals.early);
    } else {
      try {
        this.ended(status);
      } catch (error) {
        // The command has done what it has done: its status counts.
        say(`strata run: ${error instanceof Error ? error.message : error}`);
      }
    }
    await guard.dismiss();
    return status;
  }

  private loopback(): void {
    const err = bringLoopbackUp();
    if (err < 0) throw new CliError(125, `the loopback interface cannot be brought up: ${errnoName(err)}`);
  }

  private began(view: View): void {
    this.record = { ...this.record, backend: view.backend, mounts: view.mounts };
    writeRecord(this.sys, this.folder, '.', this.record);
    if (view.mounts.length > 0) {
      const names = view.mounts.map((path) => printable(path)).join(' ');
      say(`strata run: mounts below the directory are the host's own in here: ${names}`);
    }
  }

  /** Root and working directory as the command is to have them. */
  private enter(view: View, workdir: ByteString): void {
    const { sys } = this;
    const rooted = view.base === '' ? 0 : chroot(view.base);
    if (rooted < 0) throw new CliError(125, `the view of / cannot be entered: ${errnoName(rooted)}`);
    const fd = sys.openat(AT_FDCWD, workdir, O_PATH | O_DIRECTORY, 0);
    if (fd < 0) throw new CliError(125, `the working directory ${show(workdir)} cannot be entered: ${errnoName(fd)}`);
    const err = fchdir(fd);
    sys.close(fd);
    if (err < 0) throw new CliError(125, `the working directory ${show(workdir)} cannot be entered: ${errnoName(err)}`);
  }

  private environment(): ByteString[] {
    const { sys, plan, record } = this;
    const own = readFile(sys, '/proc/self/environ');
    const entries = typeof own === 'number' ? [] : own.split('\0');
    if (plan.workdir !== null) entries.push(`PWD=${plan.workdir}`);
    return [...entries, ...plan.env, `STRATA_RUN=${record.name ?? record.id}`];
  }

  /** Starts the command and waits for its end. @returns its exit status, 126 or 127. */
  private command(): Promise<number> {
    if (this.record.command[0] === '') {
      say("strata run: '' is not found (ENOENT)");
      return Promise.resolve(127);
    }
    const { file, args, env } = exactCommand(this.record.command, this.environment());
    // What follows has the caller's ids, and in a user namespace no right over it.
    clearAmbientCapabilities();
    return new Promise((resolve) => {
      const child = spawn(file, args, { env, stdio: 'inherit' });
      this.signals.forwardTo(child);
      child.once('error', (error: NodeJS.ErrnoException) => {
        const missing = error.code === 'ENOENT' || (error.code === 'EACCES' && !this.onPath(file, env.PATH));
        const what = show(this.record.command[0]);
        say(`strata run: ${what} ${missing ? 'is not found' : 'cannot be executed'} (${error.code})`);
        resolve(missing ? 127 : 126);
      });
      child.once('exit', (code, signal) => resolve(code ?? signalStatus(signal!)));
    });
  }

  /** A folder of PATH that may not be searched makes execvp(3) answer EACCES for a command that is nowhere. */
  private onPath(file: string, path: string | undefined): boolean {
    if (file.includes('/')) return true;
    const places = (path ?? '').split(':').map((dir) => fromText(`${dir === '' ? '.' : dir}/${file}`));
    return places.some((place) => this.sys.faccessat(AT_FDCWD, place, F_OK, 0) >= 0);
  }

  /** Says what changed; keeps or removes the record. */
  private ended(status: number): void {
    const { store, plan, sys } = this;
    this.record = { ...this.record, exitCode: status, finished: Date.now() };
    const name = this.record.name ?? this.record.id;
    const changes = runChanges(sys, store, this.record);
    if (isChangeFailure(changes)) {
      say(`strata run: ${show(changes.path)} cannot be compared: ${errnoName(changes.errno)}`);
    } else {
      for (const line of summarize(changes)) say(`strata run: ${line}`);
    }
    if (plan.remove) {
      store.remove(this.record);
      return;
    }
    store.write(this.record);
    say(`strata run: kept as ${name}: 'strata diff ${name}' shows the changes, 'strata rm ${name}' forgets them`);
  }
}

try {
  process.exitCode = await new Run(openSys(), JSON.parse(process.argv[2]) as RunPlan).carryOut();
} catch (error) {
  say(`strata run: ${error instanceof Error ? error.message : error}`);
  // At once, whatever is still under way: the guard takes away what is left.
  process.exit(125);
}
