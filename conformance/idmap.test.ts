/**
 * Layers on id-mapped mounts (mount_setattr with MOUNT_ATTR_IDMAP): owners are shown as the mount
 * maps them, copies and new objects are stored as it maps them back, and who has no number there
 * is refused. The kernel's overlay says what is right.
 */
import { spawn } from 'node:child_process';
import { readlinkSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ByteString } from 'stratafs/internal/sys/bytes';
import * as c from 'stratafs/internal/sys/constants';
import { errnoName } from 'stratafs/internal/sys/errno';
import { openSys } from 'stratafs/internal/sys/sys-koffi';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Backend, OpenDoor, View } from './backend.ts';
import { openBaseDir } from './base-dir.ts';
import { check } from './expect.ts';
import { fuse } from './targets/fuse.ts';
import { inProcess } from './targets/in-process.ts';
import { kernel } from './targets/kernel.ts';
import { SysDoor } from './targets/sys-door.ts';
import { dir, file, plant, symlink, type Tree } from './tree.ts';

const sys = openSys();
const base = openBaseDir(sys);
const reason = kernel.unavailable(base);
afterAll(() => base.close(), 60_000);

/** What is 1000 on disk is shown as 2000, and so on to 1009; root stays itself; nobody else has a number. */
const MAP = '0 0 1\n1000 2000 10\n';

let namespace = -1;
beforeAll(async () => {
  if (reason !== null) {
    return;
  }
  const child = spawn('unshare', ['--user', 'sleep', '60'], { stdio: 'ignore' });
  const own = readlinkSync('/proc/self/ns/user');
  while (readlinkSync(`/proc/${child.pid}/ns/user`) === own) {
    await sleep(5);
  }
  for (const map of ['uid_map', 'gid_map']) {
    writeFileSync(`/proc/${child.pid}/${map}`, MAP);
  }
  namespace = check(sys.openat(c.AT_FDCWD, `/proc/${child.pid}/ns/user`, c.O_RDONLY, 0), 'namespace');
  child.kill();
});
afterAll(() => {
  if (namespace >= 0) {
    sys.close(namespace);
  }
});

/** Mounts the directory `path` on `at`, id-mapped. @returns 0, or the errno where the filesystem or kernel cannot. */
function bindMapped(path: ByteString, at: ByteString): number {
  const tree = check(sys.openTree(c.AT_FDCWD, path, c.OPEN_TREE_CLONE), 'open_tree');
  const err = sys.mountSetattr(tree, '', c.AT_EMPTY_PATH, c.MOUNT_ATTR_IDMAP, 0, 0, namespace);
  if (err === 0) {
    check(sys.moveMount(tree, '', c.AT_FDCWD, at, c.MOVE_MOUNT_F_EMPTY_PATH), 'move_mount');
  }
  sys.close(tree);
  return err;
}

const owner = (id: number): { uid: number; gid: number } => ({ uid: id, gid: id });
const lower: Tree = {
  mine: file('mine', { ...owner(1000), mode: 0o644 }),
  'mine-too': file('mine', { ...owner(1001), mode: 0o4755 }),
  foreign: file('foreign', { ...owner(5000), mode: 0o666 }),
  'foreign-too': file('foreign', owner(5000)),
  'foreign-3': file('foreign', owner(5000)),
  link: symlink('mine', owner(1002)),
  dir: dir({ file: file('file', owner(1003)), sub: dir({}, owner(1004)) }, { ...owner(1003), mode: 0o777 }),
  'foreign-dir': dir({ file: file('file', owner(1003)) }, { ...owner(5000), mode: 0o777 }),
  root: file('root'),
};

