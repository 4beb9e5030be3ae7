/** Copy-up: what triggers it, and that nothing is lost on the way. */
import * as c from 'stratafs/internal/sys/constants';
import * as e from 'stratafs/internal/sys/errno';
import {
  atime,
  exists,
  fstat,
  lstat,
  mtime,
  names,
  open,
  readAll,
  readFile,
  stat,
  writeAll,
  writeFile,
} from '../calls.ts';
import { bytesAre, equal, fails, modeIs, ok, truly } from '../expect.ts';
import { type OverlayCase, type OverlayCases, stored } from '../overlay-case.ts';
import type { Door } from '../target.ts';
import { chr, dir, fifo, file, hardlink, OLD, sparse, symlink, type Tree } from '../tree.ts';

const M = 1 << 20;

const subject: Tree = {
  d: dir({ f: file('content', { mode: 0o640, xattrs: { 'user.a': 'v' } }), sibling: file('s') }),
  l: symlink('d/f'),
  p: fifo(),
};

/** Whether the call has to copy `d/f` up. */
const triggers: readonly (readonly [string, (m: Door) => void, boolean])[] = [
  ['stat', (m) => stat(m, 'd/f'), false],
  ['reading', (m) => readFile(m, 'd/f'), false],
  ['listing', (m) => names(m, 'd'), false],
  ['access for writing', (m) => ok(m.access('d/f', c.W_OK)), false],
  ['getxattr', (m) => ok(m.getxattr('d/f', 'user.a')), false],
  ['listxattr', (m) => ok(m.listxattr('d/f')), false],
  ['removexattr of what is not there', (m) => fails(e.ENODATA, m.removexattr('d/f', 'user.b')), false],
  ['fsync', (m) => ok(m.fsync(open(m, 'd/f', c.O_RDONLY))), false],
  ['open with O_CREAT for reading', (m) => open(m, 'd/f', c.O_RDONLY | c.O_CREAT), false],
  ['open with O_PATH', (m) => open(m, 'd/f', c.O_PATH), false],
  ['a failed open with O_EXCL', (m) => fails(e.EEXIST, m.open('d/f', c.O_CREAT | c.O_EXCL | c.O_WRONLY)), false],
  ['a failed mkdir', (m) => fails(e.EEXIST, m.mkdir('d/f')), false],
  ['a failed rmdir of its directory', (m) => fails(e.ENOTEMPTY, m.rmdir('d')), false],
  ['open for writing', (m) => open(m, 'd/f', c.O_WRONLY), true],
  ['open for reading and writing', (m) => open(m, 'd/f', c.O_RDWR), true],
  ['open for appending', (m) => open(m, 'd/f', c.O_WRONLY | c.O_APPEND), true],
  ['open with O_TRUNC for reading', (m) => open(m, 'd/f', c.O_RDONLY | c.O_TRUNC), true],
  ['open through a symlink for writing', (m) => open(m, 'l', c.O_WRONLY), true],
  ['truncate', (m) => ok(m.truncate('d/f', 3)), true],
  ['chmod', (m) => ok(m.chmod('d/f', 0o600)), true],
  ['chmod to the same mode', (m) => ok(m.chmod('d/f', 0o640)), true],
  ['utimens', (m) => ok(m.utimens('d/f', [1, 1], [2, 2])), true],
  ['setxattr', (m) => ok(m.setxattr('d/f', 'user.b', 'w')), true],
  ['removexattr', (m) => ok(m.removexattr('d/f', 'user.a')), true],
  ['link', (m) => ok(m.link('d/f', 'new')), true],
];

function triggerCases(): OverlayCases {
  const cases: Record<string, OverlayCase> = {};
  for (const [label, act, copies] of triggers) {
    cases[`${label} ${copies ? 'copies a lower file up' : 'leaves a lower file where it is'}`] = {
      lowers: [subject],
      run(m, t) {
        act(m);
        equal(t.inUpper('d/f'), copies);
        equal(t.inUpper('d/sibling'), false);
        if (!copies) {
          equal(t.inUpper('d'), false);
        } else {
          truly(t.marked('d/f', 'origin') !== null, 'the copy knows its origin');
          equal(t.marked('d', 'impure'), 'y');
        }
      },
    };
  }
  return cases;
}

