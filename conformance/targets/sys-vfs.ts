/**
 * The kernel's part of a real directory, for cases that need 'vfs': mappings, locks, inotify, limits,
 * file handles, and other processes. Those find the directory under /proc by this process's
 * descriptor, so that no path leads to it from outside.
 */
import { spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { alignedBuffer } from 'stratafs/internal/sys/aligned';
import type { ByteString } from 'stratafs/internal/sys/bytes';
import { fromBuffer, toText } from 'stratafs/internal/sys/bytes';
import * as c from 'stratafs/internal/sys/constants';
import { EAGAIN, EIO } from 'stratafs/internal/sys/errno';
import type { FileLock, Sys } from 'stratafs/internal/sys/sys';
import { check } from '../expect.ts';
import type { FileHandle, Vfs, WatchEvent } from '../target.ts';
import { bytes } from '../tree.ts';

const BLOCK = 4096;
const DEATH_MS = 10_000;
const START_MS = 10_000;
/** Other processes run the built code, which is found from here. */
const project = fileURLToPath(new URL('..', import.meta.url));
const prelude = `
import { openSys } from 'stratafs/internal/sys/sys-koffi';
import * as c from 'stratafs/internal/sys/constants';
const sys = openSys();
process.chdir(process.env.DIR);
`;

/** Parses what a read of an inotify descriptor filled. */
function parseEvents(buf: Buffer, length: number): WatchEvent[] {
  const events: WatchEvent[] = [];
  for (let at = 0; at < length; ) {
    const len = buf.readUInt32LE(at + 12);
    const end = len === 0 ? at + 16 : buf.indexOf(0, at + 16);
    events.push({
      mask: buf.readUInt32LE(at + 4),
      cookie: buf.readUInt32LE(at + 8),
      name: fromBuffer(buf, at + 16, end),
    });
    at += 16 + len;
  }
  return events;
}

/** Until its memory has gone, its program is in use and the mount busy. Node reaps it later. */
function awaitDeath(pid: number): void {
  const until = Date.now() + DEATH_MS;
  while (!/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'))) {
    if (Date.now() > until) {
      throw new Error(`process ${pid} does not die`);
    }
  }
}

/** Until it sleeps in a system call a program needs pages of its file, and dies where somebody has cut that off. */
function awaitSleep(pid: number): void {
  const until = Date.now() + START_MS;
  const sleeps = (): boolean =>
    /\) S /.test(readFileSync(`/proc/${pid}/stat`, 'latin1')) &&
    /^\d/.test(readFileSync(`/proc/${pid}/syscall`, 'latin1'));
  while (!sleeps()) {
    if (Date.now() > until) {
      throw new Error(`set-up: process ${pid} does not come to sleep`);
    }
  }
}

export class SysVfs implements Vfs {
  readonly #sys: Sys;
  readonly #dir: number;
  /** Descriptors that end with the door. */
  readonly #open: Set<number>;
  /** Mappings that are still there, by address, with their lengths. */
  readonly #mapped = new Map<number, number>();

  constructor(sys: Sys, dir: number, open: Set<number>) {
    this.#sys = sys;
    this.#dir = dir;
    this.#open = open;
  }

  mmap(fd: number, len: number, prot: number, flags: number, off = 0): number {
    const at = this.#sys.mmap(fd, len, prot, flags, off);
    if (at >= 0) {
      this.#mapped.set(at, len);
    }
    return at;
  }

  /** What a case left mapped would keep the mount busy. */
  end(): void {
    for (const [at, len] of this.#mapped) {
      this.#sys.munmap(at, len);
    }
    this.#mapped.clear();
  }

  munmap(at: number, len: number): number {
    this.#mapped.delete(at);
    return this.#sys.munmap(at, len);
  }

  msync(at: number, len: number): number {
    return this.#sys.msync(at, len, c.MS_SYNC);
  }

  peek(at: number, len: number): Buffer | number {
    const buf = Buffer.alloc(len);
    const n = this.#sys.readMemory(at, buf, 0, len);
    return n < 0 ? n : buf;
  }

  poke(at: number, data: string | Uint8Array): number {
    const buf = bytes(data);
    return this.#sys.writeMemory(at, buf, 0, buf.length);
  }

