/**
 * The serving thread: runs serveMount with this thread's own table of system calls (descriptors
 * belong to the process) and tells the main thread how it goes. Log lines go to descriptor 2 at
 * once: the main thread's stream would deliver them when it pleases.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { openSys } from '../sys/sys-koffi.ts';
import type { ServeConfig } from './config.ts';
import type { Control } from './control.ts';
import { collectAlone } from './heap.ts';
import { type ThreadMessage, toFailure } from './messages.ts';
import { serveMount } from './serve-mount.ts';
import { Rehearsal } from './warm.ts';

export interface ThreadData {
  config: ServeConfig;
  control: Control;
}

function tell(message: ThreadMessage): void {
  parentPort?.postMessage(message);
}

function serve({ config, control }: ThreadData): void {
  try {
    collectAlone();
    const sys = openSys();
    const end = serveMount(sys, config, control, {
      ready: (mount) => tell({ type: 'ready', mount }),
      ending: (end) => tell({ type: 'ending', end }),
      log(line) {
        const bytes = Buffer.from(`${line}\n`);
        sys.write(2, bytes, 0, bytes.length);
      },
    });
    tell({ type: 'ended', end });
  } catch (error) {
    tell({ type: 'failed', failure: toFailure(error) });
  }
}

/** Serves requests that nobody sent, without a mount: for scripts/bundle.mjs, which keeps what V8 compiled for them. */
export function rehearse(requests: number): void {
  const rehearsal = Rehearsal.begin(openSys());
  while (rehearsal !== null && rehearsal.served < requests) rehearsal.step();
  rehearsal?.end();
}

// A thread that was started ahead is told later what to serve.
if (workerData !== null) serve(workerData as ThreadData);
else parentPort?.once('message', serve);
