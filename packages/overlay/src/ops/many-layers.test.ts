/** More lowers than the kernel's overlay has: names of all of them, and what the upper ones hide. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { list, stat, touch, useUnion } from '../../test/support/union.ts';
import { fromText } from '../sys/bytes.ts';
import { O_WRONLY } from '../sys/constants.ts';
import { openSys } from '../sys/sys-koffi.ts';

const LAYERS = 600;
const union = useUnion();

test('600 layers', () => {
  for (let i = 0; i < LAYERS; i++) {
    mkdirSync(union.at(`many${i}/d`), { recursive: true });
    writeFileSync(union.at(`many${i}/d/own${i}`), `${i}`);
    writeFileSync(union.at(`many${i}/d/all`), 'x'.repeat(i + 1));
  }
  const lowerdirs = Array.from({ length: LAYERS }, (_, i) => fromText(union.at(`many${i}`)));
  const o = union.mount(openSys(), { lowerdirs });
  expect(stat(o, 'd/all').size).toBe(1);
  expect(stat(o, `d/own${LAYERS - 1}`).size).toBe(3);
  expect(touch(o, `d/own${LAYERS - 1}`, O_WRONLY)).toBe(0);
  expect(list(o, 'd').length).toBe(LAYERS + 1);
});
