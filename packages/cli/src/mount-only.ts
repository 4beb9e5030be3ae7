/** `strata mount` without the other verbs, for the shell that starts it (bin/strata): what is not loaded takes no time. */
import { byteArguments } from './argv.ts';
import { mount } from './commands/mount.ts';
import { runCommand } from './main.ts';
import { quietOnClosedPipe } from './output/streams.ts';
import { startedByShell } from './starter.ts';

/** @returns the exit status. */
export async function main(argv: readonly string[]): Promise<number> {
  quietOnClosedPipe();
  startedByShell(argv.includes('fuse') || argv.includes('--backend=fuse'));
  return runCommand('strata mount', mount, byteArguments(argv), {}, 1);
}
