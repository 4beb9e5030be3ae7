// `node serve-in-foreground.mjs OPTIONS MERGED`: mounts and serves in this process; prints a line when the
// mount is live.
import { parseOptions } from '../../dist/mount/parse-options.js';
import { serveConfig } from '../../dist/serve/config.js';
import { runServer } from '../../dist/serve/run-server.js';
import { openSys } from '../../dist/sys/sys-koffi.js';

const [options, merged] = process.argv.slice(2);
const sys = openSys();
const config = { options: parseOptions([options]), source: 'strata', merged, debug: false };
await runServer(sys, serveConfig(sys, config), () => console.log('live'));
