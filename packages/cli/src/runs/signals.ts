/**
 * Signals that come to this process while a command runs. The terminal sends its own to the whole
 * foreground process group, so the command has them already; what somebody sends to this process
 * alone is passed on. Stopping (SIGTSTP) and going on are left to their defaults: process and
 * command are one job.
 */
import type { ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import os from 'node:os';

const forwarded = ['SIGTERM', 'SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const;
const fromTerminal: readonly string[] = ['SIGINT', 'SIGQUIT'];

/** Whether this process is in the foreground process group of its terminal. */
function inForeground(): boolean {
  const stat = readFileSync('/proc/self/stat', 'latin1');
  const [, , group, , terminal, foreground] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return terminal !== '0' && group === foreground;
}

/** Exit status of a command that a signal ended, as shells count. */
export function signalStatus(signal: NodeJS.Signals): number {
  return 128 + os.constants.signals[signal];
}

export class Signals {
  /** The first signal that came when there was no command yet. */
  early: NodeJS.Signals | null = null;
  #child: ChildProcess | null = null;

  constructor() {
    for (const signal of forwarded) process.on(signal, () => this.#arrived(signal));
  }

  /** From now on signals are for this command. */
  forwardTo(child: ChildProcess): void {
    this.#child = child;
  }

  #arrived(signal: NodeJS.Signals): void {
    if (this.#child === null) this.early ??= signal;
    else if (!(fromTerminal.includes(signal) && inForeground())) this.#child.kill(signal);
  }
}
