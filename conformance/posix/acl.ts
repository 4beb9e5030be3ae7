/** POSIX ACLs: what they grant, how they are inherited, and how they and the mode bits follow each other. */
import * as c from 'stratafs/internal/sys/constants';
import * as e from 'stratafs/internal/sys/errno';
import { ACCESS, acl, DEFAULT, GROUP, GROUP_OBJ, MASK, OTHER, USER, USER_OBJ } from '../acl-bytes.ts';
import { lstat, open, readFile, writeFile } from '../calls.ts';
import { bytesAre, equal, fails, modeIs, ok } from '../expect.ts';
import type { Cases, Who } from '../target.ts';
import { dir, file } from '../tree.ts';

const friend: Who = { uid: 3000, gid: 3000 };
const stranger: Who = { uid: 4000, gid: 4000 };

/** Owner rw, user 3000 rw, group r, mask rw, others nothing: 0660 to stat. */
const forFriend = acl([USER_OBJ, 6], [USER, 6, 3000], [GROUP_OBJ, 4], [MASK, 6], [OTHER, 0]);
/** As above, executable, for directories. */
const inherited = acl([USER_OBJ, 7], [USER, 7, 3000], [GROUP_OBJ, 5], [MASK, 7], [OTHER, 0]);

export const aclCases: Cases = {
  'an ACL grants to a named user and shows in the group bits': {
    needs: ['root'],
    tree: { f: file('content', { uid: 1000, gid: 1000, mode: 0o640 }) },
    run(t) {
      t.as(friend, () => fails(e.EACCES, t.open('f', c.O_RDONLY)));
      ok(t.setxattr('f', ACCESS, forFriend));
      bytesAre(t.getxattr('f', ACCESS), forFriend);
      modeIs(lstat(t, 'f').mode, 0o660);
      t.as(friend, () => ok(t.open('f', c.O_RDWR)));
      t.as(stranger, () => fails(e.EACCES, t.open('f', c.O_RDONLY)));
      t.as({ uid: 5000, gid: 1000 }, () => {
        ok(t.open('f', c.O_RDONLY));
        fails(e.EACCES, t.open('f', c.O_WRONLY));
      });
      // Opened for writing, a file of metadata alone has a new mtime by the kernel (docs/differences.md).
      ok(t.utimens('f', [7, 0], [8, 0]));
    },
  },
  'an ACL of a lower file grants before and after a copy-up': {
    needs: ['root'],
    tree: { f: file('content', { uid: 1000, gid: 1000, mode: 0o660, xattrs: { [ACCESS]: forFriend } }) },
    run(t) {
      t.as(friend, () => {
        bytesAre(readFile(t, 'f'), 'content');
        writeFile(t, 'f', 'changed');
      });
      t.as(stranger, () => fails(e.EACCES, t.open('f', c.O_RDONLY)));
      bytesAre(t.getxattr('f', ACCESS), forFriend);
      modeIs(lstat(t, 'f').mode, 0o660);
      bytesAre(readFile(t, 'f'), 'changed');
    },
  },
  'chmod changes the mask of an ACL, and so what it grants': {
    needs: ['root'],
    tree: { f: file('content', { uid: 1000, gid: 1000, mode: 0o660, xattrs: { [ACCESS]: forFriend } }) },
    run(t) {
      ok(t.chmod('f', 0o640));
      t.as(friend, () => {
        ok(t.open('f', c.O_RDONLY));
        fails(e.EACCES, t.open('f', c.O_WRONLY));
      });
      bytesAre(t.getxattr('f', ACCESS), acl([USER_OBJ, 6], [USER, 6, 3000], [GROUP_OBJ, 4], [MASK, 4], [OTHER, 0]));
      ok(t.chmod('f', 0o600));
      t.as(friend, () => fails(e.EACCES, t.open('f', c.O_RDONLY)));
    },
  },
  'an ACL that says no more than a mode becomes the mode': {
    needs: ['root'],
    tree: { f: file('content', { mode: 0o600 }) },
    run(t) {
      ok(t.setxattr('f', ACCESS, acl([USER_OBJ, 6], [GROUP_OBJ, 4], [OTHER, 4])));
      modeIs(lstat(t, 'f').mode, 0o644);
      fails(e.ENODATA, t.getxattr('f', ACCESS));
    },
  },
  'removing an ACL leaves the mode': {
    needs: ['root'],
    tree: { f: file('content', { uid: 1000, gid: 1000, mode: 0o660, xattrs: { [ACCESS]: forFriend } }) },
    run(t) {
      ok(t.removexattr('f', ACCESS));
      fails(e.ENODATA, t.getxattr('f', ACCESS));
      t.as(friend, () => fails(e.EACCES, t.open('f', c.O_RDONLY)));
    },
  },
  'a default ACL is handed to files and directories, and the umask has no say': {
    needs: ['root'],
    tree: { d: dir({}, { mode: 0o777, xattrs: { [DEFAULT]: inherited } }) },
    run(t) {
      t.umask(0o077);
      t.as(stranger, () => {
        writeFile(t, 'd/new', 'x', 0o666);
        ok(t.mkdir('d/new2', 0o777));
        ok(t.mknod('d/new3', c.S_IFIFO | 0o666));
        ok(t.symlink('x', 'd/moved'));
        ok(t.close(open(t, 'd/moved2', c.O_CREAT | c.O_WRONLY, 0o600)));
      });
      modeIs(lstat(t, 'd/new').mode, 0o660);
      bytesAre(t.getxattr('d/new', ACCESS), acl([USER_OBJ, 6], [USER, 7, 3000], [GROUP_OBJ, 5], [MASK, 6], [OTHER, 0]));
      modeIs(lstat(t, 'd/new2').mode, 0o770);
      bytesAre(t.getxattr('d/new2', ACCESS), inherited);
      bytesAre(t.getxattr('d/new2', DEFAULT), inherited);
      modeIs(lstat(t, 'd/new3').mode, 0o660);
      modeIs(lstat(t, 'd/moved2').mode, 0o600);
      fails([e.ENODATA, e.EOPNOTSUPP], t.lgetxattr('d/moved', ACCESS));
      t.as(friend, () => {
        ok(t.open('d/new', c.O_RDWR));
        ok(t.mkdir('d/new2/sub'));
        fails(e.EACCES, t.open('d/moved2', c.O_RDONLY));
      });
      bytesAre(t.getxattr('d/new2/sub', DEFAULT), inherited);
    },
  },
  'a default ACL on a set-group-ID directory': {
    needs: ['root'],
    tree: { d: dir({}, { mode: 0o2777, gid: 2000, xattrs: { [DEFAULT]: inherited } }) },
    run(t) {
      t.as(stranger, () => {
        writeFile(t, 'd/new', 'x', 0o666);
        ok(t.mkdir('d/new2', 0o755));
      });
      equal([lstat(t, 'd/new').gid, lstat(t, 'd/new2').gid], [2000, 2000]);
      modeIs(lstat(t, 'd/new').mode, 0o660);
      modeIs(lstat(t, 'd/new2').mode, 0o2750);
    },
  },
  'a default ACL belongs to directories': {
    needs: ['root'],
    tree: { f: file(), d: dir() },
    run(t) {
      fails(e.EACCES, t.setxattr('f', DEFAULT, inherited));
      ok(t.setxattr('d', DEFAULT, inherited));
      modeIs(lstat(t, 'd').mode, 0o755);
      ok(t.removexattr('d', DEFAULT));
      fails(e.ENODATA, t.getxattr('d', DEFAULT));
      writeFile(t, 'd/new', '', 0o666);
      modeIs(lstat(t, 'd/new').mode, 0o666);
    },
  },
  'an ACL that is none gives EINVAL': {
    needs: ['root'],
    tree: { f: file() },
    run(t) {
      fails(e.EINVAL, t.setxattr('f', ACCESS, acl([USER_OBJ, 6], [USER, 6, 3000], [GROUP_OBJ, 4], [OTHER, 0])));
      fails(e.EINVAL, t.setxattr('f', ACCESS, acl([USER_OBJ, 6], [OTHER, 0])));
      fails(e.EOPNOTSUPP, t.setxattr('f', ACCESS, Buffer.from('0100000000000000', 'hex')));
    },
  },
  'an ACL is set by the owner and by nobody else': {
    needs: ['root'],
    tree: { f: file('', { uid: 1000, gid: 1000, mode: 0o666 }) },
    run(t) {
      t.as(stranger, () => {
        fails(e.EPERM, t.setxattr('f', ACCESS, forFriend));
        fails(e.EPERM, t.removexattr('f', ACCESS));
      });
      t.as({ uid: 1000, gid: 1000 }, () => ok(t.setxattr('f', ACCESS, forFriend)));
      modeIs(lstat(t, 'f').mode, 0o660);
    },
  },
  'an ACL set by an owner outside the group takes set-group-ID away': {
    needs: ['root'],
    tree: { f: file('', { uid: 1000, gid: 2000, mode: 0o2755 }) },
    run(t) {
      const list = acl([USER_OBJ, 7], [USER, 7, 3000], [GROUP_OBJ, 5], [MASK, 7], [OTHER, 5]);
      t.as({ uid: 1000, gid: 1000 }, () => ok(t.setxattr('f', ACCESS, list)));
      modeIs(lstat(t, 'f').mode, 0o775);
    },
  },
  'a named group and the mask': {
    needs: ['root'],
    tree: {
      f: file('x', {
        uid: 1000,
        gid: 1000,
        mode: 0o640,
        xattrs: { [ACCESS]: acl([USER_OBJ, 6], [GROUP_OBJ, 0], [GROUP, 6, 2000], [MASK, 4], [OTHER, 0]) },
      }),
    },
    run(t) {
      t.as({ uid: 3000, gid: 3000, groups: [2000] }, () => {
        ok(t.open('f', c.O_RDONLY));
        fails(e.EACCES, t.open('f', c.O_RDWR));
      });
      t.as({ uid: 3000, gid: 1000 }, () => fails(e.EACCES, t.open('f', c.O_RDONLY)));
    },
  },
};
