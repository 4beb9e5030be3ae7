/** One request at a time through dispatch, over operations that a test gives: no kernel, no device. */
import { dispatch } from '../../src/fuse/dispatch.ts';
import { INIT } from '../../src/fuse/opcodes.ts';
import type { Ops } from '../../src/ops/ops.ts';
import { S_IFREG } from '../../src/sys/constants.ts';
import { ENOENT } from '../../src/sys/errno.ts';
import { type Header, load, message, type Part, type TestConnection, testConnection, u32 } from './fuse-request.ts';
import { type RecordingOps, recordingOps } from './recording-ops.ts';

const initParts: Part[] = [u32(7), u32(45), u32(131_072), u32(0x7fff_ffff), u32(0x7ff), Buffer.alloc(44)];

export interface Answer {
  replied: boolean;
  /** 0 or a negative errno. */
  error: number;
  payload: Buffer;
}

export interface Served extends TestConnection {
  ops: RecordingOps;
  call(opcode: number, parts: Part[], header?: Header): Answer;
}

/** A connection past INIT over `answers`. */
export function serve(answers: Partial<Ops>, options: Parameters<typeof testConnection>[1] = {}): Served {
  const ops = recordingOps(answers);
  const made = testConnection(ops, options);
  const { connection } = made;
  const call = (opcode: number, parts: Part[], header: Header = {}): Answer => {
    if (!load(connection, message(opcode, parts, header))) throw new Error('the test made no whole request');
    const replied = dispatch(connection);
    const { reply } = connection;
    return { replied, error: reply.i32(4), payload: Buffer.from(reply.bytes.subarray(16, reply.length)) };
  };
  call(INIT, initParts, { nodeid: 0 });
  return { ...made, ops, call };
}

/** A directory with one name, `file`, whose node is 5. */
export const found: Partial<Ops> = {
  lookup(_caller, _parent, name, out) {
    if (name !== 'file') return -ENOENT;
    out.nodeid = 5;
    out.generation = 2;
    out.attr.mode = S_IFREG | 0o644;
    out.attr.ino = 99n;
    return 0;
  },
};
