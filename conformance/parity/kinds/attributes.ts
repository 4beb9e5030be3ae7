/** Modes, owners, times, xattrs and ACLs by path. */
import type { ByteString } from 'stratafs/internal/sys/bytes';
import * as c from 'stratafs/internal/sys/constants';
import { ERANGE } from 'stratafs/internal/sys/errno';
import { Stat } from 'stratafs/internal/sys/stat';
import type { Chooser } from '../chooser.ts';
import type { Operation } from '../operation.ts';
import { at, bytes, calls, hex, hexWord, octal, pathWord, room } from '../shell-words.ts';
import { said, type Turn } from '../turn.ts';
import {
  ACL_ACCESS,
  ACL_DEFAULT,
  acls,
  CAPABILITY,
  capability,
  groups,
  modes,
  owners,
  times,
  xattrs,
} from '../vocabulary.ts';
import type { Kind, Kinds } from './kind.ts';

const NOFOLLOW = c.AT_SYMLINK_NOFOLLOW;
const nowTime = times.findIndex(([, nsec]) => nsec === c.UTIME_NOW);

const chmod: Kind = {
  weight: 4,
  choose: (by) => ({
    path: by.once(8) ? by.open('file') : by.there('any', 'dir', 'file'),
    mode: by.rnd.pick(modes),
    flags: by.once(3) ? NOFOLLOW : 0,
  }),
  run: (t, op) => said(t.sys.fchmodat(t.root, op.path, op.mode, op.flags)),
  shell: (op) =>
    op.flags === 0
      ? calls(['fchmodat', 'AT_FDCWD', at(op.path), octal(op.mode)])
      : calls(['fchmodat2', 'AT_FDCWD', at(op.path), octal(op.mode), 'AT_SYMLINK_NOFOLLOW']),
};

const chown: Kind = {
  weight: 3,
  choose(by) {
    const [off, len] = by.once(8) ? [-1, -1] : [by.rnd.pick([-1, ...owners]), by.rnd.pick([-1, ...groups])];
    return { path: by.there('any'), flags: by.rnd.pick([0, NOFOLLOW]), off, len };
  },
  run: (t, op) =>
    op.off < 0 && op.len < 0 && isWritten(t, op.path, op.flags)
      ? 'EBUSY'
      : said(t.sys.fchownat(t.root, op.path, op.off, op.len, op.flags)),
  // chown(1) leaves out what seems to change nothing.
  shell: (op) => calls(['fchownat', 'AT_FDCWD', at(op.path), op.off, op.len, hex(op.flags)]),
};

/**
 * docs/differences.md, "A chown of nothing": with anybody's descriptor for writing the same words mean another
 * thing by FUSE, so that it is not asked then; nor where a stranger's truncate could be meant.
 */
export function isWritten({ sys, root, slots, buf }: Turn, path: ByteString, flags: number): boolean {
  const [st, open] = [new Stat(), new Stat()];
  const at = path === '' ? flags : root;
  const found = path === '' ? sys.fstat(at, st) : sys.statx(root, path, flags, st);
  const capable = sys.getxattrat(at, path, CAPABILITY, buf) > 0;
  return (
    found === 0 &&
    ((capable && (st.mode & 0o6000) !== 0 && (st.mode & 0o022) !== 0) ||
      slots.some(
        (slot) =>
          slot >= 0 &&
          (sys.fcntl(slot, c.F_GETFL, 0) & c.O_ACCMODE) !== c.O_RDONLY &&
          sys.fstat(slot, open) === 0 &&
          open.ino === st.ino,
      ))
  );
}

/** Both to now is all that one who may write may ask for. */
const utimens: Kind = {
  weight: 3,
  choose(by) {
    const now = by.once(6) ? nowTime : undefined;
    return {
      path: by.there('any'),
      off: now ?? by.rnd.below(times.length),
      len: now ?? by.rnd.below(times.length),
      flags: by.rnd.pick([0, NOFOLLOW]),
    };
  },
  run: (t, op) => said(t.sys.utimensat(t.root, op.path, ...times[op.off], ...times[op.len], op.flags)),
  shell: (op) =>
    calls(['utimensat', 'AT_FDCWD', at(op.path), `pack:q4:${[times[op.off], times[op.len]]}`, hex(op.flags)]),
};

/** Mostly one that was set before. */
function xattrOf(by: Chooser): Partial<Operation> {
  for (let tries = 0; tries < 4; tries++) {
    const [path, name] = by.once(8) || by.known.remembered.length === 0 ? ['', ''] : by.rnd.pick(by.known.remembered);
    if (by.known.has(path)) {
      return { path, name, ...(by.once(2) ? {} : { user: 0 }) };
    }
  }
  return { path: by.there('any', 'file', 'dir'), name: by.rnd.pick([...xattrs, ACL_ACCESS, ACL_DEFAULT]) };
}

