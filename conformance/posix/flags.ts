/** chattr(1) flags: who may set them, and what immutable and append-only inodes refuse. */
import type { ByteString } from 'stratafs/internal/sys/bytes';
import * as c from 'stratafs/internal/sys/constants';
import * as e from 'stratafs/internal/sys/errno';
import { acl, DEFAULT, GROUP_OBJ, OTHER, USER_OBJ } from '../acl-bytes.ts';
import { exists, names, open, readFile, writeAll } from '../calls.ts';
import { bytesAre, equal, fails, ok, skip } from '../expect.ts';
import type { Case, Cases, Door, Scene, Who } from '../target.ts';
import { dir, file } from '../tree.ts';

const PROTECTION: number = c.FS_IMMUTABLE_FL | c.FS_APPEND_FL;

const owner: Who = { uid: 1000, gid: 1000 };
const stranger: Who = { uid: 3000, gid: 3000 };

/** The flags of `path`. */
export function flagsOf(t: Door, path: ByteString): number {
  const fd = open(t, path, c.O_RDONLY);
  const flags = t.getflags(fd);
  ok(t.close(fd));
  if (flags === -e.ENOTTY || flags === -e.EOPNOTSUPP) {
    skip('this filesystem has no flags');
  }
  return ok(flags);
}

/** chattr(1): sets and clears. @returns what the ioctl said. */
export function chattr(t: Door, path: ByteString, set: number, clear = 0): number {
  const flags = flagsOf(t, path);
  const fd = open(t, path, c.O_RDONLY);
  const result = t.setflags(fd, (flags | set) & ~clear);
  ok(t.close(fd));
  return result;
}

/** Sets further flags of an immutable inode. A plain ext4 takes none while that one stands. @returns those that it took. */
function beside(t: Scene, path: ByteString, flags: number): number {
  const result = chattr(t, path, flags);
  if (t.target === 'plain' && result === -e.EPERM) {
    return 0;
  }
  ok(result);
  return flags;
}

/** Runs `fn` with flags on `paths`, and takes them away whatever happens: nothing could clear them up else. */
function protecting(t: Door, paths: readonly ByteString[], flags: number, fn: () => void): void {
  try {
    for (const path of paths) {
      ok(chattr(t, path, flags));
      equal(flagsOf(t, path) & PROTECTION, flags);
    }
    fn();
  } finally {
    for (const path of paths) {
      chattr(t, path, 0, PROTECTION);
    }
  }
}

/** What a protected file `f` is asked, with the answers of an immutable and of an append-only one. */
const changes: Readonly<Record<string, readonly [immutable: number, append: number, (t: Scene) => unknown]>> = {
  'open for writing': [e.EPERM, e.EPERM, (t) => t.open('f', c.O_WRONLY)],
  'open for reading and writing': [e.EPERM, e.EPERM, (t) => t.open('f', c.O_RDWR)],
  'open to append': [
    e.EPERM,
    0,
    (t) => {
      const fd = t.open('f', c.O_WRONLY | c.O_APPEND);
      // The kernel's copy of a metadata-only file's data has a new mtime already.
      return fd < 0 ? fd : t.futimens(fd, 'now', 'now');
    },
  ],
  'open to append and truncate': [e.EPERM, e.EPERM, (t) => t.open('f', c.O_WRONLY | c.O_APPEND | c.O_TRUNC)],
  'open with O_CREAT': [e.EPERM, e.EPERM, (t) => t.open('f', c.O_WRONLY | c.O_CREAT, 0o644)],
  'open for reading': [0, 0, (t) => t.open('f', c.O_RDONLY)],
  truncate: [e.EPERM, e.EPERM, (t) => t.truncate('f', 2)],
  chmod: [e.EPERM, e.EPERM, (t) => t.chmod('f', 0o600)],
  chown: [e.EPERM, e.EPERM, (t) => t.chown('f', 1000, -1)],
  'utimens of given times': [e.EPERM, e.EPERM, (t) => t.utimens('f', [1, 1], [1, 1])],
  'utimens to now and a given time': [e.EPERM, e.EPERM, (t) => t.utimens('f', 'now', [1, 1])],
  'utimens to now': [e.EPERM, 0, (t) => t.utimens('f', 'now', 'now')],
  'setting an xattr': [e.EPERM, e.EPERM, (t) => t.setxattr('f', 'user.a', 'v')],
  'replacing an xattr that is not there': [e.EPERM, e.EPERM, (t) => t.setxattr('f', 'user.b', 'v', c.XATTR_REPLACE)],
  'removing an xattr': [e.EPERM, e.EPERM, (t) => t.removexattr('f', 'user.x')],
  'reading an xattr': [0, 0, (t) => t.getxattr('f', 'user.x')],
  link: [e.EPERM, e.EPERM, (t) => t.link('f', 'new')],
  unlink: [e.EPERM, e.EPERM, (t) => t.unlink('f')],
  rename: [e.EPERM, e.EPERM, (t) => t.rename('f', 'new')],
  'rename onto it': [e.EPERM, e.EPERM, (t) => t.rename('other', 'f')],
  'exchange with it': [e.EPERM, e.EPERM, (t) => t.rename('other', 'f', c.RENAME_EXCHANGE)],
  'rename onto it with RENAME_NOREPLACE': [e.EEXIST, e.EEXIST, (t) => t.rename('other', 'f', c.RENAME_NOREPLACE)],
};

