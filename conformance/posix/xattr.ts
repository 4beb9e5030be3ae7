/** Extended attributes: every call, every namespace, and what moves with a file. */
import * as c from 'stratafs/internal/sys/constants';
import * as e from 'stratafs/internal/sys/errno';
import { lstat, names, open, readFile, writeFile } from '../calls.ts';
import { bytesAre, equal, fails, ok, truly } from '../expect.ts';
import type { Case, Cases, Door } from '../target.ts';
import { dir, fifo, file, hardlink, symlink } from '../tree.ts';

/** The names in a namespace, sorted: a filesystem may show system ones of its own. */
function listed(t: Door, path: string, prefix = 'user.'): string[] {
  return ok<string[]>(t.listxattr(path) as string[])
    .filter((name) => name.startsWith(prefix))
    .sort();
}

const binary: Buffer = Buffer.from(Array.from({ length: 256 }, (_, i) => i));

/** Names of the overlay's own marks, which through a mount are names like any other. */
const marks = ['opaque', 'redirect', 'metacopy', 'origin', 'impure', 'whiteout', 'nlink', 'upper', 'uuid', 'protattr'];

function overlayMarks(): Cases {
  const cases: Record<string, Case> = {};
  for (const prefix of ['trusted.overlay.', 'user.overlay.', 'trusted.overlay.overlay.', 'user.overlay.overlay.']) {
    cases[`${prefix}* set by a user of the tree are kept, shown and have no meaning`] = {
      needs: prefix.startsWith('trusted') ? ['root'] : [],
      tree: { f: file('content'), d: dir({ inside: file('x') }), other: file('o') },
      run(t) {
        for (const mark of marks) {
          const value = mark === 'redirect' ? '/other' : 'y';
          fails(e.ENODATA, t.getxattr('f', prefix + mark));
          ok(t.setxattr('f', prefix + mark, value));
          ok(t.setxattr('d', prefix + mark, value));
        }
        const all = marks.map((mark) => prefix + mark).sort();
        equal(listed(t, 'f', prefix), all);
        equal(listed(t, 'd', prefix), all);
        bytesAre(t.getxattr('d', `${prefix}redirect`), '/other');
        bytesAre(readFile(t, 'f'), 'content');
        equal(names(t, 'd'), ['inside']);
        equal(names(t, '.'), ['d', 'f', 'other']);
        ok(t.rename('f', 'moved'));
        equal(listed(t, 'moved', prefix), all);
        for (const mark of marks) {
          fails(e.EEXIST, t.setxattr('moved', prefix + mark, 'z', c.XATTR_CREATE));
          ok(t.removexattr('moved', prefix + mark));
          fails(e.ENODATA, t.removexattr('moved', prefix + mark));
        }
        equal(listed(t, 'moved', prefix), []);
      },
    };
  }
  return cases;
}