const capability: Buffer = Buffer.from('0100000200040000000000000000000000000000', 'hex');
const withAcl: Buffer = Buffer.concat([
  Buffer.from('02000000', 'hex'),
  Buffer.from('01000600ffffffff', 'hex'),
  Buffer.from('02000600b80b0000', 'hex'),
  Buffer.from('04000400ffffffff', 'hex'),
  Buffer.from('10000600ffffffff', 'hex'),
  Buffer.from('20000000ffffffff', 'hex'),
]);

/** Objects with everything about them that a copy could lose; `touch` changes as little as can be. */
const precious: Readonly<Record<string, [Tree[string], (m: Door, path: string) => void]>> = {
  'a file': [
    file('content', {
      mode: 0o751,
      uid: 1000,
      gid: 2000,
      mtime: [-5, 999_999_999],
      atime: [7, 8],
      xattrs: { 'user.a': '', 'trusted.b': 'c' },
    }),
    (m, path) => ok(m.setxattr(path, 'user.touch', '')),
  ],
  'a set-user-ID file': [
    file('content', { mode: 0o6755, uid: 1000, gid: 2000 }),
    (m, path) => ok(m.setxattr(path, 'user.touch', '')),
  ],
  'a file with capabilities': [
    file('content', { mode: 0o755, xattrs: { 'security.capability': capability } }),
    (m, path) => ok(m.setxattr(path, 'user.touch', '')),
  ],
  'a file with an ACL': [
    file('content', { mode: 0o660, uid: 1000, xattrs: { 'system.posix_acl_access': withAcl } }),
    (m, path) => ok(m.setxattr(path, 'user.touch', '')),
  ],
  'a directory': [
    dir({}, { mode: 0o3771, uid: 1000, gid: 2000, mtime: [2_147_483_648, 1], xattrs: { 'user.a': 'b' } }),
    (m, path) => ok(m.setxattr(path, 'user.touch', '')),
  ],
  'a directory with a default ACL': [
    dir({}, { mode: 0o755, xattrs: { 'system.posix_acl_default': withAcl } }),
    (m, path) => ok(m.setxattr(path, 'user.touch', '')),
  ],
  'a symlink': [
    symlink('some/where', { uid: 1000, gid: 2000, mtime: [3, 4], xattrs: { 'trusted.a': 'b' } }),
    (m, path) => ok(m.lsetxattr(path, 'trusted.touch', '')),
  ],
  'a FIFO': [
    fifo({ mode: 0o622, uid: 1000, gid: 2000, mtime: [3, 4] }),
    (m, path) => ok(m.lsetxattr(path, 'trusted.touch', '')),
  ],
  'a device': [
    chr(0x105, { mode: 0o666, uid: 1000, gid: 2000, mtime: [3, 4] }),
    (m, path) => ok(m.lsetxattr(path, 'trusted.touch', '')),
  ],
};

