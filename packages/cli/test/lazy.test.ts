/** Lazy copy-up through a mount: what it stores, what the kernel makes of an upper with it, and how it ends. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { fromText } from 'stratafs/internal/sys/bytes';
import { MNT_DETACH } from 'stratafs/internal/sys/constants';
import { openSys } from 'stratafs/internal/sys/sys-koffi';
import { beforeAll, beforeEach, expect, it } from 'vitest';
import { parseChecked } from './support/schema.ts';
import { enterMountNamespace, hasFuse, root, Stage } from './support/stage.ts';
import { strata } from './support/strata.ts';

const sys = openSys();
/** Where lazy copy-up is known to be safe (layer/write-order.ts). */
const holdsStubs = new Set(['ext2/ext3', 'xfs']);
const SIZE = 40 * 1024 * 1024 + 123;
let stage: Stage;

beforeAll(enterMountNamespace);
beforeEach((context) => {
  context.skip(!root || !hasFuse, 'needs root that may mount, and /dev/fuse');
  stage = new Stage();
  const type = execFileSync('stat', ['-f', '-c', '%T', stage.top], { encoding: 'utf8' }).trim();
  for (const name of ['lower', 'upper', 'work', 'merged', 'other', 'empty', 'work2']) stage.dir(name);
  context.onTestFinished(() => stage.destroy());
  context.skip(!holdsStubs.has(type), `temporary files are on ${type}`);
});

const layers = (): string => `lowerdir=${stage.at('lower')},upperdir=${stage.at('upper')},workdir=${stage.at('work')}`;

async function mount(options = 'copyup=lazy'): Promise<void> {
  const done = await strata(['mount', '-o', `${layers()},${options}`, stage.at('merged')]);
  expect(done).toMatchObject({ code: 0, stderr: '' });
}

async function umount(...flags: string[]): Promise<string> {
  const done = await strata(['umount', ...flags, stage.at('merged')]);
  expect(done.code, done.stderr).toBe(0);
  return done.stderr;
}

/** A lower file of pseudo-random bytes, with holes. */
function large(name = 'large'): Buffer {
  const bytes = Buffer.alloc(SIZE);
  for (let i = 0; i < SIZE; i += 3 * 1024 * 1024) {
    createHash('sha512').update(String(i)).digest().copy(bytes, i);
    bytes.fill(1 + (i % 251), i + 64, Math.min(SIZE, i + 100_000));
  }
  const fd = fs.openSync(stage.at('lower', name), 'w');
  fs.ftruncateSync(fd, SIZE);
  for (let i = 0; i < SIZE; i += 3 * 1024 * 1024) fs.writeSync(fd, bytes, i, Math.min(100_000, SIZE - i), i);
  fs.closeSync(fd);
  return bytes;
}

/** Bytes that the upper takes, all of it. */
function taken(upper = stage.at('upper')): number {
  return Number(execFileSync('du', ['-sB1', upper], { encoding: 'utf8' }).split('\t')[0]);
}

function same(path: string, bytes: Buffer): boolean {
  return fs.readFileSync(path).equals(bytes);
}

function serverPid(): number {
  const listed = parseChecked(
    execFileSync(process.execPath, ['packages/cli/bin/strata.js', 'mount', '--json'], { encoding: 'utf8' }),
  );
  const mine = (listed.mounts as { mountPoint: string; pid: number }[]).find(
    (m) => m.mountPoint === stage.at('merged'),
  );
  return mine!.pid;
}

function kernelMount(options: string): number {
  const err = sys.mount('overlay', fromText(stage.at('other')), 'overlay', 0, fromText(options));
  return err;
}

