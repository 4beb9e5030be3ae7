/**
 * What overlays on top ask for and the kernel's overlay refuses: RENAME_WHITEOUT, and mknod of 0:0
 * (docs/differences.md, "are accepted"). The kernel's side answers with the refusal, and then makes
 * the plain call; ours makes the whiteout, has it seen as one, and takes it away with what it left
 * on its directory. Nothing else may differ: neither the errno of what fails, nor what is there then.
 */
import type { ByteString } from 'stratafs/internal/sys/bytes';
import * as c from 'stratafs/internal/sys/constants';
import { EINVAL, ENODATA, EPERM } from 'stratafs/internal/sys/errno';
import { at, type Call, calls, octal } from '../shell-words.ts';
import { said, type Turn } from '../turn.ts';
import { modes } from '../vocabulary.ts';
import type { Kind, Kinds } from './kind.ts';

/** Marks a directory that may hold whiteouts of a user, as it shows through the mount. */
const marks: readonly ByteString[] = ['trusted.overlay.opaque', 'user.overlay.opaque'];

/** What a path names, held by its directory: moving it may break a symlink on the way. */
interface Place {
  readonly dir: number;
  readonly name: ByteString;
}

function held(t: Turn, path: ByteString, act: (at: Place) => string): string {
  const slash = path.lastIndexOf('/');
  const dir = t.sys.openat(t.root, `${path.slice(0, slash + 1)}.`, c.O_PATH | c.O_DIRECTORY, 0);
  if (dir < 0) {
    return said(dir);
  }
  const result = act({ dir, name: path.slice(slash + 1) });
  t.sys.close(dir);
  return result;
}

/** Makes a whiteout by `make`, and removes it. @returns what `make` said, and 'kept' where none came. */
function madeAndRemoved(t: Turn, { dir, name }: Place, make: () => number): string {
  const { sys } = t;
  const has = (mark: ByteString): boolean => sys.getxattrat(dir, '', mark, t.buf) !== -ENODATA;
  const unmarked = marks.filter((mark) => !has(mark));
  const made = make();
  if (made < 0) {
    return said(made);
  }
  const found = sys.statx(dir, name, c.AT_SYMLINK_NOFOLLOW, t.stat);
  if (found < 0 || t.stat.type !== c.S_IFCHR || t.stat.rdev !== 0) {
    return found < 0 ? 'no whiteout' : 'kept';
  }
  const gone = sys.unlinkat(dir, name, 0);
  for (const mark of unmarked) {
    sys.removexattrat(dir, '', mark);
  }
  return `${said(gone)}${unmarked.some(has) ? ', and the mark stays' : ''}`;
}

/** What the refusal and the plain call after it come to. */
function refused(refusal: number, expected: number, plain: () => number): string {
  const result = plain();
  return refusal === -expected || refusal === result ? said(result) : `refused with ${said(refusal)}`;
}

function inItsDirectory(path: ByteString, act: (name: ByteString) => Call): string {
  const slash = path.lastIndexOf('/');
  const dir = at(`${path.slice(0, slash + 1)}.`);
  return calls(['openat', 'AT_FDCWD', dir, 'O_PATH|O_DIRECTORY', 0], act(path.slice(slash + 1)));
}

const rename: Kind = {
  weight: 3,
  // Only root puts a directory's mark back.
  choose: (by) => ({
    user: 0,
    path: by.there('any', 'file', 'dir'),
    to: by.once(3) ? by.there('any') : by.free(),
  }),
  run: (t, op) =>
    held(t, op.path, (at) => {
      const { sys } = t;
      const by = (flags: number): number => sys.renameat2(at.dir, at.name, t.root, op.to, flags);
      if (!t.kernel) {
        return madeAndRemoved(t, at, () => by(c.RENAME_WHITEOUT));
      }
      const result = refused(by(c.RENAME_WHITEOUT), EINVAL, () => by(0));
      if (result !== '0') {
        return result;
      }
      if (sys.statx(at.dir, at.name, c.AT_SYMLINK_NOFOLLOW, t.stat) === 0) {
        return 'kept';
      }
      // Made and removed here too: the whiteout that a rename leaves takes the directory's default ACL.
      const made = sys.mknodat(at.dir, at.name, c.S_IFIFO, 0);
      return said(made < 0 ? made : sys.unlinkat(at.dir, at.name, 0));
    }),
  learn(known, op) {
    if (op.path !== op.to) {
      known.move(op.path, op.to);
    }
  },
  shell: (op) => inItsDirectory(op.path, (name) => ['whiteout', '%', name, at(op.to)]),
};

const mknod: Kind = {
  weight: 2,
  choose: (by) => ({ user: 0, path: by.free(), mode: by.rnd.pick(modes) }),
  run: (t, op) =>
    held(t, op.path, (at) => {
      const make = (type: number): number => t.sys.mknodat(at.dir, at.name, type | op.mode, 0);
      if (!t.kernel) {
        return madeAndRemoved(t, at, () => make(c.S_IFCHR));
      }
      return refused(make(c.S_IFCHR), EPERM, () => {
        const made = make(c.S_IFIFO);
        return made < 0 ? made : t.sys.unlinkat(at.dir, at.name, 0);
      });
    }),
  shell: (op) => inItsDirectory(op.path, (name) => ['whiteout', '%', name, '', octal(op.mode)]),
};

export const whiteoutKinds: Kinds = { 'rename-whiteout': rename, 'mknod-whiteout': mknod };
