/** Set-user-ID, set-group-ID and file capabilities: who and what takes them away. */
import * as c from 'stratafs/internal/sys/constants';
import * as e from 'stratafs/internal/sys/errno';
import { fstat, lstat, open, readFile, writeAll } from '../calls.ts';
import { bytesAre, equal, fails, gives, modeIs, ok } from '../expect.ts';
import { fewPositions } from '../positions.ts';
import type { Case, Cases, Scene, Who } from '../target.ts';
import { dir, file } from '../tree.ts';

/** vfs_cap_data revision 2: cap_net_bind_service=ep. */
export const capability: Buffer = Buffer.from('0100000200040000000000000000000000000000', 'hex');

const owner: Who = { uid: 1000, gid: 1000 };
const member: Who = { uid: 3000, gid: 1000 };
const stranger: Who = { uid: 3000, gid: 3000 };

const changes: Readonly<Record<string, (t: Scene) => void>> = {
  write: (t) => writeAll(t, open(t, 'f', c.O_WRONLY), 'x'),
  pwrite: (t) => equal(t.pwrite(open(t, 'f', c.O_WRONLY), 'x', 3), 1),
  append: (t) => writeAll(t, open(t, 'f', c.O_WRONLY | c.O_APPEND), 'x'),
  truncate: (t) => ok(t.truncate('f', 3)),
  'truncate to more': (t) => ok(t.truncate('f', 3000)),
  ftruncate: (t) => ok(t.ftruncate(open(t, 'f', c.O_WRONLY), 3)),
  O_TRUNC: (t) => open(t, 'f', c.O_WRONLY | c.O_TRUNC),
  fallocate: (t) => ok(t.fallocate(open(t, 'f', c.O_WRONLY), 0, 0, 3000)),
  'punching a hole': (t) =>
    ok(t.fallocate(open(t, 'f', c.O_WRONLY), c.FALLOC_FL_PUNCH_HOLE | c.FALLOC_FL_KEEP_SIZE, 0, 3)),
  copy_file_range: (t) => equal(t.copyFileRange(open(t, 'from', c.O_RDONLY), 0, open(t, 'f', c.O_WRONLY), 0, 4), 4),
};

function clearing(): Cases {
  const cases: Record<string, Case> = {};
  for (const [label, change] of Object.entries(changes)) {
    for (const [by, who] of [
      ['the owner', owner],
      ['a member of the group', member],
      ['a stranger', stranger],
    ] as const) {
      cases[`${label} by ${by} takes set-user-ID and set-group-ID away`] = {
        needs: ['root'],
        tree: { f: file('content', { uid: 1000, gid: 1000, mode: 0o6777 }), from: file('from') },
        run(t) {
          t.as(who, () => change(t));
          modeIs(lstat(t, 'f').mode, 0o777);
          equal([lstat(t, 'f').uid, lstat(t, 'f').gid], [1000, 1000]);
        },
      };
    }
    cases[`${label} by root leaves set-user-ID and set-group-ID`] = {
      needs: ['root'],
      tree: { f: file('content', { uid: 1000, gid: 1000, mode: 0o6777 }), from: file('from') },
      run(t) {
        change(t);
        modeIs(lstat(t, 'f').mode, 0o6777);
      },
    };
    cases[`${label} takes file capabilities away`] = {
      needs: ['root'],
      tree: {
        f: file('content', { mode: 0o755, xattrs: { 'security.capability': capability, 'user.a': 'v' } }),
        from: file('from'),
      },
      run(t) {
        bytesAre(t.getxattr('f', 'security.capability'), capability);
        change(t);
        fails(e.ENODATA, t.getxattr('f', 'security.capability'));
        bytesAre(t.getxattr('f', 'user.a'), 'v');
      },
    };
  }
  return cases;
}