export const xattrCases: Cases = {
  ...overlayMarks(),
  'setxattr, getxattr, listxattr and removexattr on files and directories': {
    tree: {
      f: file('content', { xattrs: { 'user.there': 'before' } }),
      d: dir({}, { xattrs: { 'user.there': 'before' } }),
    },
    run(t) {
      for (const path of ['f', 'd']) {
        bytesAre(t.getxattr(path, 'user.there'), 'before');
        equal(listed(t, path), ['user.there']);
        ok(t.setxattr(path, 'user.a', '1'));
        ok(t.setxattr(path, 'user.b', ''));
        ok(t.setxattr(path, 'user.there', 'after, and longer'));
        equal(listed(t, path), ['user.a', 'user.b', 'user.there']);
        bytesAre(t.getxattr(path, 'user.there'), 'after, and longer');
        bytesAre(t.getxattr(path, 'user.b'), '');
        ok(t.removexattr(path, 'user.there'));
        fails(e.ENODATA, t.getxattr(path, 'user.there'));
        fails(e.ENODATA, t.removexattr(path, 'user.there'));
        equal(listed(t, path), ['user.a', 'user.b']);
      }
      bytesAre(readFile(t, 'f'), 'content');
    },
  },
  'XATTR_CREATE and XATTR_REPLACE': {
    tree: { f: file('content', { xattrs: { 'user.there': 'v' } }) },
    run(t) {
      fails(e.EEXIST, t.setxattr('f', 'user.there', 'w', c.XATTR_CREATE));
      fails(e.ENODATA, t.setxattr('f', 'user.new', 'w', c.XATTR_REPLACE));
      bytesAre(t.getxattr('f', 'user.there'), 'v');
      ok(t.setxattr('f', 'user.there', 'w', c.XATTR_REPLACE));
      ok(t.setxattr('f', 'user.new', 'x', c.XATTR_CREATE));
      bytesAre(t.getxattr('f', 'user.there'), 'w');
      equal(listed(t, 'f'), ['user.new', 'user.there']);
    },
  },
  'setxattr with flags that are none gives EINVAL': {
    tree: { f: file() },
    needs: ['vfs'],
    run(t) {
      fails(e.EINVAL, t.setxattr('f', 'user.a', 'v', 8));
    },
  },
  'values of any bytes, and of 2000 of them': {
    tree: { f: file('', { xattrs: { 'user.binary': binary } }) },
    run(t) {
      bytesAre(t.getxattr('f', 'user.binary'), binary);
      const long = Buffer.concat([binary, binary, binary, binary, binary, binary, binary]);
      ok(t.setxattr('f', 'user.binary', long));
      bytesAre(t.getxattr('f', 'user.binary'), long);
      ok(t.setxattr('f', 'user.nul', '\0'));
      bytesAre(t.getxattr('f', 'user.nul'), '\0');
    },
  },
  'xattr names of any bytes up to 255, no more': {
    tree: { f: file() },
    run(t) {
      const all = ['user.\xff\xfe', 'user.two words', 'user.a/b', `user.${'n'.repeat(250)}`, 'user..'];
      for (const name of all) {
        ok(t.setxattr('f', name, name));
        bytesAre(t.getxattr('f', name), name);
      }
      equal(listed(t, 'f'), [...all].sort());
      fails(e.ERANGE, t.setxattr('f', `user.${'n'.repeat(251)}`, 'v'));
      fails(e.ERANGE, t.setxattr('f', '', 'v'));
    },
  },
  'a buffer that is too small gives ERANGE': {
    tree: { f: file('', { xattrs: { 'user.a': 'twelve bytes', 'user.b': 'v' } }) },
    needs: ['vfs'],
    run(t) {
      fails(e.ERANGE, t.getxattr('f', 'user.a', 11));
      equal(ok<Buffer>(t.getxattr('f', 'user.a', 0) as Buffer).length, 12);
      bytesAre(t.getxattr('f', 'user.a', 12), 'twelve bytes');
      fails(e.ERANGE, t.listxattr('f', 8));
    },
  },
  'namespaces that do not exist give EOPNOTSUPP': {
    tree: { f: file() },
    run(t) {
      fails(e.EOPNOTSUPP, t.setxattr('f', 'nothing.a', 'v'));
      fails(e.EOPNOTSUPP, t.getxattr('f', 'nothing.a'));
      fails(e.EOPNOTSUPP, t.setxattr('f', 'noprefix', 'v'));
      fails(e.EOPNOTSUPP, t.removexattr('f', 'os2.a'));
    },
  },
  'user xattrs are for files and directories alone': {
    tree: { l: symlink('nowhere'), p: fifo() },
    run(t) {
      fails(e.EPERM, t.lsetxattr('l', 'user.a', 'v'));
      fails(e.EPERM, t.setxattr('p', 'user.a', 'v'));
      fails(e.ENODATA, t.lgetxattr('l', 'user.a'));
      fails(e.ENODATA, t.getxattr('p', 'user.a'));
      fails(e.EPERM, t.lremovexattr('l', 'user.a'));
    },
  },
  'trusted xattrs are for root, on every type': {
    needs: ['root'],
    tree: { f: file(), d: dir(), l: symlink('nowhere'), p: fifo() },
    run(t) {
      for (const path of ['f', 'd', 'l', 'p']) {
        ok(t.lsetxattr(path, 'trusted.a', path));
        bytesAre(t.lgetxattr(path, 'trusted.a'), path);
        truly(ok<string[]>(t.llistxattr(path) as string[]).includes('trusted.a'), `trusted.a of ${path} is listed`);
        t.as({ uid: 1000, gid: 1000 }, () => {
          fails(e.ENODATA, t.lgetxattr(path, 'trusted.a'));
          fails(e.EPERM, t.lsetxattr(path, 'trusted.b', 'v'));
          fails(e.EPERM, t.lremovexattr(path, 'trusted.a'));
        });
        ok(t.lremovexattr(path, 'trusted.a'));
        fails(e.ENODATA, t.lgetxattr(path, 'trusted.a'));
      }
    },
  },
  'trusted xattrs are not listed for others': {
    needs: ['root'],
    tree: { f: file('', { xattrs: { 'trusted.a': 'v', 'user.b': 'w' } }) },
    run(t) {
      t.as({ uid: 1000, gid: 1000 }, () => equal(t.listxattr('f'), ['user.b']));
      equal(listed(t, 'f', ''), ['trusted.a', 'user.b']);
    },
  },
  'xattrs through descriptors': {
    tree: { f: file('', { xattrs: { 'user.there': 'v' } }), d: dir() },
    run(t) {
      for (const path of ['f', 'd']) {
        const fd = open(t, path, c.O_RDONLY);
        ok(t.fsetxattr(fd, 'user.a', path));
        bytesAre(t.fgetxattr(fd, 'user.a'), path);
        bytesAre(t.getxattr(path, 'user.a'), path);
        truly(ok<string[]>(t.flistxattr(fd) as string[]).includes('user.a'), 'user.a is listed');
        ok(t.fremovexattr(fd, 'user.a'));
        fails(e.ENODATA, t.getxattr(path, 'user.a'));
      }
    },
  },
  'xattrs of what a symlink leads to, and of the symlink': {
    needs: ['root'],
    tree: { f: file('', { xattrs: { 'trusted.x': 'file' } }), l: symlink('f', { xattrs: { 'trusted.x': 'link' } }) },
    run(t) {
      bytesAre(t.getxattr('l', 'trusted.x'), 'file');
      bytesAre(t.lgetxattr('l', 'trusted.x'), 'link');
      ok(t.setxattr('l', 'trusted.y', 'through'));
      ok(t.lsetxattr('l', 'trusted.z', 'itself'));
      bytesAre(t.getxattr('f', 'trusted.y'), 'through');
      fails(e.ENODATA, t.getxattr('f', 'trusted.z'));
      bytesAre(t.lgetxattr('l', 'trusted.x'), 'link');
    },
  },
  'xattrs go with the file: write, chmod, rename, link': {
    tree: { f: file('content', { xattrs: { 'user.a': binary, 'user.b': '' } }), g: hardlink('f') },
    positions: ['plain', 'upper', 'merged', 'opaque', 'whiteouts', 'redirect'],
    run(t) {
      writeFile(t, 'f', 'changed');
      ok(t.chmod('f', 0o600));
      ok(t.rename('f', 'moved'));
      ok(t.link('moved', 'new'));
      for (const path of ['moved', 'new', 'g']) {
        bytesAre(t.getxattr(path, 'user.a'), binary);
        bytesAre(t.getxattr(path, 'user.b'), '');
      }
      ok(t.unlink('moved'));
      ok(t.setxattr('new', 'user.a', 'one for all'));
      bytesAre(t.getxattr('g', 'user.a'), 'one for all');
    },
  },
  'xattrs of a file from a lower are all kept by its copy-up': {
    tree: {
      f: file('content', { xattrs: { 'user.a': binary, 'user.b': '', [`user.${'n'.repeat(250)}`]: 'long name' } }),
      d: dir({ f: file() }, { xattrs: { 'user.of-dir': 'v' } }),
    },
    run(t) {
      ok(t.chmod('f', 0o600));
      ok(t.chmod('d/f', 0o600));
      equal(listed(t, 'f'), ['user.a', 'user.b', `user.${'n'.repeat(250)}`]);
      bytesAre(t.getxattr('f', 'user.a'), binary);
      equal(listed(t, 'd'), ['user.of-dir']);
      bytesAre(t.getxattr('d', 'user.of-dir'), 'v');
    },
  },
  'sixty xattrs on one file': {
    tree: { f: file() },
    run(t) {
      for (let i = 0; i < 60; i++) {
        ok(t.setxattr('f', `user.x${i}`, `value ${i}`));
      }
      equal(listed(t, 'f').length, 60);
      for (let i = 0; i < 60; i += 2) {
        ok(t.removexattr('f', `user.x${i}`));
      }
      equal(listed(t, 'f').length, 30);
      bytesAre(t.getxattr('f', 'user.x31'), 'value 31');
    },
  },
  'user xattrs on a directory with the sticky bit belong to its owner': {
    needs: ['root'],
    tree: { s: dir({}, { mode: 0o1777, uid: 500, gid: 500 }), d: dir({}, { mode: 0o777, uid: 500, gid: 500 }) },
    run(t) {
      t.as({ uid: 1000, gid: 1000 }, () => {
        fails(e.EPERM, t.setxattr('s', 'user.a', 'v'));
        ok(t.setxattr('d', 'user.a', 'v'));
      });
      t.as({ uid: 500, gid: 9 }, () => ok(t.setxattr('s', 'user.a', 'v')));
      equal(lstat(t, 's').mode & 0o7777, 0o1777);
    },
  },
  'security.capability by an ordinary user gives EPERM': {
    needs: ['root'],
    tree: { f: file('', { uid: 1000, gid: 1000 }) },
    run(t) {
      const capability = Buffer.from('0100000200040000000000000000000000000000', 'hex');
      t.as({ uid: 1000, gid: 1000 }, () => fails(e.EPERM, t.setxattr('f', 'security.capability', capability)));
      ok(t.setxattr('f', 'security.capability', capability));
      bytesAre(t.getxattr('f', 'security.capability'), capability);
      ok(t.removexattr('f', 'security.capability'));
    },
  },
};
