/** Directories, listed in pieces of any size and from any position. */
import * as c from 'stratafs/internal/sys/constants';
import type { Dirent } from '../../target.ts';
import { parseDirents } from '../../targets/sys-door.ts';
import { readRecords } from '../directories.ts';
import { at, calls, opening, room } from '../shell-words.ts';
import { said, type Turn } from '../turn.ts';
import type { Kind, Kinds } from './kind.ts';
import { visible } from './names.ts';

const DIRECTORY = c.O_RDONLY | c.O_DIRECTORY;

const list: Kind = {
  weight: 3,
  choose: (by) => ({ path: by.there('dir', 'dir', 'dir', 'any'), len: by.rnd.pick([300, 600, 65536]) }),
  run: (t, op) =>
    t.opened(op.path, DIRECTORY, 0, (fd) => {
      const records = readRecords(t.sys, fd, op.len);
      return typeof records === 'number' ? said(records) : shown(t, fd, records);
    }),
  shell: (op) => calls(opening(op.path, DIRECTORY), ['names', '%', op.len]),
};

/** Names with types, in the order of the alphabet; positions have to differ. */
function shown(t: Turn, fd: number, records: readonly Dirent[]): string {
  const seen = new Set(
    visible(
      t.sys,
      t.kernel,
      fd,
      records.map(({ name }) => name),
    ),
  );
  const kept = records.filter(({ name }) => seen.has(name));
  const positions = new Set(records.map(({ off }) => off)).size === records.length ? '' : ' with positions that repeat';
  return `[${kept
    .map(({ name, type }) => `${name}:${type}`)
    .sort()
    .join(' ')}]${positions}`;
}

/** From a position in the middle there follows what followed it before. */
const seekdir: Kind = {
  weight: 2,
  choose: (by) => ({
    path: by.there('dir', 'dir', 'dir', 'any'),
    off: by.rnd.below(12),
    len: by.rnd.pick([300, 65536]),
  }),
  run: (t, op) =>
    t.opened(op.path, DIRECTORY, 0, (fd) => {
      const { sys } = t;
      const all = readRecords(sys, fd, op.len);
      if (typeof all === 'number') {
        return said(all);
      }
      const from = op.off % all.length;
      const sought = sys.seekdir(fd, all[from].off);
      const rest = readRecords(sys, fd, op.len);
      const same =
        typeof rest !== 'number' && JSON.stringify(names(rest)) === JSON.stringify(names(all.slice(from + 1)));
      const result = sought < 0 || typeof rest === 'number' ? said(Math.min(sought, Number(rest))) : 'sought';
      return `${result}${same ? '' : ', and other entries follow'} ${shown(t, fd, all)}`;
    }),
  shell: (op) => calls(opening(op.path, DIRECTORY), ['seek', '%', op.off, op.len]),
};

/**
 * A name comes or goes while the directory is being read: every other one shows once. docs/differences.md,
 * "A directory that changes while it is listed": the kernel is not judged by that, but by a new listing.
 */
const changing: Kind = {
  weight: 2,
  choose(by) {
    const path = by.there('dir');
    const inside = by.known
      .list('any')
      .filter((name) => name.startsWith(`${path}/`) && !name.includes('/', path.length + 1));
    return { path, to: inside.length > 0 && by.once(2) ? by.rnd.pick(inside) : by.free(), off: by.rnd.below(3) };
  },
  run: (t, op) =>
    t.opened(op.path, DIRECTORY, 0, (fd) => {
      const { sys } = t;
      const begun = sys.getdents64(fd, t.buf.subarray(0, 300));
      if (begun < 0) {
        return said(begun);
      }
      const first = parseDirents(t.buf, begun);
      const changed = [
        () => sys.mkdirat(t.root, op.to, 0o755),
        () => sys.unlinkat(t.root, op.to, 0),
        () => sys.unlinkat(t.root, op.to, c.AT_REMOVEDIR),
      ][op.off]();
      const rest = readRecords(sys, fd, 300);
      sys.lseek(fd, 0, c.SEEK_SET);
      const anew = readRecords(sys, fd, 300);
      if (typeof rest === 'number' || typeof anew === 'number') {
        return `began ${said(changed)} ${said(Math.min(Number(rest), Number(anew)))}`;
      }
      const own = op.to.slice(op.to.lastIndexOf('/') + 1);
      const others = (records: readonly Dirent[]): string =>
        shown(
          t,
          fd,
          records.filter(({ name }) => name !== own),
        );
      const seen = others([...first, ...rest]);
      const expected = others(anew);
      return `began ${said(changed)} ${expected}${t.kernel || seen === expected ? '' : ` but showed ${seen}`}`;
    }),
  learn(known, op) {
    if (op.off > 0) {
      known.remove(op.to);
    } else if (!known.has(op.to)) {
      known.add(op.to, 'dir');
    }
  },
  shell: (op) =>
    calls(
      opening(op.path, DIRECTORY),
      ['getdents64', '%', room(300), 300],
      op.off === 0
        ? ['mkdirat', 'AT_FDCWD', at(op.to), '0755']
        : ['unlinkat', 'AT_FDCWD', at(op.to), op.off === 1 ? 0 : 'AT_REMOVEDIR'],
      ['names', '%', 300],
    ),
};

function names(records: readonly Dirent[]): string[] {
  return records.map(({ name }) => name);
}

export const listingKinds: Kinds = { list, seekdir, 'list-changing': changing };
