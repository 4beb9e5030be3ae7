/**
 * A place of its own for one test file: a private mount namespace (in which the records of live
 * mounts are private too) and a pid namespace, entered for every command with nsenter(1). Mounts, servers and containers that a test leaves behind, whatever
 * happens to it, end with the namespace: its first process is a shell that waits for the end of a
 * pipe from this process, so it goes even when this process is killed. (A shell, because pid 1 has
 * to reap the orphans: a zombie looks like a server that does not end.)
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { programs } from './programs.ts';

export interface Outcome {
  /** The exit code; 124 for a command that was stopped at its time limit. */
  code: number;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  env?: Record<string, string>;
  timeoutMs?: number;
}

/** Runs a program to its end, with nothing on its stdin. Never throws for what the program does. */
export function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      env: { ...process.env, ...programs, ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    let timedOut = false;
    child.stdout.setEncoding('latin1').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('latin1').on('data', (text: string) => {
      stderr += text;
    });
    const timer = setTimeout(() => {
      timedOut = true;
      child.kill('SIGKILL');
      // What it left running may hold the pipes open for good.
      child.stdout.destroy();
      child.stderr.destroy();
    }, options.timeoutMs ?? 120_000);
    child.on('error', reject);
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve({ code: timedOut ? 124 : (code ?? 128), stdout, stderr });
    });
  });
}

export class Sandbox {
  /** A folder of its own, on the filesystem of the temporary folder. */
  readonly dir: string;
  readonly #init: ChildProcess;
  readonly #pid: number;

  private constructor(dir: string, init: ChildProcess, pid: number) {
    this.dir = dir;
    this.#init = init;
    this.#pid = pid;
  }

  static async open(): Promise<Sandbox> {
    const dir = mkdtempSync(path.join(tmpdir(), 'strata-interop-'));
    chmodSync(dir, 0o755);
    const init = spawn(
      'unshare',
      [
        '--mount',
        '--propagation',
        'private',
        '--pid',
        '--fork',
        '--kill-child',
        '--mount-proc',
        'bash',
        '-c',
        'mkdir -p /run/strata && mount -t tmpfs -o mode=755 records /run/strata && echo ready && read -r _',
      ],
      { stdio: ['pipe', 'pipe', 'inherit'] },
    );
    await new Promise<void>((resolve, reject) => {
      init.stdout!.once('data', () => resolve());
      init.once('exit', (code) => reject(new Error(`unshare ended with ${code}`)));
    });
    const children = await run('pgrep', ['-P', String(init.pid)]);
    return new Sandbox(dir, init, Number(children.stdout.trim()));
  }

  /** Runs a bash script (`-eu -o pipefail`) in the namespaces, in `dir`. */
  try(script: string, options: RunOptions = {}): Promise<Outcome> {
    const enter = ['--target', String(this.#pid), '--mount', '--pid'];
    // cd inside: a working directory from before would lie on the mounts of the other namespace.
    const inside = ['bash', '-eu', '-o', 'pipefail', '-c', `cd "$0"\n${script}`, this.dir];
    return run('nsenter', [...enter, ...inside], options);
  }

  /** The same for a script that has to succeed. @returns its stdout, as bytes */
  async sh(script: string, options: RunOptions = {}): Promise<string> {
    const { code, stdout, stderr } = await this.try(script, options);
    if (code !== 0) {
      throw new Error(
        `exit code ${code}\n--- script\n${script}\n--- stdout\n${stdout.slice(-4000)}\n--- stderr\n${stderr.slice(-4000)}`,
      );
    }
    return stdout;
  }

  /** Ends every process and mount of the sandbox and removes its folder. */
  async close(): Promise<void> {
    const ended = new Promise<void>((resolve) => this.#init.once('exit', () => resolve()));
    this.#init.kill('SIGKILL');
    await ended;
    await run('rm', ['-rf', '--one-file-system', this.dir]);
  }
}
