/** Files that would be too long: RLIMIT_FSIZE, and sizes that only some filesystems hold. */
import * as c from 'stratafs/internal/sys/constants';
import type { Sys } from 'stratafs/internal/sys/sys';
import { type Call, calls, filled, opening } from '../shell-words.ts';
import { said, type Turn } from '../turn.ts';
import type { Kind, Kinds } from './kind.ts';

/** More than ext4 holds, and less than tmpfs. */
const FAR = 2 ** 45;

/** Runs `act` while no file of this process may grow beyond `size`; SIGXFSZ is ignored by Node. */
function limited(sys: Sys, size: number, act: () => string): string {
  const old = sys.getrlimit(c.RLIMIT_FSIZE);
  if (typeof old === 'number') {
    return said(old);
  }
  sys.setrlimit(c.RLIMIT_FSIZE, size, old[1]);
  try {
    return act();
  } finally {
    sys.setrlimit(c.RLIMIT_FSIZE, ...old);
  }
}

/** What is asked, and how a script says it. */
const asked: readonly (readonly [(t: Turn, fd: number, size: number) => number, (size: number) => Call])[] = [
  [
    (t, fd, size) => t.sys.pwrite(fd, t.buf.fill('F', 0, 100), 0, 100, size - 50),
    (size) => ['pwrite64', '%', filled('F', 100), 100, size - 50],
  ],
  [
    (t, fd, size) => t.sys.pwrite(fd, t.buf.fill('G', 0, 100), 0, 100, size),
    (size) => ['pwrite64', '%', filled('G', 100), 100, size],
  ],
  [(t, fd, size) => t.sys.ftruncate(fd, size + 1), (size) => ['ftruncate', '%', size + 1]],
];

/**
 * No fallocate(2): docs/differences.md, "What Linux answers for a FUSE file itself". Opened before the limit is there: docs/differences.md, "A copy-up of more than the caller's
 * RLIMIT_FSIZE". What did reach far is cut off, before anybody reads it.
 */
const tooLong: Kind = {
  weight: 2,
  choose: (by) => ({
    path: by.there('file', 'file', 'file', 'any'),
    len: by.rnd.pick([FAR, 5000, 100, 9000]),
    off: by.rnd.below(asked.length),
  }),
  run: (t, op) =>
    t.opened(op.path, c.O_WRONLY, 0, (fd) => {
      t.sys.fstat(fd, t.stat);
      const { size } = t.stat;
      const call = (): string => said(asked[op.off][0](t, fd, op.len));
      const result = op.len === FAR ? call() : limited(t.sys, op.len, call);
      return `opened ${result} ${op.len === FAR ? said(t.sys.ftruncate(fd, size)) : ''}`;
    }),
  shell(op) {
    const [, call] = asked[op.off];
    return op.len === FAR
      ? calls(opening(op.path, c.O_WRONLY), ['size', '%'], call(FAR), ['ftruncate', '%', 'SIZE'])
      : calls(opening(op.path, c.O_WRONLY), ['limit', op.len], call(op.len));
  },
};

export const limitKinds: Kinds = { 'too-long': tooLong };
