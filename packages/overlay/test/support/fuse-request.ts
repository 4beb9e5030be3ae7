/** FUSE requests as the kernel would send them, for tests: a header and the parts of a body. */
import { Connection, type ConnectionOptions } from '../../src/fuse/connection.ts';
import { IN_HEADER } from '../../src/fuse/layout.ts';
import { Notify } from '../../src/fuse/notify.ts';
import { BackingFiles } from '../../src/fuse/passthrough.ts';
import type { Ops } from '../../src/ops/ops.ts';

/** Little-endian integers; a string is bytes and its NUL. */
export type Part = { u32: number } | { u64: number | bigint } | string | Buffer;

export const u32 = (value: number): Part => ({ u32: value });
export const u64 = (value: number | bigint): Part => ({ u64: value });

function body(parts: Part[]): Buffer {
  return Buffer.concat(
    parts.map((part) => {
      if (Buffer.isBuffer(part)) return part;
      if (typeof part === 'string') return Buffer.from(`${part}\0`, 'latin1');
      const bytes = Buffer.alloc('u32' in part ? 4 : 8);
      if ('u32' in part) bytes.writeUInt32LE(part.u32 >>> 0);
      else bytes.writeBigUInt64LE(BigInt.asUintN(64, BigInt(part.u64)));
      return bytes;
    }),
  );
}

export interface Header {
  unique?: bigint;
  nodeid?: number;
  uid?: number;
  gid?: number;
  pid?: number;
  /** Extensions, already padded to 8 bytes. */
  extensions?: Buffer;
}

export function message(opcode: number, parts: Part[], header: Header = {}): Buffer {
  const content = body(parts);
  const extensions = header.extensions ?? Buffer.alloc(0);
  const head = Buffer.alloc(IN_HEADER);
  head.writeUInt32LE(IN_HEADER + content.length + extensions.length, 0);
  head.writeUInt32LE(opcode, 4);
  head.writeBigUInt64LE(header.unique ?? 2n, 8);
  head.writeBigUInt64LE(BigInt(header.nodeid ?? 1), 16);
  head.writeUInt32LE(header.uid ?? 0, 24);
  head.writeUInt32LE(header.gid ?? 0, 28);
  head.writeUInt32LE(header.pid ?? 0, 32);
  head.writeUInt16LE(extensions.length / 8, 36);
  return Buffer.concat([head, content, extensions]);
}

export const testOptions: ConnectionOptions = {
  readdirplus: 'always',
  posixAcl: true,
  exportSupport: false,
  passthrough: true,
  entryTimeout: 60,
  negativeTimeout: 30,
  attrTimeout: 90.5,
};

export interface TestConnection {
  connection: Connection;
  log: string[];
  /** Messages that the server sent unasked. */
  notified: Buffer[];
  /** Descriptors registered and ids given back, in order. */
  backing: string[];
}

/** A connection whose device is two arrays. `register` answers for backing files. */
export function testConnection(
  ops: Ops,
  options: Partial<ConnectionOptions> = {},
  register: (fd: number) => number = (fd) => fd + 1000,
): TestConnection {
  const log: string[] = [];
  const notified: Buffer[] = [];
  const backing: string[] = [];
  const files = new BackingFiles(
    {
      directAlign: () => 512,
      register(fd) {
        backing.push(`register ${fd}`);
        return register(fd);
      },
      unregister(id) {
        backing.push(`unregister ${id}`);
      },
    },
    (line) => log.push(line),
  );
  const notify = new Notify((bytes, length) => {
    notified.push(Buffer.from(bytes.subarray(0, length)));
    return length;
  });
  const connection = new Connection(ops, { ...testOptions, ...options }, files, notify, (line) => log.push(line));
  return { connection, log, notified, backing };
}

/** Puts a message where the device would. */
export function load(connection: Connection, bytes: Buffer): boolean {
  bytes.copy(connection.request.bytes);
  return connection.request.load(bytes.length);
}
