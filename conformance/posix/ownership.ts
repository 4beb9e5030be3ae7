/** What belongs to an owner: sticky and set-group-ID directories, chmod, chown, and things that may not be written. */
import * as c from 'stratafs/internal/sys/constants';
import * as e from 'stratafs/internal/sys/errno';
import { lstat, names, open, readFile, writeFile } from '../calls.ts';
import { bytesAre, equal, fails, modeIs, ok } from '../expect.ts';
import type { Cases, Who } from '../target.ts';
import { dir, file } from '../tree.ts';

const owner = { uid: 1000, gid: 1000 };
const stranger: Who = { uid: 3000, gid: 3000 };

const sticky = dir(
  {
    mine: file('mine', { uid: 3000, gid: 3000, mode: 0o666 }),
    'not-mine': file('not mine', { ...owner, mode: 0o666 }),
    'my-dir': dir({}, { uid: 3000, gid: 3000, mode: 0o777 }),
    'not-my-dir': dir({}, { ...owner, mode: 0o777 }),
  },
  { uid: 500, gid: 500, mode: 0o1777 },
);

export const ownershipCases: Cases = {
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
  'a sticky directory: nothing of others is moved out of it, over it or away by EXCHANGE': {
    needs: ['root'],
    tree: { s: sticky, d: dir({ x: file('x', { uid: 3000, gid: 3000 }) }, { mode: 0o777 }) },
    run(t) {
      t.as(stranger, () => {
        fails(e.EPERM, t.rename('s/not-mine', 'd/moved'));
        fails(e.EPERM, t.rename('s/not-my-dir', 'd/moved'));
        fails(e.EPERM, t.rename('d/x', 's/not-mine'));
        fails(e.EPERM, t.rename('d/x', 's/not-mine', c.RENAME_EXCHANGE));
        fails(e.EPERM, t.rename('s/not-mine', 'd/x', c.RENAME_EXCHANGE));
        fails(e.EEXIST, t.rename('d/x', 's/not-mine', c.RENAME_NOREPLACE));
        ok(t.rename('d/x', 's/mine', c.RENAME_EXCHANGE));
        ok(t.rename('s/mine', 'd/moved'));
        ok(t.close(open(t, 's/moved2', c.O_CREAT | c.O_WRONLY, 0o600)));
      });
      equal(names(t, 's'), ['moved2', 'my-dir', 'not-mine', 'not-my-dir']);
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
  'a chown by the owner takes sgid from a FIFO of a group that is not his': {
    needs: ['root'],
    run(t) {
      ok(t.mknod('p', c.S_IFIFO | 0o644));
      ok(t.chown('p', 1000, 5000));
      ok(t.chmod('p', 0o2644));
      t.as({ uid: 1000, gid: 1000, groups: [2000] }, () => ok(t.chown('p', -1, 2000)));
      modeIs(lstat(t, 'p').mode, 0o644);
    },
  },
};
