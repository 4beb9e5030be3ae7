/** Renames in a union: whiteouts behind, redirects and opaque marks ahead. */
import * as c from 'stratafs/internal/sys/constants';
import * as e from 'stratafs/internal/sys/errno';
import { lstat, names, open, readAll, readFile, writeFile } from '../calls.ts';
import { bytesAre, equal, fails, ok } from '../expect.ts';
import { isWhiteout, type OverlayCases } from '../overlay-case.ts';
import { dir, file, opaque, symlink, whiteout } from '../tree.ts';

const family = dir({ f: file('f'), sub: dir({ deep: file('deep') }) });

export const overlayRenameCases: OverlayCases = {
  'rename of a lower file leaves a whiteout and a copy': {
    lowers: [{ f: file('content', { mode: 0o604 }) }],
    async run(m, t) {
      ok(m.rename('f', 'moved'));
      const u = t.upper();
      equal(isWhiteout(u, 'f'), true);
      bytesAre(readFile(u, 'moved'), 'content');
      equal(names(m, '.'), ['moved']);
      m = await t.remount();
      equal(names(m, '.'), ['moved']);
      bytesAre(readFile(m, 'moved'), 'content');
    },
  },
  'rename of a lower file over another': {
    lowers: [{ f: file('f'), g: file('g') }],
    run(m, t) {
      ok(m.rename('f', 'g'));
      equal(isWhiteout(t.upper(), 'f'), true);
      bytesAre(readFile(t.upper(), 'g'), 'f');
      equal(names(m, '.'), ['g']);
    },
  },
  'rename of an upper file leaves nothing behind': {
    lowers: [{ a: file() }],
    upper: { f: file('f') },
    run(m, t) {
      ok(m.rename('f', 'moved'));
      equal(names(t.upper(), '.'), ['moved']);
    },
  },
  'rename of a lower file and back': {
    lowers: [{ f: file('content') }],
    run(m, t) {
      ok(m.rename('f', 'moved'));
      ok(m.rename('moved', 'f'));
      equal(names(t.upper(), '.'), ['f']);
      bytesAre(readFile(m, 'f'), 'content');
    },
  },
  'rename of a lower directory in its parent: a relative redirect': {
    lowers: [{ d: family }],
    async run(m, t) {
      const ino = lstat(m, 'd').ino;
      ok(m.rename('d', 'moved'));
      equal(t.marked('moved', 'redirect'), 'd');
      equal(isWhiteout(t.upper(), 'd'), true);
      equal(names(t.upper(), 'moved'), []);
      equal(names(m, 'moved'), ['f', 'sub']);
      m = await t.remount();
      equal(names(m, '.'), ['moved']);
      equal(names(m, 'moved'), ['f', 'sub']);
      bytesAre(readFile(m, 'moved/sub/deep'), 'deep');
      equal(lstat(m, 'moved').ino, ino, 'inode number');
      writeFile(m, 'moved/sub/deep', 'changed');
      bytesAre(readFile(t.upper(), 'moved/sub/deep'), 'changed');
    },
  },
  'rename of a lower directory into another: an absolute redirect': {
    lowers: [{ a: dir({ d: family }), b: dir({ x: file() }) }],
    async run(m, t) {
      ok(m.rename('a/d', 'b/moved'));
      equal(t.marked('b/moved', 'redirect'), `${t.at}/a/d`);
      equal(isWhiteout(t.upper(), 'a/d'), true);
      equal(names(m, 'b'), ['moved', 'x']);
      m = await t.remount();
      equal(names(m, 'a'), []);
      equal(names(m, 'b/moved'), ['f', 'sub']);
      bytesAre(readFile(m, 'b/moved/f'), 'f');
    },
  },
  'a second rename of a redirected directory keeps what the first one wrote': {
    lowers: [{ d: family, e: dir() }],
    async run(m, t) {
      ok(m.rename('d', 'one'));
      ok(m.rename('one', 'two'));
      equal(t.marked('two', 'redirect'), 'd');
      ok(m.rename('two', 'e/three'));
      equal(t.marked('e/three', 'redirect'), `${t.at}/d`);
      m = await t.remount();
      equal(names(m, 'e/three'), ['f', 'sub']);
      equal(names(m, '.'), ['e']);
      equal(names(t.upper(), '.'), ['d', 'e']);
    },
  },
  'a directory moved out of a redirected one is found where it was': {
    lowers: [{ d: family }],
    async run(m, t) {
      ok(m.rename('d', 'moved'));
      ok(m.rename('moved/sub', 'out'));
      equal(t.marked('out', 'redirect'), `${t.at}/d/sub`);
      m = await t.remount();
      equal(names(m, 'out'), ['deep']);
      equal(names(m, 'moved'), ['f']);
      ok(m.rename('out', 'moved/sub'));
      m = await t.remount();
      equal(names(m, 'moved'), ['f', 'sub']);
      bytesAre(readFile(m, 'moved/sub/deep'), 'deep');
    },
  },
  'a directory renamed inside a redirected one': {
    lowers: [{ d: family }],
    async run(m, t) {
      ok(m.rename('d', 'moved'));
      ok(m.rename('moved/sub', 'moved/renamed'));
      equal(t.marked('moved/renamed', 'redirect'), 'sub');
      m = await t.remount();
      equal(names(m, 'moved'), ['f', 'renamed']);
      bytesAre(readFile(m, 'moved/renamed/deep'), 'deep');
    },
  },
  'rename of a merged directory': {
    lowers: [{ d: dir({ b: file() }) }, { d: dir({ c: file() }) }],
    upper: { d: dir({ a: file() }), e: dir() },
    async run(m, t) {
      ok(m.rename('d', 'e/moved'));
      equal(names(m, 'e/moved'), ['a', 'b', 'c']);
      m = await t.remount();
      equal(names(m, 'e/moved'), ['a', 'b', 'c']);
      equal(isWhiteout(t.upper(), 'd'), true);
    },
  },
  'rename of an upper directory writes no redirect': {
    lowers: [{ a: dir() }],
    upper: { d: family },
    run(m, t) {
      ok(m.rename('d', 'moved'));
      ok(m.rename('moved', 'a/again'));
      equal(t.marked('a/again', 'redirect'), null);
      equal(names(t.upper(), '.'), ['a']);
      equal(names(m, 'a/again'), ['f', 'sub']);
    },
  },
  'rename of an upper directory over a whiteout makes it opaque': {
    lowers: [{ gone: dir({ hidden: file() }) }],
    upper: { d: family, gone: whiteout },
    async run(m, t) {
      ok(m.rename('d', 'gone'));
      equal(t.marked('gone', 'opaque'), 'y');
      m = await t.remount();
      equal(names(m, 'gone'), ['f', 'sub']);
    },
  },
  'rename of a lower directory, then a new one in its place': {
    lowers: [{ d: family }],
    async run(m, t) {
      ok(m.rename('d', 'moved'));
      ok(m.mkdir('d'));
      equal(t.marked('d', 'opaque'), 'y');
      writeFile(m, 'd/new', 'new');
      m = await t.remount();
      equal(names(m, 'd'), ['new']);
      equal(names(m, 'moved'), ['f', 'sub']);
    },
  },
  'two lower directories are exchanged': {
    lowers: [{ a: dir({ fa: file('a') }), b: dir({ fb: file('b') }) }],
    async run(m, t) {
      ok(m.rename('a', 'b', c.RENAME_EXCHANGE));
      equal([names(m, 'a'), names(m, 'b')], [['fb'], ['fa']]);
      equal([t.marked('a', 'redirect'), t.marked('b', 'redirect')], ['b', 'a']);
      m = await t.remount();
      equal([names(m, 'a'), names(m, 'b')], [['fb'], ['fa']]);
      bytesAre(readFile(m, 'a/fb'), 'b');
    },
  },
  'a lower directory and a lower file are exchanged': {
    lowers: [{ d: family, f: file('file') }],
    async run(m, t) {
      ok(m.rename('d', 'f', c.RENAME_EXCHANGE));
      bytesAre(readFile(m, 'd'), 'file');
      equal(names(m, 'f'), ['f', 'sub']);
      equal(t.marked('f', 'redirect'), 'd');
      m = await t.remount();
      bytesAre(readFile(m, 'd'), 'file');
      equal(names(m, 'f'), ['f', 'sub']);
    },
  },
  'an upper directory and a lower one are exchanged': {
    lowers: [{ l: family }],
    upper: { u: dir({ x: file() }) },
    async run(m, t) {
      ok(m.rename('u', 'l', c.RENAME_EXCHANGE));
      equal([names(m, 'l'), names(m, 'u')], [['x'], ['f', 'sub']]);
      equal([t.marked('l', 'opaque'), t.marked('u', 'redirect')], ['y', 'l']);
      m = await t.remount();
      equal([names(m, 'l'), names(m, 'u')], [['x'], ['f', 'sub']]);
    },
  },
  'rename of a lower symlink and over a lower symlink': {
    lowers: [{ l: symlink('target'), k: symlink('other') }],
    run(m, t) {
      ok(m.rename('l', 'k'));
      equal(m.readlink('k'), 'target');
      equal(t.upper().readlink('k'), 'target');
      equal(isWhiteout(t.upper(), 'l'), true);
    },
  },
  'rename of an open lower file keeps its readers': {
    lowers: [{ f: file('content') }],
    run(m) {
      const fd = open(m, 'f', c.O_RDONLY);
      ok(m.rename('f', 'moved'));
      bytesAre(readAll(m, fd), 'content');
      writeFile(m, 'moved', 'changed');
      bytesAre(readAll(m, fd), 'changed');
    },
  },
  'a redirect longer than 256 bytes gives EXDEV, and nothing is moved': {
    lowers: [{ ['a'.repeat(200)]: dir({ ['b'.repeat(200)]: family }), to: dir() }],
    run(m, t) {
      const from = `${'a'.repeat(200)}/${'b'.repeat(200)}`;
      fails(e.EXDEV, m.rename(from, 'to/moved'));
      equal(names(m, from), ['f', 'sub']);
      equal(names(m, 'to'), []);
      ok(m.rename(from, `${'a'.repeat(200)}/moved`));
      equal(t.marked(`${'a'.repeat(200)}/moved`, 'redirect'), 'b'.repeat(200));
    },
  },
  'a redirect in the upper is followed: relative': {
    lowers: [{ was: family }],
    upper: { is: dir({ own: file() }, { redirect: 'was' }), was: whiteout },
    run(m) {
      equal(names(m, '.'), ['is']);
      equal(names(m, 'is'), ['f', 'own', 'sub']);
      bytesAre(readFile(m, 'is/sub/deep'), 'deep');
    },
  },
  'a redirect in a middle layer is followed into the layers below it': {
    lowers: [
      { is: dir({ top: file() }) },
      { is: dir({ middle: file() }, { redirect: 'was' }), was: whiteout },
      { was: dir({ bottom: file() }), is: dir({ hidden: file() }) },
    ],
    run(m) {
      equal(names(m, 'is'), ['bottom', 'middle', 'top']);
      equal(names(m, '.'), ['is']);
    },
  },
  'a redirect to nothing shows the directory alone': {
    lowers: [{ other: dir({ x: file() }) }],
    upper: { is: dir({ own: file() }, { redirect: 'nowhere' }) },
    run(m) {
      equal(names(m, 'is'), ['own']);
    },
  },
  'a redirect to a file, and one to a whiteout, show the directory alone': {
    lowers: [{ wh: whiteout, f: file() }, { wh: dir({ hidden: file() }) }],
    upper: { 'to-file': dir({ own: file() }, { redirect: 'f' }), 'to-wh': dir({ own: file() }, { redirect: 'wh' }) },
    run(m) {
      equal(names(m, 'to-file'), ['own']);
      equal(names(m, 'to-wh'), ['own']);
    },
  },
  'an opaque directory with a redirect is opaque': {
    lowers: [{ was: family }],
    upper: { is: { ...opaque({ own: file() }), redirect: 'was' } },
    run(m) {
      equal(names(m, 'is'), ['own']);
    },
  },
  'a redirect through a symlink of the lower is not followed': {
    lowers: [{ real: dir({ d: family }), link: symlink('real') }],
    upper: { is: dir({ own: file() }, { redirect: 'link' }) },
    run(m) {
      equal(names(m, 'is'), ['own']);
    },
  },
  'a redirect with a slash that does not begin with one is refused': {
    lowers: [{ a: dir({ b: family }) }],
    upper: { is: dir({ own: file() }, { redirect: 'a/b' }), empty: dir({}, { redirect: '' }) },
    run(m) {
      fails(e.EINVAL, m.lstat('is'));
      fails(e.EINVAL, m.lstat('empty'));
    },
  },
};

