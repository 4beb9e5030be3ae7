/**
 * What cases do all the time, in one word: whole files, listings, a field of a stat. Each fails
 * the case when a call fails that should not; what is under test calls the door itself.
 */
import type { ByteString } from 'stratafs/internal/sys/bytes';
import * as c from 'stratafs/internal/sys/constants';
import { ENOENT } from 'stratafs/internal/sys/errno';
import type { Stat } from 'stratafs/internal/sys/stat';
import { equal, ok } from './expect.ts';
import type { Dirent, Door, Vfs } from './target.ts';
import { bytes } from './tree.ts';

/** What a case has that needs 'vfs'. */
export function vfs(t: Door): Vfs {
  if (t.vfs === null) {
    throw new Error("set-up: the case does not say that it needs 'vfs'");
  }
  return t.vfs;
}

/** Opens or fails the case. */
export function open(t: Door, path: ByteString, flags: number, mode = 0o644): number {
  return ok<number>(t.open(path, flags, mode));
}

export function readFile(t: Door, path: ByteString): Buffer {
  const fd = open(t, path, c.O_RDONLY);
  const data = readAll(t, fd);
  ok(t.close(fd));
  return data;
}

/** From the beginning, wherever the descriptor stands. */
export function readAll(t: Door, fd: number): Buffer {
  const chunks: Buffer[] = [];
  for (let pos = 0; ; ) {
    const chunk = ok<Buffer>(t.pread(fd, 65536, pos));
    if (chunk.length === 0) {
      return Buffer.concat(chunks);
    }
    chunks.push(chunk);
    pos += chunk.length;
  }
}

/** Creates or replaces the content. */
export function writeFile(t: Door, path: ByteString, data: string | Uint8Array, mode = 0o644): void {
  const fd = open(t, path, c.O_WRONLY | c.O_CREAT | c.O_TRUNC, mode);
  writeAll(t, fd, data);
  ok(t.close(fd));
}

export function appendFile(t: Door, path: ByteString, data: string | Uint8Array): void {
  const fd = open(t, path, c.O_WRONLY | c.O_APPEND);
  writeAll(t, fd, data);
  ok(t.close(fd));
}

export function writeAll(t: Door, fd: number, data: string | Uint8Array): void {
  equal(t.write(fd, data), bytes(data).length, 'bytes written');
}

export function lstat(t: Door, path: ByteString): Stat {
  return ok<Stat>(t.lstat(path) as Stat);
}

export function stat(t: Door, path: ByteString): Stat {
  return ok<Stat>(t.stat(path) as Stat);
}

export function fstat(t: Door, fd: number): Stat {
  return ok<Stat>(t.fstat(fd) as Stat);
}

/** All records of a directory from where `fd` stands, `.` and `..` included. */
export function dirents(t: Door, fd: number, size?: number): Dirent[] {
  const all: Dirent[] = [];
  for (;;) {
    const batch = ok<Dirent[]>(t.getdents(fd, size) as Dirent[]);
    if (batch.length === 0) {
      return all;
    }
    all.push(...batch);
  }
}

export function list(t: Door, path: ByteString, size?: number): Dirent[] {
  const fd = open(t, path, c.O_RDONLY | c.O_DIRECTORY);
  const all = dirents(t, fd, size);
  ok(t.close(fd));
  return all;
}

/** The names in a directory, sorted, without `.` and `..`. Duplicates stay visible. */
export function names(t: Door, path: ByteString): ByteString[] {
  return list(t, path)
    .map((entry) => entry.name)
    .filter((name) => name !== '.' && name !== '..')
    .sort();
}

/** Whether lstat finds it; any other failure than ENOENT fails the case. */
export function exists(t: Door, path: ByteString): boolean {
  const result = t.lstat(path);
  if (result === -ENOENT) {
    return false;
  }
  ok(result);
  return true;
}

export function mtime(st: Stat): readonly [number, number] {
  return [st.mtime, st.mtimeNsec];
}

export function atime(st: Stat): readonly [number, number] {
  return [st.atime, st.atimeNsec];
}

export function ctime(st: Stat): readonly [number, number] {
  return [st.ctime, st.ctimeNsec];
}

/** Whether `a` is later than `b`. */
export function later(a: readonly [number, number], b: readonly [number, number]): boolean {
  return a[0] > b[0] || (a[0] === b[0] && a[1] > b[1]);
}

const sleeper = new Int32Array(new SharedArrayBuffer(4));

/** Waits until the filesystem's clock (one tick of the kernel's at least) has moved on. */
export function tick(): void {
  Atomics.wait(sleeper, 0, 0, 11);
}
