import { describe, expect, test } from 'vitest';
import { load, message, type Part, testConnection, u32, u64 } from '../../test/support/fuse-request.ts';
import { recordingOps } from '../../test/support/recording-ops.ts';
import type { OpenOut, Ops } from '../ops/ops.ts';
import { O_RDONLY, O_RDWR, O_WRONLY, S_IFDIR, S_IFREG } from '../sys/constants.ts';
import {
  ECONNABORTED,
  EFBIG,
  EINTR,
  EINVAL,
  EIO,
  ENODATA,
  ENOENT,
  ENOSYS,
  ENOTTY,
  EOPNOTSUPP,
  EPROTO,
  ERANGE,
} from '../sys/errno.ts';
import { dispatch } from './dispatch.ts';
import * as f from './flags.ts';
import * as op from './opcodes.ts';
import { undo } from './undo.ts';

const initParts: Part[] = [u32(7), u32(45), u32(131_072), u32(0x7fff_ffff), u32(0x7ff), Buffer.alloc(44)];

type TestOptions = Parameters<typeof testConnection>[1];

/** A connection past INIT over `answers`. */
function serve(answers: Partial<Ops>, options: TestOptions = {}, register?: (fd: number) => number) {
  const ops = recordingOps(answers);
  const made = testConnection(ops, options, register);
  const { connection } = made;
  const call = (opcode: number, parts: Part[], header = {}): { error: number; payload: Buffer; replied: boolean } => {
    expect(load(connection, message(opcode, parts, header))).toBe(true);
    const replied = dispatch(connection);
    const { reply } = connection;
    const error = reply.i32(4) === 0 ? 0 : reply.i32(4);
    return { replied, error, payload: Buffer.from(reply.bytes.subarray(16, reply.length)) };
  };
  call(op.INIT, initParts, { nodeid: 0 });
  return { ...made, ops, call };
}

const found: Partial<Ops> = {
  lookup(_caller, _parent, name, out) {
    if (name !== 'file') return -ENOENT;
    out.nodeid = 5;
    out.generation = 2;
    out.attr.mode = S_IFREG | 0o644;
    out.attr.ino = 99n;
    return 0;
  },
};

describe('INIT', () => {
  test('a protocol of no use is EPROTO and stays unagreed', () => {
    const { connection } = testConnection(recordingOps({}));
    load(connection, message(op.INIT, [u32(7), u32(12), u32(0), u32(0)]));
    expect(dispatch(connection)).toBe(true);
    expect(connection.reply.i32(4)).toBe(-EPROTO);
    expect(connection.agreed).toBeNull();
  });

  test('passthrough is on where it was agreed', () => {
    expect(serve({}).connection.backing.enabled).toBe(true);
    expect(serve({}, { passthrough: false }).connection.backing.enabled).toBe(false);
  });
});

