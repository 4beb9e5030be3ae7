// After tsc: makes few files of the many modules of the commands and of the programs that a mount starts, as loading
// a hundred small modules takes longer than all else at the start. A bundle is taken only while it is younger
// than what tsc wrote: serve/built.ts and packages/cli/bin/.
import fs from 'node:fs';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

/**
 * @param {string} dist directory that tsc wrote, below packages/
 * @param {string[]} names the programs in it; each becomes bundle/NAME.js
 */
async function bundle(dist, names) {
  const at = fileURLToPath(new URL(`../packages/${dist}`, import.meta.url));
  const made = `${at}/bundle.new`;
  const build = await rolldown({
    input: Object.fromEntries(names.map((name) => [name.replace(/.*\//, ''), `${at}/${name}.js`])),
    platform: 'node',
    // Other people's packages stay what they are.
    external: ['koffi', 'commander'],
  });
  fs.rmSync(made, { recursive: true, force: true });
  await build.write({ dir: made, format: 'esm', chunkFileNames: '[name]-[hash].js' });
  fs.rmSync(`${at}/bundle`, { recursive: true, force: true });
  fs.renameSync(made, `${at}/bundle`);
}

await bundle('overlay/dist', ['serve/main', 'serve/worker', 'serve/watcher', 'serve/copy-thread']);
await bundle('cli/dist', ['main', 'strata-overlay']);
