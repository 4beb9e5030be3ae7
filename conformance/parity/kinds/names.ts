/** Names: made, moved, linked, removed. */
import type { ByteString } from 'stratafs/internal/sys/bytes';
import * as c from 'stratafs/internal/sys/constants';
import { Stat } from 'stratafs/internal/sys/stat';
import type { Sys } from 'stratafs/internal/sys/sys';
import { listNames } from '../directories.ts';
import { at, type Call, calls, octal, pathWord, room, word } from '../shell-words.ts';
import { said, type Turn } from '../turn.ts';
import { blockDevices, charDevices, modes, targets } from '../vocabulary.ts';
import type { Kind, Kinds } from './kind.ts';

const mkdir: Kind = {
  weight: 5,
  choose: (by) => ({ path: by.free(), mode: by.rnd.pick(by.once(2) ? [0o777, 0o755] : modes) }),
  run: (t, op) => said(t.sys.mkdirat(t.root, op.path, op.mode)),
  learn: (known, op) => known.add(op.path, 'dir'),
  // mkdir -m would be a chmod.
  shell: (op) => calls(['mkdirat', 'AT_FDCWD', at(op.path), octal(op.mode)]),
};

const rmdir: Kind = {
  weight: 3,
  choose: (by) => ({ path: by.there('empty', 'empty', 'empty', 'empty', 'dir'), ...(by.once(3) ? {} : { user: 0 }) }),
  run: (t, op) => said(t.sys.unlinkat(t.root, op.path, c.AT_REMOVEDIR)),
  learn: (known, op) => known.remove(op.path),
  shell: (op) => `rmdir ${pathWord(op.path)}`,
};

const unlink: Kind = {
  weight: 3,
  choose: (by) => ({ path: by.once(3) ? by.open('file') : by.there('file', 'file', 'link', 'other') }),
  run: (t, op) => said(t.sys.unlinkat(t.root, op.path, 0)),
  learn: (known, op) => known.remove(op.path),
  shell: (op) => `unlink ${pathWord(op.path)}`,
};

const removeTree: Kind = {
  weight: 3,
  choose: (by) => ({ path: by.there('empty', 'empty', 'dir', 'file') }),
  run: (t, op) => (op.path === '.' ? 'EINVAL' : removed(t, t.root, op.path)),
  learn: (known, op) => known.remove(op.path),
  shell: (op) => `rm -r --interactive=never ${pathWord(op.path)}`,
};

/** rm -r: what it could not remove, with errnos; the errno of the top itself first. */
function removed(t: Turn, dirfd: number, path: ByteString): string {
  const { sys } = t;
  const st = new Stat();
  const found = sys.statx(dirfd, path, c.AT_SYMLINK_NOFOLLOW, st);
  if (found < 0) {
    return said(found);
  }
  if (st.type !== c.S_IFDIR) {
    return said(sys.unlinkat(dirfd, path, 0));
  }
  const fd = sys.openat(dirfd, path, c.O_RDONLY | c.O_DIRECTORY | c.O_NOFOLLOW, 0);
  const kept = fd < 0 ? [said(fd)] : removeEntries(t, fd);
  const result = said(sys.unlinkat(dirfd, path, c.AT_REMOVEDIR));
  return kept.length === 0 ? result : `${result} (${kept.join(', ')})`;
}

/** Closes `fd`. */
function removeEntries(t: Turn, fd: number): string[] {
  const kept: string[] = [];
  for (const name of visible(t.sys, t.kernel, fd, listNames(t.sys, fd))) {
    const result = removed(t, fd, name);
    if (result !== '0') {
      kept.push(`${name}: ${result}`);
    }
  }
  t.sys.close(fd);
  return kept;
}

/**
 * docs/differences.md, "Whiteouts do not appear in a listing": those that the kernel lists and then
 * does not find are left out.
 */
export function visible(sys: Sys, kernel: boolean, dirfd: number, names: readonly ByteString[]): readonly ByteString[] {
  const st = new Stat();
  return kernel ? names.filter((name) => sys.statx(dirfd, name, c.AT_SYMLINK_NOFOLLOW, st) !== -2) : names;
}

