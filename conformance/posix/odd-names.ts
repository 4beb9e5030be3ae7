/** Names of any bytes, and names and paths of any length, at every call that takes one. */
import type { ByteString } from 'stratafs/internal/sys/bytes';
import * as c from 'stratafs/internal/sys/constants';
import * as e from 'stratafs/internal/sys/errno';
import { exists, lstat, names, open, readFile, writeFile } from '../calls.ts';
import { bytesAre, equal, fails, gives, ok, readable } from '../expect.ts';
import type { Position } from '../positions.ts';
import type { Case, Cases, Scene } from '../target.ts';
import { dir, file, symlink, type Tree } from '../tree.ts';

const odd: readonly ByteString[] = [
  ' ',
  'two words',
  '-rf',
  '...',
  '.hidden',
  'new\nline',
  'tab\there',
  '\x01\x7f',
  'back\\slash',
  'colon:name',
  'comma,name',
  '"quoted\'',
  '*?[a]',
  '~$`!',
  '%41',
  '\xc3\xa9', // é
  'e\xcc\x81', // é, decomposed
  '\xf0\x9f\x98\x80', // an emoji
  '\xff\xfe', // no UTF-8
  '\xc3', // half a character
  '\xed\xa0\x80', // a surrogate
  '.wh.file',
  '.wh..wh..opq',
  '#1',
  'work',
  'index',
  'constructor',
  '__proto__',
  'x'.repeat(255),
];

function oddNames(): Cases {
  const cases: Record<string, Case> = {};
  for (const name of odd) {
    cases[`the name "${readable(name).slice(0, 20)}" is a name like any other`] = {
      tree: { [name]: file('there'), d: dir({ [name]: dir({ [name]: file('deep') }) }) },
      run(t) {
        equal(names(t, '.'), [name, 'd'].sort());
        bytesAre(readFile(t, name), 'there');
        bytesAre(readFile(t, `d/${name}/${name}`), 'deep');
        writeFile(t, name, 'written');
        ok(t.unlink(`d/${name}/${name}`));
        equal(names(t, `d/${name}`), []);
        ok(t.rename(name, `d/${name}/${name}`));
        bytesAre(readFile(t, `d/${name}/${name}`), 'written');
        equal(exists(t, name), false);
        ok(t.symlink(name, name));
        equal(t.readlink(name), name);
        ok(t.unlink(name));
        ok(t.mkdir(name));
        ok(t.rmdir(name));
      },
    };
  }
  return cases;
}

/** Each call that takes a path, on that path; a second one is `f`. */
const calls: Readonly<Record<string, (t: Scene, path: ByteString) => unknown>> = {
  open: (t, path) => t.open(path, c.O_RDONLY),
  'open O_CREAT': (t, path) => t.open(path, c.O_CREAT | c.O_WRONLY, 0o600),
  'open O_CREAT|O_EXCL': (t, path) => t.open(path, c.O_CREAT | c.O_EXCL | c.O_WRONLY, 0o600),
  stat: (t, path) => t.stat(path),
  lstat: (t, path) => t.lstat(path),
  access: (t, path) => t.access(path, c.F_OK),
  chmod: (t, path) => t.chmod(path, 0o600),
  chown: (t, path) => t.chown(path, -1, -1),
  lchown: (t, path) => t.lchown(path, -1, -1),
  utimens: (t, path) => t.utimens(path, 'now', 'now'),
  lutimens: (t, path) => t.lutimens(path, 'now', 'now'),
  truncate: (t, path) => t.truncate(path, 0),
  mkdir: (t, path) => t.mkdir(path),
  rmdir: (t, path) => t.rmdir(path),
  unlink: (t, path) => t.unlink(path),
  'rename from': (t, path) => t.rename(path, 'new'),
  'rename to': (t, path) => t.rename('f', path),
  'link from': (t, path) => t.link(path, 'new'),
  'link to': (t, path) => t.link('f', path),
  symlink: (t, path) => t.symlink('x', path),
  readlink: (t, path) => t.readlink(path),
  mknod: (t, path) => t.mknod(path, c.S_IFIFO | 0o600),
  getxattr: (t, path) => t.getxattr(path, 'user.a'),
  lgetxattr: (t, path) => t.lgetxattr(path, 'user.a'),
  setxattr: (t, path) => t.setxattr(path, 'user.a', '1'),
  listxattr: (t, path) => t.listxattr(path),
  removexattr: (t, path) => t.removexattr(path, 'user.a'),
  statfs: (t, path) => t.statfs(path),
};

