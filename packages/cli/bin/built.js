// Which build a command runs: the bundle of few files (scripts/bundle.mjs), which starts quicker, as long as it is
// younger than all that tsc wrote, here and in the engine that it holds a copy of; else the modules.
import fs from 'node:fs';

const dist = new URL('../dist/', import.meta.url);
const engine = new URL('../.tsbuildinfo', import.meta.resolve('stratafs/internal/serve/main'));

function writtenAt(file) {
  return fs.statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

/** The module `name` of a command. */
export function built(name) {
  const bundled = new URL(`bundle/${name}.js`, dist);
  const at = writtenAt(bundled);
  const fresh = at > 0 && at >= writtenAt(new URL('.tsbuildinfo', dist)) && at >= writtenAt(engine);
  return import((fresh ? bundled : new URL(`${name}.js`, dist)).href);
}
