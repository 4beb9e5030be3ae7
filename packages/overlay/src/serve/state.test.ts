import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { parseOptions } from '../mount/parse-options.ts';
import { makedev, Stat } from '../sys/stat.ts';
import { leaveRuntimeDir, makeRuntimeDir, runtimeDirs } from './runtime-dir.ts';
import {
  describe as describeRecord,
  inodeKey,
  isMounted,
  type MountRecord,
  readRecords,
  removeRecord,
  startTime,
  writeRecord,
} from './state.ts';

const uid = process.geteuid?.() ?? 0;

function record(changes: Partial<MountRecord> = {}): MountRecord {
  return {
    version: 1,
    backend: 'fuse',
    pid: process.pid,
    startTime: startTime('self')!,
    // No filesystem has this number.
    device: '0:1048570',
    mountPoint: '/merged \xff',
    source: 'a, source',
    options: parseOptions(['lowerdir=/l1:/l2,upperdir=/u,workdir=/w']),
    upper: '1:2',
    work: '1:3',
    ...changes,
  };
}

describe('startTime', () => {
  it('is the same for a process each time, and null for none', () => {
    expect(startTime('self')).toBe(startTime(process.pid));
    expect(startTime('self')).toBeGreaterThan(0);
    expect(startTime(2 ** 22 + 1)).toBeNull();
  });

  it('is null for a process that has ended, waited for or not', async () => {
    // The shell becomes a sleep before its child ends, and that waits for no child: it stays a zombie.
    const parent = spawn('sh', ['-c', 'sleep 0.3 & echo $!; exec sleep 10'], { stdio: ['ignore', 'pipe', 'ignore'] });
    try {
      const pid = Number(await new Promise((resolve) => parent.stdout.once('data', resolve)));
      await vi.waitFor(() => expect(fs.readFileSync(`/proc/${pid}/stat`, 'utf8')).toMatch(/\) Z /));
      expect(startTime(pid)).toBeNull();
    } finally {
      parent.kill('SIGKILL');
    }
  });
});

describe('records', () => {
  afterEach(() => removeRecord('0:1048570', process.pid));

  it('come back as they were written, names that are no UTF-8 too', () => {
    writeRecord(record());
    expect(readRecords().find((known) => known.device === '0:1048570')).toEqual(record());
    removeRecord('0:1048570', process.pid);
    expect(readRecords().some((known) => known.device === '0:1048570')).toBe(false);
  });

  it('leave no temporary file', () => {
    writeRecord(record());
    const names = runtimeDirs().flatMap((dir) => fs.readdirSync(dir));
    expect(names.filter((name) => name.startsWith('0-1048570'))).toEqual(['0-1048570.json']);
  });

  it('of a process that is gone, or whose pid is another’s by now, are dropped', () => {
    writeRecord(record({ startTime: startTime('self')! - 1 }));
    expect(readRecords().some((known) => known.device === '0:1048570')).toBe(false);
    expect(runtimeDirs().some((dir) => fs.existsSync(path.join(dir, '0-1048570.json')))).toBe(false);
  });

  it('are removed by their own server alone: the number may be another’s by now', () => {
    writeRecord(record());
    removeRecord('0:1048570', process.pid + 1);
    expect(readRecords().some((known) => known.device === '0:1048570')).toBe(true);
  });

  it('that are no JSON are passed over', () => {
    fs.writeFileSync(path.join(makeRuntimeDir(), '0-1048570.json'), '{');
    expect(readRecords().some((known) => known.device === '0:1048570')).toBe(false);
    fs.rmSync(path.join(makeRuntimeDir(), '0-1048570.json'));
  });

  it('of a mount that is gone are not mounted', () => {
    expect(isMounted(record())).toBe(false);
  });

  it('are described by mount point and process', () => {
    expect(describeRecord(record())).toBe(`the strata mount at '/merged \\xff' (process ${process.pid})`);
  });
});

it('an inode is named by its filesystem and number', () => {
  const st = new Stat();
  st.dev = makedev(8, 1);
  st.ino = 2n ** 63n;
  expect(inodeKey(st)).toBe('2049:9223372036854775808');
});

describe('the runtime directory', () => {
  const saved = { XDG_RUNTIME_DIR: process.env.XDG_RUNTIME_DIR };
  let dir: string;
  beforeEach(() => {
    dir = fs.mkdtempSync(path.join(tmpdir(), 'stratafs-'));
    process.env.XDG_RUNTIME_DIR = dir;
  });
  afterEach(() => {
    if (saved.XDG_RUNTIME_DIR === undefined) delete process.env.XDG_RUNTIME_DIR;
    else process.env.XDG_RUNTIME_DIR = saved.XDG_RUNTIME_DIR;
    fs.rmSync(dir, { recursive: true, force: true });
  });

  it('is root’s own below /run, for others below XDG_RUNTIME_DIR', () => {
    expect(makeRuntimeDir()).toBe(uid === 0 ? '/run/strata/mounts' : path.join(dir, 'strata', 'mounts'));
  });

  it('goes with its last record where it lies below the temporary directory, and only there', () => {
    vi.stubEnv('TMPDIR', dir);
    const mine = path.join(dir, `strata-${uid}`, 'mounts');
    const other = path.join(dir, 'strata', 'mounts');
    for (const place of [mine, other]) fs.mkdirSync(place, { recursive: true });
    fs.writeFileSync(path.join(mine, 'record'), '');
    leaveRuntimeDir(mine);
    expect(fs.existsSync(mine)).toBe(true);
    fs.rmSync(path.join(mine, 'record'));
    for (const place of [mine, other]) leaveRuntimeDir(place);
    expect(fs.readdirSync(dir)).toEqual(['strata']);
    vi.unstubAllEnvs();
  });

  it('counts only when nobody else can have written to it', () => {
    const mine = path.join(dir, 'strata', 'mounts');
    fs.mkdirSync(mine, { recursive: true, mode: 0o700 });
    expect(runtimeDirs()).toContain(mine);
    fs.chmodSync(path.join(dir, 'strata'), 0o777);
    expect(runtimeDirs()).not.toContain(mine);
    fs.chmodSync(path.join(dir, 'strata'), 0o700);
    fs.renameSync(mine, path.join(dir, 'elsewhere'));
    fs.symlinkSync(path.join(dir, 'elsewhere'), mine);
    expect(runtimeDirs()).not.toContain(mine);
  });
});
