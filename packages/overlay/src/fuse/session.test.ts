import { describe, expect, test } from 'vitest';
import { message, testConnection, u32, u64 } from '../../test/support/fuse-request.ts';
import { recordingOps } from '../../test/support/recording-ops.ts';
import type { Ops } from '../ops/ops.ts';
import { POLLIN } from '../sys/constants.ts';
import { EAGAIN, ECONNABORTED, EINTR, EINVAL, EIO, ENODEV, ENOENT, EPERM, ERESTART } from '../sys/errno.ts';
import type { Sys } from '../sys/sys.ts';
import * as op from './opcodes.ts';
import { blockingPolicy, type LongWork, type ServingPolicy, Session } from './session.ts';

const DEVICE = 10;
const WAKE = 11;

interface Device {
  /** What reads of the device give: messages or errnos. At the end: ENODEV. */
  reads: (Buffer | number)[];
  /** What writes give; at the end: success. */
  writes?: number[];
  /** Called for each poll. */
  onPoll?: () => void;
  policy?: ServingPolicy;
  answers?: Partial<Ops>;
  longWork?: LongWork;
}

function run(device: Device) {
  const written: Buffer[] = [];
  const polls: number[] = [];
  const stop = new Int32Array(new SharedArrayBuffer(4));
  const sys = {
    read(fd: number, buf: Uint8Array) {
      if (fd === WAKE) return 8;
      const next = device.reads.shift() ?? -ENODEV;
      if (typeof next === 'number') return next;
      buf.set(next);
      return next.length;
    },
    write(_fd: number, buf: Uint8Array, _off: number, len: number) {
      const refused = device.writes?.shift();
      if (refused !== undefined && refused < 0) return refused;
      written.push(Buffer.from(buf.subarray(0, len)));
      return len;
    },
    poll(fds: { revents: number }[], timeout: number) {
      polls.push(timeout);
      device.onPoll?.();
      fds[1].revents = stop[0] ? POLLIN : 0;
      // A wait with an end finds nothing.
      return timeout < 0 ? 1 : 0;
    },
  } as unknown as Sys;
  const ops = recordingOps(device.answers ?? {});
  const { connection, log } = testConnection(ops);
  const inits: boolean[] = [];
  const trace: string[] = [];
  const session = new Session({
    sys,
    connection,
    deviceFd: DEVICE,
    wakeFd: WAKE,
    stop,
    policy: device.policy ?? blockingPolicy,
    longWork: device.longWork ?? null,
    onInit: (ok) => inits.push(ok),
    trace: (line) => trace.push(line),
  });
  return { session, stop, written, polls, log, inits, trace, ops };
}

const errors = (written: Buffer[]): number[] => written.map((reply) => reply.readInt32LE(4));
const init = message(op.INIT, [u32(7), u32(45), u32(0), u32(0x7fff_ffff), u32(0x7ff), Buffer.alloc(44)]);
const unlink = message(op.UNLINK, ['x']);