/** The same for what is asked of a protected directory `d` that holds `x`. */
const dirChanges: typeof changes = {
  'creating a file in it': [e.EPERM, 0, (t) => t.open('d/new', c.O_CREAT | c.O_WRONLY, 0o644)],
  'mkdir in it': [e.EPERM, 0, (t) => t.mkdir('d/new')],
  'mkdir of what is there': [e.EEXIST, e.EEXIST, (t) => t.mkdir('d/x')],
  'mknod in it': [e.EPERM, 0, (t) => t.mknod('d/new', c.S_IFIFO | 0o600)],
  'symlink in it': [e.EPERM, 0, (t) => t.symlink('x', 'd/new')],
  'link into it': [e.EPERM, 0, (t) => t.link('other', 'd/new')],
  'an unnamed file in it': [e.EPERM, 0, (t) => t.open('d', c.O_TMPFILE | c.O_RDWR, 0o600)],
  'rename into it': [e.EPERM, 0, (t) => t.rename('other', 'd/new')],
  'rename out of it': [e.EPERM, e.EPERM, (t) => t.rename('d/x', 'new')],
  'rename onto a file in it': [e.EPERM, e.EPERM, (t) => t.rename('other', 'd/x')],
  'unlink in it': [e.EPERM, e.EPERM, (t) => t.unlink('d/x')],
  'unlink of nothing in it': [e.ENOENT, e.ENOENT, (t) => t.unlink('d/nothing')],
  'rmdir in it': [e.EPERM, e.EPERM, (t) => t.rmdir('d/empty')],
  'rmdir of it': [e.EPERM, e.EPERM, (t) => t.rmdir('d')],
  'rename of it': [e.EPERM, e.EPERM, (t) => t.rename('d', 'new')],
  'chmod of it': [e.EPERM, e.EPERM, (t) => t.chmod('d', 0o700)],
  'writing to a file in it': [0, 0, (t) => t.open('d/x', c.O_WRONLY | c.O_TRUNC)],
  'chmod of a file in it': [0, 0, (t) => t.chmod('d/x', 0o600)],
};

