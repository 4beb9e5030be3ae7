/**
 * Whiteouts that are empty regular files: in lowers whose directories are marked for them, in ones
 * that are not, and in the upper.
 */
import * as c from 'stratafs/internal/sys/constants';
import * as e from 'stratafs/internal/sys/errno';
import { names, readFile, writeFile } from '../calls.ts';
import { bytesAre, equal, fails, ok } from '../expect.ts';
import { type OverlayCases, stored } from '../overlay-case.ts';
import { dir, type FileNode, file, symlink } from '../tree.ts';

/** The cases by the prefix of the overlay's own attributes. */
export function xwhiteoutCases(own: 'trusted' | 'user'): OverlayCases {
  const gone = (data = ''): FileNode => file(data, { xattrs: { [`${own}.overlay.whiteout`]: '' } });
  const marked = { xattrs: { [`${own}.overlay.opaque`]: 'x' } };
  return {
    'an xattr whiteout hides the name in the layers below it': {
      lowers: [
        { above: file('above'), d: dir({ above: file('above') }) },
        { d: dir({ f: gone(), sub: gone(), above: gone(), nothing: gone(), shown: file('2') }, marked) },
        {
          d: dir({ f: file('3'), sub: dir({ x: file() }), above: file('3'), shown: file('3'), low: file('3') }),
        },
      ],
      run(m) {
        equal(names(m, 'd'), ['above', 'low', 'shown']);
        bytesAre(readFile(m, 'd/shown'), '2');
        bytesAre(readFile(m, 'd/above'), 'above');
        for (const path of ['d/f', 'd/sub', 'd/sub/x', 'd/nothing']) {
          fails(e.ENOENT, m.lstat(path));
        }
        fails(e.ENOENT, m.unlink('d/f'));
        fails(e.ENOENT, m.rename('d/sub', 'd/new'));
      },
    },
    'neither content nor another type nor another name makes an xattr whiteout': {
      lowers: [
        {
          d: dir(
            {
              f: gone('content'),
              sub: dir({}, { xattrs: { [`${own}.overlay.whiteout`]: '' } }),
              other: file('', { xattrs: { [`${own}.overlay.overlay.whiteout`]: '' } }),
              empty: file(),
            },
            marked,
          ),
        },
        {},
      ],
      run(m) {
        equal(names(m, 'd'), ['empty', 'f', 'other', 'sub']);
        bytesAre(readFile(m, 'd/f'), 'content');
        equal(ok<string[]>(m.listxattr('d/f') as string[]), []);
        bytesAre(m.getxattr('d/other', `${own}.overlay.whiteout`), '');
      },
    },
    'a directory marked for xattr whiteouts is not opaque': {
      lowers: [{ d: dir({ a: file() }, marked) }, { d: dir({ b: file() }) }],
      run(m, t) {
        equal(names(m, 'd'), ['a', 'b']);
        fails(e.ENODATA, m.getxattr('d', `${own}.overlay.opaque`));
        writeFile(m, 'd/a', 'changed');
        equal(stored(t.upper(), 'd', `${own}.overlay.opaque`), null);
        equal(names(m, 'd'), ['a', 'b']);
      },
    },
    'an xattr whiteout counts where its directory is not marked, though it may be listed': {
      lowers: [{ d: dir({ f: gone() }) }, { d: dir({ f: file('hidden') }) }],
      run(m) {
        fails(e.ENOENT, m.lstat('d/f'));
        fails(e.ENOENT, m.open('d/f', c.O_RDONLY));
        writeFile(m, 'd/f', 'made');
        bytesAre(readFile(m, 'd/f'), 'made');
        equal(names(m, 'd'), ['f']);
      },
    },
    'what an xattr whiteout has hidden is made anew': {
      lowers: [
        { d: dir({ f: gone(), sub: gone(), link: gone() }, marked) },
        { d: dir({ f: file('old'), sub: dir({ x: file() }), link: symlink('x') }), other: file('other') },
      ],
      async run(m) {
        writeFile(m, 'd/f', 'made');
        ok(m.mkdir('d/sub'));
        ok(m.link('other', 'd/link'));
        equal(names(m, 'd'), ['f', 'link', 'sub']);
        equal(names(m, 'd/sub'), []);
        ok(m.unlink('d/f'));
        fails(e.ENOENT, m.lstat('d/f'));
        equal(names(m, 'd'), ['link', 'sub']);
      },
    },
    'removing what an xattr whiteout hides from below needs no whiteout of its own': {
      lowers: [{ d: dir({ f: gone() }, marked) }, { d: dir({ f: file('hidden') }) }],
      upper: { d: dir({ f: file('upper') }) },
      run(m, t) {
        ok(m.unlink('d/f'));
        equal(names(t.upper(), 'd'), []);
        fails(e.ENOENT, m.lstat('d/f'));
        equal(names(m, 'd'), []);
      },
    },
    'an xattr whiteout in the upper hides the name, and gives way': {
      lowers: [{ f: file('lower'), g: file('lower'), d: dir({ x: file() }), from: dir({ y: file() }) }],
      upper: { f: gone(), g: gone(), d: gone(), h: gone() },
      async run(m, t) {
        for (const path of ['f', 'g', 'd', 'h']) {
          fails(e.ENOENT, m.lstat(path));
        }
        writeFile(m, 'f', 'made');
        ok(m.rename('f', 'g'));
        // The old name's whiteout is the one that stood at the new name.
        equal(stored(t.upper(), 'f', `${own}.overlay.whiteout`), '');
        fails(e.ENOENT, m.lstat('f'));
        ok(m.mkdir('d'));
        equal(t.marked('d', 'opaque'), 'y');
        ok(m.rename('d', 'h'));
        ok(m.symlink('x', 'd'));
        m = await t.remount();
        fails(e.ENOENT, m.lstat('f'));
        bytesAre(readFile(m, 'g'), 'made');
        equal(ok<string>(m.readlink('d') as string), 'x');
        equal(names(m, 'h'), []);
      },
    },
    'a directory of which only xattr whiteouts are left is listed as empty': {
      lowers: [{ d: dir({ f: gone() }, marked) }, { d: dir({ f: file('hidden') }) }],
      run(m) {
        equal(names(m, 'd'), []);
      },
    },
    'xattr whiteouts of the lowest layer are no entries': {
      lowers: [{ d: dir({ f: gone(), g: file('g') }, marked) }],
      run(m, t) {
        fails(e.ENOENT, m.lstat('d/f'));
        if (t.ours) {
          // The kernel lists what it need not merge as it lies there.
          equal(names(m, 'd'), ['g']);
        }
      },
    },
  };
}
