/** Files of metadata alone (metacopy): how they come to be, where their data is, and when it follows. */
import * as c from 'stratafs/internal/sys/constants';
import * as e from 'stratafs/internal/sys/errno';
import { atime, lstat, mtime, names, open, readAll, readFile, stat, writeAll } from '../calls.ts';
import { bytesAre, equal, fails, modeIs, ok, truly } from '../expect.ts';
import { type OverlayCase, type OverlayCases, stored, type Union } from '../overlay-case.ts';
import type { Door } from '../target.ts';
import { dir, type FileNode, file, hardlink, metacopy, OLD, opaque, sparse, symlink, type Tree } from '../tree.ts';

const M = 1 << 20;
const content = 'content'.repeat(1000);
const subject: Tree = { d: dir({ f: file(content, { xattrs: { 'user.a': 'v' } }) }) };

/** Whether the upper's `path` has no data of its own, as the kernel leaves it. Its xattrs may have a block. */
function isStub(t: Union, path: string): boolean {
  const upper = t.upper();
  const fd = open(upper, path, c.O_RDONLY | c.O_NOATIME);
  const data = upper.lseek(fd, 0, c.SEEK_DATA);
  ok(upper.close(fd));
  return t.marked(path, 'metacopy') === '' && data === -e.ENXIO;
}

const metadataOnly: Readonly<Record<string, (m: Door) => void>> = {
  chmod: (m) => ok(m.chmod('d/f', 0o600)),
  chown: (m) => ok(m.chown('d/f', 5, 6)),
  utimens: (m) => ok(m.utimens('d/f', [1, 2], [3, 4])),
  setxattr: (m) => ok(m.setxattr('d/f', 'user.b', 'w')),
  removexattr: (m) => ok(m.removexattr('d/f', 'user.a')),
  'fchmod of a reader': (m) => ok(m.fchmod(open(m, 'd/f', c.O_RDONLY), 0o600)),
};

const wantData: readonly (readonly [string, (m: Door) => void, string])[] = [
  ['writing', (m) => ok(m.pwrite(open(m, 'd/f', c.O_WRONLY), 'X', 0)), `X${content.slice(1)}`],
  ['appending', (m) => writeAll(m, open(m, 'd/f', c.O_WRONLY | c.O_APPEND), 'more'), `${content}more`],
  ['open with O_TRUNC', (m) => open(m, 'd/f', c.O_WRONLY | c.O_TRUNC), ''],
  ['open with O_TRUNC for reading', (m) => open(m, 'd/f', c.O_RDONLY | c.O_TRUNC), ''],
  ['truncate to less', (m) => ok(m.truncate('d/f', 10)), content.slice(0, 10)],
  ['truncate to nothing', (m) => ok(m.truncate('d/f', 0)), ''],
  ['truncate to more', (m) => ok(m.truncate('d/f', content.length + 3)), `${content}\0\0\0`],
  [
    'truncate to the same size',
    (m) => {
      ok(m.truncate('d/f', content.length));
      ok(m.utimens('d/f', OLD, OLD));
    },
    content,
  ],
  ['ftruncate', (m) => ok(m.ftruncate(open(m, 'd/f', c.O_RDWR), 5000)), content.slice(0, 5000)],
  ['fallocate', (m) => ok(m.fallocate(open(m, 'd/f', c.O_RDWR), 0, 0, 7002)), `${content}\0\0`],
];

