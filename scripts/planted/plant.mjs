// Putting one bug of bugs.mjs into a tree, and taking it out again.
import fs from 'node:fs';
import path from 'node:path';

/**
 * @typedef {object} Edit
 * @property {string} find stands exactly once in the file
 * @property {string} replace
 */

/** The file's text with `edits` made. Throws where one does not apply: the list is out of date. @param {string} text @param {Edit[]} edits */
export function edited(text, edits) {
  let out = text;
  for (const { find, replace } of edits) {
    const parts = out.split(find);
    if (parts.length !== 2) throw new Error(`stands ${parts.length - 1} times, not once: ${find}`);
    out = parts.join(replace);
  }
  return out;
}

/** @param {string} tree @param {{file: string, edits: Edit[]}} bug @returns {() => void} takes it out again */
export function plant(tree, { file, edits }) {
  const at = path.join(tree, file);
  const before = fs.readFileSync(at, 'utf8');
  fs.writeFileSync(at, edited(before, edits));
  return () => fs.writeFileSync(at, before);
}
