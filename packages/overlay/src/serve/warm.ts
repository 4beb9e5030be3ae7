/**
 * Warming up: a program's first requests would each pay for code that runs for the first time, five times
 * what they cost later. So the first quiet moments after the mount is live go to requests that nobody
 * sent, through the real codec and engine, on a union of a few files in a nameless tmpfs that goes
 * with its descriptor. Half a millisecond at a time, and only after a pause once somebody has come: who asks
 * for one thing after another would wait for a slice each time. And not for long.
 */
import { randomBytes } from 'node:crypto';
import { Connection } from '../fuse/connection.ts';
import { dispatch } from '../fuse/dispatch.ts';
import {
  createIn,
  dirent,
  entryOut,
  mkdirIn,
  OUT_HEADER,
  openIn,
  openOut,
  outHeader,
  readIn,
  releaseIn,
  renameIn,
} from '../fuse/layout.ts';
import { Notify } from '../fuse/notify.ts';
import * as op from '../fuse/opcodes.ts';
import { BackingFiles } from '../fuse/passthrough.ts';
import type { ServingPolicy } from '../fuse/session.ts';
import { loadRequest } from '../fuse/synthetic.ts';
import { openOverlay } from '../ops/open-overlay.ts';
import { OverlayOps } from '../ops/overlay-ops.ts';
import {
  FSCONFIG_CMD_CREATE,
  FSMOUNT_CLOEXEC,
  FSOPEN_CLOEXEC,
  O_CREAT,
  O_EXCL,
  O_RDONLY,
  O_WRONLY,
} from '../sys/constants.ts';
import type { Sys } from '../sys/sys.ts';

const ROOT = 1;
/** Names beside `f` in the directory that is listed: enough for loops to be worth compiling, few enough for a slice. */
const LISTED = 12;
/** The longest that a request can come too late. */
const SLICE_MS = 0.5;
/** Milliseconds without a request before a slice, where the last one was not a slice. */
const PAUSE_MS = 2;
/** So many of them. */
const SLICES = 80;
/** After this nobody needs it any more: the mount idles, or its own requests have warmed the server. */
const LATE_MS = 400;

/** A union that nobody sees. Its requests come in an endless row. */
export class Rehearsal {
  private readonly sys: Sys;
  private readonly mount: number;
  private readonly ops: OverlayOps;
  private readonly connection: Connection;
  private readonly requests: Generator<void>;
  /** Told of each answer; for tests. */
  onAnswer: (opcode: number, error: number) => void = () => {};
  /** Requests so far. */
  served = 0;

  /** @returns null where no tmpfs can be made (a kernel before 5.2, or no right to mount). */
  static begin(sys: Sys): Rehearsal | null {
    const mount = namelessTmpfs(sys);
    if (mount < 0) return null;
    for (const dir of ['l', 'l/d', 'm', 'm/d', 'u', 'w']) sys.mkdirat(mount, dir, 0o755);
    const files = ['l/d/f', ...Array.from({ length: LISTED }, (_, i) => `${i % 2 ? 'l' : 'm'}/d/listed${i}`)];
    for (const file of files) sys.close(sys.openat(mount, file, O_CREAT | O_WRONLY, 0o644));
    const at = (dir: string): string => `/proc/self/fd/${mount}/${dir}`;
    const layers = { lowerdirs: [at('l'), at('m')], datadirs: [], upperdir: at('u'), workdir: at('w') };
    const ops = openOverlay(sys, layers, {
      redirectDefault: 'on',
      readOnly: false,
      aufsWhiteouts: false,
      log() {},
      cancelled: () => false,
      random: (length) => randomBytes(length),
      descriptors: 16,
      openFiles: 16,
    });
    if (ops instanceof OverlayOps) return new Rehearsal(sys, mount, ops);
    sys.close(mount);
    return null;
  }

  private constructor(sys: Sys, mount: number, ops: OverlayOps) {
    this.sys = sys;
    this.mount = mount;
    this.ops = ops;
    const validity = { entryTimeout: 1, negativeTimeout: 1, attrTimeout: 1 };
    const wishes = { readdirplus: 'always', posixAcl: true, exportSupport: false, passthrough: false } as const;
    const files = new BackingFiles({ directAlign: () => 0, register: () => -1, unregister() {} }, () => {});
    this.connection = new Connection(ops, { ...wishes, ...validity }, files, new Notify(() => 0), () => {});
    this.requests = this.scenes();
  }

  /** Goes on for a moment. */
  step(): void {
    const end = performance.now() + SLICE_MS;
    do this.requests.next();
    while (performance.now() < end);
  }

  end(): void {
    this.ops.destroy();
    this.sys.close(this.mount);
  }

  private ask(opcode: number, nodeid: number, body: Uint8Array): void {
    loadRequest(this.connection.request, opcode, nodeid, body);
    if (dispatch(this.connection)) this.onAnswer(opcode, this.connection.reply.i32(outHeader.error));
    this.served++;
  }

  private lookup(parent: number, name: string): number {
    this.ask(op.LOOKUP, parent, text(name));
    return this.connection.reply.u64(OUT_HEADER + entryOut.nodeid);
  }

