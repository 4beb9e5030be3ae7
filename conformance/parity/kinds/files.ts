/** Files by their paths: opened in every way, read, written, cut, looked at. */
import * as c from 'stratafs/internal/sys/constants';
import { type Stat, StatFs } from 'stratafs/internal/sys/stat';
import { look } from '../look.ts';
import { at, calls, filled, hex, opening, pathWord, room } from '../shell-words.ts';
import { said } from '../turn.ts';
import { modes } from '../vocabulary.ts';
import type { Kind, Kinds } from './kind.ts';

const accesses: readonly number[] = [c.O_RDONLY, c.O_WRONLY, c.O_RDWR];
const sizes: readonly number[] = [0, 1, 10, 500, 4096, 9000];

const create: Kind = {
  weight: 4,
  choose: (by) => ({
    path: by.free(),
    flags: by.rnd.pick([c.O_EXCL, c.O_EXCL, 0, c.O_TRUNC]),
    mode: by.rnd.pick(by.once(2) ? [0o666, 0o644] : modes),
    len: by.rnd.pick(sizes),
    value: by.rnd.pick(['C', 'D', 'E']),
  }),
  run: (t, op) =>
    t.opened(op.path, c.O_WRONLY | c.O_CREAT | op.flags, op.mode, (fd) => t.write(fd, op.value, -1, op.len)),
  learn(known, op) {
    if (!known.has(op.path)) {
      known.add(op.path, 'file');
    }
  },
  shell: (op) =>
    calls(opening(op.path, c.O_WRONLY | c.O_CREAT | op.flags, op.mode), [
      'write',
      '%',
      filled(op.value, op.len),
      op.len,
    ]),
};

const openFlags: readonly number[] = [
  0,
  0,
  c.O_TRUNC,
  c.O_APPEND,
  c.O_CREAT,
  c.O_CREAT | c.O_EXCL,
  c.O_DIRECTORY,
  c.O_NOFOLLOW,
  c.O_NOFOLLOW | c.O_PATH,
  c.O_PATH,
  c.O_DIRECT,
  c.O_NOATIME,
  c.O_CREAT | c.O_DIRECTORY,
  c.O_TRUNC | c.O_NOFOLLOW,
];

const open: Kind = {
  weight: 3,
  choose: (by) => ({
    path: by.there('any'),
    flags: by.rnd.pick(accesses) | by.rnd.pick(openFlags),
    mode: by.rnd.pick(modes),
  }),
  run: (t, op) => t.opened(op.path, op.flags, op.mode, (fd) => said(Math.min(0, t.sys.fstat(fd, t.stat)))),
  learn(known, op) {
    if ((op.flags & c.O_CREAT) !== 0 && !known.has(op.path)) {
      known.add(op.path, 'file');
    }
  },
  shell: (op) => calls(opening(op.path, op.flags, op.mode)),
};

/** Made without a name, written, then named. */
const tmpfile: Kind = {
  weight: 4,
  choose: (by) => ({
    path: by.there('dir'),
    to: by.free(),
    mode: by.rnd.pick(modes),
    len: by.rnd.pick(sizes),
    value: by.rnd.pick(['T', 'U']),
    flags: by.once(8) ? c.O_EXCL : 0,
  }),
  run: (t, op) =>
    t.opened(op.path, c.O_TMPFILE | c.O_RDWR | op.flags, op.mode, (fd) => {
      const written = t.write(fd, op.value, -1, op.len);
      const before = look(t, fd, '');
      const linked = said(t.sys.linkat(fd, '', t.root, op.to, c.AT_EMPTY_PATH));
      return `${linked} ${written} ${before} ${look(t, fd, '')}`;
    }),
  learn: (known, op) => known.add(op.to, 'file'),
  shell: (op) =>
    calls(
      opening(op.path, c.O_TMPFILE | c.O_RDWR | op.flags, op.mode),
      ['write', '%', filled(op.value, op.len), op.len],
      ['linkat', '%', '', 'AT_FDCWD', at(op.to), 'AT_EMPTY_PATH'],
    ),
};

const read: Kind = {
  weight: 3,
  choose: (by) => ({ path: by.there('file', 'file', 'any'), off: by.rnd.pick([0, 0, 100, 20_000]), len: 9000 }),
  run: (t, op) => t.opened(op.path, c.O_RDONLY, 0, (fd) => t.read(fd, op.off, op.len)),
  shell: (op) => calls(opening(op.path, c.O_RDONLY), ['pread64', '%', room(op.len), op.len, op.off]),
};

