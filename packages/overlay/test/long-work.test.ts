/** A copy-up that takes long keeps nobody waiting but those who need it, and whatever they do meanwhile is right. */
import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isRunning, makeStage, type Stage, untilGone } from './support/served.ts';
import { isRoot, needsRoot } from './support/temp-dir.ts';

const MiB = 1 << 20;
const SIZE = 256 * MiB;
const LARGE = 1024 * MiB;
/** Whole files, and no metadata alone: each change copies. */
const WHOLE = 'copyup=full,metacopy=off,redirect_dir=on';

interface Ended {
  code: number | null;
  signal: string | null;
  out: string;
}

describe.runIf(isRoot)(needsRoot('long copy-ups'), () => {
  let stage: Stage;
  const at = (name: string): string => path.join(stage.merged, name);
  const inUpper = (name: string): boolean => fs.existsSync(path.join(stage.upper, name));

  /** A file whose first and last MiB are told from the rest. */
  function plant(name: string, size: number): void {
    const file = path.join(stage.lower, name);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    const fd = fs.openSync(file, 'wx');
    const chunk = Buffer.alloc(16 * MiB, 'x');
    for (let pos = 0; pos < size; pos += chunk.length) fs.writeSync(fd, chunk);
    fs.writeSync(fd, 'first', 0);
    fs.writeSync(fd, 'last', size - 4);
    fs.closeSync(fd);
  }

  /** Runs a shell line in the mount, in a process of its own: nothing here may wait for the server. */
  function run(line: string): { child: ChildProcess; end: Promise<Ended> } {
    const child = spawn('sh', ['-c', line], { cwd: stage.merged, stdio: ['ignore', 'pipe', 'inherit'] });
    let out = '';
    child.stdout!.on('data', (data) => {
      out += data;
    });
    const end = new Promise<Ended>((resolve) => child.once('close', (code, signal) => resolve({ code, signal, out })));
    return { child, end };
  }

  /** Waits until a copy is under way: the server writes to a file without a name, or with one in the workdir. */
  async function underWay(pid: number, files = 1): Promise<void> {
    for (let waited = 0; waited < 10_000; waited += 5) {
      let found = 0;
      for (const fd of fs.readdirSync(`/proc/${pid}/fd`)) {
        try {
          if (fs.readlinkSync(`/proc/${pid}/fd/${fd}`).startsWith(`${stage.work}/`)) {
            const st = fs.statSync(`/proc/${pid}/fd/${fd}`);
            if (st.isFile() && st.size > 0) found++;
          }
        } catch {
          // Closed since.
        }
      }
      if (found >= files) return;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    throw new Error('no copy began');
  }

  const workIsEmpty = (): boolean => fs.readdirSync(path.join(stage.work, 'work')).length === 0;

  beforeEach(() => {
    stage = makeStage();
    fs.writeFileSync(path.join(stage.lower, 'small'), 'small');
    for (let i = 0; i < 2000; i++) fs.writeFileSync(path.join(stage.lower, `f${i}`), '');
    plant('dir/big', SIZE);
  });
  afterEach(() => stage.destroy());

  it('a stat elsewhere takes less than 5 ms at the median, and a reader of the file sees it whole', async () => {
    plant('large', LARGE);
    const { pid } = await stage.mount(WHOLE);
    const writer = run('exec 3<>large; echo opened; printf FIRST >&3');
    await underWay(pid);
    const took: number[] = [];
    let reads = 0;
    for (let i = 0; i < 2000 && writer.child.exitCode === null; i++) {
      const start = performance.now();
      // Each name is new to the kernel: a LOOKUP that the server answers.
      fs.statSync(at(`f${i}`));
      took.push(performance.now() - start);
      if (i % 50 === 0) {
        expect(fs.readFileSync(at('small'), 'utf8')).toBe('small');
        const fd = fs.openSync(at('large'), 'r');
        const head = Buffer.alloc(5);
        fs.readSync(fd, head, 0, 5, 0);
        fs.closeSync(fd);
        expect(head.toString().toLowerCase()).toBe('first');
        reads++;
      }
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    expect((await writer.end).out).toBe('opened\n');
    took.sort((a, b) => a - b);
    console.log(
      `${took.length} stats during a copy-up of ${LARGE / MiB} MiB: median ${took[took.length >> 1].toFixed(2)} ms, longest ${took.at(-1)!.toFixed(1)} ms`,
    );
    expect(took.length).toBeGreaterThan(50);
    expect(reads).toBeGreaterThan(0);
    expect(took[took.length >> 1]).toBeLessThan(5);
    const copied = fs.openSync(path.join(stage.upper, 'large'), 'r');
    const ends = Buffer.alloc(9);
    fs.readSync(copied, ends, 0, 5, 0);
    fs.readSync(copied, ends, 5, 4, LARGE - 4);
    fs.closeSync(copied);
    expect(ends.toString()).toBe('FIRSTlast');
    expect(workIsEmpty()).toBe(true);
  }, 120_000);

  it('while much is flushed for a program, others are answered', async () => {
    await stage.mount();
    const flushing = run('dd if=/dev/zero of=new bs=1M count=512 conv=fsync status=none');
    const took: number[] = [];
    for (let i = 0; i < 2000 && flushing.child.exitCode === null; i++) {
      const start = performance.now();
      fs.statSync(at(`f${i}`));
      took.push(performance.now() - start);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    expect((await flushing.end).code).toBe(0);
    const trace = stage.trace();
    const [, unique] = /^rx (\d+) FSYNC /m.exec(trace)!;
    // It is read again when it has been flushed: what was answered since it came first.
    const meanwhile = trace.slice(trace.indexOf(`rx ${unique} FSYNC`), trace.indexOf(`tx ${unique} FSYNC`));
    took.sort((a, b) => a - b);
    console.log(
      `${took.length} stats beside a write and fsync of 512 MiB: median ${took[took.length >> 1].toFixed(2)} ms`,
    );
    expect(meanwhile.split('\n').filter((line) => /^tx \d+ LOOKUP OK/.test(line)).length).toBeGreaterThan(2);
    expect(took[took.length >> 1]).toBeLessThan(5);
  }, 120_000);

  it('a second and a third that need the same file get it from one copy', async () => {
    const { pid } = await stage.mount(WHOLE);
    const first = run('printf A >> dir/big');
    await underWay(pid);
    const others = [run('printf B >> dir/big'), run('chmod 600 dir/big; stat -c %a dir/big')];
    const ends = await Promise.all([first, ...others].map(({ end }) => end));
    expect(ends.map(({ code }) => code)).toEqual([0, 0, 0]);
    expect(ends[2].out).toBe('600\n');
    expect(fs.statSync(path.join(stage.upper, 'dir/big')).size).toBe(SIZE + 2);
    expect(workIsEmpty()).toBe(true);
  }, 120_000);

  it('a small file beside a large one is copied in between', async () => {
    // So large that its copy is under way for long enough, however busy the machine is.
    plant('dir/huge', LARGE);
    plant('dir/less', 32 * MiB);
    const { pid } = await stage.mount(`${WHOLE},volatile`);
    const large = run('printf A >> dir/huge');
    await underWay(pid);
    const small = run('printf B >> dir/less');
    expect((await small.end).code).toBe(0);
    expect(large.child.exitCode).toBe(null);
    expect((await large.end).code).toBe(0);
    expect([fs.statSync(at('dir/less')).size, fs.statSync(at('dir/huge')).size]).toEqual([32 * MiB + 1, LARGE + 1]);
  }, 120_000);

  it.each([
    ['unlinked', 'rm dir/big', 'ls dir', ['']],
    ['renamed', 'mv dir/big dir/other', 'tail -c 3 dir/other', ['stX']],
    ['moved with its directory', 'mv dir elsewhere', 'tail -c 3 elsewhere/big', ['stX']],
    ['replaced', 'echo new > new; mv new dir/big', 'cat dir/big', ['new\n']],
    // The two that wait for one copy may come to it in either order.
    ['truncated', ': > dir/big', 'cat dir/big', ['X', '']],
    ['truncated to a part', 'truncate -s 200M dir/big', 'stat -c %s dir/big', [`${200 * MiB + 1}\n`, `${200 * MiB}\n`]],
  ])(
    'a file that is %s meanwhile',
    async (_, change, look, seen) => {
      const { pid } = await stage.mount(WHOLE);
      const writer = run('printf X >> dir/big');
      await underWay(pid);
      const changed = run(change);
      const [wrote, done] = await Promise.all([writer.end, changed.end]);
      expect([wrote.code, done.code]).toEqual([0, 0]);
      expect(seen).toContain((await run(look).end).out);
      expect(workIsEmpty()).toBe(true);
      expect(stage.trace()).not.toContain('answered EIO');
    },
    120_000,
  );

  it('a caller that is killed leaves nothing, and the server no descriptor', async () => {
    // Long enough not to end before the server sees that its caller has gone: 50 ms.
    plant('dir/more', LARGE);
    const { pid } = await stage.mount(WHOLE);
    const writer = run('exec 3>> dir/more');
    await underWay(pid);
    writer.child.kill('SIGKILL');
    expect((await writer.end).signal).toBe('SIGKILL');
    expect([inUpper('dir/more'), workIsEmpty()]).toEqual([false, true]);
    const left = (): string[] =>
      fs.readdirSync(`/proc/${pid}/fd`).filter((fd) => {
        try {
          return fs.statSync(`/proc/${pid}/fd/${fd}`).size === LARGE;
        } catch {
          return false;
        }
      });
    // The caller has its answer a moment before they are closed.
    await expect.poll(left).toEqual([]);
  }, 120_000);

  it.each(['SIGTERM', 'umount -l'])(
    '%s in the middle',
    async (how) => {
      const { pid } = await stage.mount(WHOLE);
      const writer = run('printf X >> dir/big');
      await underWay(pid);
      if (how === 'SIGTERM') process.kill(pid, 'SIGTERM');
      else expect((await run(`umount -l ${stage.merged}`).end).code).toBe(0);
      const { code } = await writer.end;
      await untilGone(pid, 30_000);
      expect(isRunning(pid)).toBe(false);
      if (how === 'SIGTERM') {
        expect(code).not.toBe(0);
        expect(inUpper('dir/big')).toBe(false);
      } else {
        // Who has begun on a mount that is no longer in the tree ends what he does there.
        expect(code).toBe(0);
        expect(fs.statSync(path.join(stage.upper, 'dir/big')).size).toBe(SIZE + 1);
      }
      expect(workIsEmpty()).toBe(true);
    },
    120_000,
  );
});
