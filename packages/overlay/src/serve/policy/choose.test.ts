import { expect, it } from 'vitest';
import { countsSleepers } from './choose.ts';

it.each([
  ['5.15.0-91-generic', false],
  ['6.1.0', false],
  ['6.11.9', false],
  ['6.12.0-rc1', true],
  ['6.18.44', true],
  ['7.0.1', true],
])('%s counts sleepers: %s', (kernel, counts) => {
  expect(countsSleepers(kernel)).toBe(counts);
});
