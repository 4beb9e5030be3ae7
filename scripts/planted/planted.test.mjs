// The list of planted bugs stays in step with the sources and with docs/testing.md.
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { bugs } from './bugs.mjs';
import { edited } from './plant.mjs';

test.each(bugs)('$name can be planted', ({ file, edits }) => {
  const before = readFileSync(file, 'utf8');
  expect(edited(before, edits)).not.toBe(before);
});

test.each(bugs)('$name: its tests exist', ({ tests }) => {
  for (const name of tests.filter((arg) => arg.includes('/'))) expect(existsSync(name)).toBe(true);
});

test('names are told apart', () => {
  expect(new Set(bugs.map(({ name }) => name)).size).toBe(bugs.length);
});

describe('edited', () => {
  test('an edit that does not apply, or applies twice, is an error', () => {
    expect(() => edited('abc', [{ find: 'x', replace: '' }])).toThrow('0 times');
    expect(() => edited('aba', [{ find: 'a', replace: '' }])).toThrow('2 times');
  });

  test('the replacement is taken as it is', () => {
    expect(edited('a$b', [{ find: '$b', replace: '$&' }])).toBe('a$&');
  });
});

test('docs/testing.md lists each of them', () => {
  const page = readFileSync('docs/testing.md', 'utf8');
  expect(bugs.filter(({ name }) => !page.includes(name)).map(({ name }) => name)).toEqual([]);
});
