/** Modes, owners, times, xattrs and ACLs by path. */
import type { ByteString } from 'stratafs/internal/sys/bytes';
import * as c from 'stratafs/internal/sys/constants';
import type { Chooser } from '../chooser.ts';
import type { Operation } from '../operation.ts';
import { hexWord, octal, pathWord, timeWord } from '../shell-words.ts';
import { said } from '../turn.ts';
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

const chmod: Kind = {
  weight: 4,
  choose: (by) => ({
    path: by.there('any', 'dir', 'file'),
    mode: by.rnd.pick(modes),
    flags: by.once(3) ? NOFOLLOW : 0,
  }),
  run: (t, op) => said(t.sys.fchmodat(t.root, op.path, op.mode, op.flags)),
  shell: (op) => `chmod ${octal(op.mode)} ${pathWord(op.path)}${op.flags === 0 ? '' : ' # AT_SYMLINK_NOFOLLOW'}`,
};

const chown: Kind = {
  weight: 3,
  choose(by) {
    const [off, len] = [by.rnd.pick([-1, ...owners]), by.rnd.pick([-1, ...groups])];
    const path = by.there('any');
    const flags = by.rnd.pick([0, NOFOLLOW]);
    // docs/differences.md, "chown(-1, -1)" of a file that is open for writing.
    return { path, flags, off, len: off < 0 && len < 0 ? 2000 : len };
  },
  run: (t, op) => said(t.sys.fchownat(t.root, op.path, op.off, op.len, op.flags)),
  shell: (op) =>
    `chown ${op.flags === 0 ? '' : '-h '}${op.off < 0 ? '' : op.off}:${op.len < 0 ? '' : op.len} ${pathWord(op.path)}`,
};

const utimens: Kind = {
  weight: 3,
  choose: (by) => ({
    path: by.there('any'),
    off: by.rnd.below(times.length),
    len: by.rnd.below(times.length),
    flags: by.rnd.pick([0, NOFOLLOW]),
  }),
  run: (t, op) => said(t.sys.utimensat(t.root, op.path, ...times[op.off], ...times[op.len], op.flags)),
  shell(op) {
    const path = `${op.flags === 0 ? '' : '-h '}${pathWord(op.path)}`;
    const touch = (which: string, [sec, nsec]: readonly [number, number]): string =>
      nsec === c.UTIME_OMIT
        ? ':'
        : nsec === c.UTIME_NOW
          ? `touch -c${which} ${path}`
          : `touch -c${which} -d ${timeWord(sec, nsec)} ${path}`;
    return `${touch('a', times[op.off])}; ${touch('m', times[op.len])} # one utimensat`;
  },
};

/** Mostly one that was set before. */
function xattrOf(by: Chooser): Partial<Operation> {
  const { remembered } = by.known;
  if (remembered.length > 0 && !by.once(6)) {
    const [path, name] = by.rnd.pick(remembered);
    return { path, name };
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
    `setfattr -h -n ${op.name} -v ${hexWord(op.value)} ${pathWord(op.path)}${op.flags === 0 ? '' : ` # flags ${op.flags}`}`,
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
  choose: (by) => ({ ...xattrOf(by), len: by.rnd.pick([0, 1, 4096, 4096]) }),
  run(t, op) {
    const n = t.sys.getxattrat(t.root, op.path, op.name, t.buf.subarray(0, op.len));
    return n < 0 || op.len === 0 ? said(n) : `= ${t.buf.toString('hex', 0, n)}`;
  },
  shell: (op) => `getfattr -h --only-values -n ${op.name} ${pathWord(op.path)} | od -An -tx1`,
};

/**
 * docs/differences.md, "The size that listxattr tells": the kernel counts the overlay's own names too,
 * which it then does not show.
 */
const listxattr: Kind = {
  weight: 2,
  choose: (by) => ({ path: by.once(3) ? xattrOf(by).path! : by.there('any') }),
  run(t, op) {
    const size = t.sys.listxattrat(t.root, op.path, t.buf.subarray(0, 0));
    const n = t.sys.listxattrat(t.root, op.path, t.buf);
    const enough = t.kernel ? size >= n : size === n;
    return n < 0 ? said(n) : `${namesIn(t.buf, n).join(' ') || 'none'}${enough ? '' : ' and another size'}`;
  },
  shell: (op) => `getfattr -h -m - ${pathWord(op.path)} | sort`,
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
  'set-acl': setAcl,
  getxattr,
  listxattr,
  removexattr,
};
