/**
 * Unions served by FUSE from processes of their own, for tests of the mount: a temporary directory
 * with lower, upper, work and merged, and an end that leaves no mount and no process behind.
 */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseOptions } from '../../src/mount/parse-options.ts';
import { serveConfig } from '../../src/serve/config.ts';
import { type SpawnedServer, spawnServer } from '../../src/serve/spawn.ts';
import { fromText } from '../../src/sys/bytes.ts';
import { openSys } from '../../src/sys/sys-koffi.ts';

export interface Stage {
  dir: string;
  lower: string;
  upper: string;
  work: string;
  merged: string;
  /** What the servers of this stage wrote to stderr: the trace, with `debug`. */
  trace(): string;
  /** Mounts with further options; the trace is on. */
  mount(options?: string, merged?: string): Promise<SpawnedServer>;
  /** Unmounts, ends every server and removes the directory. */
  destroy(): void;
}

export function makeStage(): Stage {
  const dir = fs.mkdtempSync(path.join(tmpdir(), 'stratafs-'));
  const [lower, upper, work, merged] = ['lower', 'upper', 'work', 'merged'].map((name) => {
    const made = path.join(dir, name);
    fs.mkdirSync(made);
    return made;
  });
  const log = path.join(dir, 'log');
  const logFd = fs.openSync(log, 'a');
  const pids: number[] = [];
  return {
    dir,
    lower,
    upper,
    work,
    merged,
    trace: () => fs.readFileSync(log, 'utf8'),
    async mount(options = '', at = merged) {
      const text = [`lowerdir=${lower},upperdir=${upper},workdir=${work}`, options].filter(Boolean).join(',');
      const config = { options: parseOptions([fromText(text)]), source: 'strata', merged: fromText(at), debug: true };
      const server = await spawnServer(serveConfig(openSys(), config), logFd);
      pids.push(server.pid);
      return server;
    },
    destroy() {
      for (const pid of pids) if (isRunning(pid)) process.kill(pid, 'SIGKILL');
      for (let i = 0; i < 4 && spawnSync('umount', ['-l', merged], { stdio: 'ignore' }).status === 0; i++);
      fs.closeSync(logFd);
      fs.rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** Whether a thread of `pid` still runs: descriptors are closed by the last, and the first may go before it. */
export function isRunning(pid: number): boolean {
  const read = (file: string): string | null => {
    try {
      return fs.readFileSync(file, 'utf8');
    } catch {
      return null;
    }
  };
  if (read(`/proc/${pid}/status`) === null) return false;
  return fs.readdirSync(`/proc/${pid}/task`).some((tid) => {
    const status = read(`/proc/${pid}/task/${tid}/status`);
    return status !== null && !/^State:\s+[ZX]/m.test(status);
  });
}

/** Milliseconds until `pid` is gone; fails the test after `limit`. */
export async function untilGone(pid: number, limit: number): Promise<number> {
  const start = performance.now();
  while (isRunning(pid)) {
    if (performance.now() - start > limit) throw new Error(`process ${pid} still runs after ${limit} ms`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return performance.now() - start;
}

/** How often the trace has `word` as the operation of a request. */
export function requests(trace: string, operation: string): number {
  return trace.split('\n').filter((line) => line.startsWith('rx ') && line.split(' ')[2] === operation).length;
}