  /** The nodes that a READDIRPLUS has given. */
  private listedNodes(): number[] {
    const { reply } = this.connection;
    const nodes: number[] = [];
    for (let at = OUT_HEADER; at < reply.length; ) {
      const nodeid = reply.u64(at + entryOut.nodeid);
      if (nodeid !== 0) nodes.push(nodeid);
      at += entryOut.size + ((dirent.name + reply.u32(at + entryOut.size + dirent.namelen) + 7) & ~7);
    }
    return nodes;
  }

  /** What programs do, one request at a time. */
  private *scenes(): Generator<void> {
    const { reply } = this.connection;
    for (let n = 0; ; n++) {
      const d = this.lookup(ROOT, 'd');
      yield;
      const f = this.lookup(d, 'f');
      yield;
      this.lookup(d, `none${n}`);
      yield;
      this.ask(op.GETATTR, f, Buffer.alloc(16));
      yield;
      this.ask(op.OPEN, f, words(openIn.size, [openIn.flags, O_RDONLY]));
      const fh = reply.u64(OUT_HEADER + openOut.fh);
      yield;
      this.ask(op.READ, f, words(40, [readIn.fh, fh], [readIn.size, 4096]));
      this.ask(op.RELEASE, f, words(24, [releaseIn.fh, fh], [releaseIn.flags, O_RDONLY]));
      yield;
      this.ask(op.OPENDIR, d, words(openIn.size));
      const dir = reply.u64(OUT_HEADER + openOut.fh);
      this.ask(op.READDIRPLUS, d, words(40, [readIn.fh, dir], [readIn.size, 4096]));
      const listed = this.listedNodes();
      yield;
      this.ask(op.READDIR, d, words(40, [readIn.fh, dir], [readIn.offset, 2], [readIn.size, 4096]));
      yield;
      for (const nodeid of listed) this.ask(op.FORGET, nodeid, words(8, [0, 1]));
      yield;
      this.ask(op.RELEASEDIR, d, words(24, [releaseIn.fh, dir]));
      yield;
      const made = [createIn.flags, O_CREAT | O_EXCL | O_WRONLY] as const;
      this.ask(op.CREATE, d, Buffer.concat([words(createIn.size, made, [createIn.mode, 0o100644]), text('new')]));
      const created = reply.u64(OUT_HEADER + entryOut.nodeid);
      const written = reply.u64(OUT_HEADER + entryOut.size + openOut.fh);
      yield;
      this.ask(op.RELEASE, created, words(24, [releaseIn.fh, written], [releaseIn.flags, O_WRONLY]));
      this.ask(op.GETATTR, d, Buffer.alloc(16));
      yield;
      this.ask(op.RENAME, d, Buffer.concat([words(renameIn.size, [renameIn.newdir, d]), text('new'), text('old')]));
      yield;
      this.ask(op.UNLINK, d, text('old'));
      yield;
      this.ask(op.MKDIR, d, Buffer.concat([words(mkdirIn.size, [mkdirIn.mode, 0o755]), text('dir')]));
      const child = reply.u64(OUT_HEADER + entryOut.nodeid);
      yield;
      this.ask(op.RMDIR, d, text('dir'));
      yield;
      for (const nodeid of [child, created, f, d]) this.ask(op.FORGET, nodeid, words(8, [0, 1]));
      yield;
    }
  }
}

function text(name: string): Buffer {
  return Buffer.from(`${name}\0`, 'latin1');
}

/** A structure of `size` bytes with these words in it. */
function words(size: number, ...values: (readonly [at: number, value: number])[]): Buffer {
  const bytes = Buffer.alloc(size);
  for (const [at, value] of values) bytes.writeUInt32LE(value, at);
  return bytes;
}

/** @returns a descriptor of its root, or a negative errno. */
function namelessTmpfs(sys: Sys): number {
  const context = sys.fsopen('tmpfs', FSOPEN_CLOEXEC);
  if (context < 0) return context;
  const err = sys.fsconfig(context, FSCONFIG_CMD_CREATE, null, null, 0);
  const mount = err < 0 ? err : sys.fsmount(context, FSMOUNT_CLOEXEC, 0);
  sys.close(context);
  return mount;
}

/** A policy whose quiet moments are used, from `live` on and not for long. */
export interface WarmingPolicy extends ServingPolicy {
  /** The mount is live: whoever asked for it has to hear of that, and to come. */
  live(): void;
  /** The end, in the middle of it or not. */
  end(): void;
}

export function warmingPolicy(sys: Sys, quiet: ServingPolicy): WarmingPolicy {
  let rehearsal: Rehearsal | null = null;
  let liveAt = 0;
  let left = 0;
  /** Nothing has come since the last slice, or since the mount is live. */
  let alone = true;
  const end = (): void => {
    left = 0;
    rehearsal?.end();
    rehearsal = null;
  };
  return {
    ...quiet,
    arrived() {
      // Also when it came in the middle of a slice, and the session did not have to wait for it.
      alone = false;
      quiet.arrived();
    },
    live() {
      liveAt = performance.now();
      left = SLICES;
    },
    quietMs() {
      if (left <= 0) return quiet.quietMs();
      return alone ? 0 : PAUSE_MS;
    },
    rest() {
      if (left <= 0) {
        quiet.rest();
        return;
      }
      alone = true;
      left--;
      rehearsal ??= Rehearsal.begin(sys);
      rehearsal?.step();
      if (rehearsal === null || left <= 0 || performance.now() - liveAt > LATE_MS) end();
    },
    end,
  };
}