/** chown by whom, to whom, of a file 06755 of 1000:1000; its mode then, and the errno. */
const chowns: readonly (readonly [what: string, who: Who | null, uid: number, gid: number, errno: number])[] = [
  ['of nothing by root', null, -1, -1, 0],
  ['to its owner by root', null, 1000, -1, 0],
  ['of nothing by the owner', owner, -1, -1, 0],
  ['to themselves by the owner', owner, 1000, 1000, 0],
  ['to a further group by the owner', { ...owner, groups: [2000] }, -1, 2000, 0],
  ['to a foreign group by the owner', owner, -1, 2000, e.EPERM],
  ['to somebody else by the owner', owner, 3000, -1, e.EPERM],
  ['to themselves by a member of the group', member, 3000, -1, e.EPERM],
  ['to its own group by a member of the group', member, -1, 1000, e.EPERM],
  ['of nothing by a stranger', stranger, -1, -1, e.EPERM],
];

function owning(): Cases {
  const cases: Record<string, Case> = {};
  for (const [what, who, uid, gid, errno] of chowns) {
    for (const [call, chown] of [
      ['chown', (t: Scene) => t.chown('f', uid, gid)],
      ['lchown', (t: Scene) => t.lchown('f', uid, gid)],
      ['fchown', (t: Scene) => t.fchown(open(t, 'f', c.O_RDONLY), uid, gid)],
    ] as const) {
      cases[`${call} ${what}: ${errno === 0 ? 'privileges go' : 'refused, privileges stay'}`] = {
        needs: ['root'],
        positions: fewPositions,
        tree: { f: file('content', { uid: 1000, gid: 1000, mode: 0o6755 }) },
        run(t) {
          gives(errno, who === null ? chown(t) : t.as(who, () => chown(t)));
          const st = lstat(t, 'f');
          modeIs(st.mode, errno === 0 ? 0o755 : 0o6755);
          equal([st.uid, st.gid], [1000, errno === 0 && gid !== -1 ? gid : 1000]);
        },
      };
    }
  }
  return cases;
}

/** Of a file whose group, 2000, is not the caller's: set-group-ID goes although nobody of the group may execute. */
function leaving(): Cases {
  const others: Readonly<Record<string, readonly [who: Who, act: (t: Scene) => unknown]>> = {
    'its owner writes': [owner, (t) => writeAll(t, open(t, 'f', c.O_WRONLY), 'x')],
    'its owner truncates': [owner, (t) => t.truncate('f', 2)],
    'its owner gives the mode again': [owner, (t) => t.chmod('f', 0o2666)],
    'its owner gives it to his group': [owner, (t) => t.chown('f', -1, 1000)],
    'a stranger writes': [stranger, (t) => writeAll(t, open(t, 'f', c.O_WRONLY), 'x')],
    'a stranger truncates': [stranger, (t) => t.truncate('f', 2)],
  };
  return Object.fromEntries(
    Object.entries(others).map(([what, [who, act]]): [string, Case] => [
      `set-group-ID of another group goes when ${what}`,
      {
        needs: ['root'],
        tree: { f: file('content', { uid: 1000, gid: 2000, mode: 0o2666 }) },
        run(t) {
          const result = t.as(who, () => act(t));
          ok(typeof result === 'number' ? result : 0);
          modeIs(lstat(t, 'f').mode, 0o666);
        },
      },
    ]),
  );
}

