import { describe, expect, test } from 'vitest';
import { u32, u64 } from '../../test/support/fuse-request.ts';
import { serve } from '../../test/support/fuse-serve.ts';
import { ATTR_BY_ROOT } from '../ops/ops.ts';
import { EFBIG, EINVAL, ENODATA, ERANGE } from '../sys/errno.ts';
import * as f from './flags.ts';
import * as op from './opcodes.ts';

describe('attributes', () => {
  test('GETATTR passes the handle only when the flag says so', () => {
    const { call, ops } = serve({ getattr: () => 0 });
    call(op.GETATTR, [u32(f.GETATTR_FH), u32(0), u64(77)], { nodeid: 5 });
    call(op.GETATTR, [u32(0), u32(0), u64(77)], { nodeid: 5 });
    expect(ops.calls.map((c) => c.args.slice(1, 3))).toEqual([
      [5, 77],
      [5, 0],
    ]);
  });

  test('SETATTR decodes times before 1970 and drops the bits that are about the message', () => {
    const seen: unknown[] = [];
    const { call } = serve({
      setattr(_caller, nodeid, set) {
        seen.push(nodeid, { ...set });
        return 0;
      },
    });
    const valid = 0b1111_1111_1111;
    const parts = [u32(valid), u32(0), u64(9), u64(123), u64(1), u64(-5), u64(6), u64(0)];
    parts.push(u32(7), u32(8), u32(0), u32(0o640), u32(0), u32(1000), u32(1001), u32(0));
    expect(call(op.SETATTR, parts, { nodeid: 5, uid: 1000 }).payload.length).toBe(104);
    expect(seen).toEqual([
      5,
      {
        valid: valid & ~(f.FATTR_FH | (1 << 9)),
        fh: 9,
        size: 123,
        atime: -5,
        atimeNsec: 7,
        mtime: 6,
        mtimeNsec: 8,
        mode: 0o640,
        uid: 1000,
        gid: 1001,
      },
    ]);
  });

  test('SETATTR tells when root changes the owner or the size', () => {
    const seen: number[] = [];
    const { call } = serve({
      setattr(_caller, _nodeid, set) {
        seen.push(set.valid);
        return 0;
      },
    });
    for (const uid of [0, 1000]) {
      for (const valid of [0b110, 0b1000, 0b10]) call(op.SETATTR, [u32(valid), Buffer.alloc(84)], { uid });
    }
    expect(seen).toEqual([0b110 | ATTR_BY_ROOT, 0b1000 | ATTR_BY_ROOT, 0b10, 0b110, 0b1000, 0b10]);
  });

  test('SETATTR to a size beyond every file is EFBIG', () => {
    const { call, ops } = serve({ setattr: () => 0 });
    const parts = [u32(1 << 3), u32(0), u64(0), u64(2n ** 62n), Buffer.alloc(56)];
    expect(call(op.SETATTR, parts).error).toBe(-EFBIG);
    expect(ops.calls).toEqual([]);
  });

  test('STATX and STATFS have their sizes', () => {
    const { call } = serve({ getattr: () => 0, statfs: () => 0 });
    expect(call(op.STATX, [u32(0), u32(0), u64(0), u32(0), u32(0xfff)]).payload.length).toBe(288);
    expect(call(op.STATFS, []).payload.length).toBe(80);
  });

  test('GETXATTR: the size when asked with 0, the value, or ERANGE', () => {
    const { call } = serve({ getxattr: (_c, _n, name) => (name === 'user.a' ? Buffer.from('value') : -ENODATA) });
    const ask = (size: number, name = 'user.a') => call(op.GETXATTR, [u32(size), u32(0), name]);
    expect(ask(0).payload.toString('hex')).toBe('0500000000000000');
    expect(ask(5).payload.toString()).toBe('value');
    expect(ask(4).error).toBe(-ERANGE);
    expect(ask(5, 'user.b').error).toBe(-ENODATA);
  });

  test('LISTXATTR ends each name with a NUL; no names are no bytes', () => {
    const names = ['user.a', 'user.\xff'];
    const { call } = serve({ listxattr: () => names });
    expect(call(op.LISTXATTR, [u32(100), u32(0)]).payload.toString('latin1')).toBe('user.a\0user.\xff\0');
    names.length = 0;
    expect(call(op.LISTXATTR, [u32(100), u32(0)]).payload.length).toBe(0);
  });

  test('SETXATTR takes the value behind the name, with the flag of an ACL', () => {
    const { call, ops } = serve({ setxattr: () => 0 });
    const parts = [u32(3), u32(1), u32(1), u32(0), 'user.a', Buffer.from('a\0b')];
    expect(call(op.SETXATTR, parts, { nodeid: 5 }).error).toBe(0);
    expect(ops.calls[0].args.slice(1)).toEqual([5, 'user.a', Buffer.from('a\0b'), 1, true]);
    expect(call(op.SETXATTR, [u32(9), u32(1), u32(1), u32(0), 'user.a', Buffer.from('abc')]).error).toBe(-EINVAL);
  });
});
