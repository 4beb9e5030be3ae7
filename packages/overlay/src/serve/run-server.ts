/**
 * `runServer`: a server as the business of a whole process, in the foreground or detached. SIGTERM,
 * SIGINT and SIGHUP end the mount; umount(8) by anyone ends it too.
 */
import type { Worker } from 'node:worker_threads';
import type { FuseMount } from '../mount/fuse-mount.ts';
import type { Sys } from '../sys/sys.ts';
import type { ServeConfig } from './config.ts';
import { startServer } from './server.ts';

const signals = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;

/** The loop did not end in time: nothing in this process is worth waiting for, and the kernel drops its locks. */
function killThisProcess(): void {
  process.kill(process.pid, 'SIGKILL');
}

/**
 * Mounts, serves, and comes back when all is finished, by an unmount or a signal.
 * @param onReady told when the mount is live.
 * @param ahead a serving thread that has been started already (server.ts).
 * @throws MountError when it could not be mounted (a signal that came first is EINTR), or the server broke.
 */
export async function runServer(
  sys: Sys,
  config: ServeConfig,
  onReady: (mount: FuseMount) => void,
  ahead: Worker | null = null,
): Promise<void> {
  const server = startServer(sys, config, ahead, killThisProcess);
  for (const signal of signals) process.on(signal, server.stop);
  try {
    onReady(await server.ready);
    await server.ended;
  } finally {
    for (const signal of signals) process.off(signal, server.stop);
  }
}
