import { describe, expect, test } from 'vitest';
import { load, message, testConnection, u32, u64 } from '../../test/support/fuse-request.ts';
import { serve } from '../../test/support/fuse-serve.ts';
import { recordingOps } from '../../test/support/recording-ops.ts';
import { ECONNABORTED, EINTR, EIO, ENOSYS, EPROTO } from '../sys/errno.ts';
import { dispatch } from './dispatch.ts';
import * as op from './opcodes.ts';

describe('INIT', () => {
  test('a protocol of no use is EPROTO and stays unagreed', () => {
    const { connection } = testConnection(recordingOps({}));
    load(connection, message(op.INIT, [u32(7), u32(12), u32(0), u32(0)]));
    expect(dispatch(connection)).toBe(true);
    expect(connection.reply.i32(4)).toBe(-EPROTO);
    expect(connection.agreed).toBeNull();
  });

  test('passthrough is on where it was agreed', () => {
    expect(serve({}).connection.backing.enabled).toBe(true);
    expect(serve({}, { passthrough: false }).connection.backing.enabled).toBe(false);
  });
});

describe('the server lives', () => {
  test('an exception is EIO and a line with opcode, nodeid and stack', () => {
    const { call, log } = serve({
      getattr() {
        throw new TypeError('oh dear');
      },
    });
    const { error, payload } = call(op.GETATTR, [u32(0), u32(0), u64(0)], { nodeid: 5 });
    expect([error, payload.length]).toEqual([-EIO, 0]);
    expect(log).toHaveLength(1);
    expect(log[0]).toMatch(/^GETATTR n5 answered EIO: TypeError: oh dear\n.*dispatch\.test/s);
  });

  test('an exception of FORGET is not answered', () => {
    const { call, log } = serve({
      forget() {
        throw new Error('oh dear');
      },
    });
    expect(call(op.FORGET, [u64(1)], { nodeid: 5 }).replied).toBe(false);
    expect(log[0]).toContain('FORGET n5: Error: oh dear');
  });

  test('a result that is no errno is EIO: the kernel would refuse the reply and the caller hang', () => {
    const { call, log } = serve({ unlink: () => -5000 });
    expect(call(op.UNLINK, ['x']).error).toBe(-EIO);
    expect(log[0]).toContain('UNLINK');
  });

  test('work that was cancelled is ECONNABORTED: callers would repeat what is EINTR', () => {
    expect(serve({ unlink: () => -EINTR }).call(op.UNLINK, ['x']).error).toBe(-ECONNABORTED);
  });

  test.each([
    ['POLL', op.POLL],
    ['BMAP', op.BMAP],
    ['GETLK', op.GETLK],
    ['SETUPMAPPING', op.SETUPMAPPING],
    ['opcode 99', 99],
    ['INTERRUPT', op.INTERRUPT],
  ])('%s is ENOSYS', (_, opcode) => {
    expect(serve({}).call(opcode, [u64(0), u64(0)]).error).toBe(-ENOSYS);
  });

  test('DESTROY is answered, NOTIFY_REPLY is not', () => {
    const { call } = serve({});
    expect(call(op.DESTROY, [])).toMatchObject({ replied: true, error: 0 });
    expect(call(op.NOTIFY_REPLY, [])).toMatchObject({ replied: false });
  });
});
