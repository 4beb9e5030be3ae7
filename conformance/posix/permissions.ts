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

const sticky = dir(
  {
    mine: file('mine', { uid: 3000, gid: 3000, mode: 0o666 }),
    'not-mine': file('not mine', { ...owner, mode: 0o666 }),
    'my-dir': dir({}, { uid: 3000, gid: 3000, mode: 0o777 }),
    'not-my-dir': dir({}, { ...owner, mode: 0o777 }),
  },
  { uid: 500, gid: 500, mode: 0o1777 },
);

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
  'what its owner may not even read, its owner may change all the same': {
    // An engine without privileges cannot copy what it cannot read.
    needs: ['root'],
    tree: { f: file('content', { uid: 1000, gid: 1000, mode: 0, xattrs: { 'user.a': 'v' } }) },
    run(t) {
      t.as(owner, () => {
        fails(e.EACCES, t.open('f', c.O_RDONLY));
        ok(t.utimens('f', [1, 1], [2, 2]));
        ok(t.chmod('f', 0o400));
        bytesAre(readFile(t, 'f'), 'content');
        bytesAre(t.getxattr('f', 'user.a'), 'v');
      });
    },
  },
  'what its owner may not write, its owner may change all the same': {
    tree: {
      f: file('content', { mode: 0o444, xattrs: { 'user.a': 'v' } }),
      z: file('content', { mode: 0o400, xattrs: { 'user.a': 'v' } }),
    },
    run(t) {
      ok(t.utimens('f', [1, 1], [2, 2]));
      ok(t.chmod('z', 0o600));
      ok(t.link('f', 'new'));
      ok(t.rename('z', 'moved'));
      modeIs(lstat(t, 'f').mode, 0o444);
      modeIs(lstat(t, 'moved').mode, 0o600);
      bytesAre(readFile(t, 'moved'), 'content');
      bytesAre(t.getxattr('new', 'user.a'), 'v');
      bytesAre(t.getxattr('moved', 'user.a'), 'v');
    },
  },
  'directories that their owner may not write': {
    // Copies and marks are renamed into place, for which an engine without privileges has to write them.
    needs: ['root'],
    dir: { uid: 1000, gid: 1000 },
    tree: {
      d: dir(
        { g: file('g', { ...owner, mode: 0o400 }), sub: dir({ deep: file('deep', owner) }, { ...owner, mode: 0o500 }) },
        { ...owner, mode: 0o555 },
      ),
      e: dir({}, { ...owner, mode: 0o555, xattrs: { 'user.a': 'v' } }),
    },
    run(t) {
      t.as(owner, () => {
        ok(t.chmod('d/g', 0o640));
        ok(t.chmod('d/sub/deep', 0o600));
        ok(t.chmod('e', 0o500));
        ok(t.mkdir('new', 0));
        ok(t.mkdir('new2', 0o555));
        fails(e.EACCES, t.unlink('d/g'));
        fails(e.EACCES, t.mkdir('new/x'));
      });
      const modes = ['d', 'd/g', 'd/sub', 'd/sub/deep', 'e', 'new', 'new2'].map((path) => lstat(t, path).mode & 0o7777);
      equal(modes, [0o555, 0o640, 0o500, 0o600, 0o500, 0, 0o555]);
      bytesAre(readFile(t, 'd/sub/deep'), 'deep');
      bytesAre(t.getxattr('e', 'user.a'), 'v');
      t.as(owner, () => {
        ok(t.chmod('d', 0o755));
        ok(t.unlink('d/g'));
        ok(t.chmod('d/sub', 0o700));
        ok(t.unlink('d/sub/deep'));
        ok(t.rmdir('d/sub'));
        ok(t.rmdir('d'));
      });
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
  'a sticky directory: one removes what is one’s own': {
    needs: ['root'],
    tree: { s: sticky },
    run(t) {
      t.as(stranger, () => {
        fails(e.EPERM, t.unlink('s/not-mine'));
        fails(e.EPERM, t.rmdir('s/not-my-dir'));
        fails(e.EPERM, t.rename('s/not-mine', 's/moved'));
        fails(e.EPERM, t.rename('s/mine', 's/not-mine'));
        fails(e.EPERM, t.rename('s/mine', 's/not-mine', c.RENAME_EXCHANGE));
        ok(t.rename('s/mine', 's/moved'));
        ok(t.unlink('s/moved'));
        ok(t.rmdir('s/my-dir'));
        writeFile(t, 's/not-mine', 'writable is writable');
      });
      equal(names(t, 's'), ['not-mine', 'not-my-dir']);
    },
  },
  'a sticky directory: its owner and root remove what others own': {
    needs: ['root'],
    tree: { s: sticky },
    run(t) {
      t.as({ uid: 500, gid: 9 }, () => {
        ok(t.unlink('s/not-mine'));
        ok(t.rename('s/mine', 's/moved'));
      });
      ok(t.rmdir('s/not-my-dir'));
      equal(names(t, 's'), ['moved', 'my-dir']);
    },
  },
  'a set-group-ID directory hands its group and its bit down': {
    needs: ['root'],
    tree: { g: dir({}, { uid: 500, gid: 2000, mode: 0o2777 }) },
    run(t) {
      t.as(stranger, () => {
        writeFile(t, 'g/f', '', 0o644);
        ok(t.mkdir('g/d', 0o755));
        ok(t.mkdir('g/d/e', 0o700));
        ok(t.symlink('x', 'g/l'));
        ok(t.mknod('g/p', c.S_IFIFO | 0o600));
      });
      for (const name of ['f', 'd', 'd/e', 'l', 'p']) {
        equal([lstat(t, `g/${name}`).uid, lstat(t, `g/${name}`).gid], [3000, 2000], `owner of ${name}`);
      }
      modeIs(lstat(t, 'g/f').mode, 0o644);
      modeIs(lstat(t, 'g/d').mode, 0o2755);
      modeIs(lstat(t, 'g/d/e').mode, 0o2700);
    },
  },
  'a set-group-ID file in a set-group-ID directory, made by one outside the group, loses its bit': {
    needs: ['root'],
    tree: { g: dir({}, { uid: 500, gid: 2000, mode: 0o2777 }) },
    run(t) {
      t.as(stranger, () => {
        ok(t.close(open(t, 'g/new', c.O_CREAT | c.O_WRONLY, 0o2755)));
        ok(t.close(open(t, 'g/new2', c.O_CREAT | c.O_WRONLY, 0o2745)));
        ok(t.mkdir('g/new3', 0o755));
      });
      t.as({ uid: 3000, gid: 3000, groups: [2000] }, () => {
        ok(t.close(open(t, 'g/moved', c.O_CREAT | c.O_WRONLY, 0o2755)));
      });
      modeIs(lstat(t, 'g/new').mode, 0o755);
      modeIs(lstat(t, 'g/new2').mode, 0o2745);
      modeIs(lstat(t, 'g/new3').mode, 0o2755);
      modeIs(lstat(t, 'g/moved').mode, 0o2755);
    },
  },
  'chmod, utimens and setxattr of trusted names belong to the owner and root': {
    needs: ['root'],
    tree: { f: file('f', { ...owner, mode: 0o666 }), d: dir({}, { ...owner, mode: 0o777 }) },
    run(t) {
      t.as(stranger, () => {
        fails(e.EPERM, t.chmod('f', 0o600));
        fails(e.EPERM, t.chmod('d', 0o700));
        fails(e.EPERM, t.utimens('f', [1, 1], [1, 1]));
        fails(e.EPERM, t.utimens('f', 'omit', 'now'));
        ok(t.utimens('f', 'now', 'now'));
        fails(e.EPERM, t.setxattr('f', 'trusted.a', 'v'));
        fails(e.ENODATA, t.getxattr('f', 'trusted.a'));
        fails(e.EPERM, t.open('f', c.O_RDONLY | c.O_NOATIME));
      });
      t.as(owner, () => {
        ok(t.chmod('f', 0o600));
        ok(t.utimens('f', [1, 1], [2, 2]));
        ok(t.open('f', c.O_RDONLY | c.O_NOATIME));
      });
      modeIs(lstat(t, 'f').mode, 0o600);
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
  'chown: an owner gives a file to a group of theirs, to nobody else': {
    needs: ['root'],
    tree: { f: file('f', { ...owner, mode: 0o644 }) },
    run(t) {
      t.as({ uid: 1000, gid: 1000, groups: [2000] }, () => {
        ok(t.chown('f', 1000, 2000));
        ok(t.chown('f', -1, 1000));
        ok(t.chown('f', -1, -1));
        fails(e.EPERM, t.chown('f', 3000, -1));
        fails(e.EPERM, t.chown('f', -1, 4000));
        fails(e.EPERM, t.chown('f', 0, 0));
      });
      t.as(stranger, () => {
        fails(e.EPERM, t.chown('f', 3000, 3000));
        fails(e.EPERM, t.chown('f', -1, 3000));
      });
      equal([lstat(t, 'f').uid, lstat(t, 'f').gid], [1000, 1000]);
    },
  },
  'chmod by an owner outside the group drops the set-group-ID bit of a file': {
    needs: ['root'],
    tree: {
      f: file('f', { uid: 1000, gid: 2000, mode: 0o755 }),
      d: dir({}, { uid: 1000, gid: 2000, mode: 0o755 }),
      g: file('f', { uid: 1000, gid: 1000, mode: 0o755 }),
    },
    run(t) {
      t.as(owner, () => {
        ok(t.chmod('f', 0o6755));
        ok(t.chmod('d', 0o2755));
        ok(t.chmod('g', 0o6755));
      });
      modeIs(lstat(t, 'f').mode, 0o4755);
      modeIs(lstat(t, 'd').mode, 0o755);
      modeIs(lstat(t, 'g').mode, 0o6755);
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
