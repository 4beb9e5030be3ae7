import { describe, expect, test } from 'vitest';
import { load, message, type Part, testConnection, u32, u64 } from '../../test/support/fuse-request.ts';
import { recordingOps } from '../../test/support/recording-ops.ts';
import { O_RDONLY, S_IFREG } from '../sys/constants.ts';
import { dispatch } from './dispatch.ts';
import * as op from './opcodes.ts';
import { printReply, printRequest } from './print.ts';

const { connection } = testConnection(
  recordingOps({
    lookup(_caller, _parent, name, out) {
      if (name !== 'h\xc3\xa9') return -2;
      Object.assign(out, { nodeid: 5 });
      Object.assign(out.attr, { mode: S_IFREG | 0o4755, ino: 2n ** 63n, size: 12, nlink: 1, uid: 10, gid: 20 });
      return 0;
    },
    open(_caller, _nodeid, _flags, _kill, out) {
      out.fh = 3;
      out.backingFd = 4;
      return 0;
    },
    readlink: () => 'to "there"',
    write: (_caller, _fh, _buf, _off, len) => len,
  }),
);

function trace(opcode: number, parts: Part[], header = {}): string[] {
  load(connection, message(opcode, parts, header));
  const lines = [printRequest(connection.request)];
  if (dispatch(connection)) lines.push(printReply(connection.request, connection.reply));
  return lines;
}

describe('trace', () => {
  test.each<[string, number, Part[], object, string[]]>([
    [
      'INIT',
      op.INIT,
      [u32(7), u32(45), u32(0), u32(0x4000_0021), u32(0x20), Buffer.alloc(44)],
      { nodeid: 0 },
      ['rx 2 INIT n0 7.45 flags 0x40000021 0x20', 'tx 2 INIT OK 7.45 flags 0x40000021 0x20'],
    ],
    [
      'a name found, shown as text',
      op.LOOKUP,
      ['h\xc3\xa9'],
      { uid: 1, gid: 2, pid: 3, unique: 44n },
      [
        'rx 44 LOOKUP n1 "hé" {uid 1 gid 2 pid 3}',
        'tx 44 LOOKUP OK n5 {file 4755 ino 9223372036854775808 size 12 nlink 1 10:20}',
      ],
    ],
    ['a name missed', op.LOOKUP, ['a\nb'], {}, ['rx 2 LOOKUP n1 "a\\nb"', 'tx 2 LOOKUP OK no such name']],
    [
      'a passthrough open',
      op.OPEN,
      [u32(O_RDONLY), u32(0)],
      { nodeid: 5 },
      ['rx 2 OPEN n5 flags 0x0', 'tx 2 OPEN OK fh 3 passthrough id 1004'],
    ],
    ['a link', op.READLINK, [], { nodeid: 5 }, ['rx 2 READLINK n5', 'tx 2 READLINK OK "to \\"there\\""']],
    [
      'a write',
      op.WRITE,
      [u64(3), u64(10), u32(2), u32(0), u64(0), u32(0), u32(0), Buffer.from('ab')],
      { nodeid: 5 },
      ['rx 2 WRITE n5 fh 3 off 10 size 2', 'tx 2 WRITE OK 2 bytes'],
    ],
    [
      'an error',
      op.RENAME2,
      [u64(9), u32(1), u32(0), 'a', 'b'],
      {},
      ['rx 2 RENAME2 n1 "a" to n9 "b" flags 0x1', 'tx 2 RENAME2 ENOSYS'],
    ],
    ['no answer', op.FORGET, [u64(2)], { nodeid: 5 }, ['rx 2 FORGET n5 nlookup 2']],
    ['a number not known', 200, [], {}, ['rx 2 opcode 200 n1', 'tx 2 opcode 200 ENOSYS']],
  ])('%s', (_, opcode, parts, header, lines) => {
    expect(trace(opcode, parts, header)).toEqual(lines);
  });

  test('SETATTR shows what is set and nothing else', () => {
    const parts = [u32(0b1001), u32(0), u64(0), u64(7), u64(0), u64(0), u64(0), u64(0)];
    parts.push(u32(0), u32(0), u32(0), u32(0o100640), Buffer.alloc(16));
    expect(trace(op.SETATTR, parts)[0]).toBe('rx 2 SETATTR n1 mode 0100640 size 7');
  });

  test('every opcode can be printed from a body of zeros', () => {
    for (let opcode = 0; opcode < op.OPCODE_MAX; opcode++) {
      const lines = trace(opcode, [Buffer.alloc(128)]);
      expect(lines[0]).toContain(op.opcodeName(opcode));
    }
  });
});
