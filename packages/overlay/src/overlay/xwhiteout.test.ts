import { execFileSync } from 'node:child_process';
import { lstatSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { isRoot } from '../../test/support/temp-dir.ts';
import { me, useUnion, view, walk } from '../../test/support/union.ts';
import { S_IFCHR, S_IFMT } from '../sys/constants.ts';
import { ENOENT, ENOTEMPTY } from '../sys/errno.ts';

const union = useUnion();
const prefix = isRoot ? 'trusted.overlay.' : 'user.overlay.';

function mark(path: string, name: string, value: string): void {
  execFileSync('setfattr', ['-n', prefix + name, '-v', value, path]);
}

/** `d` of the lower layer hides `d/f` of the one below it. */
function plant(marked: boolean): void {
  for (const layer of ['l1', 'l2']) {
    mkdirSync(union.at(layer, 'd'));
    writeFileSync(union.at(layer, 'd', 'f'), layer === 'l1' ? '' : 'hidden');
  }
  mark(union.at('l1', 'd', 'f'), 'whiteout', '');
  if (marked) mark(union.at('l1', 'd'), 'opaque', 'x');
}

test('a directory that only xattr whiteouts leave empty can be removed', () => {
  plant(true);
  const ops = union.mount();
  walk(ops, 'd');
  expect(view(ops).map((line) => line.split(' ')[0])).toEqual(['/d']);
  expect(ops.rmdir(me, 1, 'd')).toBe(0);
  expect(view(ops)).toEqual([]);
  expect(lstatSync(union.at('u', 'd')).mode & S_IFMT).toBe(S_IFCHR);
  union.unmount();
  expect(view(union.mount())).toEqual([]);
});

test('one that is not marked is not empty for who lists it, as the kernel has it', () => {
  plant(false);
  const ops = union.mount();
  walk(ops, 'd');
  expect(walk(ops, 'd/f')).toBe(-ENOENT);
  expect(ops.rmdir(me, 1, 'd')).toBe(-ENOTEMPTY);
  expect(readdirSync(union.at('u'))).toEqual([]);
});
