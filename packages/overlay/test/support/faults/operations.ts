/**
 * The compound operations that faults and crashes are tried on, and the layers that they run on:
 * for each there is a name that meets what it needs (a lower file, a whiteout, a merged directory …).
 */
import {
  lchownSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  readdirSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { expect } from 'vitest';
import {
  ATTR_MODE,
  ATTR_MTIME,
  ATTR_SIZE,
  ATTR_UID,
  type Caller,
  EntryOut,
  OpenOut,
  type SetAttr,
} from '../../../src/ops/ops.ts';
import type { OverlayOps } from '../../../src/ops/overlay-ops.ts';
import { fromText } from '../../../src/sys/bytes.ts';
import {
  AT_FDCWD,
  FS_IMMUTABLE_FL,
  O_RDWR,
  O_TRUNC,
  O_WRONLY,
  RENAME_EXCHANGE,
  S_IFCHR,
  S_IFIFO,
} from '../../../src/sys/constants.ts';
import { EXDEV, errnoName } from '../../../src/sys/errno.ts';
import { Stat } from '../../../src/sys/stat.ts';
import type { Sys } from '../../../src/sys/sys.ts';
import { isRoot } from '../temp-dir.ts';
import { me, nothing, walk } from '../union.ts';

export interface Operation {
  /** What it may answer instead of the errno that was injected. */
  answers?: number;
  /**
   * It copies data into a file that is seen, whose mtime it puts back only then: on the way it may be
   * that of the copying, in the kernel too.
   */
  completes?: boolean;
  /** After a failure it may be refused: what it needs is gone. */
  once?: boolean;
  /** What is done before the fault is armed, giving what is done under it. */
  prepare(o: OverlayOps): () => number;
  /** The system that it runs on, from the real one. */
  on?(sys: Sys): Sys;
}

/** 2001-09-09: whatever keeps its time is older than the test. */
const OLD = 1_000_000_000;
const BIG = 2_500_000;
/** Not of the few flags that the overlay itself knows. */
export const FS_NODUMP_FL = 0x40;

/** Something that was to work has not. */
export class Refused extends Error {}

export function must(result: number): void {
  if (result < 0) throw new Refused(`unexpected ${errnoName(result)}`);
}

/** The lowers, which no run may change. */
export function layLowers(sys: Sys, l1: string, l2: string): void {
  for (const dir of ['dir/sub', 'gone', 'full', 'merged', 'other']) mkdirSync(path.join(l2, dir), { recursive: true });
  for (const file of ['file', 'file2', 'dir/file', 'dir/sub/deep', 'full/a', 'full/b', 'merged/a', 'whited', 'over']) {
    writeFileSync(path.join(l2, file), `lower ${file}`);
  }
  must(sys.setxattrat(AT_FDCWD, fromText(path.join(l2, 'file')), 'user.test', Buffer.from('kept'), 0));
  must(sys.setxattrat(AT_FDCWD, fromText(path.join(l2, 'dir')), 'user.test', Buffer.from('kept'), 0));
  writeFileSync(path.join(l1, 'big'), Buffer.alloc(BIG, 'some of all that is big; '));
  writeFileSync(path.join(l1, 'sparse'), 'begins');
  truncateSync(path.join(l1, 'sparse'), 70_000);
  writeFileSync(path.join(l1, 'sparse'), 'ends', { flag: 'a' });
  truncateSync(path.join(l1, 'sparse'), 200_000);
  writeFileSync(path.join(l1, 'linked'), 'two names');
  linkSync(path.join(l1, 'linked'), path.join(l1, 'linked2'));
  symlinkSync('file', path.join(l1, 'symlink'));
  must(sys.mknodat(AT_FDCWD, fromText(path.join(l1, 'fifo')), S_IFIFO | 0o644, 0));
  for (const lower of [l1, l2]) {
    if (sys.geteuid() === 0) give(lower);
    age(lower);
  }
}

/** Somebody else's, so that a copy which lost its owner shows. */
function give(dir: string): void {
  for (const entry of readdirSync(dir, { withFileTypes: true })) {
    const at = path.join(dir, entry.name);
    if (entry.isDirectory()) give(at);
    lchownSync(at, 1000, 1001);
  }
}

export function layUpper(sys: Sys, u: string): void {
  for (const dir of ['merged', 'pure/sub', 'empty', 'full']) mkdirSync(path.join(u, dir), { recursive: true });
  for (const file of ['over', 'new', 'merged/b', 'pure/a']) writeFileSync(path.join(u, file), `upper ${file}`);
  // In `empty` they are of another life: no lower has that directory.
  for (const name of ['whited', 'gone', 'full/a', 'full/b', 'empty/a']) {
    must(sys.mknodat(AT_FDCWD, fromText(path.join(u, name)), S_IFCHR, 0));
  }
  age(u);
}

function age(dir: string): void {
  for (const entry of readdirSync(dir, { withFileTypes: true })) {
    const at = path.join(dir, entry.name);
    if (entry.isDirectory()) age(at);
    lutimesSync(at, OLD, OLD);
  }
}

const other: Caller = isRoot ? { uid: 1234, gid: 1234, pid: 1, umask: 0o022 } : me;

/** Runs `make` and gives the reference back that it took. */
function made(o: OverlayOps, make: (out: EntryOut) => number): number {
  const out = new EntryOut(new Stat());
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

const run = (act: (o: OverlayOps) => number): Operation => ({ prepare: (o) => () => act(o) });

/** The walk may fail too, with what the fault is. */
function at(o: OverlayOps, name: string, act: (nodeid: number) => number): number {
  const nodeid = walk(o, name);
  return nodeid < 0 ? nodeid : act(nodeid);
}

function openAndClose(o: OverlayOps, nodeid: number, flags: number): number {
  const open = new OpenOut();
  const result = o.open(me, nodeid, flags, false, open);
  if (result >= 0) o.release(open.fh);
  return result;
}

const setMode = (o: OverlayOps, name: string, mode: number): number =>
  at(o, name, (nodeid) => o.setattr(me, nodeid, { ...nothing, valid: ATTR_MODE, mode }, new Stat()));

const setting = (name: string, set: Partial<SetAttr>): Operation =>
  run((o) => at(o, name, (nodeid) => o.setattr(me, nodeid, { ...nothing, ...set }, new Stat())));
const making = (make: (o: OverlayOps, out: EntryOut) => number): Operation =>
  run((o) => made(o, (out) => make(o, out)));

function renaming(from: string, to: string, flags = 0, used = ''): Operation {
  const [fromDir, toDir] = [from, to].map((p) => p.slice(0, Math.max(0, p.lastIndexOf('/'))));
  const base = (p: string): string => p.slice(p.lastIndexOf('/') + 1);
  return {
    prepare(o) {
      const [dir, newDir] = [walk(o, fromDir), walk(o, toDir)];
      walk(o, used);
      return () => o.rename(me, dir, base(from), newDir, base(to), flags);
    },
  };
}

/** A redirect that cannot be written leaves the rename to the caller, whatever the reason: kernel ovl_set_redirect. */
export const redirecting = (operation: Operation): Operation => ({ ...operation, answers: EXDEV });

function opening(name: string, flags = O_WRONLY): Operation {
  return {
    prepare(o) {
      const nodeid = walk(o, name);
      return () => openAndClose(o, nodeid, flags);
    },
  };
}

/** Every clone succeeds, as on a filesystem with reflinks. */
function cloning(sys: Sys): Sys {
  const buf = Buffer.alloc(BIG);
  return {
    ...sys,
    ficlone(dst, src) {
      const n = sys.pread(src, buf, 0, buf.length, 0);
      return n < 0 ? n : Math.min(0, sys.pwrite(dst, buf, 0, n, 0));
    },
  };
}

/** Layers on two filesystems of which neither copies for the other: read and write, a chunk at a time. */
const apart = (sys: Sys): Sys => ({ ...sys, ficlone: () => -EXDEV, copyFileRange: () => -EXDEV });

export const operations: Readonly<Record<string, Operation>> = {
  'copy up a file': opening('file'),
  'copy up a big file in chunks': { ...opening('big'), on: apart },
  'copy up a file by a clone': { ...opening('big'), on: cloning },
  'copy up a file with holes': opening('sparse'),
  'copy up a file with holes in chunks': { ...opening('sparse'), on: apart },
  'copy up below directories of a lower': opening('dir/sub/deep'),
  'copy up one of two links': opening('linked'),
  'copy up by truncating': setting('file', { valid: ATTR_SIZE, size: 5 }),
  'open with O_TRUNC': opening('file', O_WRONLY | O_TRUNC),
  'chmod a lower file': setting('file', { valid: ATTR_MODE, mode: 0o600 }),
  'chmod a lower directory': setting('dir', { valid: ATTR_MODE, mode: 0o700 }),
  'chown a lower file': setting('file', { valid: ATTR_UID, uid: other.uid }),
  'copy up a symlink': setting('symlink', { valid: ATTR_MTIME, mtime: 5 }),
  'copy up a fifo': setting('fifo', { valid: ATTR_MODE, mode: 0o600 }),
  'copy up a file that was unlinked': {
    prepare(o) {
      const nodeid = walk(o, 'file');
      must(o.unlink(me, 1, 'file'));
      return () => openAndClose(o, nodeid, O_RDWR);
    },
  },
  'copy up a fifo that was unlinked': {
    prepare(o) {
      const nodeid = walk(o, 'fifo');
      must(o.unlink(me, 1, 'fifo'));
      return () => {
        const st = new Stat();
        const result = o.setattr(me, nodeid, { ...nothing, valid: ATTR_MODE, mode: 0o600 }, st);
        if (result >= 0) expect(st.mode).toBe(S_IFIFO | 0o600);
        return result;
      };
    },
  },
  'set an attribute': run((o) =>
    at(o, 'file', (nodeid) => o.setxattr(me, nodeid, 'user.test', Buffer.from('new'), 0, false)),
  ),
  'remove an attribute': run((o) => at(o, 'file', (nodeid) => o.removexattr(me, nodeid, 'user.test'))),
  'set a flag': run((o) => at(o, 'file', (nodeid) => o.setflags(me, nodeid, FS_NODUMP_FL))),
  'set a flag that the upper keeps as an attribute': run((o) =>
    at(o, 'file', (nodeid) => o.setflags(me, nodeid, FS_IMMUTABLE_FL)),
  ),
  'unlink a lower file': run((o) => o.unlink(me, 1, 'file')),
  'unlink a further lower file': {
    prepare(o) {
      must(o.unlink(me, 1, 'file2'));
      return () => o.unlink(me, 1, 'file');
    },
  },
  'unlink an upper file over a lower one': run((o) => o.unlink(me, 1, 'over')),
  'unlink an upper file': run((o) => o.unlink(me, 1, 'new')),
  'unlink an upper file in use': {
    prepare(o) {
      const nodeid = walk(o, 'new');
      return () => {
        const result = o.unlink(me, 1, 'new');
        return result < 0 ? result : o.getattr(me, nodeid, 0, new Stat());
      };
    },
  },
  'rmdir a directory with whiteouts over a lower one': run((o) => o.rmdir(me, 1, 'full')),
  'rmdir an upper directory with whiteouts': run((o) => o.rmdir(me, 1, 'empty')),
  'rmdir below directories of a lower': {
    prepare(o) {
      must(o.unlink(me, walk(o, 'dir/sub'), 'deep'));
      return () => at(o, 'dir', (nodeid) => o.rmdir(me, nodeid, 'sub'));
    },
  },
  'rmdir a lower directory': run((o) => o.rmdir(me, 1, 'other')),
  mkdir: making((o, out) => o.mkdir(me, 1, 'made', 0o755, out)),
  'mkdir in a merged directory': making((o, out) =>
    at(o, 'merged', (nodeid) => o.mkdir(me, nodeid, 'made', 0o755, out)),
  ),
  'mkdir over a whiteout': making((o, out) => o.mkdir(me, 1, 'gone', 0o755, out)),
  'mkdir for somebody else': making((o, out) => o.mkdir(other, 1, 'made', 0o755, out)),
  'symlink over a whiteout': making((o, out) => o.symlink(me, 1, 'whited', 'target', out)),
  'mknod for somebody else': making((o, out) => o.mknod(other, 1, 'made', S_IFIFO | 0o644, 0, out)),
  create: run((o) => created(o, (out, open) => o.create(me, 1, 'made', O_RDWR, 0o644, out, open))),
  'create over a whiteout': run((o) => created(o, (out, open) => o.create(me, 1, 'whited', O_RDWR, 0o644, out, open))),
  'create over a whiteout for somebody else': run((o) =>
    created(o, (out, open) => o.create(other, 1, 'whited', O_RDWR, 0o644, out, open)),
  ),
  tmpfile: run((o) => created(o, (out, open) => o.tmpfile(other, 1, O_RDWR, 0o644, out, open))),
  'tmpfile that gets a name': {
    // Over a whiteout it has a name for a moment, in the workdir, and a file that had one gets no first one again.
    once: true,
    prepare(o) {
      const tmp = new EntryOut(new Stat());
      const open = new OpenOut();
      must(o.tmpfile(other, 1, O_RDWR, 0o644, tmp, open));
      must(o.write(me, open.fh, Buffer.from('unnamed'), 0, 7, 0, false));
      o.release(open.fh);
      return () => made(o, (out) => o.link(me, tmp.nodeid, 1, 'whited', out));
    },
  },
  'link a lower file': making((o, out) => at(o, 'file', (nodeid) => o.link(me, nodeid, 1, 'made', out))),
  'link over a whiteout': making((o, out) => at(o, 'file', (nodeid) => o.link(me, nodeid, 1, 'whited', out))),
  'link one of two links': making((o, out) =>
    at(o, 'linked', (nodeid) => at(o, 'dir', (dir) => o.link(me, nodeid, dir, 'made', out))),
  ),
  'rename a lower file': renaming('file', 'made'),
  'rename a lower file over a whiteout': renaming('file', 'whited'),
  'rename a lower file over another': renaming('file', 'file2'),
  'rename a lower file over another in use': renaming('file', 'over', 0, 'over'),
  'rename a lower directory': redirecting(renaming('dir', 'made')),
  'rename a lower directory to another': redirecting(renaming('dir/sub', 'merged/made')),
  'rename a lower directory over a whiteout': redirecting(renaming('dir', 'gone')),
  'rename a merged directory': redirecting(renaming('merged', 'made')),
  'rename a merged directory to another': redirecting(renaming('merged', 'dir/sub/made')),
  'rename a lower directory over one with whiteouts': redirecting(renaming('dir', 'full')),
  'rename a lower directory over one with whiteouts in use': redirecting(renaming('dir', 'full', 0, 'full')),
  'rename an upper directory over one with whiteouts': renaming('pure', 'empty'),
  'rename an upper directory into a merged one': renaming('pure', 'merged/made'),
  'rename an upper directory over a whiteout': renaming('pure', 'gone'),
  'exchange a lower file and a lower directory': redirecting(renaming('file', 'dir/sub', RENAME_EXCHANGE)),
  'exchange two lower files': renaming('file', 'file2', RENAME_EXCHANGE),
  'exchange two directories': redirecting(renaming('merged', 'dir', RENAME_EXCHANGE)),
};

/** What is done to `linked`, which is `linked2` too. */
export const linkOperations: Readonly<Record<string, Operation>> = {
  'copy up one of two links': opening('linked'),
  'find the other link': {
    prepare(o) {
      must(setMode(o, 'linked', 0o600));
      return () => {
        const out = new EntryOut(new Stat());
        const result = o.lookup(me, 1, 'linked2', out);
        if (result >= 0) o.forget(out.nodeid, 1);
        if (result >= 0) expect(out.attr.mode & 0o777).toBe(0o600);
        return result;
      };
    },
  },
  'copy up the other link': {
    prepare(o) {
      const nodeid = walk(o, 'linked2');
      must(setMode(o, 'linked', 0o600));
      return () => openAndClose(o, nodeid, O_WRONLY);
    },
  },
  'link one of two links': operations['link one of two links'],
  'unlink one of two links': run((o) => o.unlink(me, 1, 'linked')),
  'unlink one of two links in use': {
    prepare(o) {
      walk(o, 'linked');
      return () => o.unlink(me, 1, 'linked');
    },
  },
  'unlink one of two links that were copied up': {
    prepare(o) {
      must(setMode(o, 'linked', 0o600));
      return () => o.unlink(me, 1, 'linked2');
    },
  },
  'unlink the last of two links': {
    prepare(o) {
      must(setMode(o, 'linked', 0o600));
      must(o.unlink(me, 1, 'linked'));
      return () => o.unlink(me, 1, 'linked2');
    },
  },
  'rename one of two links': renaming('linked', 'dir/made'),
  'rename over one of two links': renaming('new', 'linked'),
  'rename over the last of two links': {
    prepare(o) {
      must(setMode(o, 'linked', 0o600));
      must(o.unlink(me, 1, 'linked'));
      return renaming('file', 'linked2').prepare(o);
    },
  },
  'exchange one of two links': renaming('linked', 'new', RENAME_EXCHANGE),
};

/** With the metadata of `name` alone in the upper. */
const ofMetadataAlone = (name: string, operation: Operation): Operation => ({
  ...operation,
  prepare(o) {
    must(setMode(o, name, 0o600));
    return operation.prepare(o);
  },
});

const completing = (name: string, operation: Operation): Operation => ({
  ...ofMetadataAlone(name, operation),
  completes: true,
});

/** What is done to a file of which the upper has the metadata alone. */
export const metacopyOperations: Readonly<Record<string, Operation>> = {
  'complete a file': completing('file', opening('file')),
  'complete a big file in chunks': { ...completing('big', opening('big')), on: apart },
  'complete a file by a clone': { ...completing('big', opening('big')), on: cloning },
  'complete a file with holes': completing('sparse', opening('sparse')),
  'complete one of two links': completing('linked', opening('linked2')),
  'truncate a file of metadata alone': ofMetadataAlone('file', operations['copy up by truncating']),
  'open a file of metadata alone with O_TRUNC': ofMetadataAlone('file', operations['open with O_TRUNC']),
  'chown a file of metadata alone': ofMetadataAlone('file', operations['chown a lower file']),
  'link a file of metadata alone': redirecting(ofMetadataAlone('file', operations['link a lower file'])),
  'rename a file of metadata alone': redirecting(ofMetadataAlone('file', renaming('file', 'made'))),
  'rename a file of metadata alone elsewhere': redirecting(ofMetadataAlone('file', renaming('file', 'merged/made'))),
  'unlink a file of metadata alone': ofMetadataAlone('file', operations['unlink a lower file']),
  'exchange two files of metadata alone': redirecting(
    ofMetadataAlone('file2', ofMetadataAlone('file', operations['exchange two lower files'])),
  ),
};
