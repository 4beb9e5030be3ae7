import { describe, expect, test } from 'vitest';
import { message } from '../../test/support/fuse-request.ts';
import { S_IFDIR, S_IFREG, STATX_BASIC_STATS, STATX_BTIME } from '../sys/constants.ts';
import { ENOENT } from '../sys/errno.ts';
import { makedev, Stat, StatFs } from '../sys/stat.ts';
import { encodeAttrOut, encodeEntry, encodeStatfs, encodeStatx, validity } from './encode.ts';
import { LOOKUP } from './opcodes.ts';
import { Reply, Request, Wire } from './wire.ts';

const bytes = (hex: string): Buffer => Buffer.from(hex.replaceAll(/\s/g, ''), 'hex');

/** A stat in which every field is another number. */
function sample(): Stat {
  const stat = new Stat();
  stat.ino = 0x8000_0000_0000_0007n;
  stat.mode = S_IFREG | 0o4755;
  stat.nlink = 3;
  stat.uid = 1000;
  stat.gid = 1001;
  stat.rdev = makedev(8, 300);
  stat.size = 2 ** 40 + 5;
  stat.blksize = 4096;
  stat.blocks = 8;
  stat.atime = 17;
  stat.atimeNsec = 1;
  stat.mtime = -2;
  stat.mtimeNsec = 999_999_999;
  stat.ctime = 2 ** 33;
  stat.ctimeNsec = 3;
  stat.btime = -1;
  stat.btimeNsec = 4;
  stat.dev = makedev(0, 66);
  stat.mask = STATX_BASIC_STATS | STATX_BTIME;
  return stat;
}

const SAMPLE_ATTR = `
  07 00 00 00 00 00 00 80   05 00 00 00 00 01 00 00   08 00 00 00 00 00 00 00
  11 00 00 00 00 00 00 00   fe ff ff ff ff ff ff ff   00 00 00 00 02 00 00 00
  01 00 00 00   ff c9 9a 3b   03 00 00 00   ed 89 00 00
  03 00 00 00   e8 03 00 00   e9 03 00 00   2c 08 10 00   00 10 00 00   00 00 00 00`;

describe('Request', () => {
  const lookup = bytes(`
    2d 00 00 00   01 00 00 00   04 00 00 00 00 00 00 80   01 00 00 00 00 00 00 00
    e8 03 00 00   e9 03 00 00   39 30 00 00   00 00   00 00
    e9 20 2e 68 00`);

  test('decodes the header and a name that is not UTF-8', () => {
    const request = new Request(8192);
    lookup.copy(request.bytes);
    expect(request.load(lookup.length)).toBe(true);
    expect(request).toMatchObject({ opcode: LOOKUP, nodeid: 1, uid: 1000, gid: 1001, pid: 12345, length: 45 });
    expect(request.name(0)).toBe('\xe9 .h');
  });

  test('the test builder makes the same bytes', () => {
    const built = message(LOOKUP, ['\xe9 .h'], { unique: 2n ** 63n + 4n, uid: 1000, gid: 1001, pid: 12345 });
    expect(built).toEqual(lookup);
  });

  test.each([
    ['shorter than a header', 39],
    ['another length than its header says', 44],
  ])('is refused when it is %s', (_, length) => {
    const request = new Request(8192);
    lookup.copy(request.bytes);
    expect(request.load(length)).toBe(false);
  });

  test('is refused when its extensions are longer than itself', () => {
    const request = new Request(8192);
    lookup.copy(request.bytes);
    request.bytes.writeUInt16LE(6, 36);
    expect(request.load(lookup.length)).toBe(false);
  });

  test('a name ends where the extensions begin', () => {
    const request = new Request(8192);
    // What was in the buffer before is no part of a name.
    request.bytes.fill(0x41);
    const built = message(LOOKUP, [Buffer.from('whole')], { extensions: Buffer.alloc(8, 0x42) });
    built.copy(request.bytes);
    request.load(built.length);
    expect(request.name(0)).toBe('whole');
  });
});

describe('Wire', () => {
  test.each([
    [0, '00 00 00 00 00 00 00 00'],
    [1, '01 00 00 00 00 00 00 00'],
    [2 ** 32, '00 00 00 00 01 00 00 00'],
    [Number.MAX_SAFE_INTEGER, 'ff ff ff ff ff ff 1f 00'],
    [-1, 'ff ff ff ff ff ff ff ff'],
    [-(2 ** 32) - 1, 'ff ff ff ff fe ff ff ff'],
  ])('%d in 64 bits and back', (value, hex) => {
    const wire = new Wire(16);
    wire.set64(8, value);
    expect(wire.bytes.subarray(8)).toEqual(bytes(hex));
    expect(value < 0 ? wire.s64(8) : wire.u64(8)).toBe(value);
  });
});

