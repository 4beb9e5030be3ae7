/** Whiteouts: where removing leaves one, what hides behind one, what comes over one. */
import * as c from 'stratafs/internal/sys/constants';
import * as e from 'stratafs/internal/sys/errno';
import { exists, list, lstat, names, open, readFile, writeFile } from '../calls.ts';
import { bytesAre, equal, fails, modeIs, ok } from '../expect.ts';
import { isWhiteout, type OverlayCase, type OverlayCases } from '../overlay-case.ts';
import type { Door } from '../target.ts';
import { chr, dir, fifo, file, type Node, socket, symlink, whiteout } from '../tree.ts';

const kinds: Readonly<Record<string, Node>> = {
  file: file('content'),
  'empty directory': dir(),
  symlink: symlink('nowhere'),
  fifo: fifo(),
  socket: socket(),
  device: chr(0x103),
};

function remove(m: Door, path: string, kind: string): void {
  ok(kind === 'empty directory' ? m.rmdir(path) : m.unlink(path));
}

function removals(): OverlayCases {
  const cases: Record<string, OverlayCase> = {};
  for (const [kind, node] of Object.entries(kinds)) {
    cases[`removing a lower ${kind} leaves a 0:0 device in the upper`] = {
      lowers: [{ gone: node, stays: file('s') }],
      async run(m, t) {
        remove(m, 'gone', kind);
        const st = lstat(t.upper(), 'gone');
        equal([st.type, st.rdev, st.size], [c.S_IFCHR, 0, 0]);
        modeIs(st.mode, 0);
        fails(e.ENOENT, m.lstat('gone'));
        equal(names(m, '.'), ['stays']);
        equal(names(t.upper(), '.'), ['gone']);
        m = await t.remount();
        fails(e.ENOENT, m.lstat('gone'));
        equal(names(m, '.'), ['stays']);
      },
    };
    cases[`removing an upper ${kind} leaves nothing`] = {
      lowers: [{ stays: file('s') }],
      upper: { gone: node },
      run(m, t) {
        remove(m, 'gone', kind);
        equal(names(t.upper(), '.'), []);
        equal(names(m, '.'), ['stays']);
      },
    };
    cases[`removing an upper ${kind} that hides a lower file leaves a whiteout`] = {
      lowers: [{ gone: file('of the lower') }],
      upper: { gone: node },
      run(m, t) {
        remove(m, 'gone', kind);
        equal(isWhiteout(t.upper(), 'gone'), true);
        equal(names(m, '.'), []);
        fails(e.ENOENT, m.open('gone', c.O_RDONLY));
      },
    };
    cases[`a ${kind} is renamed onto a whiteout`] = {
      lowers: [{ gone: file('of the lower'), from: node }],
      async run(m, t) {
        ok(m.unlink('gone'));
        ok(m.rename('from', 'gone'));
        equal(isWhiteout(t.upper(), 'gone'), false);
        equal(isWhiteout(t.upper(), 'from'), true);
        equal(names(m, '.'), ['gone']);
        m = await t.remount();
        equal(names(m, '.'), ['gone']);
        equal(lstat(m, 'gone').type, lstat(t.lower(0), 'from').type);
      },
    };
  }
  return cases;
}

const makers: Readonly<Record<string, (m: Door) => void>> = {
  'a file': (m) => writeFile(m, 'name', 'anew'),
  'a directory': (m) => ok(m.mkdir('name', 0o751)),
  'a symlink': (m) => ok(m.symlink('anew', 'name')),
  'a FIFO': (m) => ok(m.mknod('name', c.S_IFIFO | 0o640)),
  'a device': (m) => ok(m.mknod('name', c.S_IFCHR | 0o640, 0x105)),
  'a hard link': (m) => ok(m.link('other', 'name')),
  'an unnamed file': (m) => ok(m.linkFd(open(m, '.', c.O_TMPFILE | c.O_RDWR, 0o640), 'name')),
};

function recreations(): OverlayCases {
  const cases: Record<string, OverlayCase> = {};
  for (const [below, node] of [
    ['a file', file('old', { mode: 0o600 })],
    ['a full directory', dir({ inside: file('old'), sub: dir({ deep: file('old') }) })],
  ] as const) {
    for (const [label, make] of Object.entries(makers)) {
      cases[`${label} comes over the whiteout of ${below}`] = {
        lowers: [{ name: node, other: file('other') }],
        needs: label === 'a device' ? ['root'] : [],
        async run(m, t) {
          if (node.type === 'dir') {
            ok(m.unlink('name/inside'));
            ok(m.unlink('name/sub/deep'));
            ok(m.rmdir('name/sub'));
            ok(m.rmdir('name'));
          } else {
            ok(m.unlink('name'));
          }
          equal(isWhiteout(t.upper(), 'name'), true);
          make(m);
          equal(isWhiteout(t.upper(), 'name'), false);
          const made = lstat(m, 'name');
          equal(t.marked('name', 'opaque'), made.type === c.S_IFDIR ? 'y' : null);
          equal(names(m, '.'), ['name', 'other']);
          m = await t.remount();
          equal(lstat(m, 'name').type, made.type);
          equal(lstat(m, 'name').mode, made.mode);
          if (made.type === c.S_IFDIR) {
            equal(names(m, 'name'), []);
          }
          remove(m, 'name', made.type === c.S_IFDIR ? 'empty directory' : '');
          equal(isWhiteout(t.upper(), 'name'), true);
          equal(names(m, '.'), ['other']);
        },
      };
    }
  }
  return cases;
}

