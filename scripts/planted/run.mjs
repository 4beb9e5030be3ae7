// `npm run planted [-- [--tally FILE] PART-OF-A-NAME…]`: plants each bug of bugs.mjs, one at a time, in a copy
// of the tree, runs the tests that should see it, and prints which did. First those tests have to pass
// without any bug. The last line is `planted: N planted, M caught`; exit status 1 unless all were.
// With FILE a bug that was caught is written down there, and not planted again: a run that was stopped goes on.
// Runs do not meet: each has a tree of its own.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { bugs } from './bugs.mjs';
import { plant } from './plant.mjs';

const root = path.resolve(import.meta.dirname, '../..');
/** A test that hangs on a bug has seen it too. */
const LIMIT_MS = 10 * 60_000;

/** A copy of what git knows of, as it is now, with the installed packages. @param {string} to */
function copyTree(to) {
  const list = spawnSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], { cwd: root });
  for (const name of list.stdout.toString().split('\0')) {
    if (name !== '' && fs.existsSync(path.join(root, name))) {
      fs.cpSync(path.join(root, name), path.join(to, name), { preserveTimestamps: true });
    }
  }
  // Its links to the packages are relative: they lead to the copy.
  spawnSync('cp', ['-a', '--reflink=auto', path.join(root, 'node_modules'), to]);
}

/** @param {string} tree @param {string[]} args of vitest @returns {{passed: number, failed: number, said: string}} */
function runTests(tree, args) {
  const summary = path.join(tree, 'summary.json');
  fs.rmSync(summary, { force: true });
  const { stdout, stderr } = spawnSync('npx', ['vitest', 'run', ...args], {
    cwd: tree,
    env: { ...process.env, STRATA_SUMMARY: summary, CI: '' },
    timeout: LIMIT_MS,
    killSignal: 'SIGKILL',
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  const said = `${stdout}${stderr}`.slice(-3000);
  if (!fs.existsSync(summary)) return { passed: 0, failed: 1, said };
  return { ...JSON.parse(fs.readFileSync(summary, 'utf8')), said };
}

const { values, positionals: wanted } = parseArgs({
  allowPositionals: true,
  options: { tally: { type: 'string' } },
});
/** Names of bugs that an earlier run has seen caught. */
const before = new Set(
  values.tally !== undefined && fs.existsSync(values.tally) ? fs.readFileSync(values.tally, 'utf8').split('\n') : [],
);
const chosen = bugs.filter(({ name }) => wanted.length === 0 || wanted.some((part) => name.includes(part)));
const tree = fs.mkdtempSync(path.join(os.tmpdir(), 'strata-planted-'));
fs.chmodSync(tree, 0o755);
let caught = 0;
try {
  copyTree(tree);
  const sane = new Set();
  for (const bug of chosen) {
    if (before.has(bug.name)) {
      caught += 1;
      continue;
    }
    const tests = bug.tests.join(' ');
    if (!sane.has(tests)) {
      // A busy machine may fail them once.
      let { passed, failed, said } = runTests(tree, bug.tests);
      if (passed === 0 || failed > 0) ({ passed, failed, said } = runTests(tree, bug.tests));
      if (passed === 0 || failed > 0)
        throw new Error(`without any bug: ${passed} passed, ${failed} failed in ${tests}\n${said}`);
      sane.add(tests);
    }
    const undo = plant(tree, bug);
    // The first test that sees it is enough.
    const { passed, failed } = runTests(tree, [...bug.tests, '--bail', '1']);
    undo();
    if (failed > 0) caught += 1;
    if (failed > 0 && values.tally !== undefined) fs.appendFileSync(values.tally, `${bug.name}\n`);
    console.log(`${failed > 0 ? 'caught' : `NOT CAUGHT by ${passed} tests`}: ${bug.name}: ${tests}`);
  }
} finally {
  fs.rmSync(tree, { recursive: true, force: true });
}
console.log(`planted: ${chosen.length} planted, ${caught} caught`);
process.exitCode = caught === chosen.length && chosen.length > 0 ? 0 : 1;