describe('Reply', () => {
  const request = new Request(8192);
  message(LOOKUP, ['x'], { unique: 2n ** 63n + 4n }).copy(request.bytes);
  request.load(42);

  test('a success has its payload and the request’s unique, resend bit included', () => {
    const reply = new Reply(64);
    reply.finish(request, 24);
    expect(reply.length).toBe(40);
    expect(reply.bytes.subarray(0, 16)).toEqual(bytes('28 00 00 00  00 00 00 00  04 00 00 00 00 00 00 80'));
  });

  test('an errno has no payload', () => {
    const reply = new Reply(64);
    reply.finish(request, -ENOENT);
    expect(reply.length).toBe(16);
    expect(reply.bytes.subarray(0, 16)).toEqual(bytes('10 00 00 00  fe ff ff ff  04 00 00 00 00 00 00 80'));
  });
});

describe('encoders', () => {
  test('entry', () => {
    const wire = new Wire(128);
    encodeEntry(wire, 0, 5, 6, sample(), validity(1.5), validity(2));
    expect(wire.bytes).toEqual(
      bytes(`
        05 00 00 00 00 00 00 00   06 00 00 00 00 00 00 00   01 00 00 00 00 00 00 00   02 00 00 00 00 00 00 00
        00 65 cd 1d   00 00 00 00 ${SAMPLE_ATTR}`),
    );
  });

  test('attr', () => {
    const wire = new Wire(104);
    wire.bytes.fill(0xff);
    encodeAttrOut(wire, 0, sample(), validity(0.25));
    expect(wire.bytes).toEqual(bytes(`00 00 00 00 00 00 00 00   80 b2 e6 0e   00 00 00 00 ${SAMPLE_ATTR}`));
  });

  test('statx', () => {
    const wire = new Wire(288);
    wire.bytes.fill(0xff);
    encodeStatx(wire, 0, sample(), validity(7));
    expect(wire.bytes).toEqual(
      bytes(`
        07 00 00 00 00 00 00 00   00 00 00 00   00 00 00 00   ${'00'.repeat(16)}
        ff 0f 00 00   00 10 00 00   00 00 00 00 00 00 00 00   03 00 00 00   e8 03 00 00   e9 03 00 00   ed 89 00 00
        07 00 00 00 00 00 00 80   05 00 00 00 00 01 00 00   08 00 00 00 00 00 00 00   00 00 00 00 00 00 00 00
        11 00 00 00 00 00 00 00   01 00 00 00   00 00 00 00
        ff ff ff ff ff ff ff ff   04 00 00 00   00 00 00 00
        00 00 00 00 02 00 00 00   03 00 00 00   00 00 00 00
        fe ff ff ff ff ff ff ff   ff c9 9a 3b   00 00 00 00
        08 00 00 00   2c 01 00 00   00 00 00 00   42 00 00 00 ${'00'.repeat(112)}`),
    );
  });

  test('statx of a filesystem without birth times does not claim one', () => {
    const wire = new Wire(288);
    const stat = sample();
    stat.mask = STATX_BASIC_STATS;
    encodeStatx(wire, 0, stat, validity(7));
    expect(wire.u32(32)).toBe(STATX_BASIC_STATS);
  });

  test.each([
    ['a directory is read in 128 KiB', S_IFDIR, 4096, 131_072],
    ['or in more where its layer wants more', S_IFDIR, 1 << 20, 1 << 20],
    ['a file keeps the size of its layer', S_IFREG, 4096, 4096],
  ])('st_blksize: %s', (_, mode, blksize, shown) => {
    const stat = Object.assign(sample(), { mode, blksize });
    const wire = new Wire(288);
    encodeAttrOut(wire, 0, stat, validity(1));
    expect(wire.u32(96)).toBe(shown);
    encodeStatx(wire, 0, stat, validity(1));
    expect(wire.u32(36)).toBe(shown);
  });

  test('statfs', () => {
    const st = new StatFs();
    Object.assign(st, { blocks: 1, bfree: 2, bavail: 3, files: 4, ffree: 5, bsize: 6, namelen: 7, frsize: 8 });
    const wire = new Wire(80);
    wire.bytes.fill(0xff);
    encodeStatfs(wire, 0, st);
    expect(wire.bytes).toEqual(
      bytes(`
        01 00 00 00 00 00 00 00   02 00 00 00 00 00 00 00   03 00 00 00 00 00 00 00   04 00 00 00 00 00 00 00
        05 00 00 00 00 00 00 00   06 00 00 00   07 00 00 00   08 00 00 00   00 00 00 00 ${'00'.repeat(24)}`),
    );
  });
});
