/**
 * What common operations cost by FUSE: the requests that the kernel sends, and the system calls that
 * the server makes to answer them (the transport's own read and write of each request not counted).
 * Times depend on the machine; these numbers do not, so a change that adds one is seen here. One that
 * saves something is seen too, and is kept by writing the new numbers down (`vitest run -u`).
 *
 * The union has three lowers; each directory is in all three and each file in the bottom one, the default
 * options hold, and the directory has been looked up. `first` rows have the directory's own
 * first time in them (its copy-up, its first reading); all others are the same for every further name,
 * in a directory where some names have been looked for already: its layers' names are known then.
 */
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  O_APPEND,
  O_CREAT,
  O_EXCL,
  O_RDONLY,
  O_RDWR,
  O_WRONLY,
} from '../src/sys/constants.ts';
import { openLibc } from '../src/sys/koffi/libc.ts';
import { openSys } from '../src/sys/sys-koffi.ts';
import { type Cost, type CountedUnion, makeCountedUnion, printCost } from './support/counted-union.ts';
import { isRoot, needsRoot } from './support/temp-dir.ts';

interface Row {
  name: string;
  /** What is on the disks; files f0 to f3 in the bottom lower unless it says otherwise. */
  disk?: (dirs: { upper: string; bottom: string }) => void;
  /** Through the mount, before anything is counted. */
  ready?: (dir: string) => void;
  /** The work, on the `k`th name. */
  act: (dir: string, k: number) => void;
  /** Counted the first time; else the third, and the fourth must cost the same. */
  first?: true;
}

const LISTED = 1000;
/** After so many names that are not there, those that are have been read (overlay/index-names.ts). */
const ENOUGH_LOOKS = 10;
const sys = openSys();
const f = (dir: string, k: number): string => path.join(dir, `f${k}`);
const u = (dir: string, k: number): string => path.join(dir, `u${k}`);
const each = (act: (k: number) => void): void => [0, 1, 2, 3].forEach(act);

function openClose(file: string, flags: number, text?: string): void {
  const fd = sys.openat(AT_FDCWD, file, flags, 0o644);
  if (fd < 0) throw new Error(`${file}: ${fd}`);
  if (text !== undefined) {
    const bytes = Buffer.from(text);
    sys.write(fd, bytes, 0, bytes.length);
  } else if ((flags & O_RDWR) === 0) {
    const bytes = Buffer.alloc(4096);
    sys.read(fd, bytes, 0, bytes.length);
  }
  sys.close(fd);
}

const create = (file: string): void => openClose(file, O_WRONLY | O_CREAT | O_EXCL, 'text');
const append = (file: string): void => openClose(file, O_WRONLY | O_APPEND, 'more');
const read = (file: string): void => openClose(file, O_RDONLY);
/** fstatat(2), as most programs do: it asks for no birth time, which the kernel keeps for no FUSE file. */
const fstatat = openLibc().func('fstatat', 'int', ['int', 'void *', 'void *', 'int']);
const stat = (file: string): number =>
  fstatat(AT_FDCWD, Buffer.from(`${file}\0`), Buffer.alloc(256), AT_SYMLINK_NOFOLLOW);
/** Files of the upper, made through the mount. */
const upper = (dir: string): void => each((k) => create(u(dir, k)));
const many: Row['disk'] = ({ bottom }) => {
  for (let i = 0; i < LISTED; i++) fs.writeFileSync(path.join(bottom, `n${i}`), '');
};
const list = (dir: string): string[] => fs.readdirSync(dir);
/** Each name as it comes, as `ls -l` does; find(1) lists all of a directory first. */
const listAndStat = (dir: string): void => {
  const entries = fs.opendirSync(dir);
  for (let entry = entries.readSync(); entry; entry = entries.readSync()) stat(path.join(dir, entry.name));
  entries.closeSync();
};
const listThenStat = (dir: string): void => {
  for (const name of list(dir)) stat(path.join(dir, name));
};
const lowerDirs: Row['disk'] = ({ bottom }) => each((k) => fs.mkdirSync(f(bottom, k)));
const filledDirs: Row['disk'] = ({ bottom }) =>
  each((k) => {
    fs.mkdirSync(f(bottom, k));
    fs.writeFileSync(path.join(f(bottom, k), 'one'), '');
  });

