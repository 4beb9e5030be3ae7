import { execFileSync, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { execve } from '../src/sys/process.ts';

/** Runs `code` in a Node process of its own, with the built module's functions in scope. */
function inNode(code: string, prefix: string[] = []): string {
  const module = fileURLToPath(new URL('../dist/sys/process.js', import.meta.url));
  const script = `import { clearAmbientCapabilities, execve } from ${JSON.stringify(module)};
import { spawnSync } from 'node:child_process'; ${code}`;
  const command = [...prefix, process.execPath, '--input-type=module', '-e', script];
  return execFileSync(command[0], command.slice(1), { encoding: 'latin1', input: 'typed' });
}

describe('execve', () => {
  it('hands over any bytes, the standard descriptors and the pid, and resets signals', () => {
    const out = inNode(`process.on('SIGTERM', () => {});
      process.stdout.write(process.pid + '\\n');
      execve('/bin/sh', ['sh', '-c', 'echo $$; cat; echo; echo "$1 $X"; grep -E "Sig(Ign|Cgt)" /proc/$$/status', '-', 'a\\xff\\xfe'], ['X=\\xc3(', 'PATH=/bin:/usr/bin'])`);
    const lines = out.split('\n');
    expect(lines[1]).toBe(lines[0]);
    expect(lines[2]).toBe('typed');
    expect(lines[3]).toBe('a\xff\xfe \xc3(');
    expect(lines[4]).toMatch(/^SigIgn:\t0000000000000000$/);
  });

  it('answers a negative errno where it fails', () => {
    expect(execve('/no/such/program', ['x'], [])).toBe(-2);
    expect(execve('/bin/sh', ['a\0b'], [])).toBe(-22);
  });
});

describe('clearAmbientCapabilities', () => {
  it('leaves a started command without capabilities', (context) => {
    const namespace = ['unshare', '--user', '--map-user=1000', '--map-group=1000', '--keep-caps'];
    const usable = spawnSync(namespace[0], [...namespace.slice(1), 'true']).status === 0;
    context.skip(!usable, 'user namespaces are not permitted here');
    const show = `spawnSync('grep', ['-E', 'Cap(Eff|Amb)', '/proc/self/status'], { encoding: 'utf8' }).stdout`;
    const out = inNode(
      `process.stdout.write(${show}); clearAmbientCapabilities(); process.stdout.write(${show})`,
      namespace,
    );
    const [effective, ambient, effectiveAfter, ambientAfter] = out
      .trim()
      .split('\n')
      .map((line) => line.split('\t')[1]);
    expect(effective).not.toMatch(/^0+$/);
    expect(ambient).toBe(effective);
    expect([effectiveAfter, ambientAfter]).toEqual(['0000000000000000', '0000000000000000']);
  });
});
