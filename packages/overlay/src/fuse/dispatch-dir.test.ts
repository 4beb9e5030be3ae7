import { describe, expect, test } from 'vitest';
import { u32, u64 } from '../../test/support/fuse-request.ts';
import { serve } from '../../test/support/fuse-serve.ts';
import { EIO } from '../sys/errno.ts';
import * as f from './flags.ts';
import * as op from './opcodes.ts';

describe('directories', () => {
  test('OPENDIR allows the listing to be cached and kept', () => {
    const { call } = serve({
      opendir(_caller, _nodeid, out) {
        out.fh = 4;
        out.keepCache = true;
        return 0;
      },
    });
    expect(call(op.OPENDIR, [u32(0), u32(0)]).payload.readUInt32LE(8)).toBe(f.FOPEN_CACHE_DIR | f.FOPEN_KEEP_CACHE);
  });

  test('READDIR gives what fits; an error after entries waits for the next call', () => {
    let emit = 3;
    const { call, ops } = serve({
      readdir(_caller, _fh, _off, _plus, sink) {
        for (let i = 0; i < emit && sink.fits(1); i++) sink.add('x', 1n, 8, i + 1, null);
        return -EIO;
      },
    });
    const list = (size: number) => call(op.READDIR, [u64(4), u64(7), u32(size), u32(0), u64(0), u32(0), u32(0)]);
    expect(list(4096).payload.length).toBe(96);
    expect(list(70).payload.length).toBe(64);
    emit = 0;
    expect(list(4096).error).toBe(-EIO);
    expect(ops.calls[0].args.slice(1, 4)).toEqual([4, 7, false]);
  });
});
