/** `strata run DIR CMD` and what follows it: diff, ps, rm. As root by both backends, and as an ordinary user. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ordinaryStrata } from './support/ordinary.ts';
import { parseChecked } from './support/schema.ts';
import { enterMountNamespace, hasFuse, ORDINARY, root, Stage } from './support/stage.ts';
import { bin, type CallOptions, call, type Outcome } from './support/strata.ts';

let stage: Stage;

beforeAll(enterMountNamespace);
beforeEach((context) => {
  context.skip(!root, 'needs root that may mount');
  stage = new Stage();
  stage.put('dir/file', 'content');
  stage.put('dir/gone', 'x');
  stage.put('dir/sub/deep/inner', 'inner');
  execFileSync('chown', ['-R', `${ORDINARY}:${ORDINARY}`, stage.top]);
  return () => stage.destroy();
});

describe.each([
  ['root', 'kernel'],
  ['root', 'fuse'],
  ['an ordinary user', 'fuse'],
] as const)('strata run as %s by %s', (who, backend) => {
  beforeEach((context) => context.skip(backend === 'fuse' && !hasFuse, 'there is no /dev/fuse'));

  const env = () => ({ STRATA_ROOT: stage.at('store'), HOME: stage.top, XDG_RUNTIME_DIR: stage.top });
  const command = () => (who === 'root' ? [process.execPath, bin] : ordinaryStrata());
  const strata = (args: string[], options: CallOptions = {}): Promise<Outcome> =>
    call([...command(), ...args], { cwd: stage.top, ...options, env: { ...env(), ...options.env } });
  /** From the stage itself, unless told otherwise: most tests look at the directory and at what is beside it. */
  const run = (args: string[], options?: CallOptions) =>
    strata(['run', '--backend', backend, ...(options?.cwd ? [] : ['-w', stage.top]), ...args], options);
  const uid = () => (who === 'root' ? 0 : ORDINARY);

  /** A run that goes on until it is ended: resolves when the command has said `ready`. */
  async function start(args: string[]): Promise<{ child: ChildProcess; ended: Promise<number | string | null> }> {
    const [file, ...rest] = [...command(), 'run', '--backend', backend, '-w', stage.top, ...args];
    const child = spawn(file, rest, {
      cwd: stage.top,
      env: { ...process.env, ...env() },
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const ended = new Promise<number | string | null>((resolve) =>
      child.once('exit', (code, signal) => resolve(code ?? signal)),
    );
    await new Promise<void>((resolve, reject) => {
      child.stdout.on('data', (chunk) => String(chunk).includes('ready') && resolve());
      child.once('exit', () => reject(new Error('the run ended at once')));
    });
    return { child, ended };
  }

  it('shows the directory at its own path, keeps it as it is, and keeps what changed', async () => {
    const before = stage.snapshot('dir');
    const script =
      'pwd; cat dir/file; echo more >> dir/file; rm dir/gone; mkdir dir/new; echo y > dir/new/y; mv dir/sub dir/moved; cat dir/moved/deep/inner; exit 3';
    const out = await run(['--name', 'try', './dir', '--', 'sh', '-c', script]);
    expect(out).toMatchObject({ code: 3, stdout: `${stage.top}\ncontentinner` });
    expect(out.stderr.split('\n')).toEqual([
      'strata run: 5 added, 1 changed, 2 deleted',
      'strata run:   C /file',
      'strata run:   D /gone',
      'strata run:   A /moved',
      'strata run:   A /moved/deep',
      'strata run:   A /moved/deep/inner',
      'strata run:   A /new',
      'strata run:   A /new/y',
      'strata run:   D /sub',
      "strata run: kept as try: 'strata diff try' shows the changes, 'strata rm try' forgets them",
      '',
    ]);
    expect(stage.snapshot('dir')).toEqual(before);
    expect(stage.mounts()).toEqual([]);
    expect(stage.processes()).toEqual([]);

    const lines = [
      'C /file',
      'D /gone',
      'A /moved',
      'A /moved/deep',
      'A /moved/deep/inner',
      'A /new',
      'A /new/y',
      'D /sub',
    ];
    expect(await strata(['diff', 'try'])).toMatchObject({ code: 0, stdout: `${lines.join('\n')}\n`, stderr: '' });
    const words = { A: 'added', C: 'changed', D: 'deleted' };
    expect(parseChecked((await strata(['diff', '--json', 'try'])).stdout)).toMatchObject({
      run: { name: 'try', directory: stage.at('dir') },
      changes: lines.map((line) => ({ kind: words[line[0] as 'A'], path: line.slice(2) })),
    });
    const { runs } = parseChecked((await strata(['ps', '-a', '--json'])).stdout) as unknown as {
      runs: { id: string }[];
    };
    expect(runs).toMatchObject([{ name: 'try', state: 'exited', exitCode: 3, backend, directory: stage.at('dir') }]);
    expect((await strata(['diff', runs[0].id.slice(0, 5)])).stdout).toBe(`${lines.join('\n')}\n`);
    expect((await strata(['ps', '-aq'])).stdout).toBe(`${runs[0].id}\n`);
    expect((await strata(['ps', '-q'])).stdout).toBe('');
    expect((await strata(['ps', '-aq', '--filter', 'name=tr'])).stdout).toBe(`${runs[0].id}\n`);
    expect((await strata(['ps', '-aq', '--filter', 'name=no'])).stdout).toBe('');

    const explained = parseChecked((await strata(['explain', '--json', 'try', 'gone'])).stdout);
    expect(explained).toMatchObject({
      exists: false,
      layers: [
        { kind: 'upper', holding: 'whiteout' },
        { kind: 'lower', holding: 'hidden', hiddenBy: 0 },
      ],
    });

    expect(await strata(['rm', 'try'])).toMatchObject({ code: 0, stdout: 'try\n', stderr: '' });
    expect(fs.readdirSync(stage.at('store/runs'))).toEqual([]);
    expect(fs.readdirSync(stage.at('store/names'))).toEqual([]);
    expect(await strata(['diff', 'try'])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("there is no run 'try'"),
    });
  });

  it("has the caller's ids, groups, rights, environment, input and working directory", async () => {
    const out = await run(
      [
        '-e',
        'ADDED=1',
        '-e',
        'CHANGED=new',
        '--name',
        'ids',
        '..',
        '--',
        'sh',
        '-c',
        'pwd; id -u; id -g; id -G; echo "$KEPT $ADDED $CHANGED $STRATA_RUN"; grep CapEff /proc/self/status; ls',
      ],
      { cwd: stage.at('dir/sub'), env: { KEPT: 'yes', CHANGED: 'old' } },
    );
    const [cwd, u, g, groups, words, caps, ...names] = out.stdout.trim().split('\n');
    expect([cwd, u, g, words, names]).toEqual([stage.at('dir/sub'), `${uid()}`, `${uid()}`, 'yes 1 new ids', ['deep']]);
    if (who === 'root') {
      expect(caps).not.toMatch(/\t0+$/);
    } else {
      // The supplementary group is in force, and nobody may map it.
      expect(groups.split(' ').sort()).toEqual([`${ORDINARY}`, '65534'].sort());
      expect(caps).toMatch(/\t0+$/);
    }
  });

  it('starts in the directory when it is called from outside of it, and where -w says', async () => {
    const pwd = ['--', 'sh', '-c', 'pwd; echo "$PWD"'];
    const twice = (path: string) => `${path}\n${path}\n`;
    const from = async (cwd: string, args: string[]) => (await run(['--rm', ...args, ...pwd], { cwd })).stdout;
    expect(await from(stage.top, ['./dir'])).toBe(twice(stage.at('dir')));
    expect(await from(stage.at('dir/sub'), ['..'])).toBe(twice(stage.at('dir/sub')));
    expect(await from(stage.top, ['-w', 'sub', './dir'])).toBe(twice(stage.at('dir/sub')));
    expect(await from(stage.at('dir/sub'), ['-w', stage.top, '..'])).toBe(twice(stage.top));
  });

  it('explains a path of the run, as it is seen in it and from outside', async () => {
    await run(['--name', 'told', './dir', '--', 'sh', '-c', 'echo more >> dir/file']);
    for (const name of ['file', '/file', stage.at('dir/file')]) {
      expect((await strata(['explain', 'told', name])).stdout).toMatch(/^\/file is served by the upper/);
    }
    expect((await strata(['explain', 'told', stage.at('dir')])).stdout).toMatch(/^\/ is the root of the union/);
  });

  if (who !== 'root')
    it('lets a supplementary group count', async () => {
      stage.put('outside/secret', 'for the group');
      execFileSync('chown', ['0:64400', stage.at('outside/secret')]);
      fs.chmodSync(stage.at('outside/secret'), 0o640);
      expect(await run(['--rm', './dir', 'cat', stage.at('outside/secret')])).toMatchObject({
        stdout: 'for the group',
      });
    });

  it('gives its own exit statuses', async () => {
    const statuses: [string[], number, string][] = [
      [['./dir', '--', 'sh', '-c', 'exit 42'], 42, 'nothing changed'],
      [['./dir', 'no-such-command'], 127, "'no-such-command' is not found"],
      [['./dir', ''], 127, "'' is not found (ENOENT)"],
      [['-e', '=b', './dir', 'true'], 125, "--env '=b' names no variable"],
      [['./dir', './dir/file'], 126, "'./dir/file' cannot be executed"],
      [['./dir', '--', 'sh', '-c', 'kill -TERM $$'], 143, 'nothing changed'],
      [['./nowhere', 'true'], 125, "directory './nowhere' cannot be opened: ENOENT"],
      [['dir', 'true'], 125, "'dir' is no directory: those begin with '.', '/' or '~' (did you mean './dir'?)"],
      [['./dir'], 125, 'CMD is missing'],
      [['--name', 'a/b', './dir', 'true'], 125, "'a/b' is no name for a run"],
      [['--isolate', './dir', 'true'], 125, '--isolate is not available for the view of a directory'],
      [['--network', 'bridge', './dir', 'true'], 125, '--network takes host or none'],
      [
        ['-w', '/no/such/place', './dir', 'true'],
        125,
        "the working directory '/no/such/place' cannot be entered: ENOENT",
      ],
      [['-v', './nothing:/mnt', './dir', 'true'], 125, 'nothing'],
    ];
    for (const [args, code, message] of statuses) {
      const out = await run(['--rm', ...args]);
      expect([args, out.code]).toEqual([args, code]);
      expect(out.stderr).toContain(message);
      expect(out.stderr).toMatch(/^(strata run: [^\n]*\n)+$/);
    }
    expect(fs.readdirSync(stage.at('store/runs'))).toEqual([]);
    expect(stage.processes()).toEqual([]);
  });

  it('hands any bytes to the command, and leaves its options alone', async () => {
    const shell = ['sh', '-c', 'exec "$@" ./dir printf "<%s>" -e --rm "$(printf "\\377\\n.")"', '-'];
    const out = await call([...shell, ...command(), 'run', '--rm', '--backend', backend], {
      cwd: stage.top,
      env: env(),
    });
    expect(out.stdout).toBe('<-e><--rm><\xff\n.>');
    expect(await run(['--rm', './dir', '--', '--'])).toMatchObject({ code: 127 });
  });

  it('ends what the command leaves behind', async () => {
    const marker = stage.at('still-alive');
    const script = `(setsid sh -c 'sleep 20; touch ${marker}' &) ; sleep 21 & echo started`;
    const out = await run(['--rm', './dir', '--', 'sh', '-c', script]);
    expect(out).toMatchObject({ code: 0, stdout: 'started\n' });
    expect(out.stderr).toMatch(/^strata run: ended [23] processes that the command left behind\n/);
    expect(stage.processes()).toEqual([]);
  });

  it.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)('passes %s on', async (signal) => {
    const trap = `trap 'echo got it > dir/got; exit 9' ${signal.slice(3)}; echo ready; while :; do sleep 0.05; done`;
    const { child, ended } = await start(['--name', 'sig', './dir', '--', 'sh', '-c', trap]);
    child.kill(signal);
    expect(await ended).toBe(9);
    expect((await strata(['diff', 'sig'])).stdout).toBe('A /got\n');
  });

  it('leaves nothing behind when it is killed, and keeps what was written', async () => {
    const script = `echo 1 > dir/written; (setsid sleep 1000 &); echo ready; sleep 1000`;
    const { child, ended } = await start(['--name', 'killed', './dir', '--', 'sh', '-c', script]);
    expect((await strata(['ps'])).stdout).toMatch(/killed .* Up/);
    const namespace = fs.readlinkSync(`/proc/${child.pid}/ns/mnt`);
    const members = () =>
      fs.readdirSync('/proc').filter((pid) => {
        try {
          return /^\d+$/.test(pid) && fs.readlinkSync(`/proc/${pid}/ns/mnt`) === namespace;
        } catch {
          return false;
        }
      });
    expect(members().length).toBeGreaterThanOrEqual(4);
    expect((await strata(['rm', 'killed'])).stderr).toContain('is running');
    child.kill('SIGKILL');
    expect(await ended).toBe('SIGKILL');
    await expect.poll(members, { timeout: 5000 }).toEqual([]);
    expect((await strata(['ps', '-a'])).stdout).toMatch(/killed .* Dead/);
    expect((await strata(['diff', 'killed'])).stdout).toBe('A /written\n');
    // The upper is free again, for whoever wants to look at it.
    expect(await strata(['rm', 'killed'])).toMatchObject({ code: 0 });
  });

  it('discards a run that goes on', async () => {
    const { ended } = await start(['--name', 'on', './dir', '--', 'sh', '-c', 'echo ready; exec sleep 1000']);
    expect(await strata(['discard', 'on'])).toMatchObject({ code: 0, stdout: 'on\n' });
    expect(await ended).toBe(143);
    expect((await strata(['ps', '-aq'])).stdout).toBe('');
  });

  it('binds what is mounted below, hides a store inside, and adds volumes', async () => {
    execFileSync('mount', ['-t', 'tmpfs', 'none', stage.dir('dir/mnt')]);
    stage.put('dir/mnt/on-host', 'host');
    execFileSync('mount', ['-t', 'tmpfs', 'none', stage.dir('dir/mnt/nested')]);
    stage.put('dir/mnt/nested/deep', 'deep');
    fs.chmodSync(stage.at('dir/mnt'), 0o777);
    stage.put('vol/v', 'volume');
    execFileSync('chown', ['-R', `${ORDINARY}:${ORDINARY}`, stage.at('vol')]);
    const script = [
      'cat dir/mnt/on-host dir/mnt/nested/deep; echo changed > dir/mnt/by-run',
      'ls -A dir/store; touch dir/store/x 2>/dev/null || echo hidden',
      'cat dir/added/v; echo w > dir/added/w; touch dir/ro/x 2>/dev/null || echo read-only',
    ].join('; ');
    const out = await run(
      [
        '--name',
        'm',
        '-v',
        `vol:${stage.at('dir/added')}`,
        '-v',
        `${stage.at('vol')}:${stage.at('dir/ro')}:ro`,
        './dir',
        '--',
        'sh',
        '-c',
        script,
      ],
      { env: { STRATA_ROOT: stage.at('dir/store') } },
    );
    expect(out.stdout).toBe('hostdeephidden\nvolumeread-only\n');
    expect(out.stderr).toContain(`mounts below the directory are the host's own in here: ${stage.at('dir/mnt')}\n`);
    expect(fs.readFileSync(stage.at('dir/mnt/by-run'), 'utf8')).toBe('changed\n');
    expect(stage.read('vol/w')).toBe('w\n');
    // The mount points of the volumes had to be made.
    const diff = await strata(['diff', '--root', stage.at('dir/store'), 'm']);
    expect(diff.stdout).toBe('A /added\nA /ro\n');
  });

  it('has more lowers below the directory', async () => {
    stage.put('base/from-base', 'base');
    stage.put('base/file', 'hidden by the directory');
    stage.put('base2/sub/from-base2', 'base2');
    execFileSync('chown', ['-R', `${ORDINARY}:${ORDINARY}`, stage.at('base'), stage.at('base2')]);
    const out = await run([
      '--name',
      'low',
      '--lower',
      'base:base2',
      './dir',
      '--',
      'sh',
      '-c',
      'cd dir; cat from-base file sub/from-base2; rm from-base',
    ]);
    expect(out).toMatchObject({ code: 0, stdout: 'basecontentbase2' });
    expect((await strata(['diff', 'low'])).stdout).toBe('D /from-base\n');
  });

  it('has no network when none is asked for, but a loopback', async () => {
    const script = `const s = require('net').createServer().listen(0, '127.0.0.1', () => {
      console.log(Object.keys(require('os').networkInterfaces()).join()); s.close(); });`;
    const out = await run([
      '--rm',
      '--network',
      'none',
      './dir',
      '--',
      ...ordinaryStrata().slice(-2, -1),
      '-e',
      script,
    ]);
    expect(out.stdout).toBe('lo\n');
  });

  it('runs on the root directory', async () => {
    const script = `cat ${stage.at('dir/file')}; ls -A ${stage.at('store')}; test -e /proc/self/exe && echo proc; pwd`;
    const out = await run(['--name', 'slash', '/', '--', 'sh', '-c', script], { cwd: stage.at('dir/sub') });
    expect(out).toMatchObject({ code: 0, stdout: `contentproc\n${stage.at('dir/sub')}\n` });
    expect(await strata(['diff', 'slash'])).toMatchObject({ code: 0, stdout: '' });
    expect(await strata(['rm', 'slash'])).toMatchObject({ code: 0 });
  });

  // An ordinary user's upper cannot hold the folders above, which belong to root.
  if (who === 'root')
    it('changes the view of the root directory', async () => {
      const script = `echo new > ${stage.at('dir/new')}; rm ${stage.at('dir/gone')}`;
      expect(await run(['--name', 'slash', '/', '--', 'sh', '-c', script])).toMatchObject({ code: 0 });
      const { stdout } = await strata(['diff', 'slash']);
      expect(stdout).toContain(`A ${stage.at('dir/new')}\n`);
      expect(stdout).toContain(`D ${stage.at('dir/gone')}\n`);
      expect(stdout).not.toContain('/store');
      expect(fs.existsSync(stage.at('dir/gone'))).toBe(true);
    });

  it('refuses a name that is taken, and frees it', async () => {
    await run(['--name', 'one', './dir', 'true']);
    expect(await run(['--name', 'one', './dir', 'true'])).toMatchObject({
      code: 125,
      stderr: "strata run: the name 'one' is taken by another run: 'strata rm one' frees it\n",
    });
    expect((await strata(['ps', '-aq'])).stdout.trim().split('\n')).toHaveLength(1);
    await strata(['rm', 'one']);
    expect(await run(['--name', 'one', './dir', 'true'])).toMatchObject({ code: 0 });
  });

  it('shows and removes what the command made unreadable', async () => {
    await run([
      '--name',
      'shut',
      './dir',
      '--',
      'sh',
      '-c',
      'mkdir -p dir/a/b; touch dir/a/b/c; chmod 0 dir/a/b dir/a',
    ]);
    expect(await strata(['diff', 'shut'])).toMatchObject({ code: 0, stdout: 'A /a\nA /a/b\nA /a/b/c\n' });
    expect(await strata(['rm', 'shut'])).toMatchObject({ code: 0 });
    expect(fs.readdirSync(stage.at('store/runs'))).toEqual([]);
  });
});