/** What a listing says of an entry. */
function typeIn(m: Door, name: string): number | undefined {
  return list(m, '.').find((entry) => entry.name === name)?.type;
}

/** Removes a whiteout of the user's with the mark that it has put on its directory, which no upper of the kernel's has. */
function takeBack(m: Door, name: string): void {
  ok(m.unlink(name));
  for (const xattr of ok<string[]>(m.listxattr('.') as string[])) {
    if (xattr.endsWith('.overlay.opaque')) {
      ok(m.removexattr('.', xattr));
    }
  }
}

export const whiteoutCases: OverlayCases = {
  ...removals(),
  ...recreations(),
  'removing a copied-up file leaves a whiteout in its place': {
    lowers: [{ f: file('content') }],
    run(m, t) {
      ok(m.chmod('f', 0o600));
      equal(t.inUpper('f'), true);
      ok(m.unlink('f'));
      equal(isWhiteout(t.upper(), 'f'), true);
      fails(e.ENOENT, m.stat('f'));
    },
  },
  'removing a file does not copy it up': {
    lowers: [{ d: dir({ f: file('content') }) }],
    run(m, t) {
      ok(m.unlink('d/f'));
      equal(names(t.upper(), 'd'), ['f']);
      equal(isWhiteout(t.upper(), 'd/f'), true);
    },
  },
  'removing each of two names of a lower file': {
    lowers: [{ f: file('content'), g: { type: 'hardlink', to: 'f' } }],
    run(m, t) {
      ok(m.unlink('f'));
      bytesAre(readFile(m, 'g'), 'content');
      ok(m.unlink('g'));
      equal([isWhiteout(t.upper(), 'f'), isWhiteout(t.upper(), 'g')], [true, true]);
      equal(names(m, '.'), []);
    },
  },
  'a whiteout in the upper hides the name in every lower': {
    lowers: [{ f: file('1'), a: file() }, { f: dir({ x: file() }) }, { f: file('3'), b: file() }],
    upper: { f: whiteout },
    run(m) {
      fails(e.ENOENT, m.lstat('f'));
      fails(e.ENOENT, m.lstat('f/x'));
      fails(e.ENOENT, m.unlink('f'));
      fails(e.ENOENT, m.rename('f', 'g'));
      fails(e.ENOENT, m.chmod('f', 0o600));
      equal(names(m, '.'), ['a', 'b']);
    },
  },
  'a whiteout in a middle layer hides what is below and not what is above': {
    lowers: [
      { above: file('above'), aboveDir: dir({ top: file() }) },
      { above: whiteout, aboveDir: whiteout, below: whiteout, belowDir: whiteout },
      {
        above: file('hidden'),
        aboveDir: dir({ hidden: file() }),
        below: file('hidden'),
        belowDir: dir({ hidden: file() }),
        shown: file('shown'),
      },
    ],
    run(m) {
      equal(names(m, '.'), ['above', 'aboveDir', 'shown']);
      equal(names(m, 'aboveDir'), ['top']);
      bytesAre(readFile(m, 'above'), 'above');
      fails(e.ENOENT, m.lstat('below'));
      fails(e.ENOENT, m.lstat('belowDir/hidden'));
      fails(e.ENOENT, m.lstat('aboveDir/hidden'));
      ok(m.mkdir('belowDir'));
      equal(names(m, 'belowDir'), []);
    },
  },
  'removing what a lower whiteout hides from below needs no whiteout of its own': {
    lowers: [{ f: whiteout }, { f: file('hidden') }],
    upper: { f: file('upper') },
    run(m, t) {
      ok(m.unlink('f'));
      equal(exists(t.upper(), 'f'), false);
      fails(e.ENOENT, m.lstat('f'));
      equal(names(m, '.'), []);
    },
  },
  'a whiteout of nothing is no entry': {
    lowers: [{ a: file() }],
    upper: { f: whiteout },
    run(m) {
      equal(names(m, '.'), ['a']);
      fails(e.ENOENT, m.lstat('f'));
      writeFile(m, 'f', 'made');
      bytesAre(readFile(m, 'f'), 'made');
    },
  },
  'a whiteout in the lowest layer is no entry': {
    lowers: [{ a: file() }, { f: whiteout, d: dir({ g: whiteout, h: file() }) }],
    run(m, t) {
      fails(e.ENOENT, m.lstat('f'));
      fails(e.ENOENT, m.lstat('d/g'));
      if (t.ours) {
        // The kernel lists a whiteout that hides nothing where it need not merge.
        equal(names(m, '.'), ['a', 'd']);
        equal(names(m, 'd'), ['h']);
      }
      writeFile(m, 'f', 'made');
      writeFile(m, 'd/g', 'made');
      equal(names(m, 'd'), ['g', 'h']);
      equal(names(m, '.'), ['a', 'd', 'f']);
    },
  },
  'a directory full of whiteouts can be removed': {
    lowers: [{ d: dir({ a: file(), b: dir({ c: file() }), l: symlink('x') }) }],
    async run(m, t) {
      ok(m.unlink('d/a'));
      ok(m.unlink('d/b/c'));
      ok(m.rmdir('d/b'));
      ok(m.unlink('d/l'));
      equal(names(t.upper(), 'd'), ['a', 'b', 'l']);
      ok(m.rmdir('d'));
      equal(isWhiteout(t.upper(), 'd'), true);
      equal(names(m, '.'), []);
      m = await t.remount();
      equal(names(m, '.'), []);
    },
  },
  'an opaque directory full of whiteouts can be removed': {
    lowers: [{ d: dir({ x: file() }) }],
    upper: { d: { type: 'dir', opaque: true, entries: { x: whiteout } } },
    run(m, t) {
      ok(m.rmdir('d'));
      equal(isWhiteout(t.upper(), 'd'), true);
      equal(names(m, '.'), []);
    },
  },
  'a directory is renamed onto a directory full of whiteouts': {
    lowers: [{ d: dir({ a: file() }) }],
    upper: { from: dir({ new: file('new') }) },
    async run(m, t) {
      ok(m.unlink('d/a'));
      ok(m.rename('from', 'd'));
      equal(names(m, 'd'), ['new']);
      equal(t.marked('d', 'opaque'), 'y');
      equal(names(t.upper(), 'd'), ['new']);
      m = await t.remount();
      equal(names(m, '.'), ['d']);
      equal(names(m, 'd'), ['new']);
    },
  },
  'rm -rf of a lower tree leaves one whiteout': {
    lowers: [{ d: dir({ a: file(), b: dir({ c: dir({ f: file() }) }) }), stays: file() }],
    run(m, t) {
      ok(m.unlink('d/b/c/f'));
      ok(m.rmdir('d/b/c'));
      ok(m.rmdir('d/b'));
      ok(m.unlink('d/a'));
      ok(m.rmdir('d'));
      equal(names(t.upper(), '.'), ['d']);
      equal(isWhiteout(t.upper(), 'd'), true);
      equal(names(m, '.'), ['stays']);
    },
  },
  "a device 0:0 made through the union is the user's own whiteout, which the kernel refuses": {
    lowers: [{ f: file('content') }],
    upper: {},
    run(m, t) {
      if (t.ours) {
        ok(m.mknod('new', c.S_IFCHR | 0o600, 0));
        equal([isWhiteout(m, 'new'), lstat(m, 'new').mode & 0o7777], [true, 0o600]);
        equal(typeIn(m, 'new'), c.DT_CHR);
        equal(lstat(t.upper(), 'new').type, c.S_IFREG);
        takeBack(m, 'new');
      } else {
        fails(e.EPERM, m.mknod('new', c.S_IFCHR | 0o600, 0));
      }
      equal(names(m, '.'), ['f']);
      equal(t.inUpper('new'), false);
      ok(m.utimens('.', [1, 0], [1, 0]));
    },
  },
  'RENAME_WHITEOUT that fails leaves no mark on the directory': {
    lowers: [{ f: file('f') }],
    upper: { p: dir({ d: dir(), full: dir({ x: file() }) }) },
    run(m, t) {
      fails(t.ours ? e.ENOTEMPTY : e.EINVAL, m.rename('p/d', 'p/full', c.RENAME_WHITEOUT));
      equal(names(m, 'p'), ['d', 'full']);
      fails(e.ENODATA, m.getxattr('p', t.mark('opaque')));
    },
  },
  "RENAME_WHITEOUT through the union leaves the user's own whiteout, which the kernel refuses": {
    lowers: [{ f: file('content') }],
    run(m, t) {
      if (t.ours) {
        ok(m.rename('f', 'new', c.RENAME_WHITEOUT));
        equal([isWhiteout(m, 'f'), typeIn(m, 'f')], [true, c.DT_CHR]);
        takeBack(m, 'f');
        ok(m.rename('new', 'f'));
      } else {
        fails(e.EINVAL, m.rename('f', 'new', c.RENAME_WHITEOUT));
        ok(m.chmod('f', 0o644));
      }
      equal(names(m, '.'), ['f']);
      bytesAre(readFile(m, 'f'), 'content');
      ok(m.utimens('.', [1, 0], [1, 0]));
    },
  },
  'a 1:3 device is a device and no whiteout': {
    lowers: [{ dev: chr(0x103), f: file() }],
    needs: ['root'],
    run(m) {
      equal(names(m, '.'), ['dev', 'f']);
      equal(lstat(m, 'dev').rdev, 0x103);
    },
  },
};
