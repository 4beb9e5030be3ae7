/** Spawns the commands as people call them: the committed bins, which load dist/. */
import { type SpawnOptions, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** For node. */
export const bin: string = fileURLToPath(new URL('../../bin/strata.js', import.meta.url));
/** The commands that npm links. */
export const command: string = fileURLToPath(new URL('../../bin/strata', import.meta.url));
export const overlayCommand: string = fileURLToPath(new URL('../../bin/strata-overlay', import.meta.url));

export interface Outcome {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

export interface CallOptions extends Pick<SpawnOptions, 'cwd' | 'env'> {
  /** What stands before `node`: setpriv(1), unshare(1), … */
  prefix?: readonly string[];
  /** Killed and failed after so long. */
  timeoutMs?: number;
}

/** Output is decoded as latin1: bytes stay apart. */
export function call(argv: readonly string[], options: CallOptions = {}): Promise<Outcome> {
  const [file, ...args] = [...(options.prefix ?? []), ...argv];
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`${argv.join(' ')} did not end\n${Buffer.concat([...out, ...err])}`));
    }, options.timeoutMs ?? 30_000);
    child.once('error', reject);
    // Not `close`: a server in the background may hold the pipes for longer.
    child.once('exit', (code, signal) => {
      clearTimeout(timer);
      setImmediate(() =>
        resolve({
          code,
          signal,
          stdout: Buffer.concat(out).toString('latin1'),
          stderr: Buffer.concat(err).toString('latin1'),
        }),
      );
    });
  });
}

export function strata(args: readonly string[], options: CallOptions = {}): Promise<Outcome> {
  return call([command, ...args], options);
}

export function strataOverlay(args: readonly string[], options: CallOptions = {}): Promise<Outcome> {
  return call([overlayCommand, ...args], options);
}
