/**
 * The log of a disk: records of 16 bytes (kind, length, offset; little-endian) with the data of
 * writes and marks behind them. `replay` makes the disk as a power cut left it.
 */
import { readFileSync, writeSync } from 'node:fs';
import type { Random } from '../random.ts';

export const WRITE = 1;
/** Everything that was written before is on the disk from here on. */
export const FLUSH = 2;
/** The load's own word: `N` operations have returned. */
export const MARK = 3;

const HEADER = 16;

export interface LogRecord {
  kind: number;
  /** Where a write goes. */
  off: number;
  data: Buffer;
}

export function writeRecord(fd: number, kind: number, off: number, data: Buffer): void {
  const record = Buffer.allocUnsafe(HEADER + data.length);
  record.writeUInt32LE(kind, 0);
  record.writeUInt32LE(data.length, 4);
  record.writeBigUInt64LE(BigInt(off), 8);
  data.copy(record, HEADER);
  writeSync(fd, record);
}

export function readLog(path: string): LogRecord[] {
  const all = readFileSync(path);
  const records: LogRecord[] = [];
  for (let at = 0; at < all.length; ) {
    const data = all.subarray(at + HEADER, at + HEADER + all.readUInt32LE(at + 4));
    records.push({ kind: all.readUInt32LE(at), off: Number(all.readBigUInt64LE(at + 8)), data });
    at += HEADER + data.length;
  }
  return records;
}

/** How many operations of the load had returned before record `cut`, and whether the next had begun. */
export function marksBefore(records: readonly LogRecord[], cut: number): number {
  for (let i = cut - 1; i >= 0; i--) {
    if (records[i].kind === MARK) return Number(records[i].data.toString('latin1').trim());
  }
  return -1;
}

/**
 * Puts the writes before record `cut` onto the image behind `fd`, which holds the disk as it was
 * before the log began. With `loses`, each write after the last flush is lost as often as not: a disk
 * with a cache of its own keeps which it likes.
 */
export function replay(fd: number, records: readonly LogRecord[], cut: number, loses: Random | null): void {
  let flushed = cut;
  while (flushed > 0 && records[flushed - 1].kind !== FLUSH) flushed--;
  for (let i = 0; i < cut; i++) {
    const { kind, off, data } = records[i];
    if (kind !== WRITE || (loses !== null && i >= flushed && loses.below(2) === 0)) continue;
    writeSync(fd, data, 0, data.length, off);
  }
}