it('a line appended to a log of 2 GiB stores less than 1 MiB, in no time, and is all that changes', async (context) => {
  // With a journal, as the temporary files may have none, and then nobody is spared the copy unasked.
  const disk = stage.dir('disk');
  fs.closeSync(fs.openSync(stage.at('image'), 'w'));
  fs.truncateSync(stage.at('image'), 64 * 1024 * 1024);
  execFileSync('mkfs.ext4', ['-q', '-F', '-O', 'has_journal', stage.at('image')]);
  execFileSync('mount', ['-o', 'loop', stage.at('image'), disk]);
  context.onTestFinished(() => void execFileSync('umount', [disk]));
  for (const name of ['lower', 'upper', 'work']) stage.dir('disk', name);
  const [lower, upper, work] = ['lower', 'upper', 'work'].map((name) => stage.at('disk', name));
  const log = `${lower}/log`;
  fs.writeFileSync(log, 'the first line\n');
  fs.truncateSync(log, 2 * 1024 ** 3);
  // By default, where the filesystem cannot share the bytes.
  expect(
    await strata([
      'mount',
      '--backend',
      'fuse',
      '-o',
      `lowerdir=${lower},upperdir=${upper},workdir=${work}`,
      stage.at('merged'),
    ]),
  ).toMatchObject({ code: 0 });
  const before = taken(upper);
  const began = performance.now();
  fs.appendFileSync(stage.at('merged/log'), 'the last line\n');
  expect(performance.now() - began).toBeLessThan(1000);
  expect(taken(upper) - before).toBeLessThan(1024 * 1024);
  expect(fs.statSync(stage.at('merged/log')).size).toBe(2 * 1024 ** 3 + 14);
  const fd = fs.openSync(stage.at('merged/log'), 'r');
  const tail = Buffer.alloc(20);
  fs.readSync(fd, tail, 0, 20, 2 * 1024 ** 3 - 6);
  const head = Buffer.alloc(20);
  fs.readSync(fd, head, 0, 20, 0);
  fs.closeSync(fd);
  expect([tail.toString('latin1'), head.toString('latin1')]).toEqual([
    `${'\0'.repeat(6)}the last line\n`,
    'the first line\n\0\0\0\0\0',
  ]);
  expect(await umount()).toMatch(/completing 1 copy-up .*\ncompleted 1 copy-up/);
  expect(fs.statSync(`${upper}/log`).size).toBe(2 * 1024 ** 3 + 14);
});

it('the kernel never reads a file that is not complete, with this workdir or another, nor as a lower; then it reads all of it', async () => {
  const bytes = large();
  await mount();
  const fd = fs.openSync(stage.at('merged/large'), 'r+');
  fs.writeSync(fd, 'changed', 20_000_000);
  fs.fsyncSync(fd);
  fs.closeSync(fd);
  bytes.write('changed', 20_000_000);
  const refused: string[] = [];
  const look = (options: string): void => {
    const err = kernelMount(options);
    if (err < 0) {
      refused.push(options);
      return;
    }
    for (const use of [
      () => fs.readFileSync(stage.at('other/large')),
      () => fs.statSync(stage.at('other/large')),
      () => fs.openSync(stage.at('other/large'), 'r+'),
      () => fs.writeFileSync(stage.at('other/large'), 'new'),
    ]) {
      expect(use, options).toThrow(/EIO|EINVAL|EPERM|EROFS/);
    }
    sys.umount2(fromText(stage.at('other')), MNT_DETACH);
  };
  const all = async (): Promise<void> => {
    await umount('-l');
    const lower = `lowerdir=${stage.at('lower')}`;
    const upper = `upperdir=${stage.at('upper')}`;
    for (const more of [
      '',
      ',metacopy=on',
      ',index=on',
      ',index=on,nfs_export=on',
      ',userxattr',
      ',volatile',
      ',redirect_dir=on',
      ',metacopy=on,verity=on',
    ]) {
      look(`${lower},${upper},workdir=${stage.at('work')}${more}`);
    }
    expect(refused).toHaveLength(8);
    for (const more of ['', ',metacopy=on', ',userxattr', ',metacopy=on,redirect_dir=on']) {
      fs.rmSync(stage.at('work2'), { recursive: true });
      stage.dir('work2');
      look(`${lower},${upper},workdir=${stage.at('work2')},index=off${more}`);
      look(`lowerdir=${stage.at('upper')}:${stage.at('lower')}${more}`);
      look(`lowerdir=${stage.at('empty')}:${stage.at('upper')}:${stage.at('lower')}${more}`);
    }
  };
  await all();
  const kernel = await strata(['mount', '--backend', 'kernel', '-o', layers(), stage.at('merged')]);
  expect(kernel.code).toBe(32);
  expect(kernel.stderr).toContain('strata hydrate');
  expect(await strata(['hydrate', '-o', layers()])).toMatchObject({ code: 0, stdout: '' });
  expect(kernelMount(layers())).toBe(0);
  expect(same(stage.at('other/large'), bytes)).toBe(true);
  sys.umount2(fromText(stage.at('other')), 0);
  expect(kernelMount(`lowerdir=${stage.at('upper')}:${stage.at('lower')},metacopy=on`)).toBe(0);
  expect(same(stage.at('other/large'), bytes)).toBe(true);
});