function preciousCases(): OverlayCases {
  const cases: Record<string, OverlayCase> = {};
  for (const [label, [node, touch]] of Object.entries(precious)) {
    cases[`copy-up of ${label} loses nothing`] = {
      lowers: [{ x: node }],
      needs: ['root'],
      async run(m, t) {
        const before = lstat(m, 'x');
        const xattrs = (on: Door): [string, string | null][] =>
          ok<string[]>(on.llistxattr('x') as string[])
            .filter((name) => !name.startsWith(t.mark('')) && !name.endsWith('.touch'))
            .sort()
            .map((name) => [name, stored(on, 'x', name)]);
        const expected = xattrs(t.lower(0));
        touch(m, 'x');
        const tell = (st: typeof before): unknown[] => [
          st.mode,
          st.uid,
          st.gid,
          st.size,
          st.rdev,
          mtime(st),
          atime(st),
        ];
        equal(t.inUpper('x'), true);
        equal(tell(lstat(m, 'x')), tell(before));
        if (t.handles) {
          equal(lstat(m, 'x').ino, before.ino, 'inode number');
        }
        const onDisk = lstat(t.upper(), 'x');
        equal(tell(onDisk), tell(before));
        equal(xattrs(m), expected);
        equal(xattrs(t.upper()), expected);
        m = await t.remount();
        equal(tell(lstat(m, 'x')), tell(before));
        if (t.handles) {
          equal(lstat(m, 'x').ino, before.ino, 'inode number after a remount');
        }
        equal(xattrs(m), expected);
        if (before.type === c.S_IFREG) {
          bytesAre(readFile(m, 'x'), 'content');
        }
        if (before.type === c.S_IFLNK) {
          equal(m.readlink('x'), 'some/where');
        }
      },
    };
  }
  return cases;
}

