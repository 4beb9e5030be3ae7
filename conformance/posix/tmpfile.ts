/** O_TMPFILE: files without a name, and how they get one. */
import * as c from 'stratafs/internal/sys/constants';
import * as e from 'stratafs/internal/sys/errno';
import { fstat, lstat, names, open, readAll, readFile, writeAll } from '../calls.ts';
import { bytesAre, equal, fails, modeIs, ok } from '../expect.ts';
import type { Cases } from '../target.ts';
import { dir, file, symlink } from '../tree.ts';

export const tmpfileCases: Cases = {
  'O_TMPFILE makes a file that no directory shows': {
    tree: { d: dir({ f: file('f') }) },
    run(t) {
      const fd = open(t, 'd', c.O_TMPFILE | c.O_RDWR, 0o640);
      writeAll(t, fd, 'content');
      bytesAre(readAll(t, fd), 'content');
      const st = fstat(t, fd);
      equal([st.type, st.nlink, st.size], [c.S_IFREG, 0, 7]);
      modeIs(st.mode, 0o640);
      equal(names(t, 'd'), ['f']);
      ok(t.close(fd));
      equal(names(t, 'd'), ['f']);
    },
  },
  'O_TMPFILE gets a name by linkat, and another': {
    tree: { d: dir({ f: file('f') }), e: dir() },
    run(t) {
      const fd = open(t, 'd', c.O_TMPFILE | c.O_RDWR, 0o604);
      writeAll(t, fd, 'content');
      ok(t.linkFd(fd, 'd/new'));
      equal(names(t, 'd'), ['f', 'new']);
      bytesAre(readFile(t, 'd/new'), 'content');
      equal(lstat(t, 'd/new'), fstat(t, fd));
      equal(fstat(t, fd).nlink, 1);
      ok(t.linkFd(fd, 'e/new2'));
      equal(fstat(t, fd).nlink, 2);
      writeAll(t, fd, ', more');
      bytesAre(readFile(t, 'e/new2'), 'content, more');
      ok(t.unlink('d/new'));
      equal(names(t, 'd'), ['f']);
      modeIs(lstat(t, 'e/new2').mode, 0o604);
    },
  },
  'O_TMPFILE does not replace what is there': {
    tree: { f: file('f'), d: dir(), l: symlink('nowhere') },
    run(t) {
      const fd = open(t, '.', c.O_TMPFILE | c.O_RDWR, 0o600);
      fails(e.EEXIST, t.linkFd(fd, 'f'));
      fails(e.EEXIST, t.linkFd(fd, 'd'));
      fails(e.EEXIST, t.linkFd(fd, 'l'));
      equal(fstat(t, fd).nlink, 0);
      ok(t.linkFd(fd, 'd/new'));
    },
  },
  'O_TMPFILE with O_EXCL never gets a name': {
    run(t) {
      const fd = open(t, '.', c.O_TMPFILE | c.O_RDWR | c.O_EXCL, 0o600);
      fails(e.ENOENT, t.linkFd(fd, 'new'));
      equal(names(t, '.'), []);
    },
  },
  'O_TMPFILE is for writing, in directories': {
    tree: { f: file('f'), l: symlink('d'), d: dir() },
    run(t) {
      fails(e.EINVAL, t.open('d', c.O_TMPFILE | c.O_RDONLY, 0o600));
      fails(e.ENOTDIR, t.open('f', c.O_TMPFILE | c.O_RDWR, 0o600));
      fails(e.ENOENT, t.open('new', c.O_TMPFILE | c.O_RDWR, 0o600));
      ok(t.open('l', c.O_TMPFILE | c.O_WRONLY, 0o600));
    },
  },
  'O_TMPFILE takes attributes and xattrs before it has a name': {
    run(t) {
      const fd = open(t, '.', c.O_TMPFILE | c.O_RDWR, 0o600);
      ok(t.fchmod(fd, 0o751));
      ok(t.fsetxattr(fd, 'user.a', 'v'));
      ok(t.ftruncate(fd, 5000));
      ok(t.futimens(fd, [1, 2], [3, 4]));
      ok(t.linkFd(fd, 'new'));
      const st = lstat(t, 'new');
      equal([st.size, st.mtime, st.mtimeNsec], [5000, 3, 4]);
      modeIs(st.mode, 0o751);
      bytesAre(t.getxattr('new', 'user.a'), 'v');
    },
  },
  'O_TMPFILE belongs to who makes it, and a set-group-ID directory gives the group': {
    needs: ['root'],
    tree: { d: dir({}, { mode: 0o777 }), g: dir({}, { mode: 0o2777, gid: 2000 }) },
    run(t) {
      t.umask(0o022);
      t.as({ uid: 1000, gid: 1000 }, () => {
        const fd = open(t, 'd', c.O_TMPFILE | c.O_RDWR, 0o666);
        equal([fstat(t, fd).uid, fstat(t, fd).gid], [1000, 1000]);
        modeIs(fstat(t, fd).mode, 0o644);
        equal(fstat(t, open(t, 'g', c.O_TMPFILE | c.O_RDWR, 0o666)).gid, 2000);
        fails(e.EACCES, t.open('.', c.O_TMPFILE | c.O_RDWR, 0o666));
      });
    },
  },
};