describe('names', () => {
  test('LOOKUP hands over the entry with both timeouts', () => {
    const { call, ops } = serve(found);
    const { error, payload } = call(op.LOOKUP, ['file'], { nodeid: 3, uid: 1000, gid: 100, pid: 42 });
    expect(error).toBe(0);
    expect(payload.length).toBe(128);
    expect(payload.readBigUInt64LE(0)).toBe(5n);
    expect(payload.readBigUInt64LE(8)).toBe(2n);
    expect(payload.readBigUInt64LE(16)).toBe(60n);
    expect(payload.readBigUInt64LE(24)).toBe(90n);
    expect(payload.readUInt32LE(36)).toBe(500_000_000);
    expect(payload.readBigUInt64LE(40)).toBe(99n);
    const caller = { uid: 1000, gid: 100, pid: 42, umask: 0, groups: undefined };
    expect(ops.calls[0]).toMatchObject({ name: 'lookup', args: [caller, 3, 'file', expect.anything()] });
  });

  test('a missing name is remembered for a while: nodeid 0 and a timeout', () => {
    const { error, payload } = serve(found).call(op.LOOKUP, ['gone']);
    expect(error).toBe(0);
    expect(payload.readBigUInt64LE(0)).toBe(0n);
    expect(payload.readBigUInt64LE(16)).toBe(30n);
  });

  test('without a negative timeout it is ENOENT', () => {
    expect(serve(found, { negativeTimeout: 0 }).call(op.LOOKUP, ['gone']).error).toBe(-ENOENT);
  });

  test('FORGET and BATCH_FORGET give references back and are not answered', () => {
    const { call, ops } = serve({});
    expect(call(op.FORGET, [u64(3)], { nodeid: 5 }).replied).toBe(false);
    expect(call(op.BATCH_FORGET, [u32(2), u32(0), u64(6), u64(1), u64(7), u64(9)]).replied).toBe(false);
    expect(ops.calls.map((c) => c.args)).toEqual([
      [5, 3],
      [6, 1],
      [7, 9],
    ]);
  });

  test('what creates gets the umask and the supplementary group that came with it', () => {
    const { call, ops } = serve({ mkdir: () => 0 });
    const extensions = Buffer.from('10000000200000000100000007000000', 'hex');
    const caller = { umask: 0o27, groups: [7] };
    call(op.MKDIR, [u32(0o755), u32(0o27), 'dir'], { extensions, nodeid: 4 });
    expect(ops.calls[0]).toMatchObject({ name: 'mkdir', args: [caller, 4, 'dir', 0o755, expect.anything()] });
    call(op.MKDIR, [u32(0o755), u32(0o22), 'dir2'], { nodeid: 4 });
    expect(ops.calls[1].args[0]).toEqual({ uid: 0, gid: 0, pid: 0, umask: 0o22, groups: undefined });
  });

  test('a group extension that lies about its length is read no further than it goes', () => {
    const { call, ops } = serve({ mkdir: () => 0 });
    call(op.MKDIR, [u32(0), u32(0), 'd'], { extensions: Buffer.from('1000000020000000ffffffff07000000', 'hex') });
    expect(ops.calls[0].args[0]).toMatchObject({ groups: [7] });
    call(op.MKDIR, [u32(0), u32(0), 'd'], { extensions: Buffer.from('00000000200000000100000007000000', 'hex') });
    expect(ops.calls[1].args[0]).toMatchObject({ groups: undefined });
  });

  test.each([
    [
      'MKNOD',
      op.MKNOD,
      [u32(S_IFREG | 0o600), u32(0x103), u32(0o22), u32(0), 'n'],
      ['mknod', 1, 'n', S_IFREG | 0o600, 0x103],
    ],
    ['SYMLINK', op.SYMLINK, ['name', 'to/where'], ['symlink', 1, 'name', 'to/where']],
    ['UNLINK', op.UNLINK, ['x'], ['unlink', 1, 'x']],
    ['RMDIR', op.RMDIR, ['x'], ['rmdir', 1, 'x']],
    ['RENAME', op.RENAME, [u64(8), 'old', 'new'], ['rename', 1, 'old', 8, 'new', 0]],
    ['RENAME2', op.RENAME2, [u64(8), u32(2), u32(0), 'old', 'new'], ['rename', 1, 'old', 8, 'new', 2]],
    ['LINK', op.LINK, [u64(8), 'again'], ['link', 8, 1, 'again']],
  ] as [string, number, Part[], unknown[]][])('%s decodes to one call', (_, opcode, parts, [name, ...args]) => {
    const { call, ops } = serve({});
    expect(call(opcode, parts).error).toBe(-ENOSYS);
    expect(ops.calls).toHaveLength(1);
    expect(ops.calls[0].name).toBe(name);
    expect(ops.calls[0].args.slice(1, args.length + 1)).toEqual(args);
  });

  test('READLINK answers the bytes without a NUL', () => {
    expect(serve({ readlink: () => 'a/\xff' }).call(op.READLINK, []).payload).toEqual(Buffer.from('a/\xff', 'latin1'));
  });
});