/** With redirects off, a directory that lies in a lower cannot be renamed, and one that is pure can. */
export const noRedirectCases: OverlayCases = {
  'without redirects a lower directory gives EXDEV': {
    lowers: [{ d: family, e: dir(), f: file('f') }],
    upper: { u: family, merged: dir() },
    run(m, t) {
      fails(e.EXDEV, m.rename('d', 'moved'));
      fails(e.EXDEV, m.rename('d', 'e/moved'));
      fails(e.EXDEV, m.rename('u', 'd', c.RENAME_EXCHANGE));
      fails(e.EXDEV, m.rename('d', 'f', c.RENAME_EXCHANGE));
      fails(e.EEXIST, m.rename('d', 'e', c.RENAME_NOREPLACE));
      ok(m.rename('u', 'moved'));
      ok(m.rename('f', 'd/f2'));
      equal(names(m, '.'), ['d', 'e', 'merged', 'moved']);
      equal(t.marked('moved', 'redirect'), null);
    },
  },
  'without redirects a new directory needs no opaque mark where nothing is below': {
    lowers: [{ f: file() }],
    async run(m, t) {
      ok(m.mkdir('new'));
      writeFile(m, 'new/x', '');
      equal(names(m, 'new'), ['x']);
      ok(m.unlink('f'));
      ok(m.mkdir('f'));
      equal(t.marked('f', 'opaque'), 'y');
      m = await t.remount();
      equal(names(m, '.'), ['f', 'new']);
    },
  },
};

