/** `strata version`: what is running here. */
import { readFileSync } from 'node:fs';
import os from 'node:os';
import { print, printJson } from '../output/streams.ts';
import type { DefineVerb } from '../verb.ts';

/** The version of this package. */
export function ownVersion(): string {
  const file = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(file) as { version: string }).version;
}

export const version: DefineVerb = (command) => {
  command
    .description('Print the versions of strata, node and the kernel.')
    .option('--json', 'as JSON (schema strata.version/1)')
    .addHelpText('after', '\nExample:\n  strata version --json')
    .action((options: { json?: boolean }) => {
      const versions = { strata: ownVersion(), node: process.versions.node, kernel: os.release() };
      if (options.json) printJson({ schema: 'strata.version/1', ...versions });
      else print(`strata ${versions.strata}\nnode ${versions.node}\nkernel ${versions.kernel}\n`);
    });
};
