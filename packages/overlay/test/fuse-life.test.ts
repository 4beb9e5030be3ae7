/** The life of a FUSE mount's server: its start, its end by every way there is, and what it leaves behind. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isMountError } from '../src/mount/mount-error.ts';
import { isMounted, readRecords } from '../src/serve/state.ts';
import { openFilesOf } from './support/descriptors.ts';
import { isRunning, makeStage, type Stage, untilGone } from './support/served.ts';
import { isRoot, needsRoot } from './support/temp-dir.ts';

const MiB = 1 << 20;

function umount(merged: string): void {
  const done = spawnSync('umount', [merged], { encoding: 'utf8', timeout: 10_000 });
  expect(done.stderr).toBe('');
}

/** Resolves with the exit of a command. */
function exit(child: ChildProcess): Promise<{ code: number | null; signal: string | null }> {
  return new Promise((resolve) => child.once('exit', (code, signal) => resolve({ code, signal })));
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe.runIf(isRoot)(needsRoot('the life of a FUSE mount'), () => {
  let stage: Stage;
  beforeEach(() => {
    stage = makeStage();
    fs.writeFileSync(path.join(stage.lower, 'low'), 'lower');
  });
  afterEach(() => stage.destroy());

  const mountLine = (): string | undefined =>
    fs
      .readFileSync('/proc/self/mountinfo', 'utf8')
      .split('\n')
      .find((line) => line.split(' ')[4] === stage.merged);

  async function refused(
    mounting: Promise<unknown>,
  ): Promise<{ errnoName: string; exitStatus: number; message: string }> {
    try {
      await mounting;
    } catch (error) {
      if (isMountError(error)) return error;
      throw error;
    }
    throw new Error('it was mounted');
  }

  it('is there when the mount call returns, under its type, source and options', async () => {
    const { pid, mount } = await stage.mount('ro,nosuid,nodev,noexec,noatime');
    expect(fs.readFileSync(path.join(stage.merged, 'low'), 'utf8')).toBe('lower');
    const line = mountLine()!;
    expect(line.split(' ')[5]).toBe('ro,nosuid,nodev,noexec,noatime');
    expect(line).toContain(' - fuse.strata-overlay strata ro,user_id=0,group_id=0,default_permissions,allow_other');
    expect(mount).toEqual({ mountPoint: stage.merged, device: line.split(' ')[2] });
    expect(() => fs.writeFileSync(path.join(stage.merged, 'x'), '')).toThrow('EROFS');
    const record = readRecords().find((known) => known.pid === pid)!;
    expect(record).toMatchObject({ mountPoint: stage.merged, source: 'strata', device: mount.device, backend: 'fuse' });
    expect(record.options.overlay.lowerdirs).toEqual([stage.lower]);
    expect(isMounted(record)).toBe(true);
  });

  it('holds nothing of its starter: directory, session, descriptors', async () => {
    const helper = fileURLToPath(new URL('./support/mount-and-exit.mjs', import.meta.url));
    const options = `lowerdir=${stage.lower},upperdir=${stage.upper},workdir=${stage.work}`;
    const held = path.join(stage.dir, 'held');
    const shell = spawnSync(
      'sh',
      ['-c', 'exec 9>"$0"; exec "$@"', held, process.execPath, helper, options, stage.merged],
      {
        cwd: stage.dir,
        encoding: 'utf8',
        timeout: 20_000,
      },
    );
    expect(shell.stderr).toBe('');
    const pid = Number(shell.stdout);
    try {
      expect(fs.readlinkSync(`/proc/${pid}/cwd`)).toBe('/');
      const links = openFilesOf(pid);
      expect(links).not.toContain(held);
      expect(links.filter((link) => link.startsWith('socket:'))).toEqual([]);
      expect([0, 1, 2].map((fd) => fs.readlinkSync(`/proc/${pid}/fd/${fd}`))).toEqual(new Array(3).fill('/dev/null'));
      const fields = fs
        .readFileSync(`/proc/${pid}/stat`, 'utf8')
        .replace(/^.*\) /s, '')
        .split(' ');
      expect(Number(fields[3])).toBe(pid);
      expect(fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8')).toContain(`strata-overlay ${stage.merged}`);
    } finally {
      process.kill(pid, 'SIGKILL');
      await untilGone(pid, 5000);
    }
  });

  it('uses no CPU while nobody asks', async () => {
    const { pid } = await stage.mount();
    fs.readdirSync(stage.merged);
    const ticks = (): number => {
      const fields = fs
        .readFileSync(`/proc/${pid}/stat`, 'utf8')
        .replace(/^.*\) /s, '')
        .split(' ');
      return Number(fields[11]) + Number(fields[12]);
    };
    await pause(500);
    const before = ticks();
    await pause(1500);
    expect(ticks() - before).toBeLessThanOrEqual(1);
  });

  it('umount(8) ends the process, with its record and its locks', async () => {
    const { pid } = await stage.mount();
    umount(stage.merged);
    await untilGone(pid, 5000);
    expect(readRecords().some((record) => record.pid === pid)).toBe(false);
    // Nothing holds the upper any more.
    const again = await stage.mount();
    expect(isRunning(again.pid)).toBe(true);
  });

  it('after umount(8) the same upper can be mounted at once, time after time', async () => {
    for (let i = 0; i < 10; i++) {
      await stage.mount();
      fs.appendFileSync(path.join(stage.merged, 'low'), `${i}`);
      umount(stage.merged);
    }
    expect(fs.readFileSync(path.join(stage.upper, 'low'), 'utf8')).toBe('lower0123456789');
  });

  it('an upper in use by a live mount is refused at once, naming it', async () => {
    await stage.mount();
    const other = path.join(stage.dir, 'other');
    fs.mkdirSync(other);
    const start = performance.now();
    const error = await refused(stage.mount('', other));
    expect(performance.now() - start).toBeLessThan(5000);
    expect(error).toMatchObject({ errnoName: 'EBUSY', exitStatus: 32 });
    expect(error.message).toContain(`'${stage.merged}'`);
    expect(fs.readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(other);
  });

  it('a lower that is missing leaves no mount, no process and no record', async () => {
    const error = await refused(stage.mount(`lowerdir+=${stage.dir}/gone`).catch((e) => Promise.reject(e)));
    expect(error.exitStatus).toBe(32);
    expect(mountLine()).toBeUndefined();
  });

  it('kill -9 leaves a dead mount, which the next mount replaces', async () => {
    const { pid } = await stage.mount();
    fs.writeFileSync(path.join(stage.merged, 'kept'), 'kept');
    process.kill(pid, 'SIGKILL');
    await untilGone(pid, 5000);
    expect(() => fs.statSync(stage.merged)).toThrow('ENOTCONN');
    await stage.mount();
    expect(fs.readFileSync(path.join(stage.merged, 'kept'), 'utf8')).toBe('kept');
    const stacked = fs
      .readFileSync('/proc/self/mountinfo', 'utf8')
      .split('\n')
      .filter((line) => line.split(' ')[4] === stage.merged);
    expect(stacked).toHaveLength(1);
    expect(readRecords().some((record) => record.pid === pid)).toBe(false);
  });

  it.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)('%s under load ends it within 2 seconds', async (signal) => {
    const { pid } = await stage.mount();
    const load = 'i=0; while :; do i=$((i+1)); echo $i > f$i || exit 7; cat low f$i > /dev/null; ls > /dev/null; done';
    const clients = [1, 2].map((n) => {
      const dir = path.join(stage.merged, `d${n}`);
      fs.mkdirSync(dir);
      fs.writeFileSync(path.join(dir, 'low'), 'x');
      return spawn('sh', ['-c', load], { cwd: dir, stdio: 'ignore' });
    });
    const ends = clients.map(exit);
    await pause(500);
    process.kill(pid, signal);
    expect(await untilGone(pid, 5000)).toBeLessThan(2000);
    expect(mountLine()).toBeUndefined();
    // The clients got errors, and nobody hangs.
    for (const end of ends) expect((await end).code).not.toBe(0);
  });

  it.each([
    ['SIGTERM', (child: ChildProcess) => child.kill('SIGTERM')],
    ['umount(8)', () => umount(stage.merged)],
  ])('a server in the foreground exits with status 0 after %s', async (_, end) => {
    const helper = fileURLToPath(new URL('./support/serve-in-foreground.mjs', import.meta.url));
    const options = `lowerdir=${stage.lower},upperdir=${stage.upper},workdir=${stage.work}`;
    const child = spawn(process.execPath, [helper, options, stage.merged], { stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = exit(child);
    await new Promise((resolve) => child.stdout!.once('data', resolve));
    expect(fs.readFileSync(path.join(stage.merged, 'low'), 'utf8')).toBe('lower');
    end(child);
    expect(await ended).toEqual({ code: 0, signal: null });
    expect(mountLine()).toBeUndefined();
  });

  it('requests given up by an abort of the connection end the server too', async () => {
    const { pid, mount } = await stage.mount();
    const connection = `/sys/fs/fuse/connections/${mount.device.split(':')[1]}`;
    const control = fs.existsSync(connection) ? connection : null;
    if (control === null) spawnSync('mount', ['-t', 'fusectl', 'fusectl', '/sys/fs/fuse/connections']);
    try {
      fs.writeFileSync(path.join(connection, 'abort'), '1');
    } finally {
      if (control === null) spawnSync('umount', ['/sys/fs/fuse/connections']);
    }
    await untilGone(pid, 5000);
    expect(mountLine()).toBeUndefined();
  });

  describe('in the middle of a long copy-up', () => {
    const SIZE = 1536 * MiB;
    beforeEach(() => {
      const fd = fs.openSync(path.join(stage.lower, 'big'), 'w');
      const chunk = Buffer.alloc(16 * MiB, 1);
      for (let at = 0; at < SIZE; at += chunk.length) fs.writeSync(fd, chunk);
      fs.closeSync(fd);
    }, 60_000);

    const writer = (): ChildProcess =>
      spawn('sh', ['-c', 'echo started; echo x >> "$0"', path.join(stage.merged, 'big')], {
        stdio: ['ignore', 'pipe', 'pipe'],
      });
    const started = (child: ChildProcess): Promise<void> =>
      new Promise((resolve) => child.stdout!.once('data', () => resolve()));

    it('SIGTERM ends it within 2 seconds, and the upper has no half of a file', async () => {
      const { pid } = await stage.mount('copyup=full');
      const child = writer();
      const end = exit(child);
      await started(child);
      await pause(50);
      process.kill(pid, 'SIGTERM');
      expect(await untilGone(pid, 8000)).toBeLessThan(2000);
      expect((await end).code).not.toBe(0);
      expect(fs.existsSync(path.join(stage.upper, 'big'))).toBe(false);
      await stage.mount();
      expect(fs.statSync(path.join(stage.merged, 'big')).size).toBe(SIZE);
    }, 60_000);

    it('a caller that is killed does not wait for it', async () => {
      await stage.mount('copyup=full');
      const child = writer();
      const end = exit(child);
      await started(child);
      await pause(50);
      child.kill('SIGKILL');
      expect((await end).signal).toBe('SIGKILL');
      expect(fs.existsSync(path.join(stage.upper, 'big'))).toBe(false);
      expect(fs.readFileSync(path.join(stage.merged, 'low'), 'utf8')).toBe('lower');
    }, 60_000);
  });
});
