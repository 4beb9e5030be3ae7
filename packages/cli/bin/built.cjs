// Which build a command runs: the bundle of one file (scripts/bundle.mjs), which starts quicker, as long as it is
// younger than all that tsc wrote, here and in the engine that it holds a copy of; else the modules.
'use strict';
const fs = require('node:fs');
const path = require('node:path');

const dist = path.join(__dirname, '../dist');

function writtenAt(file) {
  return fs.statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

/** The module `name` of a command. */
exports.built = async (name) => {
  const engine = path.join(path.dirname(require.resolve('stratafs/internal/serve/main')), '../.tsbuildinfo');
  const bundled = `${dist}/bundle/${name}.cjs`;
  const at = writtenAt(bundled);
  const fresh = at > 0 && at >= writtenAt(`${dist}/.tsbuildinfo`) && at >= writtenAt(engine);
  return fresh ? require(bundled) : import(`${dist}/${name}.js`);
};
