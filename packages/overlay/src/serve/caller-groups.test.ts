import { expect, test } from 'vitest';
import { parseGroups } from './caller-groups.ts';

test.each([
  ['Name:\tx\nGroups:\t4 24 2000 \nNStgid:\t1\n', [4, 24, 2000]],
  ['Groups:\t \nNStgid:\t1\n', []],
  ['Groups:\t\nNStgid:\t1\n', []],
  ['Name:\tGroups:\t7\n', []],
])('the groups in %j', (status, groups) => {
  expect(parseGroups(status)).toEqual(groups);
});