function rename(weight: number, flags: number, flagName: string | 0): Kind {
  return {
    weight,
    choose(by) {
      const noreplace = flags === c.RENAME_NOREPLACE;
      const to =
        flags === c.RENAME_EXCHANGE || by.once(noreplace ? 20 : 3)
          ? by.once(4)
            ? by.open('any')
            : by.there('any')
          : by.free();
      return { path: noreplace ? by.there('any', 'file') : by.there('any', 'any', 'dir', 'file'), to };
    },
    run: (t, op) => said(t.sys.renameat2(t.root, op.path, t.root, op.to, flags)),
    learn(known, op) {
      if (flags === c.RENAME_EXCHANGE) {
        known.exchange(op.path, op.to);
      } else if (op.path !== op.to) {
        known.move(op.path, op.to);
      }
    },
    // mv copies where a rename is EXDEV.
    shell: (op) => calls(['renameat2', 'AT_FDCWD', at(op.path), 'AT_FDCWD', at(op.to), flagName]),
  };
}

const link: Kind = {
  weight: 4,
  choose: (by) => ({ path: by.there('file', 'file', 'file', 'link', 'other'), to: by.free() }),
  run: (t, op) => said(t.sys.linkat(t.root, op.path, t.root, op.to, 0)),
  learn: (known, op) => known.add(op.to, known.type(op.path) ?? 'file'),
  shell: (op) => `ln -PT ${pathWord(op.path)} ${pathWord(op.to)}`,
};

const symlink: Kind = {
  weight: 3,
  choose: (by) => ({ path: by.free(), value: by.rnd.pick(targets) }),
  run: (t, op) => said(t.sys.symlinkat(op.value, t.root, op.path)),
  learn: (known, op) => known.add(op.path, 'link'),
  shell: (op) => `ln -sT ${word(op.value)} ${pathWord(op.path)}`,
};

const readlink: Kind = {
  weight: 2,
  choose: (by) => ({ path: by.there('link', 'link', 'link', 'any'), len: by.rnd.pick([4096, 4096, 1, 3, 0]) }),
  run(t, op) {
    const target = t.sys.readlinkat(t.root, op.path, op.len);
    return typeof target === 'number' ? said(target) : `to ${target}`;
  },
  shell: (op) => calls(['readlinkat', 'AT_FDCWD', at(op.path), room(op.len), op.len]),
};

const special: readonly (readonly [number, readonly number[]])[] = [
  [c.S_IFIFO, [0]],
  [c.S_IFSOCK, [0]],
  [c.S_IFCHR, charDevices],
  [c.S_IFBLK, blockDevices],
  [c.S_IFREG, [0]],
];

const mknod: Kind = {
  weight: 3,
  choose(by) {
    const [type, devices] = by.rnd.pick(special);
    return { path: by.free(), mode: type | by.rnd.pick(modes), off: by.rnd.pick(devices) };
  },
  run: (t, op) => said(t.sys.mknodat(t.root, op.path, op.mode, op.off)),
  learn: (known, op) => known.add(op.path, (op.mode & c.S_IFMT) === c.S_IFREG ? 'file' : 'other'),
  // mknod(1) knows neither sockets nor files, and not every mode.
  shell: (op) => calls(['mknodat', 'AT_FDCWD', at(op.path), octal(op.mode), op.off]),
};

/** One byte more than this does not fit, with its NUL. */
const PATH_MAX = 4095;

/** Which of the calls below makes a link. */
export const LINKS = 1;

function created(sys: Sys, root: number, path: ByteString): number {
  const fd = sys.openat(root, path, c.O_WRONLY | c.O_CREAT, 0o600);
  return fd < 0 ? fd : sys.close(fd);
}

