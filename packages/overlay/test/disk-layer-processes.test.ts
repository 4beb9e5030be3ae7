/** Disk layers with the rights that different processes have: root's, a user's, those of root in a user namespace. */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EPERM } from '../src/sys/errno.ts';
import { isRoot, needsRoot } from './support/temp-dir.ts';

const script = fileURLToPath(new URL('./support/layer-report.mjs', import.meta.url));
const nobody = 65534;
const old = new Date('2001-01-01T00:00:00Z');

describe.skipIf(!isRoot)(needsRoot('a disk layer opened'), () => {
  let dir = '';
  const report = (prefix: string[], how = ''): Record<string, unknown> => {
    const [command, ...args] = [...prefix, process.execPath, script, `${dir}/lower`, `${dir}/upper`, how];
    return JSON.parse(execFileSync(command, args, { encoding: 'utf8', timeout: 20_000 }));
  };
  const atimeKept = (): boolean => statSync(`${dir}/lower/d/f`).atimeMs === old.getTime();

  beforeEach(() => {
    dir = mkdtempSync(path.join(tmpdir(), 'stratafs-layers-'));
    chmodSync(dir, 0o755);
    mkdirSync(`${dir}/lower/d`, { recursive: true });
    mkdirSync(`${dir}/upper`);
    writeFileSync(`${dir}/lower/d/f`, 'text');
    utimesSync(`${dir}/lower/d/f`, old, new Date());
  });
  afterEach(() => rmSync(dir, { recursive: true }));

  const works = {
    entries: ['f'],
    sameDev: true,
    read: 'text',
    tmpfile: true,
    linkFile: 0,
    pin: 0,
    unlink: 0,
    chmodPinned: 0,
    setxattrPinned: 0,
    stat: 0,
    mode: 0o640,
  };

  it('by root does not contain what is mounted below it', () => {
    expect(report([], 'submount')).toMatchObject({ ...works, unshare: 0, mount: 0, cloned: true, handleIno: 0 });
    expect(atimeKept()).toBe(true);
    expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(dir);
  });

  it('by a user who owns nothing of the lower works without any privilege', () => {
    chownSync(`${dir}/upper`, nobody, nobody);
    const user = ['setpriv', `--reuid=${nobody}`, `--regid=${nobody}`, '--clear-groups', '--inh-caps=-all'];
    expect(report(user)).toMatchObject({ ...works, cloned: false, handleIno: -EPERM });
  });

  it('by a user who owns the lower changes no atime', () => {
    for (const name of ['upper', 'lower', 'lower/d', 'lower/d/f']) chownSync(`${dir}/${name}`, nobody, nobody);
    const user = ['setpriv', `--reuid=${nobody}`, `--regid=${nobody}`, '--clear-groups', '--inh-caps=-all'];
    expect(report(user)).toMatchObject({ ...works, cloned: false });
    expect(atimeKept()).toBe(true);
  });

  it('in a user namespace stands on a clone too, and changes no atime', () => {
    chownSync(`${dir}/upper`, nobody, nobody);
    const rootless = ['setpriv', `--reuid=${nobody}`, `--regid=${nobody}`, '--clear-groups', 'unshare', '-Urm'];
    expect(report(rootless)).toMatchObject({ ...works, cloned: true });
    expect(atimeKept()).toBe(true);
  });
});
