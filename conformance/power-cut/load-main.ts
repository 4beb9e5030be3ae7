/** The load's process: its task as JSON in the first argument, its report as JSON on stdout. */
import { runLoad } from './load.ts';

console.log(JSON.stringify(await runLoad(JSON.parse(process.argv[2]))));
