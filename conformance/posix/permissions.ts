/** Who may do what: owner, group, others, sticky and set-group-ID directories, root's privileges. */
import * as c from 'stratafs/internal/sys/constants';
import * as e from 'stratafs/internal/sys/errno';
import { exists, lstat, names, open, readAll, readFile, writeAll, writeFile } from '../calls.ts';
import { bytesAre, equal, fails, gives, modeIs, ok } from '../expect.ts';
import type { Case, Cases, Who } from '../target.ts';
import { dir, file, symlink, type Tree } from '../tree.ts';

const owner = { uid: 1000, gid: 1000 };
const stranger: Who = { uid: 3000, gid: 3000 };

/** Each class of callers, by the shift of its three bits; everything is owned by 1000:2000. */
const classes: readonly (readonly [string, Who, number])[] = [
  ['the owner', { uid: 1000, gid: 9 }, 6],
  ['the owner, a member of the group', { uid: 1000, gid: 2000 }, 6],
  ['the group', { uid: 3000, gid: 2000 }, 3],
  ['a supplementary group', { uid: 3000, gid: 3000, groups: [4, 2000] }, 3],
  ['others', stranger, 0],
];

const eight = [0, 1, 2, 3, 4, 5, 6, 7];

/** One object for each set of three bits of one class; the other classes have the opposite bits. */
function perMode(shift: number, make: (mode: number) => Tree[string]): Tree {
  return Object.fromEntries(
    eight.map((bits) => [`m${bits}`, make((0o777 & ~(7 << shift) & (bits === 7 ? 0 : 0o777)) | (bits << shift))]),
  );
}

/** 0 when `bits` has all of `need`, else EACCES. */
function verdict(bits: number, need: number): number {
  return (bits & need) === need ? 0 : e.EACCES;
}

function matrix(): Cases {
  const cases: Record<string, Case> = {};
  const owned = { uid: 1000, gid: 2000 };
  for (const [label, who, shift] of classes) {
    cases[`${label}: which bits open a file`] = {
      needs: ['root'],
      tree: perMode(shift, (mode) => file('content', { ...owned, mode })),
      run(t) {
        t.as(who, () => {
          for (const bits of eight) {
            const path = `m${bits}`;
            gives(verdict(bits, 4), t.open(path, c.O_RDONLY));
            gives(verdict(bits, 2), t.open(path, c.O_WRONLY));
            gives(verdict(bits, 6), t.open(path, c.O_RDWR));
            gives(verdict(bits, 6), t.open(path, c.O_RDONLY | c.O_TRUNC));
            gives(verdict(bits, 2), t.truncate(path, 3));
            for (const mask of [c.R_OK, c.W_OK, c.X_OK, c.R_OK | c.W_OK | c.X_OK]) {
              gives(verdict(bits, mask), t.access(path, mask));
            }
            gives(verdict(bits, 2), t.setxattr(path, 'user.a', 'v'));
            gives((bits & 4) === 0 ? e.EACCES : (bits & 2) === 0 ? e.ENODATA : 0, t.getxattr(path, 'user.a'));
          }
        });
      },
    };
    cases[`${label}: which bits search, list and change a directory`] = {
      needs: ['root'],
      tree: perMode(shift, (mode) => dir({ f: file('f', { mode: 0o666 }), e: dir() }, { ...owned, mode })),
      run(t) {
        t.as(who, () => {
          for (const bits of eight) {
            const path = `m${bits}`;
            gives(verdict(bits, 4), t.open(path, c.O_RDONLY | c.O_DIRECTORY));
            gives(verdict(bits, 1), t.lstat(`${path}/f`));
            gives(verdict(bits, 1), t.open(`${path}/f`, c.O_RDWR));
            gives((bits & 1) === 0 ? e.EACCES : e.ENOENT, t.lstat(`${path}/nothing`));
            gives(verdict(bits, 3), t.open(`${path}/new`, c.O_CREAT | c.O_WRONLY, 0o644));
            gives(verdict(bits, 3), t.mkdir(`${path}/new2`));
            gives(verdict(bits, 3), t.symlink('x', `${path}/new3`));
            gives(verdict(bits, 3), t.rename(`${path}/f`, `${path}/moved`));
            gives(verdict(bits, 3), t.rmdir(`${path}/e`));
            gives((bits & 1) === 0 ? e.EACCES : (bits & 3) === 3 ? 0 : e.ENOENT, t.lstat(`${path}/moved`));
            gives((bits & 3) === 3 ? 0 : (bits & 1) === 0 ? e.EACCES : e.ENOENT, t.unlink(`${path}/moved`));
          }
        });
      },
    };
  }
  return cases;
}

