import { expect, test } from 'vitest';
import { isAllowed, parseAllowedSkips } from './skips.ts';

const page = [
  '# Testing',
  '| `not here` | outside the section |',
  '## Skips allowed on CI',
  '| test | reason |',
  '| --- | --- |',
  '| `io_uring` | the kernel of CI has it off |',
  '## After',
  '| `nor here` | outside the section |',
].join('\n');

test('only the rows of the section are read', () => {
  expect(parseAllowedSkips(page)).toEqual([{ part: 'io_uring', why: 'the kernel of CI has it off' }]);
});

test('a page without the section allows nothing, loudly', () => {
  expect(() => parseAllowedSkips('# Testing')).toThrow('Skips allowed on CI');
});

test('a skip is allowed by a part of its file, name or reason', () => {
  const allowed = parseAllowedSkips(page);
  expect(isAllowed('a.test.ts > transports > io_uring works', allowed)).toBe(true);
  expect(isAllowed('a.test.ts > transports > fast: needs io_uring', allowed)).toBe(true);
  expect(isAllowed('a.test.ts > transports > poll works: needs root', allowed)).toBe(false);
});