describe('attributes', () => {
  test('GETATTR passes the handle only when the flag says so', () => {
    const { call, ops } = serve({ getattr: () => 0 });
    call(op.GETATTR, [u32(f.GETATTR_FH), u32(0), u64(77)], { nodeid: 5 });
    call(op.GETATTR, [u32(0), u32(0), u64(77)], { nodeid: 5 });
    expect(ops.calls.map((c) => c.args.slice(1, 3))).toEqual([
      [5, 77],
      [5, 0],
    ]);
  });

  test('SETATTR decodes times before 1970 and drops the bits that are about the message', () => {
    const seen: unknown[] = [];
    const { call } = serve({
      setattr(_caller, nodeid, set) {
        seen.push(nodeid, { ...set });
        return 0;
      },
    });
    const valid = 0b1111_1111_1111;
    const parts = [u32(valid), u32(0), u64(9), u64(123), u64(1), u64(-5), u64(6), u64(0)];
    parts.push(u32(7), u32(8), u32(0), u32(0o640), u32(0), u32(1000), u32(1001), u32(0));
    expect(call(op.SETATTR, parts, { nodeid: 5 }).payload.length).toBe(104);
    expect(seen).toEqual([
      5,
      {
        valid: valid & ~(f.FATTR_FH | (1 << 9)),
        fh: 9,
        size: 123,
        atime: -5,
        atimeNsec: 7,
        mtime: 6,
        mtimeNsec: 8,
        mode: 0o640,
        uid: 1000,
        gid: 1001,
      },
    ]);
  });

  test('SETATTR to a size beyond every file is EFBIG', () => {
    const { call, ops } = serve({ setattr: () => 0 });
    const parts = [u32(1 << 3), u32(0), u64(0), u64(2n ** 62n), Buffer.alloc(56)];
    expect(call(op.SETATTR, parts).error).toBe(-EFBIG);
    expect(ops.calls).toEqual([]);
  });

  test('STATX and STATFS have their sizes', () => {
    const { call } = serve({ getattr: () => 0, statfs: () => 0 });
    expect(call(op.STATX, [u32(0), u32(0), u64(0), u32(0), u32(0xfff)]).payload.length).toBe(288);
    expect(call(op.STATFS, []).payload.length).toBe(80);
  });

  test('GETXATTR: the size when asked with 0, the value, or ERANGE', () => {
    const { call } = serve({ getxattr: (_c, _n, name) => (name === 'user.a' ? Buffer.from('value') : -ENODATA) });
    const ask = (size: number, name = 'user.a') => call(op.GETXATTR, [u32(size), u32(0), name]);
    expect(ask(0).payload.toString('hex')).toBe('0500000000000000');
    expect(ask(5).payload.toString()).toBe('value');
    expect(ask(4).error).toBe(-ERANGE);
    expect(ask(5, 'user.b').error).toBe(-ENODATA);
  });

  test('LISTXATTR ends each name with a NUL; no names are no bytes', () => {
    const names = ['user.a', 'user.\xff'];
    const { call } = serve({ listxattr: () => names });
    expect(call(op.LISTXATTR, [u32(100), u32(0)]).payload.toString('latin1')).toBe('user.a\0user.\xff\0');
    names.length = 0;
    expect(call(op.LISTXATTR, [u32(100), u32(0)]).payload.length).toBe(0);
  });

  test('SETXATTR takes the value behind the name, with the flag of an ACL', () => {
    const { call, ops } = serve({ setxattr: () => 0 });
    const parts = [u32(3), u32(1), u32(1), u32(0), 'user.a', Buffer.from('a\0b')];
    expect(call(op.SETXATTR, parts, { nodeid: 5 }).error).toBe(0);
    expect(ops.calls[0].args.slice(1)).toEqual([5, 'user.a', Buffer.from('a\0b'), 1, true]);
    expect(call(op.SETXATTR, [u32(9), u32(1), u32(1), u32(0), 'user.a', Buffer.from('abc')]).error).toBe(-EINVAL);
  });
});

