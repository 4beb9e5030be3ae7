/** A run at a terminal is one job: what is typed reaches the command once, and shells can stop it and go on. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { enterMountNamespace, hasFuse, root, Stage } from './support/stage.ts';
import { bin } from './support/strata.ts';

let stage: Stage;
let shell: ChildProcess;
let screen: string;

beforeAll(enterMountNamespace);
beforeEach((context) => {
  context.skip(!root, 'needs root that may mount');
  context.skip(spawnSync('script', ['--version']).error !== undefined, 'there is no script(1)');
  stage = new Stage();
  stage.dir('dir');
  screen = '';
  // script(1) gives the shell a terminal, and types what comes to its stdin.
  shell = spawn('script', ['-qec', "env 'PS1=PROMPT> ' bash --norc --noediting -i", '/dev/null'], {
    cwd: stage.top,
    env: { ...process.env, STRATA_ROOT: stage.at('store'), TERM: 'dumb' },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  shell.stdout?.on('data', (chunk) => {
    screen += chunk;
  });
  return async () => {
    shell.stdin?.write('exit\n');
    shell.kill('SIGKILL');
    stage.destroy();
  };
});

/** Types, and waits for `text` on the screen behind what was there before. */
async function type(keys: string, text: string | RegExp): Promise<void> {
  const before = screen.length;
  shell.stdin?.write(keys);
  await expect.poll(() => screen.slice(before).replaceAll('\r', ''), { timeout: 15_000 }).toMatch(text);
}

describe.each(['kernel', 'fuse'])('at a terminal, by %s', (backend) => {
  beforeEach((context) => context.skip(backend === 'fuse' && !hasFuse, 'there is no /dev/fuse'));
  const run = (command: string) => `${process.execPath} ${bin} run --rm --backend ${backend} ./dir -- ${command}\n`;

  it('stops, goes on and is interrupted as one job', async () => {
    await type('', /PROMPT> $/);
    await type(
      run(`sh -c 'echo be''gun; trap "echo interru""pted; exit 5" INT; while :; do sleep 0.1; done'`),
      'begun',
    );
    await type('\x1a', /Stopped/);
    await type('fg\n', /run --rm/);
    await type('\x03', /interrupted\n[\s\S]*nothing changed[\s\S]*PROMPT> $/);
    expect(screen.match(/interrupted/g)).toHaveLength(1);
    await type('echo status=$?\n', /status=5\n/);
  });

  it('hosts an interactive shell', async () => {
    await type('', /PROMPT> $/);
    await type(run('env PS1=INNER: bash --norc --noediting -i'), /INNER:$/);
    await type('sleep 100\n', 'sleep 100');
    await type('\x03', /INNER:$/);
    await type('echo still=$?; touch new; exit 6\n', /still=130\n[\s\S]*A \/new\n[\s\S]*PROMPT> $/);
    await type('echo status=$?\n', /status=6\n/);
  });
});