const write: Kind = {
  weight: 4,
  choose: (by) => ({
    path: by.once(8) ? by.open('file') : by.there('file', 'file', 'file', 'any'),
    flags: by.rnd.pick([0, 0, c.O_APPEND, c.O_TRUNC]),
    off: by.rnd.pick([0, 0, 7, 4096, 20_000]),
    len: by.rnd.pick(sizes),
    value: by.rnd.pick(['w', 'x', 'y']),
  }),
  run: (t, op) => t.opened(op.path, c.O_WRONLY | op.flags, 0, (fd) => t.write(fd, op.value, op.off, op.len)),
  shell: (op) =>
    calls(opening(op.path, c.O_WRONLY | op.flags), ['pwrite64', '%', filled(op.value, op.len), op.len, op.off]),
};

const truncate: Kind = {
  weight: 2,
  choose: (by) => ({ path: by.there('file', 'file', 'file', 'any'), len: by.rnd.pick([0, 1, 1000, 4096, 30_000]) }),
  run: (t, op) => said(t.sys.truncate(`${t.rootPath}/${op.path}`, op.len)),
  shell: (op) => calls(['truncate', at(op.path), op.len]),
};

const stat: Kind = {
  weight: 2,
  choose: (by) => ({ path: by.there('any') }),
  run: (t, op) => look(t, t.root, op.path, 0),
  shell: (op) => `stat -Lc '%F %a %u %g %s %h %b' ${pathWord(op.path)}`,
};

const masks: readonly number[] = [
  0,
  0x3,
  0x200,
  c.STATX_BASIC_STATS,
  c.STATX_BTIME,
  c.STATX_BASIC_STATS | c.STATX_BTIME,
];
const DAY = 86_400;

/** What `mask` asks for, of what came. Times of today are as good as now: the sides have each their own. */
function asked(st: Stat, mask: number): string {
  const time = (sec: number, nsec: number): string =>
    Math.abs(Date.now() / 1000 - sec) < DAY ? 'now' : `${sec}+${nsec}`;
  const basic = (mask & c.STATX_BASIC_STATS) === 0 ? '' : `${st.mode.toString(8)} ${st.uid}:${st.gid} ${st.size}`;
  const dir = st.type === c.S_IFDIR;
  return [
    (st.mask & mask).toString(16),
    (mask & 0x3) === 0 ? '' : st.mode.toString(8),
    (mask & 0x200) === 0 || dir ? '' : `${st.size}B`,
    mask === c.STATX_BASIC_STATS ? `${basic} ${time(st.mtime, st.mtimeNsec)}` : '',
  ].join(' ');
}

const statx: Kind = {
  weight: 2,
  choose: (by) => ({
    path: by.there('any'),
    flags: by.rnd.pick([0, c.AT_SYMLINK_NOFOLLOW]) | by.rnd.pick([0, 0, c.AT_STATX_FORCE_SYNC, c.AT_STATX_DONT_SYNC]),
    mode: by.rnd.pick(masks),
  }),
  run(t, op) {
    const found = t.sys.statx(t.root, op.path, op.flags, t.stat, op.mode);
    // The row on btime: FUSE asks nobody then.
    const mask = (op.flags & c.AT_STATX_DONT_SYNC) === 0 ? op.mode : op.mode & c.STATX_BASIC_STATS;
    return found < 0 ? said(found) : `found ${asked(t.stat, mask)}`;
  },
  shell: (op) => calls(['statx', 'AT_FDCWD', at(op.path), hex(op.flags), hex(op.mode), room(256)]),
};

const access: Kind = {
  weight: 2,
  choose: (by) => ({
    path: by.there('any'),
    mode: by.rnd.below(8),
    flags: by.rnd.pick([c.AT_EACCESS, c.AT_EACCESS, c.AT_EACCESS | c.AT_SYMLINK_NOFOLLOW, 0]),
  }),
  run: (t, op) => said(t.sys.faccessat(t.root, op.path, op.mode, op.flags)),
  shell: (op) => calls(['faccessat2', 'AT_FDCWD', at(op.path), op.mode, hex(op.flags)]),
};

const statfs: Kind = {
  weight: 2,
  choose: (by) => ({ path: by.there('any') }),
  run(t, op) {
    const out = new StatFs();
    const result = t.sys.statfs(`${t.rootPath}/${op.path}`, out);
    // The type is each filesystem's own; what is free moves as the other side writes.
    return result < 0 ? said(result) : `${out.bsize} ${out.frsize} ${out.blocks} ${out.files} ${out.namelen}`;
  },
  shell: (op) => `stat -fc '%s %S %b %c %l' ${pathWord(op.path)}`,
};

export const fileKinds: Kinds = { create, open, tmpfile, read, write, truncate, stat, statx, access, statfs };