describe('files', () => {
  const opening = (open: Partial<OpenOut>): Partial<Ops> => ({
    open(_caller, _nodeid, _flags, _kill, out) {
      Object.assign(out, open);
      return 0;
    },
    create(_caller, _parent, _name, _flags, _mode, entry, out) {
      entry.nodeid = 6;
      Object.assign(out, open);
      return 0;
    },
  });
  const openFlags = (payload: Buffer, at = 0) => ({
    flags: payload.readUInt32LE(at + 8),
    id: payload.readInt32LE(at + 12),
  });

  test('OPEN of a cached file', () => {
    const { call, ops } = serve(opening({ fh: 12, keepCache: true }));
    const { payload } = call(op.OPEN, [u32(O_RDWR), u32(f.OPEN_KILL_SUIDGID)], { nodeid: 5 });
    expect(payload.readBigUInt64LE(0)).toBe(12n);
    expect(openFlags(payload)).toEqual({ flags: f.FOPEN_KEEP_CACHE, id: 0 });
    expect(ops.calls[0].args.slice(1, 4)).toEqual([5, O_RDWR, true]);
  });

  test('OPEN of a complete upper file is passthrough, never with KEEP_CACHE', () => {
    const { call, backing } = serve(opening({ fh: 12, keepCache: true, backingFd: 8 }));
    const { payload } = call(op.OPEN, [u32(O_RDONLY), u32(0)], { nodeid: 5 });
    expect(openFlags(payload)).toEqual({ flags: f.FOPEN_PASSTHROUGH, id: 1008 });
    call(op.RELEASE, [u64(12), u32(O_RDONLY), u32(0), u64(0)], { nodeid: 5 });
    expect(backing).toEqual(['register 8', 'unregister 1008']);
  });

  test('while somebody may write to the backing file, attributes are not to be kept', () => {
    const { call, notified } = serve({ ...opening({ fh: 1, backingFd: 8 }), ...found, getattr: () => 0 });
    const attrValid = () => call(op.GETATTR, [u32(0), u32(0), u64(0)], { nodeid: 5 }).payload.readBigUInt64LE(0);
    call(op.OPEN, [u32(O_RDONLY), u32(0)], { nodeid: 5 });
    expect([attrValid(), notified.length]).toEqual([90n, 0]);
    call(op.OPEN, [u32(O_WRONLY), u32(0)], { nodeid: 5 });
    expect([attrValid(), notified.length]).toEqual([0n, 1]);
    expect(call(op.LOOKUP, ['file']).payload.readBigUInt64LE(24)).toBe(0n);
    call(op.RELEASE, [u64(1), u32(O_WRONLY), u32(0), u64(0)], { nodeid: 5 });
    expect(attrValid()).toBe(90n);
  });

  test('CREATE is passthrough too, and answers entry and open', () => {
    const { call, ops } = serve(opening({ fh: 12, backingFd: 8 }));
    const { payload } = call(op.CREATE, [u32(O_RDWR), u32(0o100644), u32(0o22), u32(0), 'new'], { nodeid: 3 });
    expect(payload.length).toBe(144);
    expect(payload.readBigUInt64LE(0)).toBe(6n);
    // The attributes of a file that is open for writing in passthrough are not kept.
    expect(payload.readBigUInt64LE(24)).toBe(0n);
    expect(openFlags(payload, 128)).toEqual({ flags: f.FOPEN_PASSTHROUGH, id: 1008 });
    expect(ops.calls[0].args.slice(1, 5)).toEqual([3, 'new', O_RDWR, 0o100644]);
    expect(ops.calls[0].args[0]).toMatchObject({ umask: 0o22 });
  });

  test('READ fills the reply; an offset beyond every file is the end', () => {
    const { call, ops } = serve({
      read(_caller, _fh, buf, off, len) {
        buf.fill(0x61, off, off + len);
        return len;
      },
    });
    const read = (offset: bigint, size: number) =>
      call(op.READ, [u64(12), u64(offset), u32(size), u32(0), u64(0), u32(0), u32(0)]);
    expect(read(4096n, 5).payload.toString()).toBe('aaaaa');
    expect(ops.calls[0].args[1]).toBe(12);
    expect(ops.calls[0].args.slice(3)).toEqual([16, 5, 4096]);
    expect(read(2n ** 62n, 5).payload.length).toBe(0);
    // More than the buffer holds is cut, not overrun.
    expect(read(0n, 2 ** 31).payload.length).toBeLessThan(2 ** 21);
  });

  test('WRITE passes the data in place', () => {
    const { call, ops } = serve({
      write: (_c, _fh, buf, off, len) =>
        Buffer.from(buf)
          .subarray(off, off + len)
          .indexOf('!'),
    });
    const write = (offset: bigint, size: number) =>
      call(op.WRITE, [u64(12), u64(offset), u32(size), u32(4), u64(0), u32(0), u32(0), Buffer.from('data!')]);
    expect(write(8n, 5).payload.toString('hex')).toBe('0400000000000000');
    expect(ops.calls[0].args.slice(3)).toEqual([80, 5, 8, true]);
    expect(write(8n, 6).error).toBe(-EINVAL);
    expect(write(2n ** 53n, 5).error).toBe(-EFBIG);
  });

  test('FLUSH is ENOSYS, which the kernel asks once', () => {
    expect(serve({}).call(op.FLUSH, [u64(12), u32(0), u32(0), u64(0)]).error).toBe(-ENOSYS);
  });

  test('FALLOCATE, LSEEK and both COPY_FILE_RANGEs', () => {
    const { call, ops } = serve({ fallocate: () => 0, lseek: () => 2 ** 33, copyFileRange: () => 2 ** 33 });
    expect(call(op.FALLOCATE, [u64(1), u64(2), u64(3), u32(4), u32(0)]).error).toBe(0);
    expect(call(op.LSEEK, [u64(1), u64(2), u32(3), u32(0)]).payload.toString('hex')).toBe('0000000002000000');
    const copy = (opcode: number, flags = 0) =>
      call(opcode, [u64(1), u64(2), u64(3), u64(4), u64(5), u64(2n ** 34n), u64(flags)]);
    expect(copy(op.COPY_FILE_RANGE_64).payload.toString('hex')).toBe('0000000002000000');
    copy(op.COPY_FILE_RANGE);
    expect(copy(op.COPY_FILE_RANGE, 1).error).toBe(-EINVAL);
    expect(ops.calls.map((c) => c.args.slice(1))).toEqual([
      [1, 4, 2, 3],
      [1, 2, 3],
      [1, 2, 4, 5, 2 ** 34],
      [1, 2, 4, 5, 0x7fff_f000],
    ]);
  });
});

