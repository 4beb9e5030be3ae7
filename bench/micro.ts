/**
 * `npm run bench:micro`: what the server itself spends on a request, with no kernel on the other side:
 * the codec (over an engine that answers from memory), and lookups of the real engine on a disk.
 */
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { bench, group, run } from 'mitata';
import { Connection } from 'stratafs/internal/fuse/connection';
import { dispatch } from 'stratafs/internal/fuse/dispatch';
import { Notify } from 'stratafs/internal/fuse/notify';
import { FORGET, GETATTR, LOOKUP } from 'stratafs/internal/fuse/opcodes';
import { BackingFiles } from 'stratafs/internal/fuse/passthrough';
import { loadRequest } from 'stratafs/internal/fuse/synthetic';
import { openOverlay } from 'stratafs/internal/ops/open-overlay';
import type { Ops } from 'stratafs/internal/ops/ops';
import { OverlayOps } from 'stratafs/internal/ops/overlay-ops';
import { openSys } from 'stratafs/internal/sys/sys-koffi';
import { makeFlat } from './trees.ts';

const ROOT = 1;
const NAMES = 1000;

function connect(ops: Ops): Connection {
  const timeouts = { entryTimeout: 60, negativeTimeout: 60, attrTimeout: 60 };
  const wishes = { readdirplus: 'always', posixAcl: true, exportSupport: false, passthrough: false } as const;
  const files = new BackingFiles({ directAlign: () => 0, register: () => -1, unregister() {} }, () => {});
  return new Connection(ops, { ...wishes, ...timeouts }, files, new Notify(() => 0), console.error);
}

function ask(c: Connection, opcode: number, nodeid: number, body: Uint8Array): void {
  loadRequest(c.request, opcode, nodeid, body);
  dispatch(c);
}

/** LOOKUP of one name after another, each taken back by a FORGET. */
function lookups(c: Connection, dir: number, name: string): () => void {
  const once = Buffer.alloc(8);
  once.writeUInt32LE(1);
  const bodies = Array.from({ length: NAMES }, (_, i) => Buffer.from(`${name}${i}\0`));
  let next = 0;
  return () => {
    ask(c, LOOKUP, dir, bodies[next++ % NAMES]);
    const nodeid = c.reply.length > 16 ? c.reply.u64(16) : 0;
    if (nodeid !== 0) ask(c, FORGET, nodeid, once);
  };
}

group('codec, over an engine in memory', () => {
  const memory = {
    getattr: () => 0,
    lookup(_caller: unknown, _parent: number, name: string, out: { nodeid: number }) {
      out.nodeid = 5;
      return name.startsWith('f') ? 0 : -2;
    },
    forget() {},
  } as unknown as Ops;
  const c = connect(memory);
  const getattr = Buffer.alloc(16);
  bench('GETATTR', () => ask(c, GETATTR, 5, getattr));
  bench('LOOKUP, found + FORGET', lookups(c, ROOT, 'f'));
  bench('LOOKUP, missing', lookups(c, ROOT, 'none'));
});

const base = fs.mkdtempSync(path.join(os.tmpdir(), 'stratafs-bench-'));
const unions: OverlayOps[] = [];
for (const layers of [1, 3, 32]) {
  const dir = path.join(base, String(layers));
  const lowerdirs = Array.from({ length: layers }, (_, i) => path.join(dir, `l${i}`));
  for (const lower of lowerdirs) makeFlat(path.join(lower, 'd'), ['own']);
  makeFlat(
    path.join(lowerdirs[layers - 1], 'd'),
    Array.from({ length: NAMES }, (_, i) => `f${i}`),
  );
  for (const name of ['u', 'w']) fs.mkdirSync(path.join(dir, name));
  const params = { lowerdirs, datadirs: [], upperdir: path.join(dir, 'u'), workdir: path.join(dir, 'w') };
  const ops = openOverlay(openSys(), params, {
    redirectDefault: 'on',
    readOnly: false,
    aufsWhiteouts: false,
    log: console.error,
    cancelled: () => false,
    random: (length) => randomBytes(length),
  });
  if (!(ops instanceof OverlayOps)) throw new Error(ops.message);
  unions.push(ops);
  const c = connect(ops);
  ask(c, LOOKUP, ROOT, Buffer.from('d\0'));
  const d = c.reply.u64(16);
  group(`lookups, ${layers} lower ${layers === 1 ? 'layer' : 'layers'}`, () => {
    bench('found in the lowest + FORGET', lookups(c, d, 'f'));
    bench('missing', lookups(c, d, 'none'));
  });
}

await run();
for (const ops of unions) ops.destroy();
fs.rmSync(base, { recursive: true });
