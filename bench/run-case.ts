/** One workload on one mounter: `node run-case.js WORKLOAD MOUNTER SCALE DATA BASE`; a line of JSON says what came of it. */
import { Case, Declined } from './case.ts';
import { mounterOf } from './mounters.ts';
import { workloads } from './workloads/all.ts';

const [workload, mounter, scale, data, base] = process.argv.slice(2);
const c = new Case(mounterOf(mounter), { scale: Number(scale), data: Number(data) }, base);
let note: string | undefined;
try {
  await workloads.get(workload)?.(c);
} catch (error) {
  note = error instanceof Declined ? error.message : String((error as Error).stack ?? error);
}
console.log(JSON.stringify({ metrics: c.metrics, note }));
