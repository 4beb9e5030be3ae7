/**
 * Faults and crashes (faults.test.ts) where a thread of its own makes the copies and the flushes: the errno of that thread
 * reaches who asked, what it has begun is gone, and the next try begins anew. Once with the calls of both threads
 * counted, and once with those of the copying thread alone, which then fails for ever beside a sound engine.
 */
import { readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { CopyingThread } from '../../test/support/faults/copying-thread.ts';
import { linkOperations } from '../../test/support/faults/link-operations.ts';
import {
  apart,
  type Operation,
  openAndClose,
  opening,
  redirecting,
  renaming,
} from '../../test/support/faults/operation.ts';
import { operations } from '../../test/support/faults/operations.ts';
import { faultSuite } from '../../test/support/faults/suite.ts';
import { me, useUnion, walk } from '../../test/support/union.ts';
import type { SysCall } from '../sys/calls.ts';
import { O_TMPFILE, O_WRONLY, RENAME_EXCHANGE } from '../sys/constants.ts';
import { EIO, ENOSPC, EOPNOTSUPP, errnoName } from '../sys/errno.ts';
import type { Sys } from '../sys/sys.ts';
import { faultSys } from '../sys/sys-fault.ts';
import { openSys } from '../sys/sys-koffi.ts';
import { OpenOut } from './ops.ts';

/** A filesystem without unnamed files: what is being copied has a name in the workdir. */
const named = (sys: Sys): Sys => ({
  ...sys,
  openat: (dirfd, name, flags, mode) =>
    (flags & O_TMPFILE) === O_TMPFILE ? -EOPNOTSUPP : sys.openat(dirfd, name, flags, mode),
});

/** What is open before the fault comes is flushed behind it, and closed. */
function flushing(dataOnly: boolean): Operation {
  const opened: number[] = [];
  return {
    prepare(o) {
      const open = new OpenOut();
      const err = o.open(me, walk(o, 'new'), O_WRONLY, false, open);
      if (err < 0) return () => err;
      opened.push(open.fh);
      return () => o.fsync(me, open.fh, dataOnly);
    },
    end(o) {
      for (const fh of opened.splice(0)) o.release(fh);
    },
  };
}

const copying = [
  'copy up a file',
  'copy up a big file in chunks',
  'copy up a file with holes',
  'copy up a file with holes in chunks',
  'copy up below directories of a lower',
  'copy up by truncating',
  'copy up a file that was unlinked',
  'chown a lower file',
  'set an attribute',
  'link over a whiteout',
];

const asides: Readonly<Record<string, Operation>> = {
  ...Object.fromEntries(copying.map((name) => [name, operations[name]])),
  // Linux has looked up what it renames, and knows it until the answer: by that the copy is found again.
  'rename a lower file over another': renaming('file', 'over', 0, 'file'),
  'exchange a lower file and a lower directory': redirecting(renaming('file', 'dir/sub', RENAME_EXCHANGE, 'file')),
  'copy up a big file by ranges': opening('big'),
  'copy up a file under a name in the workdir': { ...opening('file'), on: named },
  'copy up a big file in chunks under a name in the workdir': { ...opening('big'), on: (sys) => apart(named(sys)) },
  'flush a file': flushing(false),
  'flush the data of a file': flushing(true),
};

const off = { redirectDir: 'on', index: false, metacopy: false } as const;
faultSuite({ params: off, text: ',redirect_dir=on', thread: 'faulty too' }, asides);
faultSuite({ params: off, text: ',redirect_dir=on', thread: 'faulty alone' }, asides);
faultSuite(
  { params: { redirectDir: 'on', index: true }, text: ',redirect_dir=on,index=on', thread: 'faulty alone' },
  { 'copy up one of two links': linkOperations['copy up one of two links'] },
);

describe('the first try fails by the errno of the thread, nothing is left, and the next one works', () => {
  const union = useUnion();
  const failing: readonly (readonly [SysCall, (sys: Sys) => Sys])[] = [
    ['copyFileRange', (sys) => sys],
    ['pread', apart],
    ['pwrite', apart],
    ['ftruncate', (sys) => sys],
    ['fsync', (sys) => sys],
  ];
  const tried = failing.flatMap(([call, on]) =>
    [EIO, ENOSPC].flatMap((errno) => [
      [call, errnoName(errno), 'without a name', errno, on] as const,
      [call, errnoName(errno), 'in the workdir', errno, (sys: Sys) => named(on(sys))] as const,
    ]),
  );
  test.each(tried)('%s: %s, %s', (call, _name, _where, errno, on) => {
    writeFileSync(union.at('l2', 'f'), 'content');
    truncateSync(union.at('l2', 'f'), 1 << 20);
    const sys = on({ ...openSys(), ficlone: () => -EOPNOTSUPP });
    const faulty = faultSys(sys, { at: 1, errno, calls: [call] });
    const thread = new CopyingThread(faulty.sys);
    const o = union.mount(sys, off, thread.hooks);
    const nodeid = walk(o, 'f');
    const open = thread.awaiting(o, () => openAndClose(o, nodeid, O_WRONLY));
    expect([open(), faulty.fired]).toEqual([-errno, true]);
    expect([readdirSync(union.at('u')), readdirSync(union.at('w', 'work'))]).toEqual([[], []]);
    expect([open(), thread.taken]).toEqual([0, 2]);
    expect(readFileSync(union.at('u', 'f')).equals(readFileSync(union.at('l2', 'f')))).toBe(true);
  });

  test.each([false, true])('a flush, of data alone: %s', (dataOnly) => {
    writeFileSync(union.at('u', 'f'), 'content');
    const faulty = faultSys(openSys(), { at: 1, errno: EIO, calls: [dataOnly ? 'fdatasync' : 'fsync'] });
    const thread = new CopyingThread(faulty.sys);
    const o = union.mount(openSys(), off, thread.hooks);
    const out = new OpenOut();
    expect(o.open(me, walk(o, 'f'), O_WRONLY, false, out)).toBe(0);
    const flush = thread.awaiting(o, () => o.fsync(me, out.fh, dataOnly));
    expect([flush(), flush(), thread.taken]).toEqual([-EIO, 0, 2]);
    o.release(out.fh);
  });
});