describe('Session', () => {
  test.each([
    ['unmounted', -ENODEV],
    ['unmounted', 0],
    ['aborted', -ECONNABORTED],
    ['failed', -EPERM],
  ])('ends %s when the device says %d', (end, errno) => {
    expect(run({ reads: [errno] }).session.run()).toBe(end);
  });

  test('drains without waiting, then sleeps until the device has something', () => {
    const made = run({ reads: [init, unlink, unlink, -EAGAIN, unlink], answers: { unlink: () => 0 } });
    expect(made.session.run()).toBe('unmounted');
    expect(errors(made.written)).toEqual([0, 0, 0, 0]);
    expect(made.polls).toEqual([-1]);
    expect(made.inits).toEqual([true]);
    expect(made.trace.filter((line) => line.startsWith('rx'))).toHaveLength(4);
  });

  test('EINTR and ENOENT are no reason to wait', () => {
    const made = run({ reads: [-EINTR, -ENOENT, unlink], answers: { unlink: () => 0 } });
    made.session.run();
    expect([made.written.length, made.polls.length]).toEqual([1, 0]);
  });

  test('stops between two requests, however many there are', () => {
    const made = run({
      reads: new Array(100).fill(unlink),
      answers: {
        unlink() {
          if (made.written.length === 2) made.stop[0] = 1;
          return 0;
        },
      },
    });
    expect(made.session.run()).toBe('stopped');
    expect(made.written).toHaveLength(3);
  });

  test('stops while it sleeps', () => {
    const made = run({
      reads: [-EAGAIN, -EAGAIN],
      onPoll: () => {
        made.stop[0] = 1;
      },
    });
    expect(made.session.run()).toBe('stopped');
  });

  test('asks its policy before it sleeps', () => {
    let looks = 0;
    const served: number[] = [];
    const policy: ServingPolicy = {
      ...blockingPolicy,
      served: (pid) => served.push(pid),
      lookAgain: () => ++looks < 3,
    };
    const made = run({ reads: [message(op.UNLINK, ['x'], { pid: 7 }), -EAGAIN, -EAGAIN, -EAGAIN], policy });
    made.session.run();
    expect([looks, made.polls.length, served]).toEqual([3, 1, [7]]);
  });

  test('rests when nobody asks for a while, and not when somebody does', () => {
    let rests = 0;
    const policy: ServingPolicy = { ...blockingPolicy, quietMs: () => (rests === 0 ? 50 : -1), rest: () => rests++ };
    const made = run({ reads: [-EAGAIN, -EAGAIN], policy });
    made.session.run();
    expect([made.polls, rests]).toEqual([[50, -1], 1]);
  });

  test('a request that waits for long work is served again when some has ended, and others meanwhile', () => {
    let done = false;
    const waited: number[] = [];
    const events: string[] = [];
    const longWork: LongWork = {
      full: false,
      waits: (pid) => waited.push(pid),
      ended: () => done,
      tried: () => events.push('tried'),
    };
    const made = run({
      reads: [message(op.RMDIR, ['d'], { pid: 7 }), unlink, -EAGAIN, unlink],
      longWork,
      onPoll: () => {
        done = true;
      },
      answers: {
        rmdir(_caller, _parent, name) {
          events.push(`rmdir ${name}`);
          return done ? 0 : -ERESTART;
        },
        unlink() {
          events.push('unlink');
          return 0;
        },
      },
    });
    expect(made.session.run()).toBe('unmounted');
    expect(events).toEqual(['rmdir d', 'unlink', 'rmdir d', 'tried', 'unlink']);
    expect([made.written.length, errors(made.written), waited]).toEqual([3, [0, 0, 0], [7]]);
    // It does not sleep for long while somebody waits who may be killed.
    expect(made.polls).toEqual([50]);
  });

  test('when many wait no more long work is begun elsewhere', () => {
    const longWork: LongWork = { full: false, waits() {}, ended: () => false, tried() {} };
    const made = run({
      reads: new Array(65).fill(unlink),
      longWork,
      answers: { unlink: () => (longWork.full ? 0 : -ERESTART) },
    });
    made.session.run();
    expect([longWork.full, made.written.length]).toEqual([true, 1]);
  });

  test('an answer that nobody wants any more is taken back', () => {
    const lookup = message(op.LOOKUP, ['f']);
    const made = run({
      reads: [lookup],
      writes: [-ENOENT],
      answers: {
        lookup(_caller, _parent, _name, out) {
          out.nodeid = 5;
          return 0;
        },
      },
    });
    made.session.run();
    expect(made.ops.calls.at(-1)).toEqual({ name: 'forget', args: [5, 1] });
    expect(made.log).toEqual([]);
  });

  test('an answer that the kernel refuses becomes EIO: somebody waits for it', () => {
    const made = run({ reads: [unlink], writes: [-EINVAL], answers: { unlink: () => 0 } });
    made.session.run();
    expect(errors(made.written)).toEqual([-EIO]);
    expect(made.log[0]).toMatch(/^the answer was refused with EINVAL: tx 2 UNLINK/);
  });

  test('a throwing operation does not end the loop', () => {
    const made = run({
      reads: [unlink, message(op.FORGET, [u64(1)]), unlink],
      answers: {
        unlink() {
          throw new Error('oh dear');
        },
        forget() {
          throw new Error('oh dear');
        },
      },
    });
    expect(made.session.run()).toBe('unmounted');
    expect(errors(made.written)).toEqual([-EIO, -EIO]);
    expect(made.log).toHaveLength(3);
  });

  test('bytes that are no request are dropped with a line in the log', () => {
    const made = run({ reads: [Buffer.alloc(50), unlink], answers: { unlink: () => 0 } });
    made.session.run();
    expect(made.written).toHaveLength(1);
    expect(made.log).toEqual(['a request of 50 bytes that is none was dropped']);
  });
});
