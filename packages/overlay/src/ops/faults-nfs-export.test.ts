/**
 * Faults and crashes (faults.test.ts) where whatever is copied up has an entry in the index: it is in both places or
 * in none, whatever fails, and who asked for the copy-up is told.
 */
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { operations } from '../../test/support/faults/operations.ts';
import { faultSuite } from '../../test/support/faults/suite.ts';
import { isRoot } from '../../test/support/temp-dir.ts';
import { touch, useUnion } from '../../test/support/union.ts';
import { O_WRONLY } from '../sys/constants.ts';
import { ENOSPC } from '../sys/errno.ts';
import type { Sys } from '../sys/sys.ts';
import { openSys } from '../sys/sys-koffi.ts';

const names = ['copy up a file', 'chmod a lower directory', 'unlink a lower file', 'rename a lower directory'];

faultSuite(
  { params: { nfsExport: true }, text: ',redirect_dir=on,nfs_export=on' },
  Object.fromEntries(names.map((name) => [name, operations[name]])),
);

const union = useUnion();

test.skipIf(!isRoot)('without room for the entry there is no copy', () => {
  writeFileSync(union.at('l1', 'f'), 'text');
  mkdirSync(union.at('l1', 'd'));
  writeFileSync(union.at('l1', 'd', 'f'), 'text');
  const real = openSys();
  let full = true;
  const sys: Sys = Object.create(real, {
    // A file without a name is linked by its descriptor, an entry by the name of its file.
    linkat: { value: (...to: Parameters<Sys['linkat']>) => (full && to[1] !== '' ? -ENOSPC : real.linkat(...to)) },
    mkdirat: { value: (...to: Parameters<Sys['mkdirat']>) => (full && to[2] === 0 ? -ENOSPC : real.mkdirat(...to)) },
  });
  full = false;
  const o = union.mount(sys, { nfsExport: true });
  full = true;
  expect([touch(o, 'f', O_WRONLY), touch(o, 'd/f', O_WRONLY)]).toEqual([-ENOSPC, -ENOSPC]);
  expect(readdirSync(union.at('u'))).toEqual([]);
  full = false;
  expect([touch(o, 'f', O_WRONLY), touch(o, 'd/f', O_WRONLY)]).toEqual([0, 0]);
  expect(readdirSync(union.at('w', 'index')).length).toBe(3);
});