export const copyUpCases: OverlayCases = {
  ...triggerCases(),
  ...preciousCases(),
  'replacing an xattr that is not there breaks a hard link all the same, and that shows': {
    lowers: [{ f: file('f'), other: hardlink('f') }],
    run(m, t) {
      equal(lstat(m, 'f').nlink, 2);
      fails(e.ENODATA, m.setxattr('f', 'user.b', 'w', c.XATTR_REPLACE));
      equal(t.inUpper('f'), true);
      const broken = lstat(m, 'f').ino !== lstat(m, 'other').ino;
      equal(lstat(m, 'f').nlink, broken ? 1 : 2);
    },
  },
  'copy-up of a file copies the directories above it, and nothing beside it': {
    lowers: [
      {
        a: dir(
          {
            b: dir({ c: dir({ f: file('f') }, { mode: 0o711 }), beside: file() }, { mode: 0o750, mtime: [11, 12] }),
            beside: dir({ x: file() }),
          },
          { mode: 0o705, mtime: [13, 14], xattrs: { 'user.a': 'v' } },
        ),
        beside: file(),
      },
    ],
    run(m, t) {
      writeFile(m, 'a/b/c/f', 'changed');
      const u = t.upper();
      equal(names(u, '.'), ['a']);
      equal(names(u, 'a'), ['b']);
      equal(names(u, 'a/b'), ['c']);
      equal(names(u, 'a/b/c'), ['f']);
      modeIs(lstat(u, 'a').mode, 0o705);
      modeIs(lstat(u, 'a/b').mode, 0o750);
      modeIs(lstat(u, 'a/b/c').mode, 0o711);
      equal([mtime(lstat(u, 'a')), mtime(lstat(u, 'a/b')), mtime(lstat(u, 'a/b/c'))], [[13, 14], [11, 12], OLD]);
      equal(stored(u, 'a', 'user.a'), 'v');
      equal(names(m, 'a/b'), ['beside', 'c']);
      equal([t.marked('a', 'impure'), t.marked('a/b', 'impure'), t.marked('a/b/c', 'impure')], ['y', 'y', 'y']);
    },
  },
  'a listing takes the impure mark from a directory that holds nothing with an origin any more': {
    lowers: [{ f: file('f') }],
    upper: { pure: dir() },
    needs: ['handles'],
    run(m, t) {
      ok(m.rename('f', 'pure/f'));
      equal(t.marked('pure', 'impure'), 'y');
      equal(names(m, 'pure'), ['f']);
      equal(t.marked('pure', 'impure'), 'y');
      ok(m.unlink('pure/f'));
      equal(t.marked('pure', 'impure'), 'y');
      equal(names(m, 'pure'), []);
      equal(t.marked('pure', 'impure'), null);
    },
  },
  'copy-up keeps mtime and atime of the directory that it happens in': {
    lowers: [{ d: dir({ f: file('f') }, { mtime: [21, 22], atime: [23, 24] }) }],
    run(m, t) {
      ok(m.chmod('d/f', 0o600));
      equal(
        [mtime(lstat(m, 'd')), atime(lstat(t.upper(), 'd'))],
        [
          [21, 22],
          [23, 24],
        ],
      );
      equal(mtime(lstat(t.upper(), 'd')), [21, 22]);
    },
  },
  'copy-up of a directory copies none of its entries': {
    lowers: [{ d: dir({ f: file('f'), sub: dir({ g: file() }) }) }],
    run(m, t) {
      ok(m.chmod('d', 0o700));
      equal(names(t.upper(), 'd'), []);
      equal(names(m, 'd'), ['f', 'sub']);
    },
  },
  'making something in a lower directory copies up only the way to it': {
    lowers: [{ a: dir({ b: dir({ f: file() }) }) }],
    run(m, t) {
      writeFile(m, 'a/b/new', 'new');
      equal(names(t.upper(), 'a/b'), ['new']);
      equal(t.marked('a/b/new', 'origin'), null);
      equal(names(m, 'a/b'), ['f', 'new']);
    },
  },
  'copy-up keeps the holes of a sparse file': {
    lowers: [
      {
        f: sparse(16 * M, [
          [5 * M, 'data'],
          [10 * M, Buffer.alloc(8192, 'x')],
        ]),
      },
    ],
    run(m, t) {
      ok(m.chmod('f', 0o600));
      const st = lstat(t.upper(), 'f');
      equal(st.size, 16 * M);
      truly(st.blocks * 512 < 4 * M, `${st.blocks * 512} bytes allocated`);
      const fd = open(m, 'f', c.O_RDONLY);
      bytesAre(m.pread(fd, 4, 5 * M), 'data');
      bytesAre(m.pread(fd, 8192, 10 * M), Buffer.alloc(8192, 'x'));
      bytesAre(m.pread(fd, 10, 16 * M - 10), Buffer.alloc(10));
    },
  },
  'copy-up keeps holes within a MiB too': {
    lowers: [
      {
        f: sparse(
          2 * M,
          [65536, 65536 * 9, 65536 * 20].map((at) => [at, 'data'] as const),
        ),
      },
    ],
    run(m, t) {
      ok(m.chmod('f', 0o600));
      const st = lstat(t.upper(), 'f');
      equal(st.size, 2 * M);
      // The kernel leaves out what lies before the first data of each MiB.
      truly(!t.ours || st.blocks * 512 <= M / 4, `${st.blocks * 512} bytes allocated`);
      const fd = open(m, 'f', c.O_RDONLY);
      bytesAre(m.pread(fd, 6, 65536 * 9 - 1), '\0data\0');
    },
  },
  'copy-up of a file of 5 MiB and some bytes': {
    lowers: [{ f: file(Buffer.alloc(5 * M + 123, 'abcdefg')) }],
    run(m, t) {
      const fd = open(m, 'f', c.O_RDWR);
      equal(m.pwrite(fd, 'X', 3 * M), 1);
      const expected = Buffer.alloc(5 * M + 123, 'abcdefg');
      expected.write('X', 3 * M);
      bytesAre(readAll(m, fd), expected);
      ok(m.fsync(fd));
      bytesAre(readFile(t.upper(), 'f'), expected);
    },
  },
  'O_TRUNC copies up nothing of the content': {
    lowers: [{ f: file(Buffer.alloc(3 * M, 'x'), { mode: 0o640, xattrs: { 'user.a': 'v' } }) }],
    run(m, t) {
      writeFile(m, 'f', 'short');
      bytesAre(readFile(m, 'f'), 'short');
      const st = lstat(t.upper(), 'f');
      equal(st.size, 5);
      modeIs(st.mode, 0o640);
      equal(stored(t.upper(), 'f', 'user.a'), 'v');
    },
  },
  'copy-up of one name of a lower file with two parts them': {
    lowers: [{ f: file('content'), g: hardlink('f') }],
    run(m, t) {
      equal(lstat(m, 'f').nlink, 2);
      writeFile(m, 'f', 'changed');
      bytesAre(readFile(m, 'g'), 'content');
      equal(t.inUpper('g'), false);
      equal(lstat(m, 'f').nlink, 1);
      equal(lstat(m, 'g').nlink, 2);
      bytesAre(readFile(m, 'f'), 'changed');
    },
  },
  'a descriptor from before the copy-up reads what is written after it': {
    lowers: [{ f: file('content') }],
    run(m) {
      const reader = open(m, 'f', c.O_RDONLY);
      bytesAre(readAll(m, reader), 'content');
      const writer = open(m, 'f', c.O_RDWR);
      writeAll(m, writer, 'CONTENT!');
      bytesAre(readAll(m, reader), 'CONTENT!');
      equal(fstat(m, reader).size, 8);
      equal(fstat(m, reader).ino, fstat(m, writer).ino);
    },
  },
  'a file removed while it was read from the lower is not copied up by its reader': {
    lowers: [{ f: file('content') }],
    run(m, t) {
      const fd = open(m, 'f', c.O_RDONLY);
      ok(m.unlink('f'));
      bytesAre(readAll(m, fd), 'content');
      equal(names(t.upper(), '.'), ['f']);
    },
  },
  'chmod through a descriptor for reading copies up': {
    lowers: [{ f: file('content') }],
    run(m, t) {
      const fd = open(m, 'f', c.O_RDONLY);
      ok(m.fchmod(fd, 0o604));
      equal(t.inUpper('f'), true);
      modeIs(fstat(m, fd).mode, 0o604);
      bytesAre(readAll(m, fd), 'content');
    },
  },
  'link of a lower file copies it up once, under both names': {
    lowers: [{ f: file('content') }],
    run(m, t) {
      const ino = lstat(m, 'f').ino;
      ok(m.link('f', 'new'));
      const u = t.upper();
      equal(lstat(u, 'f').ino, lstat(u, 'new').ino);
      equal(lstat(u, 'f').nlink, 2);
      equal([lstat(m, 'f').nlink, lstat(m, 'new').nlink], [2, 2]);
      if (t.handles) {
        equal([lstat(m, 'f').ino, lstat(m, 'new').ino], [ino, ino]);
      }
    },
  },
  'opening a FIFO or a device for writing does not copy it up': {
    lowers: [{ p: fifo({ mode: 0o666 }), null: chr(0x103, { mode: 0o666 }) }],
    needs: ['root', 'vfs'],
    run(m, t) {
      open(m, 'p', c.O_RDWR | c.O_NONBLOCK);
      equal(m.write(open(m, 'null', c.O_WRONLY), 'x'), 1);
      equal([t.inUpper('p'), t.inUpper('null')], [false, false]);
    },
  },
  'copy-up by an ordinary user keeps the owner, and needs the user to have the right': {
    lowers: [
      {
        mine: file('m', { uid: 1000, gid: 1000, mode: 0o600 }),
        writable: file('w', { uid: 500, gid: 500, mode: 0o622 }),
        'not-mine': file('n', { uid: 500, gid: 500, mode: 0o644 }),
      },
    ],
    needs: ['root'],
    run(m, t) {
      m.as({ uid: 1000, gid: 1000 }, () => {
        ok(m.chmod('mine', 0o640));
        open(m, 'writable', c.O_WRONLY);
        fails(e.EACCES, m.open('not-mine', c.O_WRONLY));
        fails(e.EPERM, m.chmod('not-mine', 0o666));
        fails(e.EPERM, m.chown('not-mine', 1000, 1000));
        fails(e.EACCES, m.setxattr('not-mine', 'user.a', 'v'));
        fails(e.EACCES, m.truncate('not-mine', 0));
        fails(e.EACCES, m.unlink('not-mine'));
      });
      equal(t.inUpper('not-mine'), false);
      const u = t.upper();
      equal([lstat(u, 'mine').uid, lstat(u, 'mine').gid], [1000, 1000]);
      equal([lstat(u, 'writable').uid, lstat(u, 'writable').gid], [500, 500]);
      equal(exists(u, 'not-mine'), false);
    },
  },
};