describe('directories', () => {
  test('OPENDIR allows the listing to be cached and kept', () => {
    const { call } = serve({
      opendir(_caller, _nodeid, out) {
        out.fh = 4;
        out.keepCache = true;
        return 0;
      },
    });
    expect(call(op.OPENDIR, [u32(0), u32(0)]).payload.readUInt32LE(8)).toBe(f.FOPEN_CACHE_DIR | f.FOPEN_KEEP_CACHE);
  });

  test('READDIR gives what fits; an error after entries waits for the next call', () => {
    let emit = 3;
    const { call, ops } = serve({
      readdir(_caller, _fh, _off, _plus, sink) {
        for (let i = 0; i < emit && sink.fits(1); i++) sink.add('x', 1n, 8, i + 1, null);
        return -EIO;
      },
    });
    const list = (size: number) => call(op.READDIR, [u64(4), u64(7), u32(size), u32(0), u64(0), u32(0), u32(0)]);
    expect(list(4096).payload.length).toBe(96);
    expect(list(70).payload.length).toBe(64);
    emit = 0;
    expect(list(4096).error).toBe(-EIO);
    expect(ops.calls[0].args.slice(1, 4)).toEqual([4, 7, false]);
  });
});

describe('IOCTL', () => {
  const ioctl = (cmd: number, data: Buffer = Buffer.alloc(0)) => [
    u64(1),
    u32(0),
    u32(cmd),
    u64(0),
    u32(data.length),
    u32(28),
    data,
  ];

  test('FS_IOC_GETFLAGS and SETFLAGS', () => {
    const { call, ops } = serve({ getflags: () => 0x30, setflags: () => 0 });
    expect(call(op.IOCTL, ioctl(0x80086601), { nodeid: 5 }).payload.toString('hex')).toBe(`${'00'.repeat(16)}30000000`);
    expect(call(op.IOCTL, ioctl(0x40086602, Buffer.from('10000000', 'hex')), { nodeid: 5 }).payload.length).toBe(16);
    expect(ops.calls[1].args.slice(1)).toEqual([5, 0x10]);
  });

  test('FSGETXATTR and FSSETXATTR are the same flags by other numbers', () => {
    const { call, ops } = serve({ getflags: () => 0x1_0030, setflags: () => 0 });
    const got = call(op.IOCTL, ioctl(f.FS_IOC_FSGETXATTR)).payload;
    expect(got.length).toBe(44);
    expect(got.readUInt32LE(16)).toBe(0x18);
    const set = Buffer.alloc(28);
    set.writeUInt32LE(0x40, 0);
    expect(call(op.IOCTL, ioctl(f.FS_IOC_FSSETXATTR, set)).error).toBe(0);
    // Flags that have no twin stay as they are.
    expect(ops.calls.at(-1)!.args[2]).toBe(0x1_0080);
    set.writeUInt32LE(1, 12);
    expect(call(op.IOCTL, ioctl(f.FS_IOC_FSSETXATTR, set)).error).toBe(-EOPNOTSUPP);
  });

  test('any other is ENOTTY', () => {
    expect(serve({}).call(op.IOCTL, ioctl(0x5401)).error).toBe(-ENOTTY);
  });
});