/** `redirect_dir=nofollow`: a redirect that is there anyway is refused. */
export const nofollowCases: OverlayCases = {
  'a redirect that may not be followed gives EPERM': {
    lowers: [{ was: family }],
    upper: { is: dir({ own: file() }, { redirect: 'was' }), plain: dir({ x: file() }) },
    run(m) {
      fails(e.EPERM, m.lstat('is'));
      fails(e.EPERM, m.open('is/own', c.O_RDONLY));
      equal(names(m, 'plain'), ['x']);
    },
  },
  'a redirect that nothing could be below is none': {
    lowers: [{ was: family }],
    upper: { up: dir({ is: dir({ own: file() }, { redirect: 'was' }), far: dir({}, { redirect: '/was' }) }) },
    run(m) {
      equal(names(m, 'up/is'), ['own']);
      equal(names(m, 'up/far'), []);
      ok(m.rmdir('up/far'));
    },
  },
};

/** `redirect_dir=follow`: redirects are followed and not made. */
export const followCases: OverlayCases = {
  'redirects are followed where they are not made': {
    lowers: [{ was: family, d: dir() }],
    upper: { is: dir({ own: file() }, { redirect: 'was' }), was: whiteout },
    run(m) {
      equal(names(m, 'is'), ['f', 'own', 'sub']);
      fails(e.EXDEV, m.rename('is', 'moved'));
      fails(e.EXDEV, m.rename('d', 'moved'));
    },
  },
};