export const privilegeCases: Cases = {
  ...clearing(),
  ...owning(),
  'chown by root takes set-user-ID from an unlinked file': {
    needs: ['root'],
    tree: { f: file('content', { mode: 0o4755 }) },
    run(t) {
      const [fd, other] = [open(t, 'f', c.O_RDWR), open(t, 'f', c.O_RDONLY)];
      ok(t.unlink('f'));
      ok(t.fchown(fd, 1000, 1000));
      modeIs(fstat(t, fd).mode, 0o755);
      modeIs(fstat(t, other).mode, 0o755);
    },
  },
  'set-group-ID without group execution is not a privilege and stays': {
    needs: ['root'],
    tree: { f: file('content', { uid: 1000, gid: 1000, mode: 0o2767 & ~0o010 }) },
    run(t) {
      t.as(owner, () => writeAll(t, open(t, 'f', c.O_WRONLY), 'x'));
      modeIs(lstat(t, 'f').mode, 0o2767 & ~0o010);
    },
  },
  ...leaving(),
  'a chown of nothing by a stranger is refused where it would take set-group-ID or set-user-ID, and takes nothing': {
    needs: ['root'],
    tree: {
      f: file('content', { mode: 0o6755, xattrs: { 'security.capability': capability } }),
      g: file('content', { mode: 0o2644 }),
    },
    run(t) {
      for (const name of ['f', 'g']) {
        fails(
          e.EPERM,
          t.as(stranger, () => t.chown(name, -1, -1)),
        );
      }
      modeIs(lstat(t, 'f').mode, 0o6755);
      bytesAre(t.getxattr('f', 'security.capability'), capability);
      modeIs(lstat(t, 'g').mode, 0o2644);
    },
  },
  'chown takes set-user-ID, set-group-ID and capabilities away, by root too': {
    needs: ['root'],
    tree: {
      f: file('content', { mode: 0o6755, xattrs: { 'security.capability': capability } }),
      g: file('content', { mode: 0o6745 }),
      d: dir({}, { mode: 0o6755 }),
    },
    run(t) {
      for (const path of ['f', 'g', 'd']) {
        ok(t.chown(path, 1000, 1000));
      }
      modeIs(lstat(t, 'f').mode, 0o755);
      modeIs(lstat(t, 'd').mode, 0o6755);
      modeIs(lstat(t, 'g').mode & 0o4777, 0o745);
      fails(e.ENODATA, t.getxattr('f', 'security.capability'));
    },
  },
  'chown by the owner to a group of theirs takes set-user-ID away': {
    needs: ['root'],
    tree: { f: file('content', { uid: 1000, gid: 1000, mode: 0o6755 }) },
    run(t) {
      t.as({ uid: 1000, gid: 1000, groups: [2000] }, () => ok(t.chown('f', -1, 2000)));
      modeIs(lstat(t, 'f').mode, 0o755);
      equal(lstat(t, 'f').gid, 2000);
    },
  },
  'chmod, utimens, rename, link and reading leave all privileges': {
    needs: ['root'],
    tree: { f: file('content', { mode: 0o6755, xattrs: { 'security.capability': capability } }) },
    run(t) {
      ok(t.utimens('f', [1, 1], [1, 1]));
      ok(t.rename('f', 'moved'));
      ok(t.link('moved', 'new'));
      bytesAre(readFile(t, 'new'), 'content');
      ok(t.setxattr('new', 'user.a', 'v'));
      modeIs(lstat(t, 'new').mode, 0o6755);
      bytesAre(t.getxattr('moved', 'security.capability'), capability);
      ok(t.chmod('new', 0o4711));
      bytesAre(t.getxattr('moved', 'security.capability'), capability);
    },
  },
  'opening for writing takes nothing away yet': {
    needs: ['root'],
    tree: { f: file('content', { uid: 1000, gid: 1000, mode: 0o6777 }) },
    run(t) {
      t.as(stranger, () => open(t, 'f', c.O_RDWR));
      modeIs(lstat(t, 'f').mode, 0o6777);
    },
  },
  'a set-user-ID file is made as asked': {
    needs: ['root'],
    dir: { mode: 0o777 },
    run(t) {
      t.as(owner, () => {
        const fd = open(t, 'new', c.O_CREAT | c.O_RDWR, 0o4711);
        modeIs(lstat(t, 'new').mode, 0o4711);
        writeAll(t, fd, 'x');
      });
      modeIs(lstat(t, 'new').mode, 0o711);
    },
  },
  'a file made in, moved to and linked into a set-group-ID directory': {
    needs: ['root'],
    positions: fewPositions,
    tree: { g: dir({}, { gid: 2000, mode: 0o2777 }), f: file('f', { gid: 5 }), d: dir({}, { gid: 5 }) },
    run(t) {
      ok(t.rename('f', 'g/moved'));
      ok(t.link('g/moved', 'g/new'));
      ok(t.rename('d', 'g/moved2'));
      equal([lstat(t, 'g/moved').gid, lstat(t, 'g/new').gid, lstat(t, 'g/moved2').gid], [5, 5, 5]);
      ok(t.mkdir('g/new2', 0o700));
      ok(t.mkdir('g/moved2/new', 0o700));
      equal([lstat(t, 'g/new2').gid, lstat(t, 'g/moved2/new').gid], [2000, 0]);
      modeIs(lstat(t, 'g/new2').mode, 0o2700);
      modeIs(lstat(t, 'g/moved2').mode, 0o755);
    },
  },
};
