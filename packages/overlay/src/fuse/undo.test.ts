import { describe, expect, test } from 'vitest';
import { u32, u64 } from '../../test/support/fuse-request.ts';
import { found, serve } from '../../test/support/fuse-serve.ts';
import { O_RDWR, S_IFDIR } from '../sys/constants.ts';
import * as op from './opcodes.ts';
import { undo } from './undo.ts';

describe('undo', () => {
  const node = (out: { nodeid: number; attr: { mode: number } }, nodeid: number) => {
    out.nodeid = nodeid;
    out.attr.mode = S_IFDIR;
    return 0;
  };

  test('a reference that the kernel did not take is given back', () => {
    const { call, ops, connection } = serve({ ...found, mkdir: (_c, _p, _n, _m, out) => node(out, 8) });
    call(op.LOOKUP, ['file']);
    undo(connection);
    call(op.LOOKUP, ['gone']);
    undo(connection);
    call(op.MKDIR, [u32(0), u32(0), 'd']);
    undo(connection);
    call(op.UNLINK, ['x']);
    undo(connection);
    expect(ops.calls.filter((c) => c.name === 'forget').map((c) => c.args)).toEqual([
      [5, 1],
      [8, 1],
    ]);
  });

  test('a handle too, and the node’s passthrough mode', () => {
    const { call, ops, connection, backing } = serve({
      open(_caller, _nodeid, _flags, _kill, out) {
        out.fh = 12;
        out.backingFd = 3;
        return 0;
      },
      create(_caller, _parent, _name, _flags, _mode, entry, out) {
        out.fh = 13;
        out.backingFd = 4;
        return node(entry, 6);
      },
      opendir(_caller, _nodeid, out) {
        out.fh = 14;
        return 0;
      },
    });
    call(op.OPEN, [u32(O_RDWR), u32(0)], { nodeid: 5 });
    undo(connection);
    call(op.CREATE, [u32(O_RDWR), u32(0o644), u32(0), u32(0), 'new']);
    undo(connection);
    call(op.OPENDIR, [u32(0), u32(0)]);
    undo(connection);
    expect(backing).toEqual(['register 3', 'unregister 1003', 'register 4', 'unregister 1004']);
    const given = ops.calls.filter((c) => ['release', 'forget', 'releasedir'].includes(c.name));
    expect(given.map((c) => [c.name, ...c.args])).toEqual([
      ['release', 12],
      ['release', 13],
      ['forget', 6, 1],
      ['releasedir', 14],
    ]);
  });

  test('every entry of a READDIRPLUS', () => {
    const { call, ops, connection } = serve({
      readdir(_caller, _fh, _off, _plus, sink) {
        const entry = connection.entry;
        sink.add('.', 1n, 4, 1, null);
        entry.nodeid = 5;
        sink.add('a name of some length', 1n, 4, 2, entry);
        entry.nodeid = 6;
        sink.add('b', 1n, 4, 3, entry);
        return 0;
      },
    });
    call(op.READDIRPLUS, [u64(4), u64(0), u32(4096), u32(0), u64(0), u32(0), u32(0)]);
    undo(connection);
    expect(ops.calls.filter((c) => c.name === 'forget').map((c) => c.args)).toEqual([
      [5, 1],
      [6, 1],
    ]);
  });
});