const setxattr: Kind = {
  weight: 4,
  choose(by) {
    const name = by.rnd.pick(xattrs);
    const opaque = by.once(2) ? 'y' : 'x';
    const plain = by.once(6) ? 'v'.repeat(by.rnd.below(3000)) : `v${by.rnd.below(100)}`;
    return {
      path: by.there('any', 'file', 'dir'),
      name,
      value: name === CAPABILITY ? capability : name.endsWith('.opaque') ? opaque : plain,
      flags: by.rnd.pick([0, 0, 0, 0, c.XATTR_CREATE, c.XATTR_REPLACE]),
    };
  },
  run: (t, op) => said(t.sys.setxattrat(t.root, op.path, op.name, Buffer.from(op.value, 'latin1'), op.flags)),
  learn: (known, op) => known.remember(op.path, op.name),
  shell: (op) =>
    op.flags === 0
      ? `setfattr -h -n ${op.name} -v ${hexWord(op.value)} ${pathWord(op.path)}`
      : calls(['lsetxattr', at(op.path), op.name, bytes(op.value), op.value.length, op.flags]),
};

const setCapability: Kind = {
  weight: 2,
  choose: (by) => ({ path: by.there('file', 'file', 'file', 'any'), name: CAPABILITY, flags: by.once(4) ? 1 : 0 }),
  run: (t, op) =>
    said(
      op.flags === 1
        ? t.sys.removexattrat(t.root, op.path, op.name)
        : t.sys.setxattrat(t.root, op.path, op.name, Buffer.from(capability, 'latin1'), 0),
    ),
  learn(known, op) {
    if (op.flags === 1) {
      known.forget(op.path, op.name);
    } else {
      known.remember(op.path, op.name);
    }
  },
  shell: (op) =>
    `setfattr -h ${op.flags === 1 ? `-x ${op.name}` : `-n ${op.name} -v ${hexWord(capability)}`} ${pathWord(op.path)}`,
};

const setAcl: Kind = {
  weight: 3,
  choose(by) {
    const name = by.rnd.pick([ACL_ACCESS, ACL_DEFAULT]);
    const path = name === ACL_DEFAULT ? by.there('dir') : by.there('any', 'file', 'dir');
    return { path, name, value: by.once(30) ? 'none' : by.rnd.pick(acls) };
  },
  run: (t, op) => said(t.sys.setxattrat(t.root, op.path, op.name, Buffer.from(op.value, 'latin1'), 0)),
  learn: (known, op) => known.remember(op.path, op.name),
  shell: (op) => `setfattr -h -n ${op.name} -v ${hexWord(op.value)} ${pathWord(op.path)}`,
};

const getxattr: Kind = {
  weight: 3,
  choose: (by) => ({ ...xattrOf(by), len: by.rnd.pick([0, 1, 2, 4096, 4096, 4096, 4096]) }),
  run(t, op) {
    const n = t.sys.getxattrat(t.root, op.path, op.name, t.buf.subarray(0, op.len));
    return n < 0 || op.len === 0 ? said(n) : `= ${t.buf.toString('hex', 0, n)}`;
  },
  shell: (op) => calls(['lgetxattr', at(op.path), op.name, room(op.len), op.len]),
};

/**
 * docs/differences.md, "`listxattr(2)` asks for, and tells": the kernel counts the overlay's
 * own names and the escapes too, which it then does not show. Too little for the list is too little for both.
 */
const listxattr: Kind = {
  weight: 2,
  choose: (by) => ({
    path: by.once(3) ? xattrOf(by).path! : by.there('any'),
    len: by.rnd.pick([1, 8, 20, 4096, 4096]),
  }),
  run(t, op) {
    const list = (room: number): number => t.sys.listxattrat(t.root, op.path, t.buf.subarray(0, room));
    const [size, some, n] = [list(0), list(op.len), list(t.buf.length)];
    if (n < 0) {
      return said(n);
    }
    const sizes = t.kernel ? size >= n : size === n;
    const fits = n > op.len ? some === -ERANGE : some === n || (t.kernel && some === -ERANGE && size > op.len);
    return `${namesIn(t.buf, n).join(' ') || 'none'}${sizes && fits ? '' : ` and another size, ${size} ${some}`}`;
  },
  shell: (op) =>
    calls(
      ['llistxattr', at(op.path), room(70_000), 70_000],
      ['llistxattr', at(op.path), room(op.len), op.len],
      ['llistxattr', at(op.path), '', 0],
    ),
};

/** What listxattr(2) filled, sorted. */
export function namesIn(buf: Buffer, length: number): ByteString[] {
  return buf.toString('latin1', 0, length).split('\0').slice(0, -1).sort();
}

const removexattr: Kind = {
  weight: 3,
  choose: xattrOf,
  run: (t, op) => said(t.sys.removexattrat(t.root, op.path, op.name)),
  learn: (known, op) => known.forget(op.path, op.name),
  shell: (op) => `setfattr -h -x ${op.name} ${pathWord(op.path)}`,
};

export const attributeKinds: Kinds = {
  chmod,
  chown,
  utimens,
  setxattr,
  'set-capability': setCapability,
  'set-acl': setAcl,
  getxattr,
  listxattr,
  removexattr,
};