/** Everything that was asked, with its answer. */
function play(door: OpenDoor): string[] {
  const lines: string[] = [];
  const say = (what: string, result: number | object): void => {
    lines.push(`${what}: ${typeof result === 'number' && result < 0 ? errnoName(result) : 'done'}`);
  };
  const opened = (what: string, fd: number): void => {
    say(what, fd);
    if (fd >= 0) {
      door.close(fd);
    }
  };
  lines.push(...owners(door, 'shown'));
  say('chmod mine', door.chmod('mine', 0o600));
  say('chown mine to another with a number', door.chown('mine', 2005, 2005));
  say('chown mine to one without', door.chown('mine', 5000, 5000));
  opened('open mine-too to write', door.open('mine-too', c.O_WRONLY));
  opened('read foreign', door.open('foreign', c.O_RDONLY));
  opened('open foreign to write', door.open('foreign', c.O_WRONLY));
  say('chmod foreign', door.chmod('foreign', 0o600));
  say('rename foreign', door.rename('foreign', 'moved'));
  say('link foreign', door.link('foreign', 'linked'));
  say('take foreign-3', door.chown('foreign-3', 0, 0));
  say('unlink foreign-too', door.unlink('foreign-too'));
  say('lutimens link', door.lutimens('link', [1, 1], [2, 2]));
  say('rename dir/file', door.rename('dir/file', 'dir/renamed'));
  opened('create in dir', door.open('dir/new', c.O_CREAT | c.O_WRONLY, 0o644));
  opened('create in foreign-dir', door.open('foreign-dir/new', c.O_CREAT | c.O_WRONLY, 0o644));
  say('unlink in foreign-dir', door.unlink('foreign-dir/file'));
  for (const uid of [2003, 3000]) {
    door.as({ uid, gid: uid }, () => {
      opened(`${uid} creates a file`, door.open(`dir/by-${uid}`, c.O_CREAT | c.O_WRONLY, 0o644));
      say(`${uid} makes a directory`, door.mkdir(`dir/dir-by-${uid}`));
      say(`${uid} makes a symlink`, door.symlink('x', `dir/link-by-${uid}`));
      opened(`${uid} opens foreign to write`, door.open('foreign', c.O_WRONLY));
    });
  }
  lines.push(...owners(door, 'shown at the end'));
  return lines;
}

function owners(door: OpenDoor, when: string, path = '.'): string[] {
  const fd = check(door.open(path, c.O_RDONLY | c.O_DIRECTORY), path);
  const entries = door.getdents(fd);
  door.close(fd);
  return (entries as { name: ByteString }[])
    .filter(({ name }) => name !== '.' && name !== '..')
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap(({ name }) => {
      const at = path === '.' ? name : `${path}/${name}`;
      const st = door.lstat(at);
      if (typeof st === 'number') {
        return [`${when} ${at}: ${errnoName(st)}`];
      }
      const line = `${when} ${at}: ${st.uid}:${st.gid} ${(st.mode & 0o7777).toString(8)}`;
      return st.type === c.S_IFDIR ? [line, ...owners(door, when, at)] : [line];
    });
}

let count = 0;

/** The same on fresh layers. @returns what was said, and who owns what on the upper's disk; or why not. */
async function run(by: Backend, mapped: { lower: boolean; upper: boolean }): Promise<string[] | string> {
  const at = base.make(`idmap${count++}`);
  for (const name of ['lower', 'rw', 'rw/upper', 'rw/work', 'lower-mapped', 'rw-mapped', 'merged']) {
    check(sys.mkdirat(c.AT_FDCWD, `${at}/${name}`, 0o755), name);
  }
  const fd = check(sys.openat(c.AT_FDCWD, `${at}/lower`, c.O_RDONLY | c.O_DIRECTORY, 0), 'lower');
  plant(sys, fd, lower, '');
  sys.close(fd);
  for (const name of ['lower', 'rw']) {
    const err = bindMapped(`${at}/${name}`, `${at}/${name}-mapped`);
    if (err < 0) {
      return `no id-mapped mounts here: ${errnoName(err)}`;
    }
  }
  const rw = `${at}/${mapped.upper ? 'rw-mapped' : 'rw'}`;
  const view = await by.mount(sys, {
    lowers: [`${at}/${mapped.lower ? 'lower-mapped' : 'lower'}`],
    upper: `${rw}/upper`,
    work: `${rw}/work`,
    merged: `${at}/merged`,
    options: ['redirect_dir=off', 'index=off', 'metacopy=off'],
  });
  check(typeof view === 'number' ? view : 0, `mount by ${by.name}`);
  const door = (view as View).door('');
  const mask = door.umask(0);
  const lines = play(door);
  door.umask(mask);
  door.end();
  await (view as View).close();
  const disk = new SysDoor(sys, `${at}/rw/upper`);
  lines.push(...owners(disk, 'stored'));
  disk.end();
  return lines;
}

describe.each([
  ['the lower', { lower: true, upper: false }],
  ['the upper', { lower: false, upper: true }],
  ['both', { lower: true, upper: true }],
])('%s on an id-mapped mount', (_, mapped) => {
  for (const ours of [inProcess, fuse]) {
    it(ours.name, { timeout: 60_000 }, async (context) => {
      const expected = reason ?? (await run(kernel, mapped));
      if (typeof expected === 'string') {
        context.skip(expected);
      }
      expect(await run(ours, mapped)).toEqual(expected);
    });
  }
});
