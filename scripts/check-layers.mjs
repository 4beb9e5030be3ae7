// `npm run layers`: no import of packages/*/src goes against the arrows of docs/architecture.md.
// Prints FILE:LINE: what is wrong, one a line, and exits 1 if there is any. The rules are layers/rules.mjs.
import fs from 'node:fs';
import path from 'node:path';
import { importsOf } from './layers/imports.mjs';
import { judge } from './layers/rules.mjs';

const root = path.resolve(import.meta.dirname, '..');

/** @param {string} dir @returns {string[]} */
function sourcesBelow(dir) {
  return fs.readdirSync(dir, { recursive: true, withFileTypes: true }).flatMap((entry) => {
    const file = path.relative(root, path.join(entry.parentPath, entry.name));
    return entry.isFile() && /\.m?ts$/.test(file) ? [file] : [];
  });
}

const wrong = [];
let seen = 0;
for (const name of fs.readdirSync(path.join(root, 'packages'))) {
  const src = path.join(root, 'packages', name, 'src');
  if (!fs.existsSync(src)) continue;
  for (const file of sourcesBelow(src)) {
    for (const { specifier, line } of importsOf(fs.readFileSync(path.join(root, file), 'utf8'))) {
      seen += 1;
      const reason = judge(file, specifier);
      if (reason) wrong.push(`${file}:${line}: ${reason}`);
    }
  }
}
if (wrong.length > 0) console.error(wrong.join('\n'));
console.log(`layers: ${seen} imports, ${wrong.length} against the arrows`);
process.exitCode = wrong.length > 0 || seen === 0 ? 1 : 0;
