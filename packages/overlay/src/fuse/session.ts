/**
 * `Session`: the loop that serves one mount (fs/fuse/dev.c seen from the other side). The thread
 * that calls `run` blocks in poll on {the FUSE device, an eventfd}, drains the device with
 * non-blocking reads, and answers each request with one write before it reads the next.
 *
 * What the device says: EAGAIN nothing there; EINTR and ENOENT (the request was given up while it
 * was being read) try again; ENODEV unmounted, the clean end; ECONNABORTED the connection was
 * aborted through /sys/fs/fuse/connections. The eventfd ends the wait when another thread has set
 * the stop word, or that has done long work.
 *
 * A request that needs long work (dispatch says so) is put by, and dispatched again from its beginning
 * when some has ended; meanwhile the others are served. `ServingPolicy` is where waiting becomes cleverer than sleeping at once: serve/policy/.
 */
import { POLLIN } from '../sys/constants.ts';
import { EAGAIN, ECONNABORTED, EINTR, EIO, ENODEV, ENOENT, errnoName } from '../sys/errno.ts';
import type { PollFd, Sys } from '../sys/sys.ts';
import type { Connection } from './connection.ts';
import { dispatch } from './dispatch.ts';
import { INIT } from './opcodes.ts';
import { printReply, printRequest } from './print.ts';
import { undo } from './undo.ts';

/** Why the loop ended. */
export type SessionEnd = 'unmounted' | 'aborted' | 'stopped' | 'failed';

/** What to do when the device has nothing. */
export interface ServingPolicy {
  /** A request has been read and is served next. */
  arrived(): void;
  /** A request of the thread `pid` was answered; 0 for those that no thread waits for. */
  served(pid: number): void;
  /** Nothing comes before the answer has been read: sleep without a look. Asked before each look. */
  alone(): boolean;
  /** Look again at once (true), or sleep until something comes. Asked after each empty look. */
  lookAgain(): boolean;
  /** Milliseconds of silence after which `rest` is to be called, once; -1 for none. Asked before each sleep. */
  quietMs(): number;
  /** Work for when nobody asks for anything. */
  rest(): void;
}

/** Sleeps at once: no CPU is used that no request asked for. */
export const blockingPolicy: ServingPolicy = {
  arrived() {},
  served() {},
  alone() {
    return false;
  },
  lookAgain() {
    return false;
  },
  quietMs() {
    return -1;
  },
  rest() {},
};

/** Work that other threads do for requests. */
export interface LongWork {
  /** Nothing is done elsewhere any more but what has begun, as enough requests wait. */
  full: boolean;
  /** The request of thread `pid` waits for what was begun last. */
  waits(pid: number): void;
  /** @returns whether something has ended: all requests that wait are then tried again. */
  ended(): boolean;
  /** They have been. */
  tried(): void;
}

/** How long the end of a caller that waits may go unnoticed. */
const LOOK_MS = 50;
/** Most requests that wait. More work is then done in its place, and everybody waits for it. */
const WAITING_MAX = 64;

export interface SessionParts {
  sys: Sys;
  connection: Connection;
  /** /dev/fuse, O_NONBLOCK, mounted. */
  deviceFd: number;
  /** An eventfd that ends a wait. */
  wakeFd: number;
  /** Word 0 is set to non-zero by another thread to end the loop. Shared memory. */
  stop: Int32Array;
  policy: ServingPolicy;
  /** null: requests are served one after the other, however long one takes. */
  longWork: LongWork | null;
  /** INIT has been answered; `ok` false when no protocol could be agreed on. */
  onInit(ok: boolean): void;
  /** Receives the trace, when there is one. */
  trace: ((line: string) => void) | null;
}

export class Session {
  private readonly parts: SessionParts;
  private readonly fds: PollFd[];
  private readonly counter: Buffer = Buffer.alloc(8);
  /** Requests that wait for long work, as they were read. */
  private waiting: Buffer[] = [];

