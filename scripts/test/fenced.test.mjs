import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { examplesOf } from './fenced.ts';

const fence = '```';

test('marked blocks are taken, with the text block that follows directly', () => {
  const page = [
    `${fence}sh run`,
    'echo 1',
    fence,
    '',
    `${fence}text`,
    '1',
    fence,
    `${fence}sh`,
    'not marked',
    fence,
    `${fence}sh run`,
    'true',
    fence,
    'Words between.',
    `${fence}text`,
    'not its output',
    fence,
  ].join('\n');
  expect(examplesOf(page)).toEqual([
    { line: 2, script: 'echo 1\n', output: '1\n' },
    { line: 12, script: 'true\n' },
  ]);
});

test('a block that is never closed is an error', () => {
  expect(() => examplesOf(`${fence}sh run\ntrue`)).toThrow('never closed');
});

test('the README has two set-up commands, and .ci/run runs the second', () => {
  const readme = readFileSync('README.md', 'utf8');
  const setup = readme.split('\n').filter((line) => line.startsWith('npm ci && '));
  expect(setup).toHaveLength(2);
  expect(setup[0]).toMatch(/^npm ci && npx strata run \. -- sh -c '/);
  expect(setup[1]).toBe('npm ci && npm test');
  const ci = readFileSync('.ci/run', 'utf8');
  expect(ci).toMatch(/ npm ci$/m);
  expect(ci).toMatch(/ npm test$/m);
});
