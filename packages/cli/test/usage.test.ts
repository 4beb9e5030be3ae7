/** How the commands take their arguments, and what they print where. */
import { spawn } from 'node:child_process';
import { beforeEach, describe, expect, it } from 'vitest';
import { verbs } from '../src/verbs.ts';
import { parseChecked } from './support/schema.ts';
import { Stage } from './support/stage.ts';
import { bin, call, strata, strataOverlay } from './support/strata.ts';

describe('usage', () => {
  let stage: Stage;
  beforeEach(() => {
    stage = new Stage();
    return () => stage.destroy();
  });

  it.each(verbs.map((verb) => verb.name))('strata %s --help shows an example on stdout', async (name) => {
    const out = await strata([name, '--help']);
    expect(out).toMatchObject({ code: 0, stderr: '' });
    expect(out.stdout).toMatch(new RegExp(`^Usage: strata ${name}`));
    expect(out.stdout).toMatch(/\nExamples?:\n {2}strata/);
    expect((await strata(['help', name])).stdout).toBe(out.stdout);
  });

  it.each(verbs.map((verb) => [verb.name, verb.usageStatus ?? 2]))(
    'strata %s refuses an unknown option by name',
    async (name, status) => {
      const out = await strata([`${name}`, '--no-such-thing']);
      expect(out).toMatchObject({ code: status, stdout: '' });
      expect(out.stderr).toMatch(new RegExp(`^strata ${name}: unknown option '--no-such-thing'.*\\n$`));
    },
  );

  it('lists the commands', async () => {
    const out = await strata(['--help']);
    for (const { name } of verbs) expect(out.stdout).toContain(`  ${name}`);
    expect(await strata([])).toMatchObject({ code: 2, stdout: '', stderr: out.stdout });
  });

  it('asks whether another command was meant', async () => {
    expect(await strata(['mout'])).toMatchObject({
      code: 2,
      stderr: "strata: unknown command 'mout': did you mean 'mount'?\n",
    });
    expect((await strata(['no\xff\ufffd'])).stderr).toContain("'strata --help' lists the commands");
  });

  it('strata doctor has no verdict on what is not there', async () => {
    const file = stage.put('file');
    for (const [path, errno] of [
      [stage.at('nowhere'), 'ENOENT'],
      [file, 'ENOTDIR'],
    ]) {
      expect(await strata(['doctor', '--json', path])).toMatchObject({
        code: 1,
        stdout: '',
        stderr: `strata doctor: '${path}' is no directory that can be looked at: ${errno}\n`,
      });
    }
    // The store root may be made yet: what it will lie on is looked at.
    const out = await strata(['doctor', '--json', '--root', stage.at('nowhere/yet')]);
    expect(out.code).toBe(0);
    expect(parseChecked(out.stdout)).toMatchObject({ directory: { path: stage.top } });
  });

  it('takes --root before and after the verb, and from the environment', async () => {
    const root = stage.at('kept');
    const expected = { root, runs: 0 };
    const calls = [
      strata(['--root', root, 'info', '--json']),
      strata([`--root=${root}`, 'info', '--json']),
      strata(['info', '--root', root, '--json']),
      strata(['info', '--json'], { env: { STRATA_ROOT: root } }),
      strata(['--root', root, 'info', '--json'], { env: { STRATA_ROOT: '/elsewhere' } }),
      strata(['info', '--root', 'kept', '--json'], { cwd: stage.top }),
    ];
    for (const out of await Promise.all(calls)) expect(parseChecked(out.stdout)).toMatchObject(expected);
  });

  it('prints versions', async () => {
    const out = parseChecked((await strata(['version', '--json'])).stdout);
    expect(out.node).toBe(process.versions.node);
    expect((await strata(['--version'])).stdout).toContain(`strata ${out.strata}\n`);
    expect((await strataOverlay(['-V'])).stdout).toBe(`strata-overlay: version ${out.strata}\n`);
  });

  it('is quiet when nobody reads on', async () => {
    const shell = spawn('sh', ['-c', '("$0" "$1" help mount; echo "status $?" >&2) | true', process.execPath, bin], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let stderr = '';
    shell.stderr.on('data', (chunk) => {
      stderr += chunk;
    });
    await new Promise((resolve) => shell.once('close', resolve));
    expect(stderr).toBe('status 0\n');
  });

  it('takes arguments that are no UTF-8, and shows them readably', async () => {
    // A shell makes the byte, which no string of this process can hold.
    const out = await call([
      'sh',
      '-c',
      'exec "$0" "$1" explain -o "lowerdir=$(printf "/no\\377pe")" x',
      process.execPath,
      bin,
    ]);
    expect(out).toMatchObject({ code: 1, stderr: expect.stringContaining('/no\\xffpe cannot be opened: ENOENT') });
    const option = await call([
      'sh',
      '-c',
      'exec "$0" "$1" mount -o "$(printf "a\\377b")" /mnt',
      process.execPath,
      bin,
    ]);
    expect(option).toMatchObject({ code: 32, stderr: "strata mount: unknown mount option 'a\\xffb' (EINVAL)\n" });
  });
});

describe('strata-overlay', () => {
  it('only warns of what it does not know', async () => {
    const out = await strataOverlay(['-x', '-o', 'lowerdir=/no/such/dir:/etc,,frobnicate=1', '/no/such/place']);
    expect(out.code).toBe(32);
    expect(out.stderr.split('\n')).toEqual([
      "strata-overlay: warning: unknown option '-x' is ignored",
      "strata-overlay: warning: unknown mount option 'frobnicate'",
      expect.stringMatching(/^strata-overlay: .*\/no\/such\/(dir|place)/),
      '',
    ]);
  });

  it('names what is missing', async () => {
    expect(await strataOverlay(['-o', 'lowerdir=/etc'])).toMatchObject({
      code: 1,
      stderr: 'strata-overlay: MERGED is missing: strata-overlay -o OPT,... [SOURCE] MERGED\n',
    });
  });
});
