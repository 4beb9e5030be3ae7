/**
 * The layers that operations under faults run on: for each operation there is a name that meets what it
 * needs (a lower file, a whiteout, a merged directory …).
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
import { fromText } from '../../../src/sys/bytes.ts';
import { AT_FDCWD, S_IFCHR, S_IFIFO } from '../../../src/sys/constants.ts';
import { errnoName } from '../../../src/sys/errno.ts';
import type { Sys } from '../../../src/sys/sys.ts';
import { isRoot } from '../temp-dir.ts';

/** 2001-09-09: whatever keeps its time is older than the test. */
const OLD = 1_000_000_000;
/** More than a chunk of a copy, and less than two. */
export const BIG = 1_200_000;
/** What `big` holds. */
export const bigContent: Buffer = Buffer.alloc(BIG, 'some of all that is big; ');

/** Not of the few flags that the overlay itself knows. */
export const FS_NODUMP_FL = 0x40;

/** Of the overlay's own attributes, unless `userxattr` says otherwise. */
export const prefix: string = isRoot ? 'trusted.overlay.' : 'user.overlay.';

/** Something that was to work has not. */
export class Refused extends Error {}

export function must(result: number): void {
  if (result < 0) throw new Refused(`unexpected ${errnoName(result)}`);
}

/** The lowers, which no run may change. @param marks what the overlay's own attributes begin with */
export function layLowers(sys: Sys, l1: string, l2: string, marks: string = prefix): void {
  for (const dir of ['dir/sub', 'gone', 'full', 'merged', 'other', 'cover'])
    mkdirSync(path.join(l2, dir), { recursive: true });
  for (const file of [
    'file',
    'file2',
    'dir/file',
    'dir/sub/deep',
    'full/a',
    'full/b',
    'merged/a',
    'whited',
    'over',
    'cover/hidden',
  ]) {
    writeFileSync(path.join(l2, file), `lower ${file}`);
  }
  must(sys.setxattrat(AT_FDCWD, fromText(path.join(l2, 'file')), 'user.test', Buffer.from('kept'), 0));
  must(sys.setxattrat(AT_FDCWD, fromText(path.join(l2, 'dir')), 'user.test', Buffer.from('kept'), 0));
  writeFileSync(path.join(l1, 'big'), bigContent);
  writeFileSync(path.join(l1, 'sparse'), 'begins');
  truncateSync(path.join(l1, 'sparse'), 70_000);
  writeFileSync(path.join(l1, 'sparse'), 'ends', { flag: 'a' });
  truncateSync(path.join(l1, 'sparse'), 200_000);
  writeFileSync(path.join(l1, 'linked'), 'two names');
  linkSync(path.join(l1, 'linked'), path.join(l1, 'linked2'));
  symlinkSync('file', path.join(l1, 'symlink'));
  must(sys.mknodat(AT_FDCWD, fromText(path.join(l1, 'fifo')), S_IFIFO | 0o644, 0));
  // Of one of two names below it the upper lower has a whiteout that is a file.
  for (const lower of [l1, l2]) mkdirSync(path.join(lower, 'marked'));
  for (const file of ['marked/hidden', 'marked/shown']) writeFileSync(path.join(l2, file), `lower ${file}`);
  writeFileSync(path.join(l1, 'marked/hidden'), '');
  must(sys.setxattrat(AT_FDCWD, fromText(path.join(l1, 'marked')), `${marks}opaque`, Buffer.from('x'), 0));
  must(sys.setxattrat(AT_FDCWD, fromText(path.join(l1, 'marked/hidden')), `${marks}whiteout`, Buffer.alloc(0), 0));
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

/** @param marks what the overlay's own attributes begin with */
export function layUpper(sys: Sys, u: string, marks: string = prefix): void {
  for (const dir of ['merged', 'pure/sub', 'empty', 'full']) mkdirSync(path.join(u, dir), { recursive: true });
  for (const file of ['over', 'new', 'merged/b', 'pure/a']) writeFileSync(path.join(u, file), `upper ${file}`);
  // In `empty` they are of another life: no lower has that directory.
  for (const name of ['whited', 'gone', 'full/a', 'full/b', 'empty/a']) {
    must(sys.mknodat(AT_FDCWD, fromText(path.join(u, name)), S_IFCHR, 0));
  }
  mkdirSync(path.join(u, 'cover'));
  must(sys.setxattrat(AT_FDCWD, fromText(path.join(u, 'cover')), `${marks}opaque`, Buffer.from('y'), 0));
  age(u);
}

function age(dir: string): void {
  for (const entry of readdirSync(dir, { withFileTypes: true })) {
    const at = path.join(dir, entry.name);
    if (entry.isDirectory()) age(at);
    lutimesSync(at, OLD, OLD);
  }
}