function triggerCases(): OverlayCases {
  const cases: Record<string, OverlayCase> = {};
  for (const [label, act] of Object.entries(metadataOnly)) {
    cases[`${label} copies up metadata alone`] = {
      lowers: [subject],
      needs: ['root'],
      async run(m, t) {
        const before = lstat(m, 'd/f');
        act(m);
        equal(isStub(t, 'd/f'), true, 'metadata alone');
        const look = (door: Door): void => {
          const st = lstat(door, 'd/f');
          equal([st.size, st.blocks, st.ino, st.nlink], [before.size, before.blocks, before.ino, 1]);
          bytesAre(readFile(door, 'd/f'), content);
        };
        look(m);
        look(await t.remount());
        equal(isStub(t, 'd/f'), true, 'still metadata alone');
      },
    };
  }
  for (const [label, act, after] of wantData) {
    cases[`${label} of a metadata-only file copies its data up`] = {
      lowers: [subject],
      async run(m, t) {
        ok(m.chmod('d/f', 0o604));
        const { ino } = lstat(m, 'd/f');
        const reader = open(m, 'd/f', c.O_RDONLY);
        bytesAre(m.pread(reader, 7, 0), 'content');
        act(m);
        equal(t.marked('d/f', 'metacopy'), null);
        bytesAre(readAll(m, reader), after);
        const look = (door: Door): void => {
          bytesAre(readFile(door, 'd/f'), after);
          const st = lstat(door, 'd/f');
          equal([st.size, st.ino, st.nlink], [after.length, ino, 1]);
          modeIs(st.mode, 0o604);
          bytesAre(door.getxattr('d/f', 'user.a'), 'v');
        };
        look(m);
        look(await t.remount());
      },
    };
  }
  return cases;
}

/** Moved or linked, and found again. */
const redirectCases: OverlayCases = {
  'a metadata-only file renamed in its directory says its old name': {
    lowers: [{ d: dir({ f: file(content) }) }],
    async run(m, t) {
      ok(m.rename('d/f', 'd/g'));
      equal(isStub(t, 'd/g'), true);
      equal(t.marked('d/g', 'redirect'), 'f');
      ok(m.rename('d/g', 'd/h'));
      equal(t.marked('d/h', 'redirect'), 'f');
      m = await t.remount();
      bytesAre(readFile(m, 'd/h'), content);
      fails(e.ENOENT, m.lstat('d/f'));
    },
  },
  'a metadata-only file moved elsewhere says its path': {
    lowers: [{ d: dir({ f: file(content), g: file('other') }), to: dir() }],
    upper: { pure: dir() },
    async run(m, t) {
      ok(m.rename('d/f', 'to/f'));
      equal(t.marked('to/f', 'redirect'), `${t.at}/d/f`);
      ok(m.rename('d/g', 'd/h'));
      ok(m.rename('d/h', 'pure/g'));
      equal(t.marked('pure/g', 'redirect'), `${t.at}/d/g`);
      ok(m.rename('to/f', 'to/again'));
      m = await t.remount();
      bytesAre(readFile(m, 'to/again'), content);
      bytesAre(readFile(m, 'pure/g'), 'other');
    },
  },
  'the path goes through the redirects of parents': {
    lowers: [{ d: dir({ e: dir({ f: file(content) }) }), to: dir() }],
    async run(m, t) {
      ok(m.rename('d/e', 'd/E'));
      ok(m.rename('d', 'D'));
      ok(m.rename('D/E/f', 'to/f'));
      equal(t.marked('to/f', 'redirect'), `${t.at}/d/e/f`);
      m = await t.remount();
      bytesAre(readFile(m, 'to/f'), content);
    },
  },
  'metadata-only files inside a directory that moves keep their data': {
    lowers: [{ d: dir({ f: file(content) }), to: dir() }],
    async run(m, t) {
      ok(m.chmod('d/f', 0o600));
      ok(m.rename('d', 'to/d'));
      m = await t.remount();
      bytesAre(readFile(m, 'to/d/f'), content);
      writeAll(m, open(m, 'to/d/f', c.O_WRONLY | c.O_APPEND), '+');
      m = await t.remount();
      bytesAre(readFile(m, 'to/d/f'), `${content}+`);
    },
  },
  'two metadata-only files exchanged': {
    lowers: [{ d: dir({ f: file('one'), g: file('two') }), x: file('three') }],
    async run(m, t) {
      ok(m.rename('d/f', 'd/g', c.RENAME_EXCHANGE));
      equal([t.marked('d/f', 'redirect'), t.marked('d/g', 'redirect')], ['g', 'f']);
      ok(m.rename('d/f', 'x', c.RENAME_EXCHANGE));
      equal([t.marked('x', 'redirect'), t.marked('d/f', 'redirect')], [`${t.at}/d/g`, `${t.at}/x`]);
      m = await t.remount();
      bytesAre(readFile(m, 'd/g'), 'one');
      bytesAre(readFile(m, 'x'), 'two');
      bytesAre(readFile(m, 'd/f'), 'three');
    },
  },
  'a further name of a metadata-only file has the path too': {
    lowers: [{ d: dir({ f: file(content) }), to: dir() }],
    async run(m, t) {
      ok(m.link('d/f', 'to/g'));
      equal(isStub(t, 'to/g'), true);
      equal(t.marked('d/f', 'redirect'), `${t.at}/d/f`);
      m = await t.remount();
      equal(lstat(m, 'd/f').ino, lstat(m, 'to/g').ino);
      ok(m.unlink('d/f'));
      bytesAre(readFile(m, 'to/g'), content);
      writeAll(m, open(m, 'to/g', c.O_WRONLY | c.O_APPEND), '+');
      m = await t.remount();
      bytesAre(readFile(m, 'to/g'), `${content}+`);
    },
  },
  'writing through one name of a metadata-only file shows under the other': {
    lowers: [{ f: file(content) }],
    async run(m, t) {
      ok(m.link('f', 'g'));
      const reader = open(m, 'g', c.O_RDONLY);
      bytesAre(m.pread(reader, 7, 0), 'content');
      ok(m.pwrite(open(m, 'f', c.O_WRONLY), 'CONTENT', 0));
      bytesAre(m.pread(reader, 7, 0), 'CONTENT');
      m = await t.remount();
      equal(readFile(m, 'g').toString('latin1', 0, 7), 'CONTENT');
      equal(t.marked('g', 'metacopy'), null);
    },
  },
  'a lower with several names makes the redirect a path even in one directory': {
    lowers: [{ f: file('content'), f2: hardlink('f') }],
    async run(m, t) {
      ok(m.rename('f', 'g'));
      equal(t.marked('g', 'redirect'), `${t.at}/f`);
      m = await t.remount();
      bytesAre(readFile(m, 'g'), 'content');
      bytesAre(readFile(m, 'f2'), 'content');
    },
  },
};

