/** Opaque directories, and which layers a name is merged from. */
import * as e from 'stratafs/internal/sys/errno';
import { exists, lstat, names, readFile, writeFile } from '../calls.ts';
import { bytesAre, equal, fails, modeIs, ok } from '../expect.ts';
import { isWhiteout, type OverlayCases } from '../overlay-case.ts';
import { dir, file, opaque, symlink, whiteout } from '../tree.ts';

export const opaqueCases: OverlayCases = {
  'rm -rf and mkdir of a lower directory makes an opaque one': {
    lowers: [{ d: dir({ old: file('old'), sub: dir() }, { mode: 0o700 }) }],
    async run(m, t) {
      ok(m.unlink('d/old'));
      ok(m.rmdir('d/sub'));
      ok(m.rmdir('d'));
      ok(m.mkdir('d', 0o751));
      equal(t.marked('d', 'opaque'), 'y');
      modeIs(lstat(t.upper(), 'd').mode, 0o751);
      equal(names(m, 'd'), []);
      writeFile(m, 'd/new', 'new');
      m = await t.remount();
      equal(names(m, 'd'), ['new']);
      fails(e.ENOENT, m.lstat('d/old'));
    },
  },
  'removing in an opaque directory leaves nothing': {
    lowers: [{ d: dir({ f: file('below') }) }],
    upper: { d: opaque({ f: file('above'), g: file('above') }) },
    run(m, t) {
      equal(names(m, 'd'), ['f', 'g']);
      bytesAre(readFile(m, 'd/f'), 'above');
      ok(m.unlink('d/f'));
      equal(names(t.upper(), 'd'), ['g']);
      fails(e.ENOENT, m.lstat('d/f'));
    },
  },
  'mkdir in a merged directory with nothing below is opaque from the start': {
    lowers: [{ a: file() }],
    run(m, t) {
      ok(m.mkdir('new'));
      equal(t.marked('new', 'opaque'), 'y');
      ok(m.mkdir('new/sub'));
      equal(t.marked('new/sub', 'opaque'), null);
    },
  },
  'an opaque directory hides all lowers below it': {
    lowers: [{ d: dir({ b: file() }) }, { d: dir({ c: file() }) }],
    upper: { d: opaque({ a: file() }) },
    run(m) {
      equal(names(m, 'd'), ['a']);
      fails(e.ENOENT, m.lstat('d/b'));
      fails(e.ENOENT, m.lstat('d/c'));
    },
  },
  'an opaque directory in a middle layer hides what is below it and merges with what is above': {
    lowers: [{ d: dir({ b: file() }) }, { d: opaque({ c: file() }) }, { d: dir({ hidden: file() }) }],
    upper: { d: dir({ a: file() }) },
    run(m) {
      equal(names(m, 'd'), ['a', 'b', 'c']);
      fails(e.ENOENT, m.lstat('d/hidden'));
      ok(m.mkdir('d/hidden'));
      equal(names(m, 'd/hidden'), []);
    },
  },
  'a directory without the mark merges all the way down': {
    lowers: [{ d: dir({ b: file() }) }, {}, { d: dir({ c: file(), deep: dir({ f: file() }) }) }],
    upper: { d: dir({ a: file() }) },
    run(m) {
      equal(names(m, 'd'), ['a', 'b', 'c', 'deep']);
      equal(names(m, 'd/deep'), ['f']);
    },
  },
  'a file above a directory hides it': {
    lowers: [{ x: file('file') }, { x: dir({ hidden: file() }) }],
    run(m, t) {
      bytesAre(readFile(m, 'x'), 'file');
      fails(e.ENOTDIR, m.lstat('x/hidden'));
      ok(m.unlink('x'));
      equal(isWhiteout(t.upper(), 'x'), true);
      fails(e.ENOENT, m.lstat('x'));
    },
  },
  'a directory above a file hides it, and ends the merge': {
    lowers: [{ x: dir({ a: file() }) }, { x: file('file') }, { x: dir({ hidden: file() }) }],
    run(m) {
      equal(names(m, 'x'), ['a']);
      fails(e.ENOENT, m.lstat('x/hidden'));
      ok(m.unlink('x/a'));
      ok(m.rmdir('x'));
      fails(e.ENOENT, m.lstat('x'));
    },
  },
  'a symlink to a directory does not merge with one': {
    lowers: [{ x: symlink('other'), other: dir({ o: file() }) }, { x: dir({ hidden: file() }) }],
    run(m) {
      equal(m.readlink('x'), 'other');
      equal(names(m, 'x/'), ['o']);
      fails(e.ENOENT, m.lstat('x/hidden'));
    },
  },
  'attributes of a merged directory are those of the topmost': {
    lowers: [
      { d: dir({ a: file() }, { mode: 0o711, mtime: [100, 1], xattrs: { 'user.layer': 'top' } }) },
      { d: dir({ b: file() }, { mode: 0o777, mtime: [200, 2], xattrs: { 'user.layer': 'bottom', 'user.b': '' } }) },
    ],
    run(m, t) {
      const st = lstat(m, 'd');
      modeIs(st.mode, 0o711);
      equal([st.mtime, st.mtimeNsec], [100, 1]);
      bytesAre(m.getxattr('d', 'user.layer'), 'top');
      fails(e.ENODATA, m.getxattr('d', 'user.b'));
      ok(m.setxattr('d', 'user.new', 'v'));
      equal(t.inUpper('d'), true);
      modeIs(lstat(t.upper(), 'd').mode, 0o711);
      equal(names(m, 'd'), ['a', 'b']);
    },
  },
  'what is hidden stays hidden when its directory is copied up': {
    lowers: [{ d: dir({ f: whiteout, o: opaque({ x: file() }) }) }, { d: dir({ f: file(), o: dir({ y: file() }) }) }],
    async run(m, t) {
      ok(m.chmod('d', 0o700));
      ok(m.chmod('d/o', 0o700));
      equal(names(m, 'd'), ['o']);
      equal(names(m, 'd/o'), ['x']);
      m = await t.remount();
      equal(names(m, 'd'), ['o']);
      equal(names(m, 'd/o'), ['x']);
    },
  },
  'values of the mark other than y do not make a directory opaque': {
    lowers: [{ d: dir({ below: file() }), n: dir({ below: file() }) }],
    upper: {
      d: dir({ a: file() }, { xattrs: { 'trusted.overlay.opaque': 'n' } }),
      n: dir({ a: file() }, { xattrs: { 'trusted.overlay.opaque': 'yy' } }),
    },
    run(m) {
      equal(names(m, 'd'), ['a', 'below']);
      equal(names(m, 'n'), ['a', 'below']);
    },
  },
  'a merged directory can be emptied, removed and made again, twice': {
    lowers: [{ d: dir({ b: file() }) }, { d: dir({ c: file() }) }],
    upper: { d: dir({ a: file() }) },
    async run(m, t) {
      for (const round of ['1', '2']) {
        for (const name of names(m, 'd')) {
          ok(m.unlink(`d/${name}`));
        }
        ok(m.rmdir('d'));
        equal(exists(m, 'd'), false);
        ok(m.mkdir('d'));
        writeFile(m, `d/${round}`, round);
        m = await t.remount();
        equal(names(m, 'd'), [round]);
      }
    },
  },
};
