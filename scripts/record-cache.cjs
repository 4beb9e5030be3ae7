// Preloaded by bundle.mjs into a program of a bundle and into its threads: when one ends, what V8 has compiled of
// it by then is written beside it. The serving thread first serves requests that nobody sent, where it may make a nameless tmpfs.
'use strict';
const fs = require('node:fs');
const path = require('node:path');
const vm = require('node:vm');

/** @type {[vm.Script, string][]} */
const scripts = [];

vm.Script = class extends vm.Script {
  constructor(code, options) {
    super(code, options);
    if (path.basename(path.dirname(options?.filename ?? '')) === 'bundle') scripts.push([this, options.filename]);
  }
};

process.on('exit', () => {
  for (const [script, file] of scripts) {
    const { rehearse } = require(file.replace(/js$/, 'cjs'));
    rehearse?.(400);
    fs.writeFileSync(file.replace(/js$/, 'cache'), script.createCachedData(), { mode: 0o644 });
  }
});