  constructor(parts: SessionParts) {
    this.parts = parts;
    this.fds = [
      { fd: parts.deviceFd, events: POLLIN, revents: 0 },
      { fd: parts.wakeFd, events: POLLIN, revents: 0 },
    ];
  }

  /** Serves until the mount is gone or somebody stops it. Never throws for a request. */
  run(): SessionEnd {
    const { sys, connection, deviceFd, stop, policy } = this.parts;
    const { request } = connection;
    while (Atomics.load(stop, 0) === 0) {
      if (this.waiting.length > 0) this.tryAgain();
      if (policy.alone()) this.wait();
      const length = sys.read(deviceFd, request.bytes, 0, request.bytes.length);
      if (length > 0) {
        policy.arrived();
        this.serve(length);
        if (!connection.waits) policy.served(request.pid);
        continue;
      }
      switch (length) {
        case -EAGAIN:
          if (!policy.lookAgain()) this.wait();
          break;
        case -EINTR:
        case -ENOENT:
          break;
        case 0:
        case -ENODEV:
          return 'unmounted';
        case -ECONNABORTED:
          return 'aborted';
        default:
          connection.log(`reading /dev/fuse: ${errnoName(length)}`);
          return 'failed';
      }
    }
    return 'stopped';
  }

  private serve(length: number): void {
    const { connection, trace } = this.parts;
    const { request, reply } = connection;
    if (!request.load(length)) {
      connection.log(`a request of ${length} bytes that is none was dropped`);
      return;
    }
    if (trace) trace(printRequest(request));
    const wanted = dispatch(connection);
    if (connection.waits) {
      this.putBy(length);
      return;
    }
    if (wanted) {
      if (trace) trace(printReply(request, reply));
      this.answer();
    }
    if (request.opcode === INIT) this.parts.onInit(connection.agreed !== null);
  }

  private putBy(length: number): void {
    const { longWork, connection } = this.parts;
    const { request } = connection;
    this.waiting.push(Buffer.from(request.bytes.subarray(0, length)));
    if (!longWork) return;
    longWork.full = this.waiting.length >= WAITING_MAX;
    longWork.waits(request.pid);
  }

  private tryAgain(): void {
    const { longWork, connection, policy } = this.parts;
    if (!longWork?.ended()) return;
    const { waiting } = this;
    this.waiting = [];
    longWork.full = false;
    for (const message of waiting) {
      message.copy(connection.request.bytes);
      this.serve(message.length);
      if (!connection.waits) policy.served(connection.request.pid);
    }
    longWork.tried();
  }

  private answer(): void {
    const { connection } = this.parts;
    const { request, reply } = connection;
    const written = this.send();
    if (written === reply.length) return;
    // Whatever the reason, the kernel took nothing over. ENODEV and ECONNABORTED are read next.
    undo(connection);
    if (written === -ENOENT || written === -ENODEV || written === -ECONNABORTED) return;
    connection.log(`the answer was refused with ${errnoName(written)}: ${printReply(request, reply)}`);
    // Somebody may still be waiting, and would for ever.
    reply.finish(request, -EIO);
    this.send();
  }

  private send(): number {
    const { sys, connection, deviceFd } = this.parts;
    const { reply } = connection;
    let written: number;
    do written = sys.write(deviceFd, reply.bytes, 0, reply.length);
    while (written === -EINTR);
    return written;
  }

  private wait(): void {
    const { sys, wakeFd, policy } = this.parts;
    const [device, wake] = this.fds;
    device.revents = 0;
    wake.revents = 0;
    const quietMs = policy.quietMs();
    const looks = this.waiting.length > 0 && (quietMs < 0 || quietMs > LOOK_MS);
    const ready = sys.poll(this.fds, looks ? LOOK_MS : quietMs);
    if (ready === 0 && !looks && quietMs >= 0) policy.rest();
    if (wake.revents !== 0) sys.read(wakeFd, this.counter, 0, this.counter.length);
  }
}