/** What is kept, and what is not touched. */
const completionCases: OverlayCases = {
  'file capabilities survive the copying of the data': {
    lowers: [{ f: file(content, { mode: 0o755, xattrs: { 'security.capability': capability() } }) }],
    needs: ['root'],
    run(m, t) {
      ok(m.chmod('f', 0o711));
      open(m, 'f', c.O_RDWR);
      equal(t.marked('f', 'metacopy'), null);
      bytesAre(m.getxattr('f', 'security.capability'), capability());
      ok(m.utimens('f', OLD, OLD));
    },
  },
  'a file opened for writing, and not written, keeps its times': {
    lowers: [{ f: file(content) }],
    run(m, t) {
      ok(m.chmod('f', 0o711));
      open(m, 'f', c.O_RDWR);
      truly(!t.ours || mtime(stat(m, 'f'))[0] === OLD[0], 'mtime is that of before');
      equal(atime(lstat(t.upper(), 'f')), OLD, 'atime is that of before');
      ok(m.utimens('f', OLD, OLD));
    },
  },
  'holes stay holes': {
    lowers: [{ f: sparse(8 * M, [[4 * M, 'middle']]) }],
    async run(m, t) {
      ok(m.chmod('f', 0o600));
      const fd = open(m, 'f', c.O_RDONLY);
      equal(m.lseek(fd, 0, c.SEEK_DATA), 4 * M);
      ok(m.pwrite(open(m, 'f', c.O_WRONLY), 'end', 8 * M - 3));
      truly(lstat(t.upper(), 'f').blocks < 4096, 'the upper is sparse');
      m = await t.remount();
      bytesAre(m.pread(open(m, 'f', c.O_RDONLY), 6, 4 * M), 'middle');
    },
  },
  'a metadata-only file that is unlinked while open can be read and written': {
    lowers: [{ f: file(content) }],
    run(m) {
      ok(m.chmod('f', 0o600));
      const reader = open(m, 'f', c.O_RDONLY);
      ok(m.unlink('f'));
      bytesAre(readAll(m, reader), content);
      ok(m.fchmod(reader, 0o640));
      modeIs(ok<{ mode: number }>(m.fstat(reader) as { mode: number }).mode, 0o640);
      bytesAre(readAll(m, reader), content);
    },
  },
  'a metadata-only file copied from, and to': {
    lowers: [{ f: file(content), g: file('g'.repeat(9000)) }],
    run(m, t) {
      ok(m.chmod('f', 0o600));
      ok(m.chmod('g', 0o600));
      equal(m.copyFileRange(open(m, 'f', c.O_RDONLY), 0, open(m, 'g', c.O_WRONLY), 100, 50), 50);
      equal([t.marked('f', 'metacopy'), t.marked('g', 'metacopy')], ['', null]);
      bytesAre(readFile(m, 'g'), 'g'.repeat(100) + content.slice(0, 50) + 'g'.repeat(8850));
    },
  },
  'an empty file can be metadata alone': {
    lowers: [{ f: file() }],
    async run(m, t) {
      ok(m.chmod('f', 0o600));
      equal(t.marked('f', 'metacopy'), '');
      m = await t.remount();
      bytesAre(readFile(m, 'f'), '');
      writeAll(m, open(m, 'f', c.O_WRONLY), 'now');
      bytesAre(readFile(m, 'f'), 'now');
      equal(t.marked('f', 'metacopy'), null);
    },
  },
  'what is not a regular file is never metadata alone': {
    lowers: [{ d: dir({ x: file() }), l: symlink('d') }],
    needs: ['root'],
    run(m, t) {
      ok(m.chmod('d', 0o700));
      ok(m.lchown('l', 1, 1));
      equal([t.marked('d', 'metacopy'), stored(t.upper(), 'l', t.mark('metacopy'))], [null, null]);
    },
  },
};