const reading: Row[] = [
  { name: 'stat, first in a directory', first: true, act: (dir) => stat(f(dir, 0)) },
  { name: 'stat', act: (dir, k) => stat(f(dir, k)) },
  { name: 'stat again', ready: (dir) => each((k) => stat(f(dir, k))), act: (dir, k) => stat(f(dir, k)) },
  {
    name: 'stat of an upper file',
    disk({ upper }) {
      fs.mkdirSync(upper);
      each((k) => fs.writeFileSync(u(upper, k), ''));
    },
    act: (dir, k) => stat(u(dir, k)),
  },
  { name: 'miss', act: (dir, k) => stat(u(dir, k)) },
  { name: 'miss again', ready: (dir) => each((k) => stat(u(dir, k))), act: (dir, k) => stat(u(dir, k)) },
  { name: 'open, read, close', act: (dir, k) => read(f(dir, k)) },
  { name: 'open, read, close again', ready: (dir) => each((k) => read(f(dir, k))), act: (dir, k) => read(f(dir, k)) },
  { name: 'open, read, close of an upper file', ready: upper, act: (dir, k) => read(u(dir, k)) },
  {
    name: 'readlink',
    disk: ({ bottom }) => each((k) => fs.symlinkSync('t', f(bottom, k))),
    act: (dir, k) => fs.readlinkSync(f(dir, k)),
  },
  { name: `list ${LISTED} names`, disk: many, first: true, act: list },
  { name: `list ${LISTED} names again`, disk: many, ready: list, act: list },
  { name: `list and stat ${LISTED} names`, disk: many, first: true, act: listAndStat },
  { name: `list and stat ${LISTED} names again`, disk: many, ready: listAndStat, act: listAndStat },
  { name: `list ${LISTED} names, then stat them`, disk: many, first: true, act: listThenStat },
  { name: 'the same by who has done so elsewhere', disk: many, first: true, act: listThenStat },
  { name: 'list a directory of one file', disk: filledDirs, act: (dir, k) => list(f(dir, k)) },
];

const making: Row[] = [
  { name: 'create, first in a lower directory', first: true, act: (dir) => create(u(dir, 0)) },
  { name: 'create, write, close', act: (dir, k) => create(u(dir, k)) },
  { name: 'append to an upper file', ready: upper, act: (dir, k) => append(u(dir, k)) },
  {
    name: 'create over a whiteout',
    ready: (dir) => each((k) => fs.unlinkSync(f(dir, k))),
    act: (dir, k) => create(f(dir, k)),
  },
  { name: 'mkdir', act: (dir, k) => fs.mkdirSync(u(dir, k)) },
  {
    name: 'mkdir over a whiteout',
    disk: lowerDirs,
    ready: (dir) => each((k) => fs.rmdirSync(f(dir, k))),
    act: (dir, k) => fs.mkdirSync(f(dir, k)),
  },
  { name: 'symlink', act: (dir, k) => fs.symlinkSync('target', u(dir, k)) },
  { name: 'link of an upper file', ready: upper, act: (dir, k) => fs.linkSync(u(dir, k), path.join(dir, `l${k}`)) },
  { name: 'chmod of an upper file', ready: upper, act: (dir, k) => fs.chmodSync(u(dir, k), 0o600) },
  { name: 'truncate an upper file', ready: upper, act: (dir, k) => fs.truncateSync(u(dir, k)) },
];

const removing: Row[] = [
  { name: 'unlink an upper file', ready: upper, act: (dir, k) => fs.unlinkSync(u(dir, k)) },
  { name: 'unlink a lower file', act: (dir, k) => fs.unlinkSync(f(dir, k)) },
  {
    name: 'rmdir of an upper directory',
    ready: (dir) => each((k) => fs.mkdirSync(u(dir, k))),
    act: (dir, k) => fs.rmdirSync(u(dir, k)),
  },
  { name: 'rmdir of a lower directory', disk: lowerDirs, act: (dir, k) => fs.rmdirSync(f(dir, k)) },
  { name: 'rename an upper file', ready: upper, act: (dir, k) => fs.renameSync(u(dir, k), path.join(dir, `r${k}`)) },
  { name: 'rename a lower file', act: (dir, k) => fs.renameSync(f(dir, k), path.join(dir, `r${k}`)) },
  {
    name: 'rename a lower directory',
    disk: lowerDirs,
    act: (dir, k) => fs.renameSync(f(dir, k), path.join(dir, `r${k}`)),
  },
];