/** Calls that are about a last name, so that a symlink there is not followed. */
const creating = ['mkdir', 'rename to', 'link to', 'symlink', 'mknod', 'open O_CREAT|O_EXCL'];

/** Calls whose empty path `Sys` gives a meaning of its own: the directory of the descriptor. */
const emptyMeansItself = ['truncate', 'chmod', 'utimens', 'lutimens', 'lgetxattr'];

const few: readonly Position[] = ['plain', 'upper', 'lower', 'merged'];
const tree: Tree = {
  f: file('f', { xattrs: { 'user.a': 'v' } }),
  d: dir({ inside: file() }),
  loop: symlink('loop'),
  nowhere: symlink('nothing'),
};

const badPaths: readonly (readonly [what: string, path: ByteString, errno: number])[] = [
  ['a path through a file', 'f/x', e.ENOTDIR],
  ['a path through nothing', 'nothing/x', e.ENOENT],
  ['a path through a dangling symlink', 'nowhere/x', e.ENOENT],
  ['a path through a symlink loop', 'loop/x', e.ELOOP],
  ['a path through a file and back', 'f/../d', e.ENOTDIR],
  ['a path through nothing and back', 'nothing/../d', e.ENOENT],
  ['the empty path', '', e.ENOENT],
  ['a name of 256 bytes', 'x'.repeat(256), e.ENAMETOOLONG],
  ['a name of 256 bytes on the way', `${'x'.repeat(256)}/y`, e.ENAMETOOLONG],
  ['a path of 4096 bytes', `${'./'.repeat(2047)}zz`, e.ENAMETOOLONG],
];

function errnoTable(): Cases {
  const cases: Record<string, Case> = {};
  for (const [what, path, errno] of badPaths) {
    for (const [call, fn] of Object.entries(calls)) {
      if (path === '' && emptyMeansItself.includes(call)) {
        continue;
      }
      cases[`${call} on ${what} gives ${e.errnoName(errno)}`] = {
        tree,
        positions: few,
        run(t) {
          fails(errno, fn(t, path));
          equal(names(t, '.'), ['d', 'f', 'loop', 'nowhere']);
        },
      };
    }
  }
  return cases;
}

/** What a trailing slash means: the thing has to be a directory. */
function trailingSlashes(): Cases {
  const cases: Record<string, Case> = {};
  for (const [call, fn] of Object.entries(calls)) {
    if (creating.includes(call) || call === 'open O_CREAT') {
      continue;
    }
    cases[`${call} on a file with a trailing slash gives ENOTDIR`] = {
      tree,
      positions: few,
      run(t) {
        fails(e.ENOTDIR, fn(t, 'f/'));
        equal(names(t, '.'), ['d', 'f', 'loop', 'nowhere']);
      },
    };
  }
  return cases;
}

/** A directory 15 levels down whose path takes 3,855 bytes, so that both limits can be met exactly. */
const level = 'd'.repeat(255);
const levels = 15;

function deep(t: Scene): ByteString {
  let path = level;
  ok(t.mkdir(path));
  for (let i = 1; i < levels; i++) {
    path = `${path}/${level}`;
    ok(t.mkdir(path));
  }
  return path;
}

