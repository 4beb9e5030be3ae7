/** `strata info`: where runs are kept, how many there are, and what would be used. */
import { mayUseTrustedXattrs } from 'stratafs/internal/mount/privilege';
import { type ByteString, fromText } from 'stratafs/internal/sys/bytes';
import { openSys } from 'stratafs/internal/sys/sys-koffi';
import { listMounts } from '../mounts.ts';
import { bytesField } from '../output/json.ts';
import { print, printJson } from '../output/streams.ts';
import { storeRoot } from '../root.ts';
import { isRunning, RunStore } from '../runs/record.ts';
import type { DefineVerb } from '../verb.ts';
import { ownVersion } from './version.ts';

export const info: DefineVerb = (command, globals) => {
  command
    .description('Say where runs are kept, how many there are, and how many unions are mounted.')
    .option('--json', 'as JSON (schema strata.info/1)')
    .option('--root <DIR>', 'where runs are kept')
    .addHelpText('after', '\nExample:\n  strata info --json')
    .action((flags: { json?: boolean; root?: ByteString }) => {
      const sys = openSys();
      const root = storeRoot(sys, flags.root ?? globals.root).path;
      const runs = new RunStore(sys, root).list();
      const report = {
        version: ownVersion(),
        runs: runs.length,
        running: runs.filter(isRunning).length,
        mounts: listMounts(sys).length,
        xattrs: mayUseTrustedXattrs(sys) ? 'trusted.overlay.*' : 'user.overlay.*',
      };
      if (flags.json) {
        printJson({ schema: 'strata.info/1', ...bytesField('root', root), ...report });
        return;
      }
      print(`root      ${root}\n`);
      print(
        fromText(
          `version   ${report.version}\nruns      ${report.runs} (${report.running} running)\nmounts    ${report.mounts}\nxattrs    ${report.xattrs}\n`,
        ),
      );
    });
};
