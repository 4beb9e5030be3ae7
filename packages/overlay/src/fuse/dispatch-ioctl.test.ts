import { describe, expect, test } from 'vitest';
import { u32, u64 } from '../../test/support/fuse-request.ts';
import { serve } from '../../test/support/fuse-serve.ts';
import { ENOTTY, EOPNOTSUPP } from '../sys/errno.ts';
import * as f from './flags.ts';
import * as op from './opcodes.ts';

describe('IOCTL', () => {
  const ioctl = (cmd: number, data: Buffer = Buffer.alloc(0)) => [
    u64(1),
    u32(0),
    u32(cmd),
    u64(0),
    u32(data.length),
    u32(28),
    data,
  ];

  test('FS_IOC_GETFLAGS and SETFLAGS', () => {
    const { call, ops } = serve({ getflags: () => 0x30, setflags: () => 0 });
    expect(call(op.IOCTL, ioctl(0x80086601), { nodeid: 5 }).payload.toString('hex')).toBe(`${'00'.repeat(16)}30000000`);
    expect(call(op.IOCTL, ioctl(0x40086602, Buffer.from('10000000', 'hex')), { nodeid: 5 }).payload.length).toBe(16);
    expect(ops.calls[1].args.slice(1)).toEqual([5, 0x10]);
  });

  test('FSGETXATTR and FSSETXATTR are the same flags by other numbers', () => {
    const { call, ops } = serve({ getflags: () => 0x1_0030, setflags: () => 0 });
    const got = call(op.IOCTL, ioctl(f.FS_IOC_FSGETXATTR)).payload;
    expect(got.length).toBe(44);
    expect(got.readUInt32LE(16)).toBe(0x18);
    const set = Buffer.alloc(28);
    set.writeUInt32LE(0x40, 0);
    expect(call(op.IOCTL, ioctl(f.FS_IOC_FSSETXATTR, set)).error).toBe(0);
    // Flags that have no twin stay as they are.
    expect(ops.calls.at(-1)!.args[2]).toBe(0x1_0080);
    set.writeUInt32LE(1, 12);
    expect(call(op.IOCTL, ioctl(f.FS_IOC_FSSETXATTR, set)).error).toBe(-EOPNOTSUPP);
  });

  test('any other is ENOTTY', () => {
    expect(serve({}).call(op.IOCTL, ioctl(0x5401)).error).toBe(-ENOTTY);
  });
});
