// After tsc: makes one file of the many modules of each command and of each program that a mount starts, with
// V8's code of it beside it (vm.Script's cachedData), as loading and compiling a hundred small modules takes longer than all else at
// the start. For NAME there are in bundle/
//   NAME.cjs    the program, which loads the other two
//   NAME.js     the code
//   NAME.cache  what V8 made of it; another V8 leaves it aside
// A bundle is taken only while it is younger than what tsc wrote: serve/built.ts and packages/cli/bin/.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

/** @param {string} name */
const program = (name) => `'use strict';
const fs = require('node:fs');
const { Script } = require('node:vm');
let cachedData;
try {
  cachedData = fs.readFileSync(__dirname + '/${name}.cache');
} catch {}
// It is all ASCII, and read as that: text of two bytes a character takes longer to compile.
const code = fs.readFileSync(__dirname + '/${name}.js', 'latin1');
const script = new Script(code, { filename: __dirname + '/${name}.js', cachedData });
script.runInThisContext()(exports, require, module, __filename, __dirname);
`;

/** Modules of Node's own that load many others, and that a mount hardly ever needs: loaded when they are first used. */
const late = /\b(?:let|const) (\w+) = require\("(node:(?:child_process|crypto|timers\/promises|worker_threads))"\);/g;
const lateRequire = '$1 = new Proxy({}, { get: (_, key) => require("$2")[key] });';

/**
 * @param {string} dist directory that tsc wrote, below packages/
 * @param {string[]} programs in it; each becomes bundle/NAME.cjs
 */
async function bundle(dist, programs) {
  const at = fileURLToPath(new URL(`../packages/${dist}`, import.meta.url));
  const made = `${at}/bundle.new`;
  fs.rmSync(made, { recursive: true, force: true });
  for (const input of programs) {
    const name = path.basename(input);
    const build = await rolldown({ input: `${at}/${input}.js`, platform: 'node', external: ['koffi'] });
    const { output } = await build.generate({ format: 'cjs', codeSplitting: false });
    const ascii = output[0].code.replaceAll(
      /[^\0-\x7f]/g,
      (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
    );
    const code = ascii.replaceAll(late, `const ${lateRequire}`);
    fs.mkdirSync(made, { recursive: true });
    fs.writeFileSync(`${made}/${name}.js`, `(function (exports, require, module, __filename, __dirname) {${code}\n})`);
    fs.writeFileSync(`${made}/${name}.cjs`, program(name));
  }
  fs.rmSync(`${at}/bundle`, { recursive: true, force: true });
  fs.renameSync(made, `${at}/bundle`);
}

/** Has V8 compile what a mount needs, by one that fails for want of its mount point, and requests that nobody sent. */
function compile() {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'stratafs-'));
  for (const name of ['lower', 'upper', 'work']) fs.mkdirSync(path.join(dir, name));
  const start = fileURLToPath(new URL('../packages/cli/bin/start.cjs', import.meta.url));
  const record = fileURLToPath(new URL('record-cache.cjs', import.meta.url));
  // The fifth is where it says how it went.
  /** @type {import('node:child_process').StdioOptions} */
  const stdio = ['ignore', 'ignore', 'ignore', 'ignore', 'pipe'];
  const options = ['--backend', 'fuse', '-o', 'lowerdir=lower,upperdir=upper,workdir=work', 'missing'];
  for (const command of [
    ['mount-only', ...options],
    ['strata-overlay', ...options.slice(2)],
  ]) {
    // It fails, as it should; without a cache all works too.
    spawnSync(process.execPath, ['--require', record, start, ...command], { cwd: dir, stdio, timeout: 20_000 });
  }
  fs.rmSync(dir, { recursive: true, force: true });
}

await bundle('overlay/dist', ['serve/main', 'serve/worker', 'serve/copy-thread']);
await bundle('cli/dist', ['main', 'mount-only', 'strata-overlay']);
compile();