describe('strata run', () => {
  it("refuses the kernel's overlay to those who could not rename in it", async () => {
    const out = await call([...ordinaryStrata(), 'run', '--backend', 'kernel', './dir', 'true'], {
      cwd: stage.top,
      env: { STRATA_ROOT: stage.at('store') },
    });
    expect(out).toMatchObject({ code: 125, stderr: expect.stringContaining('cannot rename lower directories') });
    expect(fs.existsSync(stage.at('store'))).toBe(false);
  });

  it('says when /dev/fuse is closed, and forgets the run', async (context) => {
    context.skip(!hasFuse, 'there is no /dev/fuse');
    fs.chmodSync('/dev/fuse', 0o600);
    try {
      const out = await call([...ordinaryStrata(), 'run', '--name', 'n', './dir', 'true'], {
        cwd: stage.top,
        env: { STRATA_ROOT: stage.at('store') },
      });
      expect(out.code).toBe(125);
      expect(out.stderr).toMatch(/^strata run: \/dev\/fuse cannot be opened by this user \(EACCES\)[^\n]*\n$/);
      expect(fs.readdirSync(stage.at('store/runs'))).toEqual([]);
      expect(fs.readdirSync(stage.at('store/names'))).toEqual([]);
      expect(stage.processes()).toEqual([]);
    } finally {
      fs.chmodSync('/dev/fuse', 0o666);
    }
  });

  it('keeps the store to its user', async () => {
    await call([process.execPath, bin, 'run', './dir', 'true'], {
      cwd: stage.top,
      env: { STRATA_ROOT: stage.at('store') },
    });
    expect(fs.statSync(stage.at('store')).mode & 0o777).toBe(0o700);
  });
});