  flock(fd: number, op: number): number {
    return this.#sys.flock(fd, op);
  }

  lock(fd: number, cmd: number, type: number, start = 0, len = 0): FileLock | number {
    const lock: FileLock = { type, whence: c.SEEK_SET, start, len, pid: 0 };
    const result = this.#sys.fcntlLock(fd, cmd, lock);
    return result < 0 ? result : lock;
  }

  ioctl(fd: number, request: number, arg: Buffer): number {
    return this.#sys.ioctl(fd, request, arg);
  }

  fcntl(fd: number, cmd: number, arg: number): number {
    return this.#sys.fcntl(fd, cmd, arg);
  }

  directRead(fd: number, len: number, pos: number): Buffer | number {
    const buf = alignedBuffer(len, BLOCK);
    const n = this.#sys.pread(fd, buf, 0, len, pos);
    return n < 0 ? n : buf.subarray(0, n);
  }

  directWrite(fd: number, data: Uint8Array, pos: number): number {
    const buf = alignedBuffer(data.length, BLOCK);
    buf.set(data);
    return this.#sys.pwrite(fd, buf, 0, data.length, pos);
  }

  watch(path: ByteString, mask: number): () => WatchEvent[] {
    const sys = this.#sys;
    const fd = check(sys.inotifyInit1(c.IN_NONBLOCK), 'inotify_init1');
    this.#open.add(fd);
    check(sys.inotifyAddWatch(fd, `/proc/self/fd/${this.#dir}/${path}`, mask), `watch ${path}`);
    const buf = Buffer.alloc(65536);
    return () => {
      const n = sys.read(fd, buf, 0, buf.length);
      return n === -EAGAIN ? [] : parseEvents(buf, check(n, 'events'));
    };
  }

  limited<T>(size: number, fn: () => T): T {
    const sys = this.#sys;
    const old = sys.getrlimit(c.RLIMIT_FSIZE);
    if (typeof old === 'number') {
      throw new Error('set-up: getrlimit failed');
    }
    check(sys.setrlimit(c.RLIMIT_FSIZE, size, old[1]), 'setrlimit');
    try {
      return fn();
    } finally {
      check(sys.setrlimit(c.RLIMIT_FSIZE, ...old), 'setrlimit');
    }
  }

  nameToHandle(path: ByteString, flags = 0): FileHandle | number {
    return this.#sys.nameToHandleAt(this.#dir, path, flags);
  }

  openByHandle(handle: FileHandle, flags: number): number {
    const fd = this.#sys.openByHandleAt(this.#dir, handle.type, handle.handle, flags);
    if (fd >= 0) {
      this.#open.add(fd);
    }
    return fd;
  }

  /** The door's directory as other processes reach it. */
  get #place(): string {
    return `/proc/${process.pid}/fd/${this.#dir}`;
  }

  exec(path: ByteString, ...args: string[]): number {
    const ran = spawnSync(`${this.#place}/${toText(path)}`, args, { stdio: 'ignore' });
    if (ran.error !== undefined) {
      return (ran.error as NodeJS.ErrnoException).errno ?? -EIO;
    }
    return ran.status ?? -EIO;
  }

  executing<T>(path: ByteString, args: readonly string[], fn: () => T): T {
    const child = spawn(`${this.#place}/${toText(path)}`, args, { stdio: 'ignore' });
    const pid = child.pid;
    if (pid === undefined) {
      child.on('error', () => {});
      throw new Error(`set-up: ${path} does not start`);
    }
    try {
      awaitSleep(pid);
      return fn();
    } finally {
      this.#sys.kill(pid, 9);
      awaitDeath(pid);
    }
  }

  elsewhere(module: string): string {
    const ran = spawnSync(process.execPath, ['--input-type=module', '-e', prelude + module], {
      cwd: project,
      encoding: 'latin1',
      env: { ...process.env, NODE_OPTIONS: '', DIR: this.#place },
    });
    if (ran.status !== 0) {
      throw new Error(`set-up: another process failed: ${ran.stderr}`);
    }
    return ran.stdout;
  }
}