/** A permitted and effective cap_net_raw, as setcap(8) stores it. */
function capability(): Buffer {
  return Buffer.from('0100000200200000000000000000000000000000', 'hex');
}

/** What is found in layers. */
const lookupCases: OverlayCases = {
  'a lower of metadata alone: its attributes, the data of below': {
    lowers: [
      { f: metacopy(7, undefined, { mode: 0o600, xattrs: { 'user.a': 'top' } }) },
      { f: file('content', { xattrs: { 'user.b': 'low' } }) },
    ],
    async run(m, t) {
      const st = lstat(m, 'f');
      equal([st.size, st.blocks], [7, lstat(t.lower(1), 'f').blocks]);
      modeIs(st.mode, 0o600);
      bytesAre(readFile(m, 'f'), 'content');
      bytesAre(m.getxattr('f', 'user.a'), 'top');
      fails(e.ENODATA, m.getxattr('f', 'user.b'));
      ok(m.chmod('f', 0o640));
      equal(t.marked('f', 'metacopy'), '');
      m = await t.remount();
      writeAll(m, open(m, 'f', c.O_WRONLY | c.O_APPEND), '+');
      m = await t.remount();
      bytesAre(readFile(m, 'f'), 'content+');
      bytesAre(m.getxattr('f', 'user.a'), 'top');
    },
  },
  'several of metadata alone: the topmost counts': {
    lowers: [
      { f: metacopy(7, '~/second', { mode: 0o601 }) },
      { second: metacopy(7, 'third', { mode: 0o602 }), f: file('hidden!') },
      { third: file('content', { mode: 0o603 }) },
    ],
    run(m) {
      bytesAre(readFile(m, 'f'), 'content');
      modeIs(lstat(m, 'f').mode, 0o601);
      modeIs(lstat(m, 'second').mode, 0o602);
      bytesAre(readFile(m, 'second'), 'content');
      writeAll(m, open(m, 'f', c.O_WRONLY | c.O_APPEND), '+');
      bytesAre(readFile(m, 'f'), 'content+');
      bytesAre(readFile(m, 'second'), 'content');
    },
  },
  'a path that begins at the root reaches below an opaque directory': {
    lowers: [
      { o: opaque({ f: metacopy(7, '~/o/f'), g: metacopy(7) }) },
      { o: dir({ f: file('content'), g: file('content') }) },
    ],
    run(m) {
      bytesAre(readFile(m, 'o/f'), 'content');
      fails(e.EIO, m.lstat('o/g'));
    },
  },
  'redirects on the way, in lowers and one after the other': {
    lowers: [
      { f: metacopy(7, '~/a/b/c') },
      { a: dir({}, { redirect: 'x' }) },
      { x: dir({ b: dir({ c: file('content') }) }) },
    ],
    run(m) {
      bytesAre(readFile(m, 'f'), 'content');
    },
  },
  'metadata without data is EIO, whatever is asked of it': {
    lowers: [
      { f: metacopy(3), blocked: metacopy(3), dangling: metacopy(3, '~/nowhere'), short: metacopy(3, '~/data') },
      { blocked: dir(), data: file('yes') },
    ],
    upper: { u: metacopy(3), ud: metacopy(3, 'data2'), short: { ...metacopy(3, '~/data'), metacopy: 'ab' } },
    run(m) {
      for (const name of ['f', 'blocked', 'dangling', 'short', 'u', 'ud']) {
        fails(e.EIO, m.lstat(name));
        fails(e.EIO, m.open(name, c.O_RDONLY));
        fails(e.EIO, m.unlink(name));
        fails(e.EIO, m.rename(name, 'new'));
      }
    },
  },
  'a redirect that is none is EINVAL': {
    lowers: [{ f: metacopy(3, 'a/b'), g: metacopy(3, '//a'), h: metacopy(3, '') }, { f: file('yes') }],
    run(m) {
      for (const name of ['f', 'g', 'h']) {
        fails(e.EINVAL, m.lstat(name));
      }
    },
  },
};

