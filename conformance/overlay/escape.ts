/** The overlay's private xattrs: hidden when they are real, escaped when a user sets them. */
import * as e from 'stratafs/internal/sys/errno';
import { names, readFile, writeFile } from '../calls.ts';
import { bytesAre, equal, fails, ok, truly } from '../expect.ts';
import { type OverlayCases, stored } from '../overlay-case.ts';
import type { Door } from '../target.ts';
import { dir, file } from '../tree.ts';

function listed(on: Door, path: string, prefix: string): string[] {
  return ok<string[]>(on.listxattr(path) as string[])
    .filter((name) => name.startsWith(prefix))
    .sort();
}

/** With trusted marks (the default) or user marks (`userxattr`): the same rules for the one prefix. */
export function escapeCases(own: 'trusted' | 'user', other: 'trusted' | 'user'): OverlayCases {
  const p = `${own}.overlay.`;
  const q = `${other}.overlay.`;
  return {
    [`${p}* set through the union is stored one level deeper`]: {
      lowers: [{ f: file('content'), d: dir({ x: file() }) }],
      async run(m, t) {
        for (const path of ['f', 'd']) {
          ok(m.setxattr(path, `${p}opaque`, 'y'));
          ok(m.setxattr(path, `${p}overlay.redirect`, '/x'));
          equal(stored(t.upper(), path, `${p}overlay.opaque`), 'y');
          equal(stored(t.upper(), path, `${p}overlay.overlay.redirect`), '/x');
          equal(stored(t.upper(), path, `${p}opaque`), null);
        }
        m = await t.remount();
        equal(names(m, 'd'), ['x']);
        equal(listed(m, 'd', p), [`${p}opaque`, `${p}overlay.redirect`]);
        bytesAre(m.getxattr('d', `${p}opaque`), 'y');
        ok(m.removexattr('d', `${p}opaque`));
        equal(stored(t.upper(), 'd', `${p}overlay.opaque`), null);
      },
    },
    [`${p} alone is no name`]: {
      lowers: [{ f: file('content') }],
      run(m, t) {
        for (const result of [m.setxattr('f', p, 'y'), m.getxattr('f', p), m.removexattr('f', p)]) {
          fails(e.EINVAL, result);
        }
        truly(!t.inUpper('f'), 'nothing is copied up for it');
      },
    },
    [`real ${p}* are neither listed nor read nor removed`]: {
      lowers: [{ f: file('content', { xattrs: { [`${p}nlink`]: 'U+0', 'user.seen': 'v' } }), d: dir({ x: file() }) }],
      upper: { d: dir({}, { xattrs: { [`${p}impure`]: 'y' } }) },
      run(m) {
        equal(listed(m, 'f', ''), ['user.seen']);
        fails(e.ENODATA, m.getxattr('f', `${p}nlink`));
        fails(e.ENODATA, m.removexattr('f', `${p}nlink`));
        equal(listed(m, 'd', p), []);
        fails(e.ENODATA, m.getxattr('d', `${p}impure`));
        fails(e.ENOTEMPTY, m.rmdir('d'));
      },
    },
    [`escaped ${p}* of a lower are shown, and copied up as they are; private ones are not`]: {
      lowers: [
        {
          f: file('content', {
            xattrs: { [`${p}overlay.opaque`]: 'y', [`${p}overlay.overlay.x`]: 'z', [`${p}nlink`]: 'U+0' },
          }),
        },
      ],
      run(m, t) {
        equal(listed(m, 'f', p), [`${p}opaque`, `${p}overlay.x`]);
        bytesAre(m.getxattr('f', `${p}opaque`), 'y');
        writeFile(m, 'f', 'changed');
        equal(listed(m, 'f', p), [`${p}opaque`, `${p}overlay.x`]);
        equal(stored(t.upper(), 'f', `${p}overlay.opaque`), 'y');
        equal(stored(t.upper(), 'f', `${p}overlay.overlay.x`), 'z');
        equal(stored(t.upper(), 'f', `${p}nlink`), null);
        bytesAre(readFile(m, 'f'), 'changed');
      },
    },
    [`a list with ${p}* in it asks for room`]: {
      lowers: [{ f: file('content') }],
      needs: ['vfs'],
      run(m, t) {
        ok(m.setxattr('f', `${p}opaque`, 'y'));
        const all = listed(m, 'f', '');
        const room = all.join('.').length + 1;
        if (t.ours) {
          equal(ok<string[]>(m.listxattr('f', room) as string[]).sort(), all);
        } else {
          // The kernel wants as much as the list takes in the upper, where it is escaped and has marks beside it.
          fails(e.ERANGE, m.listxattr('f', room));
        }
        fails(e.ERANGE, m.listxattr('f', room - 1));
        const value = 'v'.repeat(1000);
        ok(m.setxattr('f', `${p}long`, value));
        bytesAre(m.getxattr('f', `${p}long`, 1000), value);
        fails(e.ERANGE, m.getxattr('f', `${p}long`, 999));
      },
    },
    [`${p}* whose escape is longer than a name can be`]: {
      lowers: [{ f: file('content') }],
      run(m, t) {
        const longest = `${p}${'n'.repeat(255 - p.length - 'overlay.'.length)}`;
        ok(m.setxattr('f', longest, 'v'));
        bytesAre(m.getxattr('f', longest), 'v');
        equal(stored(t.upper(), 'f', `${p}overlay.${longest.slice(p.length)}`), 'v');
        for (const refused of [m.setxattr('f', `${longest}n`, 'v'), m.getxattr('f', `${longest}n`)]) {
          fails(e.EOPNOTSUPP, refused);
        }
        fails(e.EOPNOTSUPP, m.removexattr('f', `${longest}n`));
        fails(e.ERANGE, m.setxattr('f', `${p}${'n'.repeat(256 - p.length)}`, 'v'));
        ok(m.removexattr('f', longest));
      },
    },
    [`${p} with nothing behind it is no name`]: {
      lowers: [{ f: file('content') }],
      run(m, t) {
        fails(e.EINVAL, m.getxattr('f', p));
        fails(e.EINVAL, m.setxattr('f', p, 'v'));
        fails(e.EINVAL, m.removexattr('f', p));
        truly(!t.inUpper('f'), 'copied up for nothing');
      },
    },
    [`${q}* pass as any other xattr`]: {
      lowers: [{ f: file('content', { xattrs: { [`${q}origin`]: 'of the lower' } }) }],
      run(m, t) {
        bytesAre(m.getxattr('f', `${q}origin`), 'of the lower');
        ok(m.setxattr('f', `${q}opaque`, 'y'));
        equal(stored(t.upper(), 'f', `${q}opaque`), 'y');
        equal(stored(t.upper(), 'f', `${q}origin`), 'of the lower');
        equal(listed(m, 'f', q), [`${q}opaque`, `${q}origin`]);
      },
    },
  };
}
