/**
 * Every compound operation with its Nth system call failing, for N = 1 to the last: the answer is an
 * errno or the work is done all the same, what is seen is the old or the new state (also after a
 * remount), the next try works, no descriptor and no node is lost, and the workdir comes clean.
 */
import { linkSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { openDescriptors } from '../../test/support/open-descriptors.ts';
import { isRoot } from '../../test/support/temp-dir.ts';
import { me, nothing, setattr, touch, Union, view, walk } from '../../test/support/union.ts';
import { AT_FDCWD, O_RDWR, O_WRONLY, RENAME_EXCHANGE, S_IFCHR, S_IFIFO } from '../sys/constants.ts';
import { EIO, ENOSPC, EPERM } from '../sys/errno.ts';
import { Stat } from '../sys/stat.ts';
import type { Sys } from '../sys/sys.ts';
import { type FaultPlan, faultSys } from '../sys/sys-fault.ts';
import { openSys } from '../sys/sys-koffi.ts';
import { ATTR_MODE, ATTR_MTIME, ATTR_SIZE, type Caller, EntryOut, OpenOut } from './ops.ts';
import type { OverlayOps } from './overlay-ops.ts';

/**
 * Without what takes time and is of no matter here: the flush, which shows after a power cut only (that
 * it fails is tried), and mounts of the lowers' own, whose end waits for all processors.
 */
const real: Sys = { ...openSys(), fsync: () => 0, openTree: () => -EPERM };

/** The upper and lowers as they are before: everything that the operations need has a name here. */
function lay(u: Union): void {
  for (const dir of ['dir/sub', 'gone', 'full', 'merged', 'other']) mkdirSync(u.at('l2', dir), { recursive: true });
  for (const file of ['file', 'dir/file', 'dir/sub/deep', 'full/a', 'full/b', 'merged/a', 'whited', 'over']) {
    writeFileSync(u.at('l2', file), `lower ${file}`);
  }
  must(real.setxattrat(AT_FDCWD, u.at('l2', 'file'), 'user.test', Buffer.from('kept'), 0));
  writeFileSync(u.at('l1', 'linked'), 'two names');
  linkSync(u.at('l1', 'linked'), u.at('l1', 'linked2'));
  symlinkSync('file', u.at('l1', 'symlink'));
  must(real.mknodat(AT_FDCWD, u.at('l1', 'fifo'), S_IFIFO | 0o644, 0));
  for (const dir of ['merged', 'pure/sub', 'empty', 'full']) mkdirSync(u.at('u', dir), { recursive: true });
  for (const file of ['over', 'new', 'merged/b', 'pure/a']) writeFileSync(u.at('u', file), `upper ${file}`);
  // In `empty` they are of another life: no lower has that directory.
  for (const name of ['whited', 'gone', 'full/a', 'full/b', 'empty/a']) {
    must(real.mknodat(AT_FDCWD, u.at('u', name), S_IFCHR, 0));
  }
}

function must(result: number): void {
  if (result < 0) throw new Error(`unexpected ${result}`);
}

const other: Caller = isRoot ? { uid: 1234, gid: 1234, pid: 1, umask: 0o022 } : me;
const entry = (): EntryOut => new EntryOut(new Stat());

/** Runs `make` and gives the reference back that it took. */
function made(o: OverlayOps, make: (out: EntryOut) => number): number {
  const out = entry();
  const result = make(out);
  if (result >= 0) o.forget(out.nodeid, 1);
  return result;
}

function created(o: OverlayOps, make: (out: EntryOut, open: OpenOut) => number): number {
  const open = new OpenOut();
  return made(o, (out) => {
    const result = make(out, open);
    if (result >= 0) o.release(open.fh);
    return result;
  });
}

/** What is done before the fault is armed, giving what is done under it. */
type Operation = (o: OverlayOps) => () => number;

const renaming = (from: string, to: string, flags = 0): Operation => {
  const [fromDir, toDir] = [from, to].map((p) => p.slice(0, Math.max(0, p.lastIndexOf('/'))));
  const base = (p: string): string => p.slice(p.lastIndexOf('/') + 1);
  return (o) => {
    const [dir, newDir] = [walk(o, fromDir), walk(o, toDir)];
    return () => o.rename(me, dir, base(from), newDir, base(to), flags);
  };
};
const opening =
  (name: string): Operation =>
  (o) => {
    walk(o, name);
    return () => touch(o, name, O_WRONLY);
  };
const making =
  (make: (o: OverlayOps, out: EntryOut) => number): Operation =>
  (o) =>
  () =>
    made(o, (out) => make(o, out));

const operations: Record<string, Operation> = {
  'copy up a file': opening('file'),
  'copy up below directories of a lower': opening('dir/sub/deep'),
  'copy up one of two links': opening('linked'),
  'copy up by truncating': (o) => () => setattr(o, 'file', { valid: ATTR_SIZE, size: 5 }),
  'copy up a symlink': (o) => () => setattr(o, 'symlink', { valid: ATTR_MTIME, mtime: 5 }),
  'copy up a fifo': (o) => () => setattr(o, 'fifo', { valid: ATTR_MODE, mode: 0o600 }),
  'copy up a file that was unlinked': (o) => {
    const nodeid = walk(o, 'file');
    must(o.unlink(me, 1, 'file'));
    return () => {
      const open = new OpenOut();
      const result = o.open(me, nodeid, O_RDWR, false, open);
      if (result >= 0) o.release(open.fh);
      return result;
    };
  },
  'copy up a fifo that was unlinked': (o) => {
    const nodeid = walk(o, 'fifo');
    must(o.unlink(me, 1, 'fifo'));
    return () => {
      const st = new Stat();
      const result = o.setattr(me, nodeid, { ...nothing, valid: ATTR_MODE, mode: 0o600 }, st);
      if (result >= 0) expect(st.mode).toBe(S_IFIFO | 0o600);
      return result;
    };
  },
  'set an attribute': (o) => () => o.setxattr(me, walk(o, 'file'), 'user.test', Buffer.from('new'), 0, false),
  'remove an attribute': (o) => () => o.removexattr(me, walk(o, 'file'), 'user.test'),
  'unlink a lower file': (o) => () => o.unlink(me, 1, 'file'),
  'unlink an upper file over a lower one': (o) => () => o.unlink(me, 1, 'over'),
  'unlink an upper file': (o) => () => o.unlink(me, 1, 'new'),
  'unlink an upper file in use': (o) => {
    const nodeid = walk(o, 'new');
    return () => {
      const result = o.unlink(me, 1, 'new');
      return result < 0 ? result : o.getattr(me, nodeid, 0, new Stat());
    };
  },
  'rmdir a directory with whiteouts over a lower one': (o) => () => o.rmdir(me, 1, 'full'),
  'rmdir an upper directory with whiteouts': (o) => () => o.rmdir(me, 1, 'empty'),
  'rmdir below directories of a lower': (o) => {
    const dir = walk(o, 'dir/sub');
    must(o.unlink(me, dir, 'deep'));
    return () => o.rmdir(me, walk(o, 'dir'), 'sub');
  },
  mkdir: making((o, out) => o.mkdir(me, 1, 'made', 0o755, out)),
  'mkdir in a merged directory': making((o, out) => o.mkdir(me, walk(o, 'merged'), 'made', 0o755, out)),
  'mkdir over a whiteout': making((o, out) => o.mkdir(me, 1, 'gone', 0o755, out)),
  'mkdir for somebody else': making((o, out) => o.mkdir(other, 1, 'made', 0o755, out)),
  'symlink over a whiteout': making((o, out) => o.symlink(me, 1, 'whited', 'target', out)),
  'mknod for somebody else': making((o, out) => o.mknod(other, 1, 'made', S_IFIFO | 0o644, 0, out)),
  create: (o) => () => created(o, (out, open) => o.create(me, 1, 'made', O_RDWR, 0o644, out, open)),
  'create over a whiteout': (o) => () =>
    created(o, (out, open) => o.create(other, 1, 'whited', O_RDWR, 0o644, out, open)),
  tmpfile: (o) => () => created(o, (out, open) => o.tmpfile(other, 1, O_RDWR, 0o644, out, open)),
  'link a lower file': making((o, out) => o.link(me, walk(o, 'file'), 1, 'made', out)),
  'link over a whiteout': making((o, out) => o.link(me, walk(o, 'file'), 1, 'whited', out)),
  'rename a lower file': renaming('file', 'made'),
  'rename a lower file over a whiteout': renaming('file', 'whited'),
  'rename a lower file over another in use': (o) => {
    walk(o, 'over');
    return renaming('file', 'over')(o);
  },
  'rename a lower directory': renaming('dir', 'made'),
  'rename a lower directory to another': renaming('dir/sub', 'merged/made'),
  'rename a lower directory over one with whiteouts': renaming('dir', 'full'),
  'rename a lower directory over one with whiteouts in use': (o) => {
    walk(o, 'full');
    return renaming('dir', 'full')(o);
  },
  'rename an upper directory over one with whiteouts': renaming('pure', 'empty'),
  'rename an upper directory into a merged one': renaming('pure', 'merged/made'),
  'rename an upper directory over a whiteout': renaming('pure', 'gone'),
  'exchange a lower file and a lower directory': renaming('file', 'dir/sub', RENAME_EXCHANGE),
};

interface Run {
  fired: boolean;
  /** What is seen once the operation has been done. */
  done: string[];
}

/** One run on fresh layers with the nth counted call failing; `expected` is what a run without a fault ends with. */
function runWithFault(operation: Operation, n: number, errno: number, expected: string[] | null): Run {
  const u = new Union();
  u.create();
  try {
    lay(u);
    const before = openDescriptors();
    const plan: FaultPlan = { at: Number.POSITIVE_INFINITY, errno };
    const faulty = faultSys(real, plan);
    const o = u.mount(faulty.sys);
    const run = operation(o);
    const old = view(o);
    plan.at = faulty.counted + n;
    const result = run();
    plan.at = Number.POSITIVE_INFINITY;
    const seen = view(o);
    if (expected === null) must(result);
    const done = expected ?? seen;
    if (result >= 0) expect(seen).toEqual(done);
    else {
      expect([old, done]).toContainEqual(seen);
      // The next try works; it may say that there is nothing left to do.
      const again = run();
      if (again < 0) expect(seen).toEqual(done);
      expect(view(o)).toEqual(done);
    }
    for (let nodeid = 2; nodeid < 1000; nodeid++) o.forget(nodeid, Number.MAX_SAFE_INTEGER);
    expect(o.nodes.size).toBe(1);
    u.unmount();
    expect(openDescriptors()).toBe(before);
    expect(view(u.mount(real))).toEqual(done);
    expect(readdirSync(u.at('w/work'))).toEqual([]);
    return { fired: faulty.fired, done };
  } finally {
    u.remove();
  }
}

describe.each(Object.entries(operations))('%s', (_, operation) => {
  test('each call failing', () => {
    const { done } = runWithFault(operation, Number.POSITIVE_INFINITY, EIO, null);
    let n = 1;
    while (runWithFault(operation, n, n % 2 ? EIO : ENOSPC, done).fired) n++;
    expect(n).toBeGreaterThan(2);
  }, 60_000);
});