export const metacopyCases: OverlayCases = {
  ...triggerCases(),
  ...redirectCases,
  ...completionCases,
  ...lookupCases,
};

/** Where the kernel shows something else (docs/differences.md): each on a mount of its own. */
export const metacopyDifferentCases: OverlayCases = {
  'reading ends at the size that is shown': {
    lowers: [{ f: metacopy(4) }, { f: file('content') }],
    run(m, t) {
      equal(lstat(m, 'f').size, 4);
      bytesAre(readFile(m, 'f'), t.ours ? 'cont' : 'content');
      if (t.ours) {
        const fd = open(m, 'f', c.O_RDONLY);
        equal(m.lseek(fd, 1, c.SEEK_HOLE), 4);
        fails(e.ENXIO, m.lseek(fd, 4, c.SEEK_DATA));
      }
    },
  },
  'data that is visible under a name of its own': {
    lowers: [{ data: file('content') }],
    upper: { f: metacopy(7, 'data') },
    run(m, t) {
      bytesAre(readFile(m, 'data'), 'content');
      if (t.ours) {
        bytesAre(readFile(m, 'f'), 'content');
      } else {
        fails(e.ESTALE, m.lstat('f'));
      }
    },
  },
};

/** With index=on said. */
export const metacopyIndexCases: OverlayCases = {
  'a metadata-only file that is linked after its last known name has gone points where that was': {
    lowers: [{ d: dir({ x: file('data'), y: hardlink('x') }) }],
    needs: ['handles'],
    async run(m, t) {
      const fd = open(m, 'd/x', c.O_RDONLY);
      ok(m.rename('d', 'moved'));
      ok(m.unlink('moved/x'));
      ok(m.linkFd(fd, 'new'));
      equal([t.marked('new', 'metacopy'), t.marked('new', 'redirect')], ['', `${t.at}/d/x`]);
      ok(m.close(fd));
      m = await t.remount();
      bytesAre(readFile(m, 'new'), 'data');
      equal(lstat(m, 'new').ino, lstat(m, 'moved/y').ino);
    },
  },
  'a metadata-only file that leads to another file than it was copied up from is ESTALE': {
    lowers: [{ f: file('of f'), g: file('of g'), h: file('of h') }],
    needs: ['handles'],
    async run(m, t) {
      for (const name of ['f', 'h']) ok(m.chmod(name, 0o600));
      await t.unmount();
      ok(t.upper().lsetxattr('f', t.mark('redirect'), `${t.at}/g`));
      ok(t.upper().lremovexattr('h', t.mark('origin')));
      ok(t.upper().lsetxattr('h', t.mark('redirect'), `${t.at}/g`));
      m = await t.remount();
      fails(e.ESTALE, m.lstat('f'));
      // One that does not say is believed.
      bytesAre(readFile(m, 'h'), 'of g');
    },
  },
};

