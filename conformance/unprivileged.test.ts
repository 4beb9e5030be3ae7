/**
 * The engine in a process without any privilege, on layers of its own user: what that user may do
 * on a plain filesystem works, also where a mode leaves even the owner few rights. As root the test
 * thread acts as user 1234; otherwise it is that user already.
 */
import type { ByteString } from 'stratafs/internal/sys/bytes';
import * as c from 'stratafs/internal/sys/constants';
import { EACCES, ENOENT } from 'stratafs/internal/sys/errno';
import type { Stat } from 'stratafs/internal/sys/stat';
import type { Sys } from 'stratafs/internal/sys/sys';
import { openSys } from 'stratafs/internal/sys/sys-koffi';
import { afterAll, describe, expect, it } from 'vitest';
import type { OpenDoor, View } from './backend.ts';
import { openBaseDir } from './base-dir.ts';
import { names, readFile } from './calls.ts';
import { check, fails, modeIs, ok } from './expect.ts';
import { inProcess } from './targets/in-process.ts';
import { SysDoor } from './targets/sys-door.ts';
import { dir, file, plant, type Tree, whiteout } from './tree.ts';

const sys = openSys();
const base = openBaseDir(sys);
afterAll(() => base.close(), 60_000);

const uid = base.privileged ? 1234 : sys.geteuid();
const gid = base.privileged ? 1234 : sys.getegid();
/** The table as the engine of that user has it. */
const own: Sys = { ...sys, geteuid: () => uid, getegid: () => gid };

interface Place {
  path: ByteString;
  door: OpenDoor;
  upper: OpenDoor;
}

let count = 0;

async function play(lower: Tree, upper: Tree, act: (at: Place) => void): Promise<void> {
  const path = base.make(`own${count++}`);
  const outside = new SysDoor(sys, path);
  for (const [name, tree] of Object.entries({ lower, upper, work: {}, merged: {} })) {
    check(sys.mkdirat(c.AT_FDCWD, `${path}/${name}`, 0o755), name);
    const fd = check(sys.openat(c.AT_FDCWD, `${path}/${name}`, c.O_RDONLY | c.O_DIRECTORY, 0), name);
    plant(sys, fd, tree, 'user.overlay.');
    sys.close(fd);
    give(outside, name);
  }
  let mounting: Promise<View | number> = Promise.resolve(0);
  asUser(outside, () => {
    mounting = inProcess.mount(own, {
      lowers: [`${path}/lower`],
      upper: `${path}/upper`,
      work: `${path}/work`,
      merged: `${path}/merged`,
      options: ['userxattr'],
    });
  });
  const view = await mounting;
  check(typeof view === 'number' ? view : 0, 'mount');
  const mounted = view as View;
  const door = mounted.door('');
  const onUpper = new SysDoor(sys, `${path}/upper`);
  const mask = sys.umask(0);
  try {
    asUser(outside, () => act({ path, door, upper: onUpper }));
  } finally {
    sys.umask(mask);
    onUpper.end();
    door.end();
    await mounted.close();
    outside.end();
  }
}

/** Hands a tree to the user. */
function give(on: OpenDoor, path: ByteString): void {
  if (!base.privileged) {
    return;
  }
  ok(on.lchown(path, uid, gid));
  if (ok<Stat>(on.lstat(path) as Stat).type === c.S_IFDIR) {
    for (const name of names(on, path)) {
      give(on, `${path}/${name}`);
    }
  }
}

function asUser(on: OpenDoor, act: () => void): void {
  if (base.privileged) {
    on.as({ uid, gid }, act);
  } else {
    act();
  }
}

function mode(door: OpenDoor, path: ByteString): number {
  return ok<Stat>(door.lstat(path) as Stat).mode & 0o7777;
}

describe('an engine without privileges', () => {
  it('makes a directory without any rights over a whiteout', () =>
    play({ d: dir({ old: file() }) }, { d: whiteout }, ({ door, upper }) => {
      door.umask(0o777);
      ok(door.mkdir('d', 0o777));
      modeIs(mode(door, 'd'), 0);
      modeIs(mode(upper, 'd'), 0);
      ok(door.chmod('d', 0o700));
      expect(names(door, 'd')).toEqual([]);
    }));

  it('makes a file without any rights over a whiteout', () =>
    play({ f: file('old') }, { f: whiteout }, ({ door }) => {
      const fd = ok<number>(door.open('f', c.O_CREAT | c.O_RDWR, 0));
      ok(door.write(fd, 'new'));
      ok(door.close(fd));
      modeIs(mode(door, 'f'), 0);
      ok(door.chmod('f', 0o600));
      expect(readFile(door, 'f').toString()).toBe('new');
    }));

  it('changes what lies in a lower directory that nobody may write', () =>
    play(
      { d: dir({ f: file('f'), sub: dir({ g: file('g') }, { mode: 0o555 }) }, { mode: 0o555 }) },
      {},
      ({ door, upper }) => {
        ok(door.chmod('d/f', 0o600));
        ok(door.setxattr('d/sub/g', 'user.a', 'v'));
        ok(door.utimens('d/sub', [1, 1], [2, 2]));
        for (const on of [door, upper]) {
          modeIs(mode(on, 'd'), 0o555);
          modeIs(mode(on, 'd/sub'), 0o555);
        }
        modeIs(mode(upper, 'd/f'), 0o600);
        expect(ok<Stat>(door.stat('d/sub') as Stat).mtime).toBe(2);
        expect(names(door, 'd')).toEqual(['f', 'sub']);
        expect(readFile(door, 'd/sub/g').toString()).toBe('g');
        fails(EACCES, door.open('d/new', c.O_CREAT | c.O_WRONLY, 0o644));
      },
    ));

  it('changes a lower directory that its owner may not write', () =>
    play({ d: dir({ f: file('f') }, { mode: 0o500 }) }, {}, ({ door, upper }) => {
      ok(door.utimens('d', [1, 1], [2, 2]));
      modeIs(mode(upper, 'd'), 0o500);
      ok(door.chmod('d', 0o700));
      expect(names(door, 'd')).toEqual(['f']);
    }));

  it('copies up an empty file that nobody may read, and no other', () =>
    play({ empty: file('', { mode: 0 }), full: file('text', { mode: 0 }) }, {}, ({ door, upper }) => {
      ok(door.chmod('empty', 0o600));
      modeIs(mode(upper, 'empty'), 0o600);
      fails(EACCES, door.chmod('full', 0o600));
      fails(ENOENT, upper.lstat('full'));
    }));

  it('removes a directory that hides names, though nobody may write to it', () =>
    play({ d: dir({ f: file() }) }, { d: dir({ f: whiteout }, { mode: 0o555 }) }, ({ door }) => {
      ok(door.rmdir('d'));
      fails(ENOENT, door.lstat('d'));
      ok(door.mkdir('d'));
      expect(names(door, 'd')).toEqual([]);
    }));
});
