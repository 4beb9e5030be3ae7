// A command started by the shell scripts beside this file: the arguments are the module's name and the command's own.
'use strict';
const { built } = require('./built.cjs');

const [name, ...args] = process.argv.slice(2);
built(name).then(async ({ main }) => {
  process.exitCode = await main(args, true);
});
