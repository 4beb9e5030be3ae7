/** Which bits a new object gets: by the mode asked for, the umask, and the default ACL of its directory. */
import * as c from 'stratafs/internal/sys/constants';
import { acl, DEFAULT, GROUP_OBJ, MASK, OTHER, USER, USER_OBJ } from '../acl-bytes.ts';
import { fstat, lstat, open } from '../calls.ts';
import { equal, modeIs, ok } from '../expect.ts';
import { fewPositions } from '../positions.ts';
import type { Case, Cases, Scene } from '../target.ts';
import { dir } from '../tree.ts';

/** What makes an object of `mode` in `d`, and the path that it has then. */
const makers: Readonly<Record<string, (t: Scene, mode: number) => string>> = {
  open(t, mode) {
    ok(t.close(open(t, 'd/new', c.O_CREAT | c.O_WRONLY, mode)));
    return 'd/new';
  },
  mkdir(t, mode) {
    ok(t.mkdir('d/new', mode));
    return 'd/new';
  },
  mknod(t, mode) {
    ok(t.mknod('d/new', c.S_IFIFO | mode));
    return 'd/new';
  },
  'mknod of a regular file'(t, mode) {
    ok(t.mknod('d/new', c.S_IFREG | mode));
    return 'd/new';
  },
  O_TMPFILE(t, mode) {
    const fd = open(t, 'd', c.O_TMPFILE | c.O_RDWR, mode);
    const unnamed = fstat(t, fd).mode;
    ok(t.linkFd(fd, 'd/new'));
    ok(t.close(fd));
    equal(lstat(t, 'd/new').mode, unnamed, 'mode before and after it has a name');
    return 'd/new';
  },
};

/** The default ACL of the directory, and the bits that it leaves; null: the umask decides. */
const lists: Readonly<Record<string, readonly [value: Buffer | null, left: number | null]>> = {
  'no default ACL': [null, null],
  'a default ACL of three entries': [acl([USER_OBJ, 7], [GROUP_OBJ, 5], [OTHER, 1]), 0o751],
  'a default ACL with a mask': [acl([USER_OBJ, 6], [USER, 7, 3000], [GROUP_OBJ, 7], [MASK, 3], [OTHER, 4]), 0o634],
};

function table(): Cases {
  const cases: Record<string, Case> = {};
  for (const [list, [value, left]] of Object.entries(lists)) {
    for (const [maker, make] of Object.entries(makers)) {
      cases[`${maker} below a directory with ${list}, under any umask`] = {
        needs: ['root'],
        positions: fewPositions,
        tree: { d: dir({}, { xattrs: value === null ? {} : { [DEFAULT]: value } }) },
        run(t) {
          for (const umask of [0, 0o022, 0o077, 0o777]) {
            for (const mode of [0o777, 0o666, 0o640]) {
              t.umask(umask);
              const path = make(t, mode);
              t.umask(0);
              modeIs(lstat(t, path).mode, mode & (left ?? ~umask));
              ok(lstat(t, path).type === c.S_IFDIR ? t.rmdir(path) : t.unlink(path));
            }
          }
        },
      };
    }
  }
  return cases;
}

export const umaskCases: Cases = {
  ...table(),
  'a symlink has all bits, whatever the umask and the default ACL': {
    needs: ['root'],
    positions: fewPositions,
    tree: { d: dir({}, { xattrs: { [DEFAULT]: acl([USER_OBJ, 7], [GROUP_OBJ, 0], [OTHER, 0]) } }) },
    run(t) {
      t.umask(0o777);
      ok(t.symlink('x', 'd/new'));
      ok(t.symlink('x', 'new'));
      modeIs(lstat(t, 'd/new').mode, 0o777);
      modeIs(lstat(t, 'new').mode, 0o777);
    },
  },
  'chmod heeds no umask': {
    positions: fewPositions,
    tree: { d: dir() },
    run(t) {
      t.umask(0o777);
      ok(t.chmod('d', 0o755));
      modeIs(lstat(t, 'd').mode, 0o755);
    },
  },
};
