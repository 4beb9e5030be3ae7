/** Descriptors of files of metadata alone: what the kernel may read past the server, and what it must not. */
import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fromText } from '../sys/bytes.ts';
import { O_RDONLY, O_RDWR } from '../sys/constants.ts';
import { Stat } from '../sys/stat.ts';
import { openSys } from '../sys/sys-koffi.ts';
import { openOverlay } from './open-overlay.ts';
import { ATTR_MODE, type Caller, EntryOut, OpenOut, SetAttr } from './ops.ts';
import { OverlayOps } from './overlay-ops.ts';

const me: Caller = { uid: 0, gid: 0, pid: process.pid, umask: 0 };
const content = 'x'.repeat(10_000);

let base: string;
let ops: OverlayOps;

beforeEach((context) => {
  context.skip(process.getuid?.() !== 0, 'trusted xattrs are for root');
  base = fs.mkdtempSync(path.join(os.tmpdir(), 'strata-metacopy-'));
  for (const dir of ['l', 'u', 'w']) fs.mkdirSync(path.join(base, dir));
  fs.writeFileSync(path.join(base, 'l/f'), content);
  const [lower, upperdir, workdir] = ['l', 'u', 'w'].map((dir) => fromText(path.join(base, dir)));
  const params = { lowerdirs: [lower], datadirs: [], upperdir, workdir, metacopy: true };
  const opened = openOverlay(openSys(), params, {
    redirectDefault: 'on',
    readOnly: false,
    aufsWhiteouts: false,
    log: () => {},
    cancelled: () => false,
    random: randomBytes,
  });
  if (!(opened instanceof OverlayOps)) throw new Error(opened.message);
  ops = opened;
});

afterEach(() => {
  if (base === undefined) return;
  ops.destroy();
  fs.rmSync(base, { recursive: true, force: true });
});

function open(nodeid: number, flags: number): OpenOut {
  const out = new OpenOut();
  expect(ops.open(me, nodeid, flags, false, out)).toBe(0);
  return out;
}

function read(fh: number, pos: number): string {
  const buf = Buffer.alloc(5);
  return buf.toString('latin1', 0, ops.read(me, fh, buf, 0, buf.length, pos));
}

describe('a file of metadata alone', () => {
  it('gets its data where the redirect of a rename or a link would be too long', () => {
    const long = ['a', 'b'].map((letter) => letter.repeat(255));
    fs.mkdirSync(path.join(base, 'l/d'));
    for (const name of long) fs.writeFileSync(path.join(base, 'l/d', name), content);
    const dir = new EntryOut(new Stat());
    const entry = new EntryOut(new Stat());
    expect(ops.lookup(me, 1, 'd', dir)).toBe(0);
    expect(ops.rename(me, dir.nodeid, long[0], 1, 'renamed', 0)).toBe(0);
    expect(ops.lookup(me, dir.nodeid, long[1], entry)).toBe(0);
    expect(ops.link(me, entry.nodeid, 1, 'linked', new EntryOut(new Stat()))).toBe(0);
    expect(ops.rename(me, 1, 'f', 1, 'short', 0)).toBe(0);
    for (const name of ['renamed', 'linked'])
      expect(fs.readFileSync(path.join(base, 'u', name), 'latin1')).toBe(content);
    expect(fs.readFileSync(path.join(base, 'u/short'), 'latin1')).toBe('\0'.repeat(content.length));
  });

  it('is not handed to the kernel before its data is in the upper, and older readers go on', () => {
    const entry = new EntryOut(new Stat());
    expect(ops.lookup(me, 1, 'f', entry)).toBe(0);
    const chmod = new SetAttr();
    chmod.valid = ATTR_MODE;
    chmod.mode = 0o600;
    expect(ops.setattr(me, entry.nodeid, chmod, new Stat())).toBe(0);
    expect(fs.readFileSync(path.join(base, 'u/f'), 'latin1')).toBe('\0'.repeat(content.length));

    const reader = open(entry.nodeid, O_RDONLY);
    expect(reader.backingFd).toBe(-1);
    expect(read(reader.fh, 9_998)).toBe('xx');

    const writer = open(entry.nodeid, O_RDWR);
    expect(writer.attrChanged).toBe(true);
    expect(fs.fstatSync(writer.backingFd).ino).toBe(fs.statSync(path.join(base, 'u/f')).ino);
    expect(ops.write(me, writer.fh, Buffer.from('hello'), 0, 5, 0, false)).toBe(5);
    expect(read(reader.fh, 0)).toBe('hello');
    expect(fs.readFileSync(path.join(base, 'u/f'), 'latin1')).toBe(`hello${content.slice(5)}`);
    expect(fs.readFileSync(path.join(base, 'l/f'), 'latin1')).toBe(content);
  });
});
