import { describe, expect, test } from 'vitest';
import { u32, u64 } from '../../test/support/fuse-request.ts';
import { found, serve } from '../../test/support/fuse-serve.ts';
import type { OpenOut, Ops } from '../ops/ops.ts';
import { O_DIRECT, O_RDONLY, O_RDWR, O_WRONLY } from '../sys/constants.ts';
import { EFBIG, EINVAL, ENOSYS, ESTALE } from '../sys/errno.ts';
import * as f from './flags.ts';
import * as op from './opcodes.ts';

describe('files', () => {
  const opening = (open: Partial<OpenOut>): Partial<Ops> => ({
    open(_caller, _nodeid, _flags, _kill, out) {
      Object.assign(out, open);
      return 0;
    },
    create(_caller, _parent, _name, _flags, _mode, entry, out) {
      entry.nodeid = 6;
      Object.assign(out, open);
      return 0;
    },
  });
  const openFlags = (payload: Buffer, at = 0) => ({
    flags: payload.readUInt32LE(at + 8),
    id: payload.readInt32LE(at + 12),
  });

  test('OPEN of a cached file', () => {
    const { call, ops } = serve(opening({ fh: 12, keepCache: true }));
    const { payload } = call(op.OPEN, [u32(O_RDWR), u32(f.OPEN_KILL_SUIDGID)], { nodeid: 5 });
    expect(payload.readBigUInt64LE(0)).toBe(12n);
    expect(openFlags(payload)).toEqual({ flags: f.FOPEN_KEEP_CACHE, id: 0 });
    expect(ops.calls[0].args.slice(1, 4)).toEqual([5, O_RDWR, true]);
  });

  test('OPEN of a complete upper file is passthrough, never with KEEP_CACHE', () => {
    const { call, backing } = serve(opening({ fh: 12, keepCache: true, backingFd: 8 }));
    const { payload } = call(op.OPEN, [u32(O_RDONLY), u32(0)], { nodeid: 5 });
    expect(openFlags(payload)).toEqual({ flags: f.FOPEN_PASSTHROUGH, id: 1008 });
    call(op.RELEASE, [u64(12), u32(O_RDONLY), u32(0), u64(0)], { nodeid: 5 });
    expect(backing).toEqual(['register 8', 'unregister 1008']);
  });

  test('OPEN with O_DIRECT leaves only mappings to passthrough; unaligned requests are EINVAL while the flag is there', () => {
    const { call, ops } = serve({
      ...opening({ fh: 12, backingFd: 8 }),
      read: () => 3,
      write: () => 3,
      removexattr: () => 0,
    });
    const { payload } = call(op.OPEN, [u32(O_RDWR | O_DIRECT), u32(0)], { nodeid: 5 });
    expect(openFlags(payload)).toEqual({ flags: f.FOPEN_PASSTHROUGH | f.FOPEN_DIRECT_IO, id: 1008 });
    const part = (flags: number) => [u64(12), u64(512), u32(3), u32(0), u64(0), u32(flags), u32(0)];
    expect(call(op.WRITE, [...part(O_RDWR | O_DIRECT), Buffer.from('abc')], { nodeid: 5 }).error).toBe(-EINVAL);
    // It takes from the file what a write takes, and writes nothing.
    expect(ops.calls.map(({ name, args }) => [name, args[4]])).toEqual([
      ['open', expect.anything()],
      ['write', 0],
      ['removexattr', undefined],
    ]);
    expect(call(op.READ, part(O_RDWR | O_DIRECT), { nodeid: 5 }).error).toBe(-EINVAL);
    expect(call(op.WRITE, [...part(O_RDWR), Buffer.from('abc')], { nodeid: 5 }).error).toBe(0);
    expect(call(op.READ, part(O_RDWR), { nodeid: 5 }).error).toBe(0);
  });

  test('a writer beside readers of a lower is ESTALE, nothing having been opened, and the node is split', () => {
    const { call, ops, notified } = serve(opening({ fh: 12, backingFd: 8, lower: true }));
    call(op.OPEN, [u32(O_RDONLY), u32(0)], { nodeid: 5 });
    expect(call(op.OPEN, [u32(O_RDWR), u32(0)], { nodeid: 5 }).error).toBe(-ESTALE);
    expect(ops.calls.map(({ name }) => name)).toEqual(['open', 'stay', 'split']);
    expect(notified.map((message) => message.readBigUInt64LE(16))).toEqual([5n]);
  });

  test('a reader of what has been copied up beside readers of the lower is ESTALE too, and closed again', () => {
    let lower = true;
    const { call, ops } = serve({
      open(_caller, _nodeid, _flags, _kill, out) {
        Object.assign(out, { fh: 12, backingFd: 8, lower });
        return 0;
      },
    });
    call(op.OPEN, [u32(O_RDONLY), u32(0)], { nodeid: 5 });
    lower = false;
    expect(call(op.OPEN, [u32(O_RDONLY), u32(0)], { nodeid: 5 }).error).toBe(-ESTALE);
    expect(ops.calls.map(({ name }) => name)).toEqual(['open', 'stay', 'open', 'release', 'split']);
  });

  test('while somebody may write to the backing file, attributes are not to be kept', () => {
    const { call, notified } = serve({ ...opening({ fh: 1, backingFd: 8 }), ...found, getattr: () => 0 });
    const attrValid = () => call(op.GETATTR, [u32(0), u32(0), u64(0)], { nodeid: 5 }).payload.readBigUInt64LE(0);
    call(op.OPEN, [u32(O_RDONLY), u32(0)], { nodeid: 5 });
    expect([attrValid(), notified.length]).toEqual([90n, 0]);
    call(op.OPEN, [u32(O_RDWR), u32(0)], { nodeid: 5 });
    expect([attrValid(), notified.length]).toEqual([0n, 1]);
    expect(call(op.LOOKUP, ['file']).payload.readBigUInt64LE(24)).toBe(0n);
    call(op.RELEASE, [u64(1), u32(O_RDWR), u32(0), u64(0)], { nodeid: 5 });
    expect(attrValid()).toBe(90n);
  });

  test('an open that changed attributes has the kernel ask for them again', () => {
    const { call, notified } = serve(opening({ fh: 1, keepCache: true, attrChanged: true }));
    call(op.OPEN, [u32(O_WRONLY), u32(0)], { nodeid: 5 });
    expect(notified.map((message) => message.readBigUInt64LE(16))).toEqual([5n]);
  });

  test('CREATE is passthrough too, and answers entry and open', () => {
    const { call, ops } = serve(opening({ fh: 12, backingFd: 8 }));
    const { payload } = call(op.CREATE, [u32(O_RDWR), u32(0o100644), u32(0o22), u32(0), 'new'], { nodeid: 3 });
    expect(payload.length).toBe(144);
    expect(payload.readBigUInt64LE(0)).toBe(6n);
    // The attributes of a file that is open for writing in passthrough are not kept.
    expect(payload.readBigUInt64LE(24)).toBe(0n);
    expect(openFlags(payload, 128)).toEqual({ flags: f.FOPEN_PASSTHROUGH, id: 1008 });
    expect(ops.calls[0].args.slice(1, 5)).toEqual([3, 'new', O_RDWR, 0o100644]);
    expect(ops.calls[0].args[0]).toMatchObject({ umask: 0o22 });
  });

  test('READ fills the reply; an offset beyond every file is the end', () => {
    const { call, ops } = serve({
      read(_caller, _fh, buf, off, len) {
        buf.fill(0x61, off, off + len);
        return len;
      },
    });
    const read = (offset: bigint, size: number) =>
      call(op.READ, [u64(12), u64(offset), u32(size), u32(0), u64(0), u32(0), u32(0)]);
    expect(read(4096n, 5).payload.toString()).toBe('aaaaa');
    expect(ops.calls[0].args[1]).toBe(12);
    expect(ops.calls[0].args.slice(3)).toEqual([16, 5, 4096]);
    expect(read(2n ** 62n, 5).payload.length).toBe(0);
    // More than the buffer holds is cut, not overrun.
    expect(read(0n, 2 ** 31).payload.length).toBeLessThan(2 ** 21);
  });

  test('WRITE passes the data in place', () => {
    const { call, ops } = serve({
      write: (_c, _fh, buf, off, len) =>
        Buffer.from(buf)
          .subarray(off, off + len)
          .indexOf('!'),
    });
    const write = (offset: bigint, size: number) =>
      call(op.WRITE, [u64(12), u64(offset), u32(size), u32(4), u64(0), u32(0), u32(0), Buffer.from('data!')]);
    expect(write(8n, 5).payload.toString('hex')).toBe('0400000000000000');
    expect(ops.calls[0].args.slice(3)).toEqual([80, 5, 8, true]);
    expect(write(8n, 6).error).toBe(-EINVAL);
    expect(write(2n ** 53n, 5).error).toBe(-EFBIG);
  });

  test('FLUSH is ENOSYS, which the kernel asks once', () => {
    expect(serve({}).call(op.FLUSH, [u64(12), u32(0), u32(0), u64(0)]).error).toBe(-ENOSYS);
  });

  test('FALLOCATE, LSEEK and both COPY_FILE_RANGEs', () => {
    const { call, ops } = serve({ fallocate: () => 0, lseek: () => 2 ** 33, copyFileRange: () => 2 ** 33 });
    expect(call(op.FALLOCATE, [u64(1), u64(2), u64(3), u32(4), u32(0)]).error).toBe(0);
    expect(call(op.LSEEK, [u64(1), u64(2), u32(3), u32(0)]).payload.toString('hex')).toBe('0000000002000000');
    const copy = (opcode: number, flags = 0) =>
      call(opcode, [u64(1), u64(2), u64(3), u64(4), u64(5), u64(2n ** 34n), u64(flags)]);
    expect(copy(op.COPY_FILE_RANGE_64).payload.toString('hex')).toBe('0000000002000000');
    copy(op.COPY_FILE_RANGE);
    expect(copy(op.COPY_FILE_RANGE, 1).error).toBe(-EINVAL);
    expect(ops.calls.map((c) => c.args.slice(1))).toEqual([
      [1, 4, 2, 3],
      [1, 2, 3],
      [1, 2, 4, 5, 2 ** 34],
      [1, 2, 4, 5, 0x7fff_f000],
    ]);
  });
});
