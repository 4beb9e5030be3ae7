import { describe, expect, test } from 'vitest';
import { message, type Part, testOptions, u32 } from '../../test/support/fuse-request.ts';
import * as f from './flags.ts';
import { encodeInit, type InitWishes, negotiate } from './init.ts';
import { INIT } from './opcodes.ts';
import { Reply, Request } from './wire.ts';

/** What Linux 6.18 sends: every flag up to bit 30, and flags2 up to bit 10. */
const ALL = 0x7fff_ffff;
const modern: Part[] = [u32(7), u32(45), u32(131_072), u32(ALL), u32(0x7ff), Buffer.alloc(44)];

function init(parts: Part[], wishes: Partial<InitWishes> = {}) {
  const request = new Request(8192);
  const bytes = message(INIT, parts, { nodeid: 0 });
  bytes.copy(request.bytes);
  request.load(bytes.length);
  return negotiate(request, { ...testOptions, ...wishes });
}

describe('negotiate', () => {
  test('takes what it wants of what a modern kernel offers, and nothing else', () => {
    const agreed = init(modern);
    expect(agreed).toMatchObject({ minor: 45, passthrough: true, setxattrExt: true, maxReadahead: 131_072 });
    const refused = (1 << 1) | (1 << 10) | (1 << 16) | (1 << 17) | (1 << 24) | (1 << 12) | f.INIT_EXPORT_SUPPORT;
    expect(agreed!.flags & refused).toBe(0);
    expect(agreed!.flags & f.INIT_HANDLE_KILLPRIV_V2).not.toBe(0);
    expect(agreed!.flags2).toBe(
      f.INIT2_CREATE_SUPP_GROUP | f.INIT2_DIRECT_IO_ALLOW_MMAP | f.INIT2_PASSTHROUGH | f.INIT2_NO_EXPORT_SUPPORT,
    );
  });

  test('answers only what was offered', () => {
    const offered = f.INIT_ASYNC_READ | f.INIT_BIG_WRITES | f.INIT_PARALLEL_DIROPS;
    expect(init([u32(7), u32(34), u32(4096), u32(offered)])).toMatchObject({
      minor: 34,
      flags: offered,
      flags2: 0,
      passthrough: false,
      setxattrExt: false,
    });
  });

  test('does not read flags2 where the kernel did not say that it sent them', () => {
    const parts = [u32(7), u32(35), u32(4096), u32(ALL & ~f.INIT_INIT_EXT), u32(0x7ff), Buffer.alloc(44)];
    expect(init(parts)!.flags2).toBe(0);
  });

  test.each([
    ['readdirplus', { readdirplus: 'always' }, f.INIT_DO_READDIRPLUS],
    ['readdirplus', { readdirplus: 'auto' }, f.INIT_DO_READDIRPLUS | f.INIT_READDIRPLUS_AUTO],
    ['readdirplus', { readdirplus: 'never' }, 0],
    ['ACLs', { readdirplus: 'never', posixAcl: true }, f.INIT_POSIX_ACL],
    ['export', { readdirplus: 'never', exportSupport: true }, f.INIT_EXPORT_SUPPORT],
  ] as const)('wishes for %s: %o', (_, wishes, flags) => {
    const all = f.INIT_DO_READDIRPLUS | f.INIT_READDIRPLUS_AUTO | f.INIT_POSIX_ACL | f.INIT_EXPORT_SUPPORT;
    expect(init(modern, { posixAcl: false, ...wishes })!.flags & all).toBe(flags);
  });

  test('a newer kernel is answered with the version known here', () => {
    expect(init([u32(7), u32(99), u32(4096), u32(0)])!.minor).toBe(45);
  });

  test.each([
    [6, 45],
    [8, 0],
    [7, 30],
  ])('version %d.%d is refused', (major, minor) => {
    expect(init([u32(major), u32(minor), u32(4096), u32(0)])).toBeNull();
  });
});

test('encodeInit', () => {
  const reply = new Reply(8192);
  reply.bytes.fill(0xff);
  const size = encodeInit(reply, {
    minor: 45,
    flags: 0x0040_0021,
    flags2: 0x74,
    setxattrExt: true,
    passthrough: true,
    maxReadahead: 131_072,
  });
  expect(reply.bytes.subarray(16, 16 + size).toString('hex')).toBe(
    [
      '07000000 2d000000 00000200 21004000',
      '4000 3000 00001000 01000000 0001 0000',
      `74000000 01000000 ${'00'.repeat(24)}`,
    ]
      .join('')
      .replaceAll(' ', ''),
  );
});
