// What the documents point at is there: links, and files named in backticks, from the root of the
// repository or from a package's sources. And every verb of `strata` has its section.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { verbs } from '../packages/cli/src/verbs.ts';

const pages = [
  ...readdirSync('.').filter((name) => name.endsWith('.md')),
  ...readdirSync('docs')
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];
const roots = [
  '.',
  'packages/overlay',
  'packages/overlay/src',
  'packages/cli/src',
  'conformance',
  'conformance/parity',
  'docs',
];

/** @param {string} name in capitals: a name that stands for any, as in `commands/VERB.ts` */
const isPattern = (name) => /[A-Z]{3}|\*/.test(path.basename(name, path.extname(name)).replace('README', ''));

describe.each(pages)('%s', (page) => {
  const text = readFileSync(page, 'utf8');

  test('links lead somewhere', () => {
    const links = [...text.matchAll(/\]\(([^)#]+)\)/g)]
      .map((match) => match[1])
      .filter((link) => !link.includes('://'));
    expect(links.filter((link) => !existsSync(path.join(path.dirname(page), link)))).toEqual([]);
  });

  test('files and rooms that it names exist', () => {
    const names = [...text.matchAll(/`([\w.-]+(?:\/[\w.-]+)*(?:\.ts|\.mjs|\.js|\.md|\/))`/g)].map((match) => match[1]);
    const missing = names.filter(
      (name) => !isPattern(name) && !roots.some((root) => existsSync(path.join(root, name))),
    );
    expect(missing).toEqual([]);
  });
});

test('docs/commands.md has a section for every verb', () => {
  const text = readFileSync('docs/commands.md', 'utf8');
  const sections = [...text.matchAll(/^## `strata ([a-z]+)/gm)].map((match) => match[1]);
  expect(sections.toSorted()).toEqual(verbs.map((verb) => verb.name).toSorted());
});
