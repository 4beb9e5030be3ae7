/**
 * Nothing of a run outlives it. The processes of a run share a mount namespace that nobody else is
 * in, by which they are known, whatever became of their parents.
 *
 * At an ordinary end this process ends those that the command left behind. For the case that this
 * process itself is killed there is a guard: a shell that waits for the end of a pipe whose other
 * end only this process holds, ends all the others, and asks the FUSE server to finish (which then
 * takes the mount away). With the last process the namespace goes, and all mounts in it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import type { Writable } from 'node:stream';
import { listDir } from 'stratafs/internal/mount/read-file';
import { AT_FDCWD } from 'stratafs/internal/sys/constants';
import type { Sys } from 'stratafs/internal/sys/sys';
import { mountNamespace } from './namespace.ts';

/** How often to look for processes that were born while others were ended. */
const ROUNDS = 50;
const PAUSE_MS = 2;
const SIGKILL = 9;

/** Lines on stdin are pids of servers. -ef compares the namespaces without starting a program. */
const SCRIPT = `
while read -r pid; do servers="$servers $pid"; done
round=0 more=1
while [ $more = 1 ] && [ $round -lt ${ROUNDS} ]; do
  more=0 round=$((round + 1))
  for p in /proc/[0-9]*; do
    [ "$p/ns/mnt" -ef /proc/self/ns/mnt ] || continue
    case " $$ $servers " in *" \${p#/proc/} "*) continue ;; esac
    kill -9 "\${p#/proc/}" && more=1
  done
done
for pid in $servers; do kill -TERM "$pid"; done`;

export class Guard {
  readonly #sys: Sys;
  readonly #shell: ChildProcess;
  readonly #servers: number[] = [];

  constructor(sys: Sys) {
    this.#sys = sys;
    this.#shell = spawn('sh', ['-c', SCRIPT, 'strata-guard'], {
      cwd: '/',
      // A session of its own: what the terminal sends is not for it.
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    (this.#shell.stdin as Writable).on('error', () => {});
    this.#shell.on('error', () => {});
  }

  /** A server that is to finish after everybody else. */
  server(pid: number): void {
    this.#servers.push(pid);
    this.#shell.stdin?.write(`${pid}\n`);
  }

  /** Ends what the command left in the namespace. @returns how many processes. */
  endOthers(): number {
    const ended = new Set<string>();
    const mine = new Set([process.pid, this.#shell.pid, ...this.#servers].map(String));
    const sleeper = new Int32Array(new SharedArrayBuffer(4));
    for (let round = 0; round < ROUNDS; round++) {
      const others = this.#members().filter((pid) => !mine.has(pid));
      if (others.length === 0) break;
      for (const pid of others) {
        ended.add(pid);
        this.#sys.kill(Number(pid), SIGKILL);
      }
      Atomics.wait(sleeper, 0, 0, PAUSE_MS);
    }
    return ended.size;
  }

  /** The pids in this process's mount namespace. */
  #members(): string[] {
    const sys = this.#sys;
    const namespace = mountNamespace(sys);
    const entries = listDir(sys, AT_FDCWD, '/proc');
    if (typeof entries === 'number') return [];
    return entries
      .map((entry) => entry.name)
      .filter((name) => /^\d/.test(name) && sys.readlinkat(AT_FDCWD, `/proc/${name}/ns/mnt`) === namespace);
  }

  /** The run is over in good order: nobody is left to be guarded from. */
  async dismiss(): Promise<void> {
    const shell = this.#shell;
    if (shell.exitCode !== null || shell.signalCode !== null || shell.pid === undefined) return;
    const gone = new Promise((resolve) => shell.once('exit', resolve));
    shell.kill('SIGKILL');
    await gone;
  }
}