const copying: Row[] = [
  { name: 'chmod of a lower file, first in a directory', first: true, act: (dir) => fs.chmodSync(f(dir, 0), 0o600) },
  { name: 'chmod of a lower file', act: (dir, k) => fs.chmodSync(f(dir, k), 0o600) },
  { name: 'append to a lower file', act: (dir, k) => append(f(dir, k)) },
  { name: 'truncate a lower file', act: (dir, k) => fs.truncateSync(f(dir, k)) },
  { name: 'link of a lower file', act: (dir, k) => fs.linkSync(f(dir, k), path.join(dir, `l${k}`)) },
];

const tables = { reading, making, removing, copying };
const rows = Object.values(tables).flat();

/** What `statfs` of this machine's temporary directory says; another filesystem takes other calls to copy up. */
const EXT4 = 0xef53;
const onExt4 = fs.statfsSync(tmpdir()).type === EXT4;

describe.runIf(isRoot && onExt4)(needsRoot(`budgets of a FUSE mount${onExt4 ? '' : ' (skipped: not on ext4)'}`), () => {
  let union: CountedUnion;
  const costs = new Map<Row, Cost[]>();

  beforeAll(async () => {
    union = makeCountedUnion();
    rows.forEach((row, n) => {
      for (const lower of union.lowers) fs.mkdirSync(`${lower}/d${n}`);
      const bottom = `${union.lowers[2]}/d${n}`;
      const upper = `${union.upper}/d${n}`;
      if (row.disk) row.disk({ upper, bottom });
      else each((k) => fs.writeFileSync(f(bottom, k), 'lower'));
    });
    await union.mount();
    rows.forEach((row, n) => {
      const dir = path.join(union.merged, `d${n}`);
      fs.statSync(dir);
      if (!row.first) for (let i = 0; i < ENOUGH_LOOKS; i++) stat(path.join(dir, `none${i}`));
      row.ready?.(dir);
      costs.set(
        row,
        (row.first ? [0] : [0, 1, 2, 3]).map((k) => union.during(() => row.act(dir, k))),
      );
    });
  });
  afterAll(async () => {
    await union.unmount();
    union.destroy();
  });

  const table = (of: Row[]): string => of.map((row) => `${row.name}: ${printCost(costs.get(row)!.at(-1)!)}`).join('\n');

  it('the third name costs what the fourth does', () => {
    for (const row of rows.filter((row) => !row.first)) {
      const [, , third, fourth] = costs.get(row)!;
      expect(`${row.name}: ${printCost(third)}`).toBe(`${row.name}: ${printCost(fourth)}`);
    }
  });

  it('reading', () => {
    expect(table(reading)).toMatchInlineSnapshot(`
      "stat, first in a directory: LOOKUP | 7: openat 3 statx 3 listxattrat
      stat: LOOKUP | 2: statx listxattrat
      stat again: nothing | 0
      stat of an upper file: LOOKUP | 2: statx listxattrat
      miss: LOOKUP | 0
      miss again: nothing | 0
      open, read, close: LOOKUP OPEN READ RELEASE | 5: statx listxattrat openat pread close
      open, read, close again: OPEN RELEASE | 2: openat close
      open, read, close of an upper file: OPEN RELEASE | 4: openat ioctl 2 close
      readlink: LOOKUP READLINK | 2: statx readlinkat
      list 1000 names: OPENDIR READDIR 2 RELEASEDIR READDIRPLUS | 418: openat 6 close 3 statx 200 getdents64 6 getxattrat 2 listxattrat 200 ioctl
      list 1000 names again: OPENDIR RELEASEDIR | 0
      list and stat 1000 names: OPENDIR RELEASEDIR READDIRPLUS 4 | 2018: openat 6 close 3 statx 1000 getdents64 6 getxattrat 2 listxattrat 1000 ioctl
      list and stat 1000 names again: OPENDIR RELEASEDIR | 0
      list 1000 names, then stat them: LOOKUP 800 OPENDIR READDIR 2 RELEASEDIR READDIRPLUS | 2018: statx 1000 listxattrat 1000 openat 6 close 3 getdents64 6 getxattrat 2 ioctl
      the same by who has done so elsewhere: LOOKUP 183 OPENDIR READDIR 2 RELEASEDIR READDIRPLUS | 2018: statx 1000 listxattrat 1000 openat 6 close 3 getdents64 6 getxattrat 2 ioctl
      list a directory of one file: LOOKUP OPENDIR READDIR RELEASEDIR READDIRPLUS | 11: statx 2 openat 2 close getdents64 2 getxattrat 2 listxattrat ioctl"
    `);
  });

  it('making', () => {
    expect(table(making)).toMatchInlineSnapshot(`
      "create, first in a lower directory: LOOKUP RELEASE GETXATTR CREATE | 25: openat 5 statx 5 close ioctl 2 fstat 2 fchmodat utimensat 2 mkdirat renameat2 getxattrat setxattrat listxattrat nameToHandleAt fileGetattr
      create, write, close: LOOKUP GETATTR RELEASE GETXATTR CREATE | 6: fstat close ioctl 2 openat statx
      append to an upper file: OPEN RELEASE | 4: openat ioctl 2 close
      create over a whiteout: LOOKUP GETATTR RELEASE GETXATTR CREATE | 10: statx 4 fstat close ioctl 2 openat renameat2
      mkdir: LOOKUP GETATTR MKDIR | 4: fstat statx mkdirat setxattrat
      mkdir over a whiteout: LOOKUP GETATTR MKDIR | 9: statx 4 fstat mkdirat unlinkat renameat2 setxattrat
      symlink: LOOKUP GETATTR SYMLINK | 3: fstat statx symlinkat
      link of an upper file: LOOKUP GETATTR LINK | 3: fstat statx linkat
      chmod of an upper file: SETATTR | 2: statx fchmodat
      truncate an upper file: SETATTR OPEN RELEASE | 6: ftruncate statx openat ioctl 2 close"
    `);
  });

  it('removing', () => {
    expect(table(removing)).toMatchInlineSnapshot(`
      "unlink an upper file: GETATTR UNLINK | 3: fstat openat unlinkat
      unlink a lower file: LOOKUP GETATTR UNLINK | 4: statx listxattrat fstat linkat
      rmdir of an upper directory: GETATTR RMDIR | 3: fstat openat unlinkat
      rmdir of a lower directory: LOOKUP GETATTR RMDIR | 9: openat 3 statx fstat close linkat getdents64 2
      rename an upper file: LOOKUP GETATTR RENAME | 2: fstat renameat2
      rename a lower file: LOOKUP 2 GETATTR RENAME | 18: statx 2 listxattrat fstat 3 openat close ftruncate utimensat 2 renameat2 linkat setxattrat fsetxattr 2 nameToHandleAt fileGetattr
      rename a lower directory: LOOKUP 2 GETATTR RENAME | 16: statx 3 fstat 2 fchmodat utimensat 2 mkdirat renameat2 2 setxattrat 2 listxattrat nameToHandleAt fileGetattr"
    `);
  });

  it('copying up', () => {
    expect(table(copying)).toMatchInlineSnapshot(`
      "chmod of a lower file, first in a directory: LOOKUP SETATTR | 36: openat 5 statx 7 listxattrat 2 close ftruncate fstat 3 fchmodat 2 utimensat 4 mkdirat renameat2 linkat setxattrat 2 fsetxattr 2 nameToHandleAt 2 fileGetattr 2
      chmod of a lower file: LOOKUP GETATTR SETATTR | 18: statx 3 listxattrat fstat 3 openat close ftruncate fchmodat utimensat 2 linkat fsetxattr 2 nameToHandleAt fileGetattr
      append to a lower file: LOOKUP GETATTR OPEN RELEASE GETXATTR | 23: statx 2 listxattrat fstat 4 openat 3 close 3 fsync copyFileRange utimensat 2 linkat fsetxattr nameToHandleAt fileGetattr ioctl 2
      truncate a lower file: LOOKUP GETATTR SETATTR OPEN RELEASE GETXATTR | 25: statx 3 listxattrat fstat 4 ftruncate openat 3 close 3 fsync copyFileRange utimensat 2 linkat fsetxattr nameToHandleAt fileGetattr ioctl 2
      link of a lower file: LOOKUP 2 GETATTR LINK | 19: statx 3 listxattrat fstat 3 openat close ftruncate utimensat 2 linkat 2 setxattrat fsetxattr 2 nameToHandleAt fileGetattr"
    `);
  });
});
