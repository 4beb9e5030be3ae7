/**
 * Runs that take their time. Each prints what it did, the seed that repeats it, and ends with exit
 * status 1 when something was wrong.
 *
 *   npm run soak -- stress [--seed N] [--seconds N]
 *   npm run soak -- fsx [--seed N] [--ops N] [--target fuse|kernel|plain|in-process] [--options redirect_dir=on,…]
 *   npm run soak -- faults [--seed N] [--tally FILE] (all errnos at all calls, all pairs of operations; with the FILE
 *     of a run that was stopped it goes on there)
 *   npm run soak -- crash-points [--seed N] [--cuts N] [--tally FILE] (every compound operation, cut after each flush)
 *   npm run soak -- power-cut [--seed N] [--cuts N] [--overlay fuse|kernel|in-process|PROGRAM] [--options …]
 *
 * STRATA_CONFORMANCE_DIR puts the layers on a filesystem of one's choice.
 */
import { parseArgs } from 'node:util';
import { openSys } from 'stratafs/internal/sys/sys-koffi';
import type { Backend } from './backend.ts';
import { type BaseDir, openBaseDir } from './base-dir.ts';
import { fsx } from './fsx/fsx.ts';
import { powerCutUnavailable } from './power-cut/disks.ts';
import { type PowerCutOptions, powerCut } from './power-cut/power-cut.ts';
import { stress } from './stress.ts';
import { tallied } from './tallied.ts';
import { fuse } from './targets/fuse.ts';
import { inProcess } from './targets/in-process.ts';
import { kernel } from './targets/kernel.ts';
import { program } from './targets/program.ts';

interface SoakOptions {
  seed: number;
  seconds: number;
  operations: number;
  /** null: as many as the run has by itself. */
  cuts: number | null;
  target: string;
  overlay: string;
  /** Where an earlier run has written down what it had done, or null. */
  tally: string | null;
  /** Mount options, where they were said. */
  options: readonly string[] | null;
}

export interface SoakResult {
  operations: number;
  /** What it did, in a line or two. */
  did: string;
  /** One sentence for each thing that was wrong. */
  wrong: readonly string[];
  /** What the last line says, if not operations and what was wrong. */
  sum?: string;
}

type Soak = (base: BaseDir, options: SoakOptions) => Promise<SoakResult>;

const sys = openSys();
const targets: Readonly<Record<string, Backend | null>> = { fuse, kernel, 'in-process': inProcess, plain: null };

function cannot(reason: string): SoakResult {
  return { operations: 0, did: '', wrong: [`cannot run here: ${reason}`] };
}

const DEFAULTS = ['redirect_dir=on', 'index=off', 'metacopy=off'];
const FSX_DEFAULTS = ['redirect_dir=on', 'index=on', 'metacopy=on'];

const soaks: Readonly<Record<string, Soak>> = {
  async stress(base, options) {
    const reason = fuse.unavailable(base);
    if (reason !== null) {
      return cannot(reason);
    }
    const { operations, succeeded, wrong } = await stress(sys, base, fuse, options);
    return { operations, did: `by 20 workers; succeeded: ${JSON.stringify(succeeded)}`, wrong };
  },
  async fsx(base, options) {
    const backend = targets[options.target];
    if (backend === undefined) {
      return cannot(`no target ${options.target}; one of ${Object.keys(targets).join(', ')}`);
    }
    const reason = backend?.unavailable(base) ?? null;
    if (reason !== null) {
      return cannot(reason);
    }
    const { operations, done, unsupported, wrong } = await fsx(sys, base, backend, {
      ...options,
      options: options.options ?? FSX_DEFAULTS,
    });
    const without =
      unsupported.length > 0 ? `\nnot supported by ${options.target} here: ${unsupported.join(', ')}` : '';
    return { operations, did: `on ${options.target}: ${JSON.stringify(done)}${without}`, wrong };
  },
  /** The unit tests, with all errnos at all calls. */
  async faults(_base, { seed, tally }) {
    return tallied('packages/overlay/src/ops/faults', seed, tally, 'points');
  },
  /** Half of them on ext4, half on xfs. */
  async 'crash-points'(base, { seed, tally, cuts }) {
    const reason = powerCutUnavailable(sys, base);
    return reason === null
      ? tallied('conformance/crash-points', seed, tally, 'crash points', {
          STRATA_CUTS: cuts === null ? '' : String(cuts),
        })
      : cannot(reason);
  },
  /** Half of the cuts on ext4, half on xfs, with and without reflink. */
  async 'power-cut'(base, { seed, cuts: asked, overlay, options }) {
    const reason = powerCutUnavailable(sys, base);
    if (reason !== null) {
      return cannot(reason);
    }
    const cuts = asked ?? 600;
    const ours: Readonly<Record<string, PowerCutOptions['overlay']>> = { fuse, kernel, 'in-process': 'in-process' };
    const peer = ours[overlay] === undefined;
    const result = await powerCut(sys, base, {
      seed,
      cuts,
      cutsPerLoad: Math.max(1, Math.min(50, Math.ceil(cuts / 4))),
      subjects: 60,
      disks: ['ext4', 'xfs', 'ext4', 'xfs with reflink'],
      overlay: ours[overlay] ?? program(overlay),
      options: options ? [options] : peer ? [[]] : [DEFAULTS, ['redirect_dir=on', 'index=on', 'metacopy=on']],
      peer,
      progress: console.log,
    });
    const { torn, changed, wrong, operations } = result;
    const did = `under the load; ${changed} of ${result.cuts} cuts after something had reached the upper`;
    return { operations, did, wrong, sum: `${result.cuts} cuts, ${torn} torn` };
  },
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seed: { type: 'string' },
    seconds: { type: 'string', default: '60' },
    cuts: { type: 'string' },
    overlay: { type: 'string', default: 'fuse' },
    ops: { type: 'string', default: '50000' },
    target: { type: 'string', default: 'fuse' },
    options: { type: 'string' },
    tally: { type: 'string' },
  },
});
const [name] = positionals;
const soak = soaks[name];
const seed = Number(values.seed ?? 1 + Math.floor(Math.random() * 0x7ffffffe));
const seconds = Number(values.seconds);
const operations = Number(values.ops);
const cuts = values.cuts === undefined ? null : Number(values.cuts);
if (
  soak === undefined ||
  !Number.isSafeInteger(seed) ||
  !(seconds > 0) ||
  !(operations > 0) ||
  (cuts !== null && !(cuts > 0))
) {
  const names = Object.keys(soaks).join('|');
  console.error(`usage: npm run soak -- ${names} [--seed N] …; the options of each stand in conformance/soak.ts`);
  process.exit(2);
}
const base = openBaseDir(sys);
const { target, overlay } = values;
const tally = values.tally ?? null;
const options = {
  seed,
  tally,
  seconds,
  operations,
  cuts,
  target,
  overlay,
  options: values.options?.split(',') ?? null,
};
const result = await soak(base, options).finally(() => base.close());
if (result.did !== '') console.log(`${result.operations} operations ${result.did}`);
for (const line of result.wrong) {
  console.log(`WRONG: ${line}`);
}
console.log(`${name}: ${result.sum ?? `${result.operations} operations, ${result.wrong.length} wrong`}, seed ${seed}`);
process.exit(result.wrong.length === 0 ? 0 : 1);
