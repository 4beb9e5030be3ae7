/** A read-only mount that has an upper: what an earlier mount left is shown, and nothing on disk is changed by looking. */
import { lstatSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { me, useUnion, view, walk } from '../../test/support/union.ts';
import { EntryOut } from '../ops/ops.ts';
import { fromText } from '../sys/bytes.ts';
import { AT_FDCWD } from '../sys/constants.ts';
import { EROFS } from '../sys/errno.ts';
import { Stat } from '../sys/stat.ts';
import { openSys } from '../sys/sys-koffi.ts';

const union = useUnion();

/** Every object below the upper and the workdir, with its times and the names of its attributes. */
function onDisk(): string[] {
  const sys = openSys();
  const look = (at: string): string[] => {
    const st = lstatSync(at, { bigint: true });
    const names = Buffer.alloc(4096);
    const length = sys.listxattrat(AT_FDCWD, fromText(at), names);
    const line = `${at} ${st.ino} ${st.ctimeNs} ${names.toString('latin1', 0, Math.max(0, length))}`;
    return st.isDirectory() ? [line, ...readdirSync(at).flatMap((name) => look(`${at}/${name}`))] : [line];
  };
  return [...look(union.at('u')), ...look(union.at('w'))];
}

test.each([{}, { index: true }, { fsync: 'volatile' as const }])('with %o', (params) => {
  for (const dir of ['l1/d', 'u/d', 'w/work', 'w/work/left', 'w/work/incompat', 'w/work/incompat/volatile']) {
    mkdirSync(union.at(dir));
  }
  writeFileSync(union.at('l1/d/f'), 'lower');
  writeFileSync(union.at('u/d/g'), 'upper');
  const before = onDisk();
  const o = union.mount(openSys(), params, { readOnly: true });
  // The first lookup of a directory that merges would write its origin.
  expect(view(o).filter((line) => /\b[fg]\b/.test(line))).toHaveLength(2);
  expect(o.mkdir(me, walk(o, 'd'), fromText('new'), 0o755, new EntryOut(new Stat()))).toBe(-EROFS);
  union.unmount();
  expect(onDisk()).toEqual(before);
});
