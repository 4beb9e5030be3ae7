/** What passes between two descriptors: locks, events, the bytes of a FIFO. */
import * as c from 'stratafs/internal/sys/constants';
import { EAGAIN } from 'stratafs/internal/sys/errno';
import { at, type Call, calls, filled, opening, room } from '../shell-words.ts';
import { digest, said, type Turn } from '../turn.ts';
import type { Kind, Kinds } from './kind.ts';

/** A file opened twice: what one has locked, the other finds locked. */
const lock: Kind = {
  weight: 2,
  choose: (by) => ({
    path: by.there('file', 'file', 'file', 'any'),
    flags: by.rnd.pick([c.O_RDONLY, c.O_RDWR, c.O_RDWR]),
    mode: by.rnd.pick([c.LOCK_SH, c.LOCK_EX]),
    off: by.rnd.pick([0, 10, 5000]),
    len: by.rnd.pick([0, 10]),
  }),
  run: (t, op) =>
    t.opened(op.path, op.flags, 0, (first) =>
      t.opened(op.path, op.flags, 0, (second) => {
        const { sys } = t;
        const range = (type: number): { type: number; whence: number; start: number; len: number; pid: number } => ({
          type,
          whence: c.SEEK_SET,
          start: op.off,
          len: op.len,
          pid: 0,
        });
        const found = range(c.F_WRLCK);
        return [
          'locked',
          sys.flock(first, op.mode | c.LOCK_NB),
          sys.flock(second, c.LOCK_SH | c.LOCK_NB),
          sys.flock(second, c.LOCK_EX | c.LOCK_NB),
          sys.fcntlLock(first, c.F_OFD_SETLK, range(op.mode === c.LOCK_EX ? c.F_WRLCK : c.F_RDLCK)),
          sys.fcntlLock(second, c.F_OFD_SETLK, range(c.F_RDLCK)),
          sys.fcntlLock(second, c.F_OFD_GETLK, found),
        ]
          .map((result) => (typeof result === 'string' ? result : said(result)))
          .concat(`${found.type}:${found.start}+${found.len}`)
          .join(' ');
      }),
    ),
  shell(op) {
    const locked = (type: number): string => `pack:ssx4qqix4:${type},0,${op.off},${op.len},0`;
    const exclusive = op.mode === c.LOCK_EX;
    return calls(
      opening(op.path, op.flags),
      opening(op.path, op.flags),
      ['flock', '%1', exclusive ? 'LOCK_EX|LOCK_NB' : 'LOCK_SH|LOCK_NB'],
      ['flock', '%2', 'LOCK_SH|LOCK_NB'],
      ['flock', '%2', 'LOCK_EX|LOCK_NB'],
      ['fcntl', '%1', 'F_OFD_SETLK', locked(exclusive ? c.F_WRLCK : c.F_RDLCK)],
      ['fcntl', '%2', 'F_OFD_SETLK', locked(c.F_RDLCK)],
      ['fcntl', '%2', 'F_OFD_GETLK', locked(c.F_WRLCK)],
    );
  },
};

/** What is done, and how a script says it. */
const watched: readonly (readonly [(t: Turn, path: string) => void, (path: string) => readonly Call[]])[] = [
  [(t, path) => t.sys.fchmodat(t.root, path, 0o640, 0), (path) => [['fchmodat', 'AT_FDCWD', at(path), '0640']]],
  [
    (t, path) => t.sys.utimensat(t.root, path, 5, 5, 5, 5, 0),
    (path) => [['utimensat', 'AT_FDCWD', at(path), 'pack:q4:5,5,5,5', 0]],
  ],
  [(t, path) => t.sys.truncate(`${t.rootPath}/${path}`, 9), (path) => [['truncate', at(path), 9]]],
  [
    (t, path) => t.sys.setxattrat(t.root, path, 'user.w', Buffer.from('w'), 0),
    (path) => [['lsetxattr', at(path), 'user.w', 'w', 1, 0]],
  ],
  [
    (t, path) => t.opened(path, c.O_RDONLY, 0, (fd) => t.read(fd, 0, 10)),
    (path) => [['opened', at(path), 'O_RDONLY|O_NONBLOCK', 'pread64', room(10), 10, 0]],
  ],
  [
    (t, path) => t.opened(path, c.O_WRONLY | c.O_APPEND, 0, (fd) => t.write(fd, 'W', -1, 5)),
    (path) => [['opened', at(path), 'O_WRONLY|O_APPEND|O_NONBLOCK', 'write', filled('W', 5), 5]],
  ],
];

/** inotify(7): what a watcher of a path is told when something is done to it, a copy-up perhaps. */
const watch: Kind = {
  weight: 2,
  choose: (by) => ({ path: by.there('file', 'file', 'dir', 'any'), off: by.rnd.below(watched.length) }),
  run(t, op) {
    const { sys } = t;
    const fd = sys.inotifyInit1(c.IN_NONBLOCK);
    if (fd < 0) {
      return said(fd);
    }
    const added = sys.inotifyAddWatch(fd, `${t.rootPath}/${op.path}`, 0xfff);
    let events = said(Math.min(0, added));
    if (added >= 0) {
      watched[op.off][0](t, op.path);
      const n = sys.read(fd, t.buf, 0, t.buf.length);
      events = n === -EAGAIN ? 'nothing' : n < 0 ? said(n) : masks(t.buf, n);
    }
    sys.close(fd);
    return events;
  },
  shell: (op) =>
    calls(
      ['inotify_init1', 'IN_NONBLOCK'],
      ['inotify_add_watch', '%', at(op.path), '0xfff'],
      ...watched[op.off][1](op.path),
      ['events', '%1'],
    ),
};

/** The masks of the events that a read of an inotify descriptor gave. */
function masks(buf: Buffer, length: number): string {
  const all: string[] = [];
  for (let at = 0; at < length; at += 16 + buf.readUInt32LE(at + 12)) {
    all.push(buf.readUInt32LE(at + 4).toString(16));
  }
  return `events ${all.join(' ')}`;
}

/** FIFOs, sockets and devices, opened and used. */
const special: Kind = {
  weight: 2,
  choose: (by) => ({
    ...(by.once(2) ? {} : { user: 0 }),
    path: by.there('other', 'other', 'other', 'other', 'file'),
    flags: by.rnd.pick([c.O_RDONLY, c.O_WRONLY, c.O_RDWR, c.O_RDWR, c.O_RDWR]),
    len: by.rnd.pick([1, 10, 5000]),
  }),
  run: (t, op) =>
    t.opened(op.path, op.flags, 0, (fd) => {
      const written = t.write(fd, 'V', -1, op.len);
      const n = t.sys.read(fd, t.buf, 0, 100);
      return `opened ${written} ${n < 0 ? said(n) : `${n}:${digest(t.buf.subarray(0, n))}`}`;
    }),
  shell: (op) =>
    calls(opening(op.path, op.flags), ['write', '%', filled('V', op.len), op.len], ['read', '%', room(100), 100]),
};

export const betweenKinds: Kinds = { lock, watch, 'special-io': special };
