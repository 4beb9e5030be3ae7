/** suid and sgid go when they must and only then: what the kernel leaves to us with KILLPRIV_V2 and ACLs. */
import { chmodSync, chownSync, lutimesSync, statSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { isRoot, needsRoot } from '../../test/support/temp-dir.ts';
import { me, setattr, stat, touch, useUnion, walk } from '../../test/support/union.ts';
import { O_RDONLY, O_TRUNC, O_WRONLY } from '../sys/constants.ts';
import { ATTR_CTIME, OpenOut } from './ops.ts';

const union = useUnion();

/** version 2, then user::rwx, user:1000:rwx, group::r-x, mask::r-x, other::--- */
const ACL = Buffer.from(
  ['02000000', '01000700ffffffff', '02000700e8030000', '04000500ffffffff', '10000500ffffffff', '20000000ffffffff'].join(
    '',
  ),
  'hex',
);

function lower(name: string, mode: number): void {
  writeFileSync(union.at('l1', name), 'text');
  chmodSync(union.at('l1', name), mode);
  lutimesSync(union.at('l1', name), 1000, 2000);
}

describe('suid', () => {
  test.each([O_WRONLY | O_TRUNC, O_RDONLY | O_TRUNC])(
    'goes, and mtime moves, when a lower file is opened with flags %o',
    (flags) => {
      lower('file', 0o6755);
      const o = union.mount();
      expect(touch(o, 'file', flags, true)).toBe(0);
      const st = stat(o, 'file');
      expect([st.mode & 0o7777, st.size]).toEqual([0o755, 0]);
      expect(st.mtime).toBeGreaterThan(2000);
      expect(statSync(union.at('l1', 'file')).mode & 0o7777).toBe(0o6755);
    },
  );

  test('goes with a setattr of nothing: chown(-1, -1), or a write that bypasses the server', () => {
    lower('file', 0o6755);
    const o = union.mount();
    expect(setattr(o, 'file', { valid: ATTR_CTIME })).toBe(0);
    expect(stat(o, 'file').mode & 0o7777).toBe(0o755);
  });

  test('stays when only an access ACL takes sgid away', () => {
    lower('file', 0o6755);
    const o = union.mount();
    expect(o.setxattr(me, walk(o, 'file'), 'system.posix_acl_access', ACL, 0, true)).toBe(0);
    expect(stat(o, 'file').mode & 0o7000).toBe(0o4000);
  });
});

test('an open tells when it changed more than size and times', () => {
  lower('file', 0o4755);
  const o = union.mount();
  const changed = (flags: number, killPriv: boolean): boolean => {
    const open = new OpenOut();
    expect(o.open(me, walk(o, 'file'), flags, killPriv, open)).toBe(0);
    o.release(open.fh);
    return open.attrChanged;
  };
  expect(changed(O_RDONLY, false)).toBe(false);
  expect(changed(O_WRONLY, false)).toBe(true);
  expect(changed(O_WRONLY, false)).toBe(false);
  expect(changed(O_WRONLY | O_TRUNC, true)).toBe(true);
});

describe.runIf(isRoot)(needsRoot('sgid of a directory'), () => {
  test('stays when its default ACL is set from outside the group', () => {
    const o = union.mount();
    chownSync(union.at('u'), 0, 1234);
    chmodSync(union.at('u'), 0o2775);
    expect(o.setxattr(me, 1, 'system.posix_acl_default', ACL, 0, true)).toBe(0);
    expect(stat(o, '').mode & 0o7777).toBe(0o2775);
  });
});
