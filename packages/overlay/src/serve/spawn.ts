/**
 * `spawnServer`: starts a server process of its own and comes back when its mount is live. The
 * configuration goes through a socket, so that it may be of any size and `ps` shows no options.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import type { Duplex } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { FuseMount } from '../mount/fuse-mount.ts';
import { MountError } from '../mount/mount-error.ts';
import { show } from '../mount/paths.ts';
import { builtFile } from './built.ts';
import type { ServeConfig } from './config.ts';
import { fromFailure, type ProcessMessage } from './messages.ts';

export interface SpawnedServer {
  pid: number;
  mount: FuseMount;
}

/**
 * Mounts in the background. Paths in `config` are absolute (config.ts).
 * @param stderr descriptor for what the server has to say: until the mount is live, or with `debug` for good.
 * @throws MountError when it could not be mounted; then nothing is left behind.
 */
export async function spawnServer(config: ServeConfig, stderr = 2): Promise<SpawnedServer> {
  const main = fileURLToPath(builtFile('main'));
  const child = spawn(process.execPath, [main, show(config.merged)], {
    argv0: 'strata-overlay',
    cwd: '/',
    detached: true,
    stdio: ['ignore', 'ignore', stderr, 'pipe'],
  });
  const socket = child.stdio[3] as Duplex;
  try {
    const message = await outcome(child, socket, config);
    if ('failed' in message) {
      await exited(child);
      throw fromFailure(message.failed);
    }
    return { pid: child.pid!, mount: message.ready };
  } finally {
    socket.destroy();
    child.unref();
  }
}

function outcome(child: ChildProcess, socket: Duplex, config: ServeConfig): Promise<ProcessMessage> {
  return new Promise((resolve, reject) => {
    child.once('error', (error) => reject(new MountError(0, `no server could be started: ${error.message}`, 2)));
    let text = '';
    socket.setEncoding('utf8');
    socket.on('data', (chunk: string) => {
      text += chunk;
      if (text.endsWith('\n')) resolve(JSON.parse(text) as ProcessMessage);
    });
    // A server that dies says so by its exit, not by an error of the socket.
    socket.on('error', () => {});
    socket.once('close', () => {
      exited(child).then((how) => reject(new MountError(0, `the server ended before the mount was live (${how})`, 2)));
    });
    socket.write(`${JSON.stringify(config)}\n`);
  });
}

/** How the process ended, in words. */
function exited(child: ChildProcess): Promise<string> {
  const words = (): string =>
    child.signalCode === null ? `exit status ${child.exitCode}` : `killed by ${child.signalCode}`;
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve(words());
  return new Promise((resolve) => child.once('exit', () => resolve(words())));
}
