/**
 * Records of live mounts: one small JSON file a mount in the runtime directory, named by the
 * device number of the mounted filesystem. Written by the server when the mount is live, removed
 * by it at the end; one that a killed server left behind is known by the process that it names.
 *
 * They serve `strata mount` (listing), `umount`, `explain` and messages. They lock nothing: that an
 * upper has one server is the business of lock.ts.
 */
import fs from 'node:fs';
import path from 'node:path';
import { FUSE_TYPE, parseMountinfo } from '../mount/mountinfo.ts';
import type { MountOptions } from '../mount/options.ts';
import { show } from '../mount/paths.ts';
import type { ByteString } from '../sys/bytes.ts';
import type { Stat } from '../sys/stat.ts';
import { leaveRuntimeDir, makeRuntimeDir, runtimeDirs } from './runtime-dir.ts';

/** An inode as text: `dev:ino`. */
export type InodeKey = string;

export interface MountRecord {
  version: 1;
  backend: 'fuse';
  pid: number;
  /** When the process began, in clock ticks since boot: pids are used again. */
  startTime: number;
  /** `major:minor` of the mounted filesystem, as in mountinfo. */
  device: string;
  /** Byte strings, as all paths here. */
  mountPoint: ByteString;
  source: ByteString;
  /** What it was mounted with, layers included. */
  options: MountOptions;
  upper: InodeKey | null;
  work: InodeKey | null;
}

export function inodeKey(st: Stat): InodeKey {
  return `${st.dev}:${st.ino}`;
}

/** Field 22 of /proc/PID/stat, or null when there is no such process or only its exit status is left (a zombie). */
export function startTime(pid: number | 'self'): number | null {
  let stat: string;
  try {
    stat = fs.readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return null;
  }
  // The name of the process is in parentheses and may hold anything, parentheses too.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' ? null : Number(fields[19]);
}

function fileName(device: string): string {
  return `${device.replace(':', '-')}.json`;
}

/** Writes the record in one step: a reader sees all of it or nothing. @throws Error. */
export function writeRecord(record: MountRecord): void {
  const text = `${JSON.stringify(record)}\n`;
  try {
    write(makeRuntimeDir(), record, text);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    // The last other record has gone just now, and the directory with it.
    write(makeRuntimeDir(), record, text);
  }
}

function write(dir: string, record: MountRecord, text: string): void {
  const file = path.join(dir, fileName(record.device));
  const temp = `${file}.${record.pid}`;
  fs.writeFileSync(temp, text, { mode: 0o600 });
  fs.renameSync(temp, file);
}

/** Removes the record of `device` if it is `pid`'s. Never fails: one that stays is known by its process. */
export function removeRecord(device: string, pid: number): void {
  for (const dir of runtimeDirs()) {
    const file = path.join(dir, fileName(device));
    if (readRecord(file)?.pid === pid) remove(file);
  }
}

function remove(file: string): void {
  try {
    fs.rmSync(file, { force: true });
    leaveRuntimeDir(path.dirname(file));
  } catch {
    // A file that cannot be removed is stale, not wrong.
  }
}

function readRecord(file: string): MountRecord | null {
  try {
    const record = JSON.parse(fs.readFileSync(file, 'utf8')) as Partial<MountRecord> | null;
    return record?.version === 1 && typeof record.pid === 'number' ? (record as MountRecord) : null;
  } catch {
    // Removed in the meantime, or none of ours.
    return null;
  }
}

/** Whether the process that wrote the record still runs. */
function isRunning(record: MountRecord): boolean {
  return startTime(record.pid) === record.startTime;
}

function namesIn(dir: string): string[] {
  try {
    return fs.readdirSync(dir);
  } catch {
    // Gone with its last record.
    return [];
  }
}

/** The records whose server runs. Those of killed servers are removed on the way. */
export function readRecords(): MountRecord[] {
  const records: MountRecord[] = [];
  for (const dir of runtimeDirs()) {
    for (const name of namesIn(dir)) {
      const file = path.join(dir, name);
      const record = name.endsWith('.json') ? readRecord(file) : null;
      if (record === null) continue;
      if (isRunning(record)) records.push(record);
      else remove(file);
    }
  }
  return records;
}

/** After a dead mount has been taken away: its record goes too. */
export function forgetKilledServers(): void {
  readRecords();
}

/** Whether the record's mount is still mounted, in the mount namespace of its server. */
export function isMounted(record: MountRecord): boolean {
  let table: string;
  try {
    table = fs.readFileSync(`/proc/${record.pid}/mountinfo`, 'latin1');
  } catch {
    return false;
  }
  // Device numbers are used again: the place and the type must be the same too.
  return parseMountinfo(table).some(
    (entry) => entry.device === record.device && entry.mountPoint === record.mountPoint && entry.fstype === FUSE_TYPE,
  );
}

/** The live mount whose upper or workdir is the inode `key`. One that is only ending does not count. */
export function mountUsing(...keys: InodeKey[]): MountRecord | null {
  const uses = (key: InodeKey | null): boolean => key !== null && keys.includes(key);
  return readRecords().find((record) => (uses(record.upper) || uses(record.work)) && isMounted(record)) ?? null;
}

/** Who uses an upper or workdir, in words for a message (`CheckRules.usedByServer`). The records are read once. */
export function usedByServer(): (path: ByteString, st: Stat) => string | null {
  let records: MountRecord[] | null = null;
  return (_path, st) => {
    records ??= readRecords();
    const key = inodeKey(st);
    const record = records.find((one) => (one.upper === key || one.work === key) && isMounted(one));
    return record === undefined ? null : describe(record);
  };
}

export function describe(record: MountRecord): string {
  return `the strata mount at ${show(record.mountPoint)} (process ${record.pid})`;
}