export const metacopyOffCases: OverlayCases = {
  'with metacopy=off a file of metadata alone is EPERM': {
    lowers: [
      { l: metacopy(7), g: file('whole') },
      { l: file('content'), u: file('content') },
    ],
    upper: { u: metacopy(7) },
    run(m) {
      for (const name of ['l', 'u']) {
        fails(e.EPERM, m.lstat(name));
        fails(e.EPERM, m.open(name, c.O_RDONLY));
        fails(e.EPERM, m.unlink(name));
      }
      bytesAre(readFile(m, 'g'), 'whole');
    },
  },
  'with metacopy=off all of a file is copied up': {
    lowers: [{ f: file(content) }],
    run(m, t) {
      ok(m.chmod('f', 0o600));
      equal(t.marked('f', 'metacopy'), null);
      bytesAre(readFile(t.upper(), 'f'), content);
    },
  },
};

/** One lower over two data-only layers. */
export const dataOnlyCases: OverlayCases = {
  'data is found in the data-only layers, the first that has it': {
    lowers: [
      { f: metacopy(3, '~/x/one', { mode: 0o600 }), g: metacopy(3, '~/x/two') },
      { x: dir({ one: file('one') }) },
      { x: dir({ one: file('ONE'), two: file('two') }) },
    ],
    async run(m, t) {
      fails(e.ENOENT, m.lstat('x'));
      bytesAre(readFile(m, 'f'), 'one');
      bytesAre(readFile(m, 'g'), 'two');
      const { ino } = lstat(m, 'f');
      ok(m.chmod('f', 0o640));
      equal(t.marked('f', 'metacopy'), '');
      ok(m.rename('f', 'moved'));
      m = await t.remount();
      equal(lstat(m, 'moved').ino, ino);
      bytesAre(readFile(m, 'moved'), 'one');
      writeAll(m, open(m, 'moved', c.O_WRONLY | c.O_APPEND), '+');
      writeAll(m, open(m, 'g', c.O_WRONLY | c.O_APPEND), '+');
      m = await t.remount();
      bytesAre(readFile(m, 'moved'), 'one+');
      bytesAre(readFile(m, 'g'), 'two+');
    },
  },
  'data is looked for when it is needed: a name without it is seen, and its size': {
    lowers: [{ f: metacopy(5000, '~/nowhere') }, {}, {}],
    run(m) {
      const st = lstat(m, 'f');
      equal([st.size, st.blocks], [5000, 16]);
      fails(e.ENOENT, m.open('f', c.O_RDONLY));
      fails(e.ENOENT, m.open('f', c.O_WRONLY));
      fails(e.ENOENT, m.chmod('f', 0o600));
      ok(m.unlink('f'));
    },
  },
  'the path to data goes through no symlink, and ends at a regular file': {
    lowers: [
      {
        a: metacopy(3, '~/link'),
        b: metacopy(3, '~/to/f'),
        c: metacopy(3, '~/x'),
        d: metacopy(3, '~/x/f/g'),
        e: metacopy(3, '~/p'),
      },
      {},
      { x: dir({ f: file('yes') }), to: symlink('x'), link: symlink('x/f'), p: symlink('nowhere') },
    ],
    run(m) {
      fails(e.ENOENT, m.open('a', c.O_RDONLY));
      fails(e.ELOOP, m.open('b', c.O_RDONLY));
      fails(e.ENOENT, m.open('c', c.O_RDONLY));
      fails(e.ENOTDIR, m.open('d', c.O_RDONLY));
      fails(e.ENOENT, m.open('e', c.O_RDONLY));
    },
  },
  'only a path from the root leads to a data-only layer': {
    lowers: [{ f: metacopy(7, 'data'), data: metacopy(7) }, { f: file('content'), data: file('content') }, {}],
    run(m) {
      fails(e.EIO, m.lstat('f'));
      fails(e.EIO, m.lstat('data'));
    },
  },
};

