// `node mount-and-exit.mjs OPTIONS MERGED`: mounts in the background, prints the server's pid and exits,
// as a command would.
import { parseOptions } from '../../dist/mount/parse-options.js';
import { serveConfig } from '../../dist/serve/config.js';
import { spawnServer } from '../../dist/serve/spawn.js';
import { openSys } from '../../dist/sys/sys-koffi.js';

const [options, merged] = process.argv.slice(2);
const config = { options: parseOptions([options]), source: 'strata', merged, debug: false };
const { pid } = await spawnServer(serveConfig(openSys(), config));
console.log(pid);
