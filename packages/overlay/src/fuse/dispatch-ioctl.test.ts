import { describe, expect, test } from 'vitest';
import { u32, u64 } from '../../test/support/fuse-request.ts';
import { serve } from '../../test/support/fuse-serve.ts';
import { FS_IOC_FSGETXATTR, FS_IOC_FSSETXATTR } from '../sys/constants.ts';
import { EINVAL, ENOTTY, EOPNOTSUPP } from '../sys/errno.ts';
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

  test('FSGETXATTR and FSSETXATTR are a struct fsxattr each way', () => {
    const fsxattr = Buffer.from('18000000'.padEnd(56, '1'), 'hex');
    const { call, ops } = serve({
      getfsxattr: (_caller, _nodeid, out) => (out.set(fsxattr), 0),
      setfsxattr: (_caller, _nodeid, value) => (value[0] === 0x40 ? -EOPNOTSUPP : 0),
    });
    const got = call(op.IOCTL, ioctl(FS_IOC_FSGETXATTR), { nodeid: 5 }).payload;
    expect(got.subarray(16).toString('hex')).toBe(fsxattr.toString('hex'));
    expect(call(op.IOCTL, ioctl(FS_IOC_FSSETXATTR, fsxattr), { nodeid: 5 }).payload.length).toBe(16);
    expect(Buffer.compare(ops.calls.at(-1)!.args[2] as Buffer, fsxattr)).toBe(0);
    fsxattr[0] = 0x40;
    expect(call(op.IOCTL, ioctl(FS_IOC_FSSETXATTR, fsxattr)).error).toBe(-EOPNOTSUPP);
    expect(call(op.IOCTL, ioctl(FS_IOC_FSSETXATTR, fsxattr.subarray(1))).error).toBe(-EINVAL);
  });

  test('any other is ENOTTY', () => {
    expect(serve({}).call(op.IOCTL, ioctl(0x5401)).error).toBe(-ENOTTY);
  });
});