export const permissionCases: Cases = {
  ...matrix(),
  'root opens what has no bits, and executes only what has one': {
    needs: ['root'],
    tree: {
      none: file('x', { ...owner, mode: 0 }),
      some: file('x', { ...owner, mode: 0o001 }),
      d: dir({ f: file() }, { ...owner, mode: 0 }),
    },
    run(t) {
      ok(t.open('none', c.O_RDWR));
      ok(t.access('none', c.R_OK | c.W_OK));
      fails(e.EACCES, t.access('none', c.X_OK));
      ok(t.access('some', c.X_OK));
      ok(t.access('d', c.X_OK | c.W_OK));
      equal(names(t, 'd'), ['f']);
    },
  },
  'a directory that may not be searched hides everything below from every call': {
    needs: ['root'],
    tree: {
      closed: dir({ d: dir({ f: file('f', { mode: 0o666 }) }, { mode: 0o777 }) }, { mode: 0o766 }),
      link: symlink('closed/d/f'),
      open: dir({ f: file('f', { mode: 0o666 }) }, { mode: 0o777 }),
    },
    run(t) {
      t.as(stranger, () => {
        fails(e.EACCES, t.open('closed/d/f', c.O_RDONLY));
        fails(e.EACCES, t.stat('link'));
        fails(e.EACCES, t.lstat('closed/d/nothing'));
        fails(e.EACCES, t.chmod('closed/d/f', 0o600));
        fails(e.EACCES, t.truncate('closed/d/f', 0));
        fails(e.EACCES, t.unlink('closed/d/f'));
        fails(e.EACCES, t.mkdir('closed/new'));
        fails(e.EACCES, t.rename('closed/d/f', 'open/new'));
        fails(e.EACCES, t.rename('open/f', 'closed/d/new'));
        fails(e.EACCES, t.link('open/f', 'closed/new'));
        fails(e.EACCES, t.readlink('closed/d/f'));
        fails(e.EACCES, t.listxattr('closed/d/f'));
        fails(e.EACCES, t.access('closed/d/f', c.F_OK));
        fails(e.EACCES, t.statfs('closed/d'));
      });
      bytesAre(readFile(t, 'closed/d/f'), 'f');
    },
  },
  'utimens to now needs write permission': {
    needs: ['root'],
    tree: { f: file('f', { ...owner, mode: 0o644 }) },
    run(t) {
      t.as(stranger, () => {
        fails(e.EACCES, t.utimens('f', 'now', 'now'));
        fails(e.EPERM, t.utimens('f', [1, 1], [1, 1]));
      });
    },
  },
  'a writer who is neither owner nor reader writes, and the owner stays': {
    needs: ['root'],
    tree: { f: file('content', { ...owner, mode: 0o602, xattrs: { 'user.a': 'v' } }) },
    run(t) {
      t.as(stranger, () => {
        const fd = open(t, 'f', c.O_WRONLY);
        writeAll(t, fd, 'CON');
        fails(e.EACCES, t.open('f', c.O_RDONLY));
        fails(e.EACCES, t.getxattr('f', 'user.a'));
      });
      equal([lstat(t, 'f').uid, lstat(t, 'f').gid], [1000, 1000]);
      modeIs(lstat(t, 'f').mode, 0o602);
      bytesAre(readFile(t, 'f'), 'CONtent');
    },
  },
  'removing needs nothing of the file itself': {
    needs: ['root'],
    dir: { mode: 0o777 },
    tree: { f: file('secret', { ...owner, mode: 0 }), d: dir({}, { ...owner, mode: 0 }) },
    run(t) {
      t.as(stranger, () => {
        fails(e.EACCES, t.open('f', c.O_RDONLY));
        ok(t.rename('f', 'moved'));
        ok(t.unlink('moved'));
        ok(t.rmdir('d'));
      });
      equal(names(t, '.'), []);
    },
  },
  'moving a directory elsewhere needs write permission on itself': {
    needs: ['root'],
    dir: { mode: 0o777 },
    tree: { d: dir({ f: file() }, { ...owner, mode: 0o755 }), to: dir({}, { mode: 0o777 }) },
    run(t) {
      t.as(stranger, () => {
        fails(e.EACCES, t.rename('d', 'to/d'));
        equal(exists(t, 'd/f'), true);
      });
    },
  },
  'creating over what is there tells EEXIST before EACCES': {
    needs: ['root'],
    tree: { d: dir({ f: file() }, { mode: 0o755 }) },
    run(t) {
      t.as(stranger, () => {
        fails(e.EEXIST, t.mkdir('d/f'));
        fails(e.EEXIST, t.symlink('x', 'd/f'));
        fails(e.EEXIST, t.open('d/f', c.O_CREAT | c.O_EXCL | c.O_RDONLY, 0o600));
        fails(e.EACCES, t.mkdir('d/new'));
        ok(t.open('d/f', c.O_CREAT | c.O_RDONLY, 0o600));
      });
    },
  },
  'an open descriptor outlives the permission': {
    needs: ['root'],
    tree: { f: file('content', { ...owner, mode: 0o666 }) },
    run(t) {
      const fd = t.as(stranger, () => open(t, 'f', c.O_RDWR));
      ok(t.chmod('f', 0));
      t.as(stranger, () => {
        bytesAre(readAll(t, fd), 'content');
        writeAll(t, fd, 'CON');
        fails(e.EACCES, t.open('f', c.O_RDONLY));
      });
      bytesAre(readFile(t, 'f'), 'CONtent');
    },
  },
  'a user works in a directory of theirs as in any other': {
    needs: ['root'],
    tree: { home: dir({ f: file('f', owner), d: dir({ g: file('g', owner) }, owner) }, { ...owner, mode: 0o700 }) },
    run(t) {
      t.as(owner, () => {
        writeFile(t, 'home/f', 'changed');
        ok(t.chmod('home/f', 0o600));
        ok(t.mkdir('home/new'));
        ok(t.rename('home/d/g', 'home/new/g'));
        ok(t.rmdir('home/d'));
        ok(t.mkdir('home/d'));
        equal(names(t, 'home/d'), []);
        writeFile(t, 'home/d/g', 'again');
        ok(t.link('home/f', 'home/new2'));
        ok(t.setxattr('home/f', 'user.a', 'v'));
      });
      equal(names(t, 'home'), ['d', 'f', 'new', 'new2']);
      equal([lstat(t, 'home/d').uid, lstat(t, 'home/d/g').uid, lstat(t, 'home').uid], [1000, 1000, 1000]);
      t.as(stranger, () => fails(e.EACCES, t.lstat('home/f')));
    },
  },
};
