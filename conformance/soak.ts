/**
 * Runs that take their time: `npm run soak -- NAME [--seed N] [--seconds N]`. Each prints what it
 * did, the seed that repeats it, and ends with exit status 1 when something was wrong.
 */
import { parseArgs } from 'node:util';
import { openSys } from 'stratafs/internal/sys/sys-koffi';
import { openBaseDir } from './base-dir.ts';
import { stress } from './stress.ts';
import { fuse } from './targets/fuse.ts';

interface SoakOptions {
  seed: number;
  seconds: number;
}

/** @returns one sentence for each thing that was wrong. */
type Soak = (options: SoakOptions) => Promise<string[]>;

const soaks: Readonly<Record<string, Soak>> = {
  async stress(options) {
    const sys = openSys();
    const base = openBaseDir(sys);
    try {
      const reason = fuse.unavailable(base);
      if (reason !== null) {
        return [`cannot run here: ${reason}`];
      }
      const { operations, succeeded, wrong } = await stress(sys, base, fuse, options);
      console.log(`${operations} operations by 20 workers; succeeded: ${JSON.stringify(succeeded)}`);
      return wrong;
    } finally {
      base.close();
    }
  },
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { seed: { type: 'string' }, seconds: { type: 'string' } },
});
const [name] = positionals;
const soak = soaks[name];
const seed = Number(values.seed ?? 1 + Math.floor(Math.random() * 0x7ffffffe));
const seconds = Number(values.seconds ?? 60);
if (soak === undefined || !Number.isSafeInteger(seed) || !(seconds > 0)) {
  console.error(`usage: npm run soak -- ${Object.keys(soaks).join('|')} [--seed N] [--seconds N]`);
  process.exit(2);
}
const wrong = await soak({ seed, seconds });
for (const line of wrong) {
  console.log(`WRONG: ${line}`);
}
console.log(`${name}: ${wrong.length} wrong, seed ${seed}`);
process.exit(wrong.length === 0 ? 0 : 1);