/** Every call that takes a name, with one of `len` bytes; and a path of the greatest length, or one more. */
const longNames: Kind = {
  weight: 3,
  choose: (by) => ({
    path: by.there('dir'),
    off: by.rnd.below(14),
    len: by.rnd.pick([255, 255, 256]),
    to: by.there('file'),
  }),
  run(t, op) {
    const { sys, root } = t;
    const name = `${op.path}/${'l'.repeat(op.len)}`;
    const other = `${op.path}/${'m'.repeat(op.len)}`;
    const made = sys.mkdirat(root, name, 0o700);
    const calls: (() => number)[] = [
      () => sys.renameat2(root, name, root, other, 0),
      () => sys.linkat(root, op.to, root, other, 0),
      () => sys.symlinkat('a', root, other),
      () => sys.mknodat(root, other, c.S_IFIFO | 0o600, 0),
      () => sys.faccessat(root, name, c.F_OK, 0),
      () => sys.statx(root, other, c.AT_SYMLINK_NOFOLLOW, t.stat),
      () => sys.fchmodat(root, name, 0o711, 0),
      () => sys.setxattrat(root, name, 'user.long', Buffer.from('x'), 0),
      () => created(sys, root, other),
      () => sys.fchownat(root, name, 1000, 1000, c.AT_SYMLINK_NOFOLLOW),
      () => sys.utimensat(root, name, 1, 1, 1, 1, 0),
      () => sys.getxattrat(root, name, 'user.long', t.buf),
      () => sys.renameat2(root, name, root, other, c.RENAME_NOREPLACE),
      () => sys.statx(root, `${name}/`.padEnd(PATH_MAX + op.len - 255, './'), 0, t.stat),
    ];
    const called = calls[op.off]();
    const gone = [name, other].map((path) => [sys.unlinkat(root, path, 0), sys.unlinkat(root, path, c.AT_REMOVEDIR)]);
    return [made, called, ...gone.flat()].map(said).join(' ');
  },
  shell(op) {
    const name = at(`${op.path}/${'l'.repeat(op.len)}`);
    const other = at(`${op.path}/${'m'.repeat(op.len)}`);
    const here = 'AT_FDCWD';
    const called: readonly (readonly Call[])[] = [
      [['renameat2', here, name, here, other, 0]],
      [['linkat', here, at(op.to), here, other, 0]],
      [['symlinkat', 'a', here, other]],
      [['mknodat', here, other, octal(c.S_IFIFO | 0o600), 0]],
      [['faccessat2', here, name, 0, 0]],
      [['statx', here, other, 'AT_SYMLINK_NOFOLLOW', 'STATX_BASIC_STATS', room(256)]],
      [['fchmodat', here, name, '0711']],
      [['lsetxattr', name, 'user.long', 'x', 1, 0]],
      [['creat', other, '0600']],
      [['fchownat', here, name, 1000, 1000, 'AT_SYMLINK_NOFOLLOW']],
      [['utimensat', here, name, 'pack:q4:1,1,1,1', 0]],
      [['lgetxattr', name, 'user.long', room(300), 300]],
      [['renameat2', here, name, here, other, 'RENAME_NOREPLACE']],
      [
        [
          'statx',
          here,
          `${op.path}/${'l'.repeat(op.len)}/`.padEnd(PATH_MAX + op.len - 255, './'),
          0,
          'STATX_BASIC_STATS',
          room(256),
        ],
      ],
    ];
    const gone = [name, other].flatMap((path): Call[] => [
      ['unlinkat', here, path, 0],
      ['unlinkat', here, path, 'AT_REMOVEDIR'],
    ]);
    return calls(['mkdirat', here, name, '0700'], ...called[op.off], ...gone);
  },
};

export const nameKinds: Kinds = {
  mkdir,
  rmdir,
  unlink,
  'rm -r': removeTree,
  rename: rename(5, 0, 0),
  'rename-noreplace': rename(3, c.RENAME_NOREPLACE, 'RENAME_NOREPLACE'),
  'rename-exchange': rename(3, c.RENAME_EXCHANGE, 'RENAME_EXCHANGE'),
  link,
  symlink,
  readlink,
  mknod,
  'long-names': longNames,
};