export const oddNameCases: Cases = {
  ...oddNames(),
  ...errnoTable(),
  ...trailingSlashes(),
  'O_CREAT with a trailing slash gives EISDIR': {
    positions: few,
    run(t) {
      fails(e.EISDIR, t.open('new/', c.O_CREAT | c.O_WRONLY, 0o600));
      equal(exists(t, 'new'), false);
    },
  },
  'a trailing slash when making what is no directory gives ENOENT': {
    tree: { f: file() },
    positions: few,
    run(t) {
      fails(e.ENOENT, t.mknod('new/', c.S_IFIFO | 0o600));
      fails(e.ENOENT, t.symlink('x', 'new/'));
      fails(e.ENOENT, t.link('f', 'new/'));
      equal(names(t, '.'), ['f']);
    },
  },
  'a name of 255 bytes works at every call, 256 at none': {
    tree: { ['n'.repeat(255)]: file('n') },
    run(t) {
      const name = 'n'.repeat(255);
      bytesAre(readFile(t, name), 'n');
      // With its data in the upper it needs no redirect, which the kernel cannot make that long.
      writeFile(t, name, 'n');
      ok(t.rename(name, 'm'.repeat(255)));
      ok(t.mkdir(name));
      ok(t.link('m'.repeat(255), `${name}/${'l'.repeat(255)}`));
      ok(t.symlink('x', 's'.repeat(255)));
      ok(t.unlink('m'.repeat(255)));
      bytesAre(readFile(t, `${name}/${'l'.repeat(255)}`), 'n');
      fails(e.ENAMETOOLONG, t.mkdir('n'.repeat(256)));
      fails(e.ENAMETOOLONG, t.rename(name, 'n'.repeat(256)));
    },
  },
  'a path of 4095 bytes works, one of 4096 does not': {
    positions: ['plain', 'upper', 'lower', 'whiteouts'],
    run(t) {
      const path = deep(t);
      for (const total of [4095, 4096]) {
        const at = `${path}/${'f'.repeat(total - path.length - 1)}`;
        equal(at.length, total);
        gives(total === 4095 ? 0 : e.ENAMETOOLONG, t.open(at, c.O_CREAT | c.O_WRONLY, 0o600));
        gives(total === 4095 ? 0 : e.ENAMETOOLONG, t.lstat(at));
        gives(total === 4095 ? 0 : e.ENAMETOOLONG, t.chmod(at, 0o640));
        gives(total === 4095 ? 0 : e.ENAMETOOLONG, t.unlink(at));
        gives(total === 4095 ? 0 : e.ENAMETOOLONG, t.mkdir(at));
        gives(total === 4095 ? 0 : e.ENAMETOOLONG, t.rename(at, 'moved'));
      }
    },
  },
  'a deep tree is moved and listed from the top': {
    positions: ['plain', 'upper', 'lower', 'whiteouts'],
    run(t) {
      const path = deep(t);
      writeFile(t, `${path}/f`, 'deep');
      ok(t.rename(level, 'moved'));
      bytesAre(readFile(t, `moved${path.slice(level.length)}/f`), 'deep');
      const fd = open(t, 'moved', c.O_RDONLY | c.O_DIRECTORY);
      ok(t.fsync(fd));
      equal(lstat(t, `moved${path.slice(level.length)}`).type, c.S_IFDIR);
    },
  },
  'a trailing slash on a symlink to a directory means the directory': {
    tree: { d: dir({ f: file('f') }), link: symlink('d') },
    run(t) {
      equal((ok(t.lstat('link/')) as ReturnType<typeof lstat>).type, c.S_IFDIR);
      equal(names(t, 'link/'), ['f']);
      fails(e.ENOTDIR, t.unlink('link/'));
      fails(e.ENOTDIR, t.rmdir('link/'));
      fails(e.EEXIST, t.mkdir('link/'));
      fails(e.ENOTDIR, t.rename('link/', 'new'));
    },
  },
  'slashes and dots in a path': {
    tree: { d: dir({ sub: dir({ f: file('f') }) }) },
    run(t) {
      for (const path of ['d//sub///f', './d/./sub/./f', 'd/sub/../sub/f', 'd/../d/sub/../../d/sub/f']) {
        bytesAre(readFile(t, path), 'f');
      }
      fails(e.ENOTDIR, t.lstat('d/sub/f/.'));
      fails(e.ENOTDIR, t.lstat('d/sub/f/..'));
    },
  },
};
