import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { describe, expect, it } from 'vitest';
import { decodeAcl, inheritAcl } from './acl.ts';

const entry = (tag: number, perm: number, id = 0xffffffff): Buffer => {
  const b = Buffer.alloc(8);
  b.writeUInt16LE(tag, 0);
  b.writeUInt16LE(perm, 2);
  b.writeUInt32LE(id, 4);
  return b;
};
const acl = (...entries: Buffer[]): Buffer => Buffer.concat([Buffer.from([2, 0, 0, 0]), ...entries]);
const perms = (value: Buffer | null): number[] | null => value && decodeAcl(value)!.map((e) => e.perm);

describe('inheritAcl', () => {
  it('a minimal default ACL narrows the mode and needs no attribute', () => {
    expect(inheritAcl(acl(entry(1, 7), entry(4, 5), entry(0x20, 0)), 0o666)).toEqual({ mode: 0o640, access: null });
  });

  it('with a mask the group bits narrow the mask, and the owning group keeps its entry', () => {
    const got = inheritAcl(acl(entry(1, 7), entry(2, 7, 1000), entry(4, 5), entry(0x10, 7), entry(0x20, 4)), 0o640);
    expect(got.mode).toBe(0o640);
    expect(perms(got.access)).toEqual([6, 7, 5, 4, 0]);
  });

  it('keeps suid, sgid and sticky', () => {
    expect(inheritAcl(acl(entry(1, 7), entry(4, 7), entry(0x20, 7)), 0o7755).mode).toBe(0o7755);
  });

  it('bytes that are no ACL change nothing', () => {
    expect(inheritAcl(Buffer.from([1, 0, 0, 0]), 0o644)).toEqual({ mode: 0o644, access: null });
    expect(decodeAcl(Buffer.from([2, 0, 0, 0, 1]))).toBeNull();
  });

  const setfacl = (() => {
    try {
      execFileSync('setfacl', ['--version']);
      return true;
    } catch {
      return false;
    }
  })();

  it('agrees with the filesystem on what a new file gets', (context) => {
    if (!setfacl) context.skip('needs setfacl and getfattr');
    const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'strata-acl-'));
    try {
      execFileSync('setfacl', ['-d', '-m', 'u::rwx,u:1234:rwx,g::r-x,g:77:rw-,m::rwx,o::r--', dir]);
      const get = (file: string, name: string): Buffer =>
        execFileSync('getfattr', ['--absolute-names', '--only-values', '-n', `system.posix_acl_${name}`, file]);
      for (const mode of [0o777, 0o666, 0o640, 0o600, 0o400, 0o007]) {
        const file = path.join(dir, mode.toString(8));
        fs.closeSync(fs.openSync(file, 'wx', mode));
        const got = inheritAcl(get(dir, 'default'), mode);
        expect(got.mode).toBe(fs.statSync(file).mode & 0o7777);
        expect(got.access?.toString('hex')).toBe(get(file, 'access').toString('hex'));
      }
    } finally {
      fs.rmSync(dir, { recursive: true });
    }
  });
});
