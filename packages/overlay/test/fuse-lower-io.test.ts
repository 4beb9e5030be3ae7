/** `lower_io=passthrough` through a real FUSE mount: who reads what, and that every open succeeds. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AT_FDCWD, MAP_SHARED, O_RDWR, PROT_READ } from '../src/sys/constants.ts';
import { ESTALE } from '../src/sys/errno.ts';
import { openSys } from '../src/sys/sys-koffi.ts';
import { makeStage, requests, type Stage } from './support/served.ts';
import { isRoot, needsRoot } from './support/temp-dir.ts';

describe.runIf(isRoot)(needsRoot('lower_io=passthrough'), () => {
  const sys = openSys();
  let stage: Stage;
  const RUNS = 150;
  let count = 0;
  let made = 0;
  const at = (name: string): string => path.join(stage.merged, name);
  const below = (name: string): string => path.join(stage.lower, name);

  beforeAll(async () => {
    stage = makeStage();
    // All of them before there is a mount: a lower is not to change below it.
    for (let i = 0; i < RUNS * 2; i++) fs.writeFileSync(below(`f${i}`), 'lower');
    fs.writeFileSync(below('large'), 'x'.repeat(300_000));
    fs.utimesSync(below('large'), 1, 2);
    fs.writeFileSync(below('one'), 'lower');
    fs.linkSync(below('one'), below('two'));
    fs.copyFileSync('/bin/sleep', below('program'));
    fs.chmodSync(below('program'), 0o755);
    await stage.mount('lower_io=passthrough,index=on');
  });
  afterAll(() => stage.destroy());

  /** A lower file that nobody has looked at. */
  const lower = (): string => `f${count++}`;

  function during(act: () => void): string {
    const before = stage.trace().length;
    act();
    fs.statfsSync(stage.merged);
    return stage.trace().slice(before);
  }

  function read(fd: number): string {
    const buf = Buffer.alloc(1000);
    return buf.toString('latin1', 0, fs.readSync(fd, buf, 0, buf.length, 0));
  }

  it('a lower file is read without a request, and keeps its atime', () => {
    const trace = during(() => expect(fs.readFileSync(at('large')).length).toBe(300_000));
    expect([requests(trace, 'OPEN'), requests(trace, 'READ')]).toEqual([1, 0]);
    expect(trace).toMatch(/tx \d+ OPEN OK .* passthrough id \d+/);
    expect(fs.statSync(below('large')).atimeMs).toBe(1000);
  });

  it('a writer splits the file: who reads it goes on with the old bytes, who opens it has the new ones', () => {
    const name = lower();
    const old = fs.openSync(at(name), 'r');
    const mapped = sys.mmap(old, 4096, PROT_READ, MAP_SHARED, 0);
    const before = fs.fstatSync(old);
    const trace = during(() => fs.appendFileSync(at(name), ' and more'));
    expect(trace).toMatch(/tx \d+ OPEN ESTALE/);
    expect(fs.readFileSync(at(name), 'utf8')).toBe('lower and more');
    expect(read(old)).toBe('lower');
    const seen = Buffer.alloc(5);
    sys.readMemory(mapped, seen, 0, 5);
    expect(seen.toString()).toBe('lower');
    // Its attributes are the file's.
    const after = fs.fstatSync(old);
    expect([after.ino, after.size]).toEqual([before.ino, 14]);
    expect(fs.statSync(at(name))).toMatchObject({ ino: before.ino, size: 14 });
    fs.fchmodSync(old, 0o600);
    expect(fs.statSync(at(name)).mode & 0o777).toBe(0o600);
    fs.chmodSync(at(name), 0o640);
    expect(fs.fstatSync(old).mode & 0o777).toBe(0o640);
    sys.munmap(mapped, 4096);
    fs.closeSync(old);
    expect(fs.readFileSync(below(name), 'utf8')).toBe('lower');
  });

  it('without readers there is nothing to split', () => {
    const name = lower();
    fs.readFileSync(at(name));
    const trace = during(() => fs.appendFileSync(at(name), '!'));
    expect(trace).not.toContain('ESTALE');
  });

  it('truncated by its name: who opens it next sees that', () => {
    const name = lower();
    const old = fs.openSync(at(name), 'r');
    fs.truncateSync(at(name), 3);
    expect([fs.readFileSync(at(name), 'utf8'), read(old)]).toEqual(['low', 'lower']);
    fs.closeSync(old);
  });

  it('a chmod changes no bytes: readers before and after it are of one kind', () => {
    const name = lower();
    const old = fs.openSync(at(name), 'r');
    fs.chmodSync(at(name), 0o600);
    const trace = during(() => expect(fs.readFileSync(at(name), 'utf8')).toBe('lower'));
    expect(trace).toMatch(/tx \d+ OPEN OK .* passthrough id \d+/);
    expect(fs.readdirSync(stage.upper)).toContain(name);
    fs.closeSync(old);
  });

  it('the other name of a hard link leads to the new bytes too', () => {
    fs.statSync(at('two'));
    const old = fs.openSync(at('one'), 'r');
    fs.appendFileSync(at('one'), '!');
    expect(fs.readFileSync(at('two'), 'utf8')).toBe('lower!');
    expect(fs.statSync(at('two'))).toMatchObject({ size: 6, nlink: 2 });
    fs.closeSync(old);
  });

  it('by its descriptor a reader gets no writer until it has closed the file', () => {
    const name = lower();
    const old = fs.openSync(at(name), 'r');
    expect(sys.openat(AT_FDCWD, `/proc/self/fd/${old}`, O_RDWR, 0)).toBe(-ESTALE);
    const writer = fs.openSync(at(name), 'r+');
    fs.writeSync(writer, 'L', 0);
    expect(fs.readFileSync(`/proc/self/fd/${writer}`, 'utf8')).toBe('Lower');
    fs.closeSync(writer);
    fs.closeSync(old);
    const again = fs.openSync(at(name), 'r');
    expect(fs.readFileSync(`/proc/self/fd/${again}`, 'utf8')).toBe('Lower');
    fs.closeSync(again);
  });

  it('a program that runs cannot be written to', () => {
    const script = '"$1" 5 & sleep 0.2; (: >>"$1") 2>&1; kill $!; wait; : >>"$1" && echo written';
    const out = spawnSync('sh', ['-c', script, 'sh', at('program')], { encoding: 'utf8' });
    expect(out.stdout).toMatch(/busy\n.*written\n$/s);
  });

  it('rename, unlink and a new file of the same name', () => {
    const name = lower();
    const old = fs.openSync(at(name), 'r');
    fs.renameSync(at(name), at(`${name}-moved`));
    fs.appendFileSync(at(`${name}-moved`), '!');
    fs.writeFileSync(at(name), 'another');
    expect([read(old), fs.readFileSync(at(`${name}-moved`), 'utf8')]).toEqual(['lower', 'lower!']);
    fs.rmSync(at(`${name}-moved`));
    expect([read(old), fs.readFileSync(at(name), 'utf8')]).toEqual(['lower', 'another']);
    expect(fs.fstatSync(old).nlink).toBe(0);
    fs.closeSync(old);
  });

  it('whatever is opened in whatever order, no open fails, and it reads what was written last', () => {
    type Step = {
      act: 'open' | 'close' | 'write' | 'truncate' | 'chmod' | 'rename' | 'link';
      flags: string;
      n: number;
    };
    const steps = fc.array(
      fc.record<Step>({
        act: fc.constantFrom('open', 'open', 'open', 'close', 'write', 'write', 'truncate', 'chmod', 'rename', 'link'),
        flags: fc.constantFrom('r', 'r', 'r', 'r+', 'a', 'w', 'a+'),
        n: fc.nat(1000),
      }),
      { maxLength: 25 },
    );
    fc.assert(
      fc.property(steps, (list) => {
        const names = [lower()];
        let content = 'lower';
        const open: { fd: number; flags: string }[] = [];
        for (const { act, flags, n } of list) {
          const name = names[n % names.length];
          const some = open[n % Math.max(1, open.length)];
          if (act === 'open') {
            open.push({ fd: fs.openSync(at(name), flags), flags });
            if (flags === 'w') content = '';
            else if (flags !== 'a') expect(read(open[open.length - 1].fd)).toBe(content);
          } else if (act === 'close' && some) {
            fs.closeSync(some.fd);
            open.splice(open.indexOf(some), 1);
          } else if (act === 'write' && some && some.flags !== 'r') {
            const byte = String.fromCharCode(97 + (n % 26));
            const pos = some.flags.startsWith('a') ? content.length : n % 12;
            fs.writeSync(some.fd, byte, pos);
            content = content.padEnd(pos, '\0');
            content = content.slice(0, pos) + byte + content.slice(pos + 1);
          } else if (act === 'truncate') {
            fs.truncateSync(at(name), n % 12);
            content = content.slice(0, n % 12).padEnd(n % 12, '\0');
          } else if (act === 'chmod') {
            fs.chmodSync(at(name), 0o600 | (n % 64));
          } else if (act === 'rename') {
            names[n % names.length] = `n${made++}`;
            fs.renameSync(at(name), at(names[n % names.length]));
          } else if (act === 'link') {
            names.push(`n${made++}`);
            fs.linkSync(at(name), at(names[names.length - 1]));
          }
          const st = fs.statSync(at(names[n % names.length]));
          expect([st.size, st.nlink]).toEqual([content.length, names.length]);
          expect(fs.readFileSync(at(names[n % names.length]), 'latin1')).toBe(content);
          for (const { fd, flags } of open) {
            expect(fs.fstatSync(fd).size).toBe(content.length);
            if (flags === 'r+' || flags === 'a+') expect(read(fd)).toBe(content);
          }
        }
        for (const { fd } of open) fs.closeSync(fd);
        for (const name of names) expect(fs.readFileSync(at(name), 'latin1')).toBe(content);
      }),
      { numRuns: RUNS },
    );
    expect(stage.trace()).toContain('OPEN ESTALE');
    expect(stage.trace()).not.toMatch(/OPEN EIO/);
  });
});
