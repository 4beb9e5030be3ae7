/** Where the table of system calls is opened: without koffi, and by two threads of one process. */
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isRoot, needsRoot } from './support/temp-dir.ts';

let dir = '';
beforeEach(() => {
  dir = mkdtempSync(path.join(tmpdir(), 'stratafs-loading-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

describe('without koffi', () => {
  const run = (code: string): { status: number | null; stdout: string; stderr: string } =>
    spawnSync(process.execPath, ['--input-type=module', '-e', code], { cwd: dir, encoding: 'utf8' });

  beforeEach(() => {
    cpSync(fileURLToPath(new URL('../dist/sys', import.meta.url)), path.join(dir, 'sys'), { recursive: true });
    writeFileSync(path.join(dir, 'package.json'), '{ "type": "module" }');
  });

  it('everything but the table can be imported', () => {
    const r = run(`import './sys/sys-koffi.js'; import './sys/sys-trace.js'; console.log('fine');`);
    expect(r).toMatchObject({ status: 0, stdout: 'fine\n' });
  });

  it('opening the table says what is missing and what to do', () => {
    const r = run(`import { openSys } from './sys/sys-koffi.js'; openSys();`);
    expect(r.status).toBe(1);
    expect(r.stderr).toContain('stratafs cannot load koffi, through which it makes system calls: install it');
    expect(r.stderr).toContain(`linux-${process.arch}`);
  });
});

describe.skipIf(!isRoot)(needsRoot('in a worker'), () => {
  it('the ids that it takes are its own', () => {
    chmodSync(dir, 0o777);
    const script = fileURLToPath(new URL('./support/worker-ids.mjs', import.meta.url));
    const out = execFileSync(process.execPath, [script, dir], { encoding: 'utf8', timeout: 20_000 });
    expect(JSON.parse(out)).toEqual({ main: [0, 0], worker: [1000, 1001] });
  });
});
