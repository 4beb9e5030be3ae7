/** Mounts made by the shell commands: the process that mounts stays and serves, and nothing of its starter stays with it. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { beforeAll, beforeEach, expect, it } from 'vitest';
import { openFilesOf } from '../../overlay/test/support/descriptors.ts';
import { enterMountNamespace, hasFuse, root, Stage } from './support/stage.ts';
import { command, overlayCommand } from './support/strata.ts';

let stage: Stage;

beforeAll(enterMountNamespace);
beforeEach((context) => {
  context.skip(!root || !hasFuse, 'needs root that may mount, and /dev/fuse');
  stage = new Stage();
  for (const name of ['lower', 'upper', 'work', 'merged']) stage.dir(name);
  context.onTestFinished(() => stage.destroy());
});

const layers = (): string => `lowerdir=${stage.at('lower')},upperdir=${stage.at('upper')},workdir=${stage.at('work')}`;

function statusOf(pid: number, field: string): string {
  return new RegExp(`^${field}:\\s*(.*)$`, 'm').exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? '';
}

it.each([
  ['strata', () => [command, 'mount', '--backend', 'fuse', '-o', layers(), stage.at('merged')]],
  ['strata-overlay', () => [overlayCommand, '-o', layers(), stage.at('merged')]],
])('%s leaves a server that holds nothing of its starter', (_, argv) => {
  const lock = fs.openSync(stage.put('lock'), 'r+');
  // As flock(1) or a script would: descriptors that nobody closes, and a pipe that is read to its end.
  const script = 'exec 5<&3 9<&3 || exit 99; cd "$TOP"; "$@"; echo "status $?"';
  const run = spawnSync('sh', ['-c', script, 'sh', ...argv()], {
    encoding: 'utf8',
    env: { ...process.env, TOP: stage.top },
    stdio: ['ignore', 'pipe', 'pipe', lock],
    timeout: 20_000,
  });
  fs.closeSync(lock);
  expect(run).toMatchObject({ stdout: 'status 0\n', stderr: '' });
  expect(stage.fstype('merged')).toBe('fuse.strata-overlay');
  const found = stage.processes();
  expect(found.map((line) => line.replace(/^\d+ /, '').trim())).toEqual([`strata-overlay ${stage.at('merged')}`]);
  const pid = Number(found[0].split(' ')[0]);
  expect([statusOf(pid, 'NSsid'), fs.readlinkSync(`/proc/${pid}/cwd`)]).toEqual([statusOf(pid, 'NSpid'), '/']);
  const files = openFilesOf(pid);
  expect(files.filter((file) => file === stage.at('lock'))).toEqual([]);
  expect([0, 1, 2].map((fd) => fs.readlinkSync(`/proc/${pid}/fd/${fd}`))).toEqual(Array(3).fill('/dev/null'));
  fs.writeFileSync(stage.at('merged/file'), 'text');
  expect(spawnSync(command, ['umount', stage.at('merged')]).status).toBe(0);
  expect(stage.processes()).toEqual([]);
});

it('tells how it failed, by its status and on stderr', () => {
  const run = spawnSync(command, ['mount', '--backend', 'fuse', '-o', layers(), stage.at('missing')], {
    encoding: 'utf8',
  });
  expect(run).toMatchObject({ status: 32, stdout: '', stderr: expect.stringMatching(/^strata mount: mount point/) });
  expect(stage.processes()).toEqual([]);
});

it.each([
  ['strata', () => [command, 'mount', '--backend', 'fuse', '-o', layers(), stage.at('merged')]],
  ['strata-overlay', () => [overlayCommand, '-o', layers(), stage.at('merged')]],
])('%s mounts without standard streams, as cron or a daemon may start it', (_, argv) => {
  const run = spawnSync('sh', ['-c', '"$@" <&- >&- 2>&-', 'sh', ...argv()], { timeout: 20_000 });
  expect(run.status).toBe(0);
  expect(stage.fstype('merged')).toBe('fuse.strata-overlay');
  expect(spawnSync(command, ['umount', stage.at('merged')]).status).toBe(0);
});

it('says so when the server is killed before the mount is live', () => {
  // A node that ends at once, as one that is killed does: without a word.
  fs.writeFileSync(stage.put('bin/node'), '#!/bin/sh\nexit 0\n', { mode: 0o755 });
  fs.chmodSync(stage.at('bin/node'), 0o755);
  const run = spawnSync(command, ['mount', '-o', layers(), stage.at('merged')], {
    encoding: 'utf8',
    env: { ...process.env, PATH: `${stage.at('bin')}:${process.env.PATH}` },
  });
  expect(run).toMatchObject({ status: 2, stderr: 'strata: the server ended before the mount was live\n' });
});

it("leaves nothing behind where the kernel's overlay serves", () => {
  const run = spawnSync(command, ['mount', '--backend', 'kernel', '-o', layers(), stage.at('merged')], {
    encoding: 'utf8',
  });
  expect(run).toMatchObject({ status: 0, stdout: '', stderr: '' });
  expect([stage.fstype('merged'), stage.processes()]).toEqual(['overlay', []]);
});