describe('the server lives', () => {
  test('an exception is EIO and a line with opcode, nodeid and stack', () => {
    const { call, log } = serve({
      getattr() {
        throw new TypeError('oh dear');
      },
    });
    const { error, payload } = call(op.GETATTR, [u32(0), u32(0), u64(0)], { nodeid: 5 });
    expect([error, payload.length]).toEqual([-EIO, 0]);
    expect(log).toHaveLength(1);
    expect(log[0]).toMatch(/^GETATTR n5 answered EIO: TypeError: oh dear\n.*dispatch\.test/s);
  });

  test('an exception of FORGET is not answered', () => {
    const { call, log } = serve({
      forget() {
        throw new Error('oh dear');
      },
    });
    expect(call(op.FORGET, [u64(1)], { nodeid: 5 }).replied).toBe(false);
    expect(log[0]).toContain('FORGET n5: Error: oh dear');
  });

  test('a result that is no errno is EIO: the kernel would refuse the reply and the caller hang', () => {
    const { call, log } = serve({ unlink: () => -5000 });
    expect(call(op.UNLINK, ['x']).error).toBe(-EIO);
    expect(log[0]).toContain('UNLINK');
  });

  test('work that was cancelled is ECONNABORTED: callers would repeat what is EINTR', () => {
    expect(serve({ unlink: () => -EINTR }).call(op.UNLINK, ['x']).error).toBe(-ECONNABORTED);
  });

  test.each([
    ['POLL', op.POLL],
    ['BMAP', op.BMAP],
    ['GETLK', op.GETLK],
    ['SETUPMAPPING', op.SETUPMAPPING],
    ['opcode 99', 99],
    ['INTERRUPT', op.INTERRUPT],
  ])('%s is ENOSYS', (_, opcode) => {
    expect(serve({}).call(opcode, [u64(0), u64(0)]).error).toBe(-ENOSYS);
  });

  test('DESTROY is answered, NOTIFY_REPLY is not', () => {
    const { call } = serve({});
    expect(call(op.DESTROY, [])).toMatchObject({ replied: true, error: 0 });
    expect(call(op.NOTIFY_REPLY, [])).toMatchObject({ replied: false });
  });
});

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