function refusals(): Cases {
  const cases: Record<string, Case> = {};
  const tables = [
    ['f', 'file', changes],
    ['d', 'directory', dirChanges],
  ] as const;
  for (const [path, what, table] of tables) {
    for (const [label, [immutable, append, change]] of Object.entries(table)) {
      for (const [kind, flag, errno] of [
        ['immutable', c.FS_IMMUTABLE_FL, immutable],
        ['append-only', c.FS_APPEND_FL, append],
      ] as const) {
        cases[`${label}: an ${kind} ${what}`] = {
          needs: ['root'],
          positions: ['plain', 'upper', 'lower', 'redirect'],
          tree: {
            f: file('content', { xattrs: { 'user.x': 'v' } }),
            other: file('other'),
            d: dir({ x: file('x'), empty: dir() }),
          },
          run(t) {
            protecting(t, [path], flag, () => {
              const result = change(t);
              if (errno === 0) {
                ok(result);
              } else {
                fails(errno, result);
                bytesAre(readFile(t, 'f'), 'content');
                equal(names(t, 'd'), ['empty', 'x']);
              }
            });
          },
        };
      }
    }
  }
  return cases;
}

export const flagCases: Cases = {
  ...refusals(),
  'flags are shown as they were set, by either ioctl': {
    needs: ['root'],
    tree: { f: file('content'), d: dir() },
    run(t) {
      for (const path of ['f', 'd']) {
        const before = flagsOf(t, path);
        protecting(t, [path], c.FS_IMMUTABLE_FL, () => {
          const further = beside(t, path, c.FS_NOATIME_FL | c.FS_NODUMP_FL);
          equal(flagsOf(t, path), before | c.FS_IMMUTABLE_FL | further);
        });
        ok(chattr(t, path, c.FS_NOATIME_FL | c.FS_NODUMP_FL));
        equal(flagsOf(t, path), before | c.FS_NOATIME_FL | c.FS_NODUMP_FL);
        ok(chattr(t, path, 0, c.FS_NOATIME_FL | c.FS_NODUMP_FL));
        equal(flagsOf(t, path), before);
        const fd = open(t, path, c.O_RDONLY);
        const fsxattr = t.getfsxattr(fd);
        if (typeof fsxattr === 'number') {
          fails([e.EOPNOTSUPP, e.ENOTTY], fsxattr);
          continue;
        }
        fsxattr[0] |= c.FS_XFLAG_APPEND;
        ok(t.setfsxattr(fd, fsxattr));
        equal(flagsOf(t, path), before | c.FS_APPEND_FL);
        equal(ok<Buffer>(t.getfsxattr(fd) as Buffer)[0] & c.FS_XFLAG_APPEND, c.FS_XFLAG_APPEND);
        fsxattr[0] &= ~c.FS_XFLAG_APPEND;
        ok(t.setfsxattr(fd, fsxattr));
        equal(flagsOf(t, path), before);
      }
    },
  },
  'what was appended to an append-only file is there': {
    needs: ['root'],
    tree: { f: file('content') },
    run(t) {
      protecting(t, ['f'], c.FS_APPEND_FL, () => {
        const fd = open(t, 'f', c.O_WRONLY | c.O_APPEND);
        writeAll(t, fd, ' and more');
        fails(e.EPERM, t.ftruncate(fd, 3));
        fails(e.EPERM, t.fallocate(fd, c.FALLOC_FL_PUNCH_HOLE | c.FALLOC_FL_KEEP_SIZE, 0, 1));
        ok(t.fallocate(fd, c.FALLOC_FL_KEEP_SIZE, 0, 5000));
        bytesAre(readFile(t, 'f'), 'content and more');
      });
      ok(t.unlink('f'));
      equal(exists(t, 'f'), false);
    },
  },
  'immutable comes before the mode in what is refused': {
    needs: ['root'],
    tree: { f: file('content', { uid: 1000, gid: 1000, mode: 0o644 }) },
    run(t) {
      protecting(t, ['f'], c.FS_IMMUTABLE_FL, () => {
        if (t.target === 'fuse') {
          // The kernel judges the mode before it asks the server.
          t.as(stranger, () => fails(e.EACCES, t.open('f', c.O_WRONLY)));
        } else {
          t.as(stranger, () => fails(e.EPERM, t.open('f', c.O_WRONLY)));
        }
        t.as(owner, () => fails(e.EPERM, t.open('f', c.O_WRONLY)));
      });
    },
  },
  'flags are for the owner to set': {
    needs: ['root'],
    tree: { f: file('content', { uid: 1000, gid: 1000, mode: 0o666 }) },
    run(t) {
      flagsOf(t, 'f');
      t.as(stranger, () => {
        fails(e.EPERM, chattr(t, 'f', c.FS_NODUMP_FL));
        equal(flagsOf(t, 'f') & c.FS_NODUMP_FL, 0);
      });
      t.as(owner, () => ok(chattr(t, 'f', c.FS_NODUMP_FL)));
      equal(flagsOf(t, 'f') & c.FS_NODUMP_FL, c.FS_NODUMP_FL);
    },
  },
  'immutable and append-only are not for the owner to set or to clear': {
    needs: ['root'],
    dir: { mode: 0o777 },
    tree: { f: file('content', { uid: 1000, gid: 1000, mode: 0o644 }) },
    run(t) {
      flagsOf(t, 'f');
      t.as(owner, () => {
        fails(e.EPERM, chattr(t, 'f', c.FS_IMMUTABLE_FL));
        fails(e.EPERM, chattr(t, 'f', c.FS_APPEND_FL));
      });
      protecting(t, ['f'], c.FS_IMMUTABLE_FL, () => {
        const further = t.as(owner, () => {
          fails(e.EPERM, chattr(t, 'f', 0, c.FS_IMMUTABLE_FL));
          fails(e.EPERM, t.unlink('f'));
          return beside(t, 'f', c.FS_NODUMP_FL);
        });
        equal(flagsOf(t, 'f') & (c.FS_NODUMP_FL | PROTECTION), further | c.FS_IMMUTABLE_FL);
      });
    },
  },
  'what is made in a directory inherits its flags, whoever makes it': {
    needs: ['root'],
    tree: {
      d: dir({}, { mode: 0o777 }),
      acl: dir({}, { mode: 0o777, xattrs: { [DEFAULT]: acl([USER_OBJ, 7], [GROUP_OBJ, 7], [OTHER, 7]) } }),
      f: file('f', { uid: 1000, gid: 1000 }),
    },
    run(t) {
      const handed = c.FS_NOATIME_FL | c.FS_NODUMP_FL;
      const makers: readonly (readonly [Who, string])[] = [
        [{ uid: 0, gid: 0 }, 'of-root'],
        [owner, 'of-owner'],
      ];
      for (const at of ['d', 'acl']) {
        ok(chattr(t, at, handed));
        for (const [who, label] of makers) {
          const act = (): void => {
            ok(t.close(open(t, `${at}/${label}-file`, c.O_CREAT | c.O_WRONLY, 0o600)));
            ok(t.mknod(`${at}/${label}-node`, c.S_IFREG | 0o600));
            ok(t.mkdir(`${at}/${label}-dir`, 0o700));
            const unnamed = open(t, at, c.O_TMPFILE | c.O_RDWR, 0o600);
            equal(ok(t.getflags(unnamed)) & handed, handed, 'an unnamed file');
            ok(t.close(unnamed));
            ok(t.symlink('x', `${at}/${label}-link`));
            ok(t.mknod(`${at}/${label}-fifo`, c.S_IFIFO | 0o600));
          };
          if (who.uid === 0) {
            act();
          } else {
            t.as(who, act);
          }
          for (const made of ['file', 'node', 'dir']) {
            equal(flagsOf(t, `${at}/${label}-${made}`) & handed, handed, `${at}/${label}-${made}`);
          }
        }
      }
      // Names that come from elsewhere keep what they have; a directory that no longer hands down does not.
      ok(t.rename('f', 'd/moved'));
      equal(flagsOf(t, 'd/moved') & handed, 0);
      ok(chattr(t, 'd', 0, handed));
      t.as(owner, () => {
        ok(t.mkdir('d/later', 0o700));
        ok(t.mkdir('d/of-owner-dir/below', 0o700));
      });
      equal(flagsOf(t, 'd/later') & handed, 0);
      equal(flagsOf(t, 'd/of-owner-dir/below') & handed, handed);
    },
  },
};
