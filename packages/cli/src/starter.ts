/**
 * The shell that started this process for a mount (bin/strata, bin/strata-overlay). It waits on a descriptor for the exit status
 * of the command and does not wait for the process, so that this one can stay and serve: a server of its own would
 * cost another start of Node.
 */
import fs from 'node:fs';
import type { Worker } from 'node:worker_threads';
import { closeInherited, dropStreams } from 'stratafs/internal/serve/detach';
import { startAhead } from 'stratafs/internal/serve/server';
import { type ByteString, toText } from 'stratafs/internal/sys/bytes';
import { setsid } from 'stratafs/internal/sys/process';
import type { Sys } from 'stratafs/internal/sys/sys';

/** Where the shell waits. */
const STATUS = 4;

let waits = false;
let thread: Worker | null = null;

/**
 * A shell waits for this process: whatever becomes of it, it is told.
 * @param serves it will be a server, if all goes well: its thread starts now.
 */
export function startedByShell(serves: boolean): void {
  waits = true;
  process.on('exit', tell);
  if (serves) thread = startAhead();
}

/** The serving thread that was started ahead. */
export function threadAhead(): Worker | null {
  return thread;
}

/** Whether this process may stay when the command is done. */
export function mayStay(): boolean {
  return waits;
}

/** To be called before anything is opened that lasts. */
export function prepareToStay(sys: Sys): void {
  closeInherited(sys, STATUS);
}

/** The command has succeeded, and this process goes on as the server of `merged` in the background. */
export function leaveShell(sys: Sys, merged: ByteString): void {
  process.title = `strata-overlay ${toText(merged)}`;
  process.chdir('/');
  setsid();
  dropStreams(sys, 2);
  tell(0);
  waits = false;
  sys.close(STATUS);
}

/** The shell goes on when this process ends, or has closed the descriptor. */
function tell(status: number): void {
  if (!waits) return;
  try {
    fs.writeSync(STATUS, String(status));
  } catch {
    // It was ended meanwhile.
  }
}
