/**
 * `startServer`: the main thread's side of a mount, in whatever process it runs. A worker serves;
 * this thread has an event loop, takes the mount away when it is told to stop, and knows when
 * everything is finished.
 */
import { Worker } from 'node:worker_threads';
import type { SessionEnd } from '../fuse/session.ts';
import { detachMount, type FuseMount } from '../mount/fuse-mount.ts';
import { MountError } from '../mount/mount-error.ts';
import { EFD_NONBLOCK } from '../sys/constants.ts';
import { errnoName } from '../sys/errno.ts';
import type { Sys } from '../sys/sys.ts';
import { builtFile } from './built.ts';
import type { ServeConfig } from './config.ts';
import { cancelWork, makeControl, setDetached, stopServing } from './control.ts';
import { type Failure, fromFailure, type ThreadMessage, toFailure } from './messages.ts';
import { watch } from './policy/watch.ts';
import type { ThreadData } from './worker.ts';

/** Whoever stops a server sees the loop end within 2 seconds. */
const STOP_MS = 1_800;

export interface Server {
  /** Settles when the mount is live. Rejected with a MountError when it never was. */
  ready: Promise<FuseMount>;
  /** Settles when everything is finished: locks released, thread gone. Rejected with a MountError. */
  ended: Promise<SessionEnd>;
  /** Ends the mount at once: work under way gives up, the mount is detached, the loop ends. */
  stop(): void;
}

/** Starts a serving thread before it is known what there is to serve, so that it comes to life meanwhile. */
export function startAhead(): Worker {
  const worker = new Worker(builtFile('worker'), { name: 'serve', workerData: null });
  // Whoever has no use for it ends.
  worker.unref();
  return worker;
}

/**
 * Mounts and serves in a worker thread.
 * @param ahead a thread that startAhead has started, or null.
 * @param hardStop called when the loop has not ended in time after `stop`.
 * @throws MountError where not even a thread could be started.
 */
export function startServer(sys: Sys, config: ServeConfig, ahead: Worker | null, hardStop: () => void): Server {
  const wakeFd = sys.eventfd(0, EFD_NONBLOCK);
  if (wakeFd < 0) throw new MountError(wakeFd, `no descriptor for the server: ${errnoName(wakeFd)}`, 2);
  const control = makeControl(wakeFd);
  watch(sys, control.seat);
  const workerData: ThreadData = { config, control };
  const worker = ahead ?? new Worker(builtFile('worker'), { workerData, name: 'serve' });
  if (ahead) {
    ahead.ref();
    ahead.postMessage(workerData);
  }

  /** Set from the moment the mount is live to the moment no request is served any more. */
  let served: FuseMount | null = null;
  let failure: Failure | null = null;
  let end: SessionEnd | null = null;
  let timer: NodeJS.Timeout | undefined;

  const detach = (): void => {
    if (served === null) return;
    detachMount(sys, served.device);
    setDetached(control);
    served = null;
  };
  const exited = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
  const ended = exited.then(() => {
    clearTimeout(timer);
    // A thread that broke leaves its mount behind, with nobody to answer.
    detach();
    sys.close(wakeFd);
    if (end === null) throw fromFailure(failure ?? toFailure(new Error('the serving thread ended without a word')));
    return end;
  });
  const ready = new Promise<FuseMount>((resolve, reject) => {
    worker.on('message', (message: ThreadMessage) => {
      switch (message.type) {
        case 'ready':
          served = message.mount;
          resolve(message.mount);
          break;
        case 'ending':
          served = null;
          // What is left (closing, syncing) may take its time.
          clearTimeout(timer);
          break;
        case 'ended':
          end = message.end;
          break;
        case 'failed':
          failure = message.failure;
          break;
      }
    });
    worker.on('error', (error) => {
      failure = toFailure(error);
    });
    // No news for a promise that was kept.
    ended.then(() => reject(new MountError(0, 'the mount was gone before it was live', 2)), reject);
  });
  return {
    ready,
    ended,
    stop() {
      cancelWork(control);
      // First the mount, then the loop: see control.ts.
      detach();
      stopServing(sys, control);
      timer ??= setTimeout(hardStop, STOP_MS);
    },
  };
}
