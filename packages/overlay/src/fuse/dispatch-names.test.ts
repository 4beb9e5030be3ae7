import { describe, expect, test } from 'vitest';
import { type Part, u32, u64 } from '../../test/support/fuse-request.ts';
import { found, serve } from '../../test/support/fuse-serve.ts';
import { S_IFREG } from '../sys/constants.ts';
import { ENOENT, ENOSYS } from '../sys/errno.ts';
import * as op from './opcodes.ts';

describe('names', () => {
  test('LOOKUP hands over the entry with both timeouts', () => {
    const { call, ops } = serve(found);
    const { error, payload } = call(op.LOOKUP, ['file'], { nodeid: 3, uid: 1000, gid: 100, pid: 42 });
    expect(error).toBe(0);
    expect(payload.length).toBe(128);
    expect(payload.readBigUInt64LE(0)).toBe(5n);
    expect(payload.readBigUInt64LE(8)).toBe(2n);
    expect(payload.readBigUInt64LE(16)).toBe(60n);
    expect(payload.readBigUInt64LE(24)).toBe(90n);
    expect(payload.readUInt32LE(36)).toBe(500_000_000);
    expect(payload.readBigUInt64LE(40)).toBe(99n);
    const caller = { uid: 1000, gid: 100, pid: 42, umask: 0, groups: undefined };
    expect(ops.calls[0]).toMatchObject({ name: 'lookup', args: [caller, 3, 'file', expect.anything()] });
  });

  test('a missing name is remembered for a while: nodeid 0 and a timeout', () => {
    const { error, payload } = serve(found).call(op.LOOKUP, ['gone']);
    expect(error).toBe(0);
    expect(payload.readBigUInt64LE(0)).toBe(0n);
    expect(payload.readBigUInt64LE(16)).toBe(30n);
  });

  test('without a negative timeout it is ENOENT', () => {
    expect(serve(found, { negativeTimeout: 0 }).call(op.LOOKUP, ['gone']).error).toBe(-ENOENT);
  });

  test('FORGET and BATCH_FORGET give references back and are not answered', () => {
    const { call, ops } = serve({});
    expect(call(op.FORGET, [u64(3)], { nodeid: 5 }).replied).toBe(false);
    expect(call(op.BATCH_FORGET, [u32(2), u32(0), u64(6), u64(1), u64(7), u64(9)]).replied).toBe(false);
    expect(ops.calls.map((c) => c.args)).toEqual([
      [5, 3],
      [6, 1],
      [7, 9],
    ]);
  });

  test('what creates gets the umask and the supplementary group that came with it', () => {
    const { call, ops } = serve({ mkdir: () => 0 });
    const extensions = Buffer.from('10000000200000000100000007000000', 'hex');
    const caller = { umask: 0o27, groups: [7] };
    call(op.MKDIR, [u32(0o755), u32(0o27), 'dir'], { extensions, nodeid: 4 });
    expect(ops.calls[0]).toMatchObject({ name: 'mkdir', args: [caller, 4, 'dir', 0o755, expect.anything()] });
    call(op.MKDIR, [u32(0o755), u32(0o22), 'dir2'], { nodeid: 4 });
    expect(ops.calls[1].args[0]).toEqual({ uid: 0, gid: 0, pid: 0, umask: 0o22, groups: undefined });
  });

  test('a group extension that lies about its length is read no further than it goes', () => {
    const { call, ops } = serve({ mkdir: () => 0 });
    call(op.MKDIR, [u32(0), u32(0), 'd'], { extensions: Buffer.from('1000000020000000ffffffff07000000', 'hex') });
    expect(ops.calls[0].args[0]).toMatchObject({ groups: [7] });
    call(op.MKDIR, [u32(0), u32(0), 'd'], { extensions: Buffer.from('00000000200000000100000007000000', 'hex') });
    expect(ops.calls[1].args[0]).toMatchObject({ groups: undefined });
  });

  test.each([
    [
      'MKNOD',
      op.MKNOD,
      [u32(S_IFREG | 0o600), u32(0x103), u32(0o22), u32(0), 'n'],
      ['mknod', 1, 'n', S_IFREG | 0o600, 0x103],
    ],
    ['SYMLINK', op.SYMLINK, ['name', 'to/where'], ['symlink', 1, 'name', 'to/where']],
    ['UNLINK', op.UNLINK, ['x'], ['unlink', 1, 'x']],
    ['RMDIR', op.RMDIR, ['x'], ['rmdir', 1, 'x']],
    ['RENAME', op.RENAME, [u64(8), 'old', 'new'], ['rename', 1, 'old', 8, 'new', 0]],
    ['RENAME2', op.RENAME2, [u64(8), u32(2), u32(0), 'old', 'new'], ['rename', 1, 'old', 8, 'new', 2]],
    ['LINK', op.LINK, [u64(8), 'again'], ['link', 8, 1, 'again']],
  ] as [string, number, Part[], unknown[]][])('%s decodes to one call', (_, opcode, parts, [name, ...args]) => {
    const { call, ops } = serve({});
    expect(call(opcode, parts).error).toBe(-ENOSYS);
    expect(ops.calls).toHaveLength(1);
    expect(ops.calls[0].name).toBe(name);
    expect(ops.calls[0].args.slice(1, args.length + 1)).toEqual(args);
  });

  test('READLINK answers the bytes without a NUL', () => {
    expect(serve({ readlink: () => 'a/\xff' }).call(op.READLINK, []).payload).toEqual(Buffer.from('a/\xff', 'latin1'));
  });
});
