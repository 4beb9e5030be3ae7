// After tsc: makes one file of each program that a mount starts, as loading a hundred small modules takes longer than
// everything else at the start. serve/built.ts takes a bundle only while it is younger than what tsc wrote.
import fs from 'node:fs';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

const dist = fileURLToPath(new URL('../packages/overlay/dist', import.meta.url));
const made = `${dist}/bundle.new`;

const bundle = await rolldown({
  input: ['main', 'worker', 'watcher'].map((name) => `${dist}/serve/${name}.js`),
  platform: 'node',
  external: ['koffi'],
});
fs.rmSync(made, { recursive: true, force: true });
await bundle.write({ dir: made, format: 'esm', chunkFileNames: '[name].js' });
fs.rmSync(`${dist}/bundle`, { recursive: true, force: true });
fs.renameSync(made, `${dist}/bundle`);