/** The fs-verity digest of `content` by SHA-256, as overlay.metacopy holds it. */
const DIGEST = 'c15b6e6213ea5aecdaf96900db4aac4e602757f6dbf13d2aab21919d21dfddfb';

function withDigest(hex: string): FileNode {
  return { ...metacopy(7), metacopy: Buffer.from(`00240001${hex}`, 'hex') };
}

const verityLowers: readonly Tree[] = [
  { good: withDigest(DIGEST), bad: withDigest('00'.repeat(32)), none: metacopy(7), plain: file('plain') },
  { good: file('content'), bad: file('content'), none: file('content') },
];

/** On a filesystem without fs-verity, where the kernel trusts nothing that has a digest. */
export function verityCases(mode: 'on' | 'require'): OverlayCases {
  return {
    [`verity=${mode}: data is what its digest says, or is not read`]: {
      lowers: verityLowers,
      run(m, t) {
        equal(lstat(m, 'bad').size, 7);
        fails(e.EIO, m.open('bad', c.O_RDONLY));
        fails(e.EIO, m.chmod('bad', 0o600));
        fails(e.EIO, m.open('bad', c.O_WRONLY));
        bytesAre(readFile(m, 'plain'), 'plain');
        if (!t.ours) {
          fails(e.EIO, m.open('good', c.O_RDONLY));
          return;
        }
        bytesAre(readFile(m, 'good'), 'content');
      },
    },
    [`verity=${mode}: a digest longer than any is ERANGE`]: {
      lowers: [{ f: file('content') }],
      upper: { f: { ...metacopy(7), metacopy: Buffer.from([0, 69, 0, 2, ...Buffer.alloc(65)]) } },
      run: (m) => fails(e.ERANGE, m.open('f', c.O_RDONLY)),
    },
    [`verity=${mode}: data without a digest`]: {
      lowers: verityLowers,
      run(m) {
        if (mode === 'require') {
          fails(e.EIO, m.open('none', c.O_RDONLY));
        } else {
          bytesAre(readFile(m, 'none'), 'content');
        }
      },
    },
    [`verity=${mode}: what is copied up by chmod`]: {
      lowers: verityLowers,
      run(m, t) {
        ok(m.chmod('plain', 0o600));
        equal(t.marked('plain', 'metacopy'), mode === 'require' ? null : '');
        bytesAre(readFile(m, 'plain'), 'plain');
      },
    },
  };
}

/** `metacopy=off` over data-only layers. */
export const dataOnlyOffCases: OverlayCases = {
  'metadata alone above another layer is not followed, whether that has the name or is known not to': {
    lowers: [{ f: metacopy(4, '~/data') }, { other: file('') }, { data: file('1234') }],
    needs: ['root'],
    run(m) {
      fails(e.EPERM, m.lstat('f'));
      names(m, '.');
      fails(e.EPERM, m.lstat('f'));
    },
  },
};
