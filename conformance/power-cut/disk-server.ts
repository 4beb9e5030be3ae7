/**
 * A disk that writes down everything that is done to it: `node disk-server.js MOUNTPOINT IMAGE LOG`.
 * Mounts a FUSE filesystem of two files and serves it until it is unmounted. A loop device on `disk`
 * is the disk of a filesystem under test; what is written to `mark` says how far its load has come.
 * The log holds, in the order in which they came, writes, flushes and marks (write-log.ts).
 *
 * It speaks the protocol by itself, without a line of the engine's server, so that a fault of that
 * one cannot hide itself. Structures are those of linux/fuse.h, 7.31; only what a loop device and
 * a shell need is answered. Discarding is refused: a hole that nobody logged would be replayed as data.
 */
import { closeSync, fstatSync, openSync, readSync, writeSync } from 'node:fs';
import { fromText } from 'stratafs/internal/sys/bytes';
import { MS_NODEV, MS_NOSUID } from 'stratafs/internal/sys/constants';
import { ENODEV, ENOENT, ENOSYS, errnoName } from 'stratafs/internal/sys/errno';
import { openSys } from 'stratafs/internal/sys/sys-koffi';
import { FLUSH, MARK, WRITE, writeRecord } from './write-log.ts';

const [mountPoint, image, log] = process.argv.slice(2);
const sys = openSys();

const MAX_WRITE = 1 << 20;
const IN_HEADER = 40;
const OUT_HEADER = 16;
const DISK = 2n;
const MARK_FILE = 3n;
const S_IFDIR_755 = 0o040755;
const S_IFREG_600 = 0o100600;
/** Past the page cache: what the log says was written has been written. */
const FOPEN_DIRECT_IO = 1;
const FUSE_BIG_WRITES = 1 << 5;
const FUSE_MAX_PAGES = 1 << 22;

const op = {
  lookup: 1,
  forget: 2,
  getattr: 3,
  setattr: 4,
  open: 14,
  read: 15,
  write: 16,
  statfs: 17,
  release: 18,
  fsync: 20,
  flush: 25,
  init: 26,
  opendir: 27,
  readdir: 28,
  releasedir: 29,
  interrupt: 36,
  destroy: 38,
  batchForget: 42,
} as const;

const request = Buffer.alloc(MAX_WRITE + 4096);
const reply = Buffer.alloc(MAX_WRITE + 4096);
const disk = openSync(image, 'r+');
const diskSize = fstatSync(disk).size;
const logFd = openSync(log, 'w');

/** struct fuse_attr: 88 bytes. */
function putAttr(at: number, nodeid: bigint): void {
  const root = nodeid === 1n;
  const size = nodeid === DISK ? diskSize : 0;
  reply.writeBigUInt64LE(nodeid, at);
  reply.writeBigUInt64LE(BigInt(size), at + 8);
  reply.writeBigUInt64LE(BigInt(Math.ceil(size / 512)), at + 16);
  reply.writeUInt32LE(root ? S_IFDIR_755 : S_IFREG_600, at + 60);
  reply.writeUInt32LE(root ? 2 : 1, at + 64);
  reply.writeUInt32LE(4096, at + 80);
}

/** @returns the length of the payload behind the header, or a negative errno. */
function answer(opcode: number, nodeid: bigint, length: number): number {
  const body = OUT_HEADER;
  switch (opcode) {
    case op.init:
      reply.writeUInt32LE(7, body);
      reply.writeUInt32LE(31, body + 4);
      reply.writeUInt32LE(request.readUInt32LE(IN_HEADER + 8), body + 8);
      reply.writeUInt32LE(FUSE_BIG_WRITES | FUSE_MAX_PAGES, body + 12);
      reply.writeUInt32LE(MAX_WRITE, body + 20);
      reply.writeUInt32LE(1, body + 24);
      reply.writeUInt16LE(MAX_WRITE / 4096, body + 28);
      return 64;
    case op.lookup: {
      const name = request.toString('latin1', IN_HEADER, length - 1);
      const found = name === 'disk' ? DISK : name === 'mark' ? MARK_FILE : 0n;
      if (found === 0n) return -ENOENT;
      reply.writeBigUInt64LE(found, body);
      putAttr(body + 40, found);
      return 128;
    }
    case op.getattr:
    case op.setattr:
      putAttr(body + 16, nodeid);
      return 104;
    case op.open:
    case op.opendir:
      reply.writeUInt32LE(opcode === op.open ? FOPEN_DIRECT_IO : 0, body + 8);
      return 16;
    case op.read:
      if (nodeid !== DISK) return 0;
      return readSync(
        disk,
        reply,
        body,
        request.readUInt32LE(IN_HEADER + 16),
        Number(request.readBigUInt64LE(IN_HEADER + 8)),
      );
    case op.write: {
      const offset = Number(request.readBigUInt64LE(IN_HEADER + 8));
      const size = request.readUInt32LE(IN_HEADER + 16);
      const data = request.subarray(IN_HEADER + 40, IN_HEADER + 40 + size);
      if (nodeid === DISK) writeSync(disk, data, 0, size, offset);
      writeRecord(logFd, nodeid === DISK ? WRITE : MARK, offset, data);
      reply.writeUInt32LE(size, body);
      return 8;
    }
    case op.fsync:
      if (nodeid === DISK) writeRecord(logFd, FLUSH, 0, request.subarray(0, 0));
      return 0;
    case op.statfs:
      return 80;
    case op.release:
    case op.releasedir:
    case op.flush:
    case op.readdir:
    case op.destroy:
      return 0;
    default:
      return -ENOSYS;
  }
}

const device = sys.openat(-100, '/dev/fuse', 2, 0);
const options = `fd=${device},rootmode=40000,user_id=0,group_id=0,allow_other`;
const mounted = sys.mount('write-log-disk', fromText(mountPoint), 'fuse', MS_NOSUID | MS_NODEV, options);
if (device < 0 || mounted < 0) {
  console.log(errnoName(Math.min(device, mounted)));
  process.exit(1);
}
// Written before the thread goes to sleep in read for good.
writeSync(1, 'live\n');

for (;;) {
  const length = sys.read(device, request, 0, request.length);
  if (length === -ENODEV) break;
  // Interrupted, or a request was taken back.
  if (length < IN_HEADER) continue;
  const opcode = request.readUInt32LE(4);
  if (opcode === op.forget || opcode === op.batchForget || opcode === op.interrupt) continue;
  reply.fill(0, 0, OUT_HEADER + 256);
  const result = answer(opcode, request.readBigUInt64LE(16), length);
  const size = OUT_HEADER + Math.max(0, result);
  reply.writeUInt32LE(size, 0);
  reply.writeInt32LE(Math.min(0, result), 4);
  request.copy(reply, 8, 8, 16);
  sys.write(device, reply, 0, size);
}
closeSync(logFd);
closeSync(disk);