it('a server that is killed, or told to end, leaves what the next mount goes on with', async () => {
  const bytes = large();
  await mount();
  fs.appendFileSync(stage.at('merged/large'), 'more');
  const grown = Buffer.concat([bytes, Buffer.from('more')]);
  expect((await strata(['mount'])).stdout).toContain('fuse (1 pending)');
  const explained = (await strata(['explain', stage.at('merged'), 'large'])).stdout;
  expect(explained).toContain('its copy-up is not complete');
  expect(explained).not.toContain('redirect');
  process.kill(serverPid(), 'SIGKILL');
  while (stage.processes().length > 0) await new Promise((resolve) => setTimeout(resolve, 20));
  // auto: what the kernel would refuse our server takes.
  const again = await strata(['mount', '-o', layers(), stage.at('merged')]);
  expect(again).toMatchObject({ code: 0 });
  expect(stage.fstype('merged')).toBe('fuse.strata-overlay');
  expect(same(stage.at('merged/large'), grown)).toBe(true);
  expect(await umount('-l')).toBe('');
  expect(taken()).toBeLessThan(1024 * 1024);
  await mount();
  expect(await strata(['hydrate', stage.at('merged')])).toMatchObject({ code: 0 });
  expect(same(stage.at('merged/large'), grown)).toBe(true);
  expect(await umount()).toBe('');
  expect(same(stage.at('upper/large'), grown)).toBe(true);
});

it('umount(8) completes too, and readers, writers and mappings agree until the last is closed', async () => {
  const bytes = large();
  await mount();
  const reader = fs.openSync(stage.at('merged/large'), 'r');
  const seen = Buffer.alloc(100);
  fs.readSync(reader, seen, 0, 100, 5_000_000);
  const writer = fs.openSync(stage.at('merged/large'), 'r+');
  fs.writeSync(writer, 'written', 5_000_010);
  bytes.write('written', 5_000_010);
  fs.readSync(reader, seen, 0, 100, 5_000_000);
  expect(seen.equals(bytes.subarray(5_000_000, 5_000_100))).toBe(true);
  // Complete while both are open: nothing may come from the stub, nor from the lower.
  expect(await strata(['hydrate', stage.at('merged')])).toMatchObject({ code: 0 });
  fs.writeSync(writer, 'again', 5_000_010);
  bytes.write('again', 5_000_010);
  fs.readSync(reader, seen, 0, 100, 5_000_000);
  expect(seen.equals(bytes.subarray(5_000_000, 5_000_100))).toBe(true);
  fs.closeSync(reader);
  fs.closeSync(writer);
  fs.truncateSync(stage.at('merged/large'), 1_000_000);
  expect(same(stage.at('merged/large'), bytes.subarray(0, 1_000_000))).toBe(true);
  large('second');
  execFileSync('umount', [stage.at('merged')]);
  while (stage.processes().length > 0) await new Promise((resolve) => setTimeout(resolve, 20));
  expect(fs.existsSync(stage.at('work/work/incompat'))).toBe(false);
});
