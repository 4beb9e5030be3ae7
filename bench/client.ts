/**
 * What a benchmark does to files: plain system calls, without the layers of node:fs in between, which would cost as much
 * as the kernel's own overlay. Everything throws when it fails: a benchmark that measures errors is none.
 */
import {
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  O_CREAT,
  O_EXCL,
  O_RDONLY,
  O_RDWR,
  O_WRONLY,
} from 'stratafs/internal/sys/constants';
import { ENOENT, errnoName } from 'stratafs/internal/sys/errno';
import { openLibc } from 'stratafs/internal/sys/koffi/libc';
import type { Sys } from 'stratafs/internal/sys/sys';
import { openSys } from 'stratafs/internal/sys/sys-koffi';

export const sys: Sys = openSys();

const libc = openLibc();
const fstatat = libc.func('fstatat', 'int', ['int', 'uintptr_t', 'uintptr_t', 'int']);
const nameRoom = Buffer.alloc(8192);
const nameAt = libc.address(nameRoom);
/** Room for a struct stat. The call gets the address alone, so the bytes stand beside it: nothing else would keep them. */
const statBytes = Buffer.alloc(512);
const statRoom = { bytes: statBytes, address: libc.address(statBytes) };
const block = Buffer.alloc(1 << 17);

function must(result: number, what: string): number {
  if (result < 0) throw new Error(`${what}: ${errnoName(result)}`);
  return result;
}

/** lstat(2) as programs call it. @returns whether it is there. */
export function lstat(path: string): boolean {
  nameRoom[nameRoom.write(path, 'latin1')] = 0;
  if (fstatat(AT_FDCWD, nameAt, statRoom.address, AT_SYMLINK_NOFOLLOW) === 0) return true;
  const err = -libc.errno();
  if (err !== -ENOENT) must(err, path);
  return false;
}

export function statAll(paths: readonly string[]): void {
  for (const path of paths) if (!lstat(path)) throw new Error(`${path} is missing`);
}

export function missAll(paths: readonly string[]): void {
  for (const path of paths) if (lstat(path)) throw new Error(`${path} is there`);
}

export function readAll(paths: readonly string[]): void {
  for (const path of paths) {
    const fd = must(sys.openat(AT_FDCWD, path, O_RDONLY, 0), path);
    while (must(sys.read(fd, block, 0, block.length), path) > 0);
    sys.close(fd);
  }
}

export function openFile(path: string, flags: number): number {
  return must(sys.openat(AT_FDCWD, path, flags, 0o644), path);
}

/** Makes a new file. */
export function writeNew(path: string, data: Uint8Array): void {
  const fd = openFile(path, O_WRONLY | O_CREAT | O_EXCL);
  if (data.length > 0) must(sys.write(fd, data, 0, data.length), path);
  sys.close(fd);
}

/** Overwrites one byte. */
export function pokeAll(paths: readonly string[], pos = 0): void {
  for (const path of paths) {
    const fd = openFile(path, O_RDWR);
    must(sys.pwrite(fd, block, 0, 1, pos), path);
    sys.close(fd);
  }
}

export function rename(from: string, to: string): void {
  must(sys.renameat2(AT_FDCWD, from, AT_FDCWD, to, 0), from);
}

export function chmod(path: string, mode: number): void {
  must(sys.fchmodat(AT_FDCWD, path, mode, 0), path);
}

export function mkdir(path: string): void {
  must(sys.mkdirat(AT_FDCWD, path, 0o755), path);
}

/** `total` bytes by pieces of `size`, in order or at places that a seed chooses. */
export function transfer(fd: number, kind: 'read' | 'write', total: number, size: number, within: number | null): void {
  const buf = Buffer.alloc(size, 7);
  let seed = 12345;
  for (let done = 0, pos = 0; done < total; done += size) {
    if (within !== null) {
      seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
      pos = Math.floor((seed / 2 ** 32) * (within / size)) * size;
    }
    const moved = kind === 'read' ? sys.pread(fd, buf, 0, size, pos) : sys.pwrite(fd, buf, 0, size, pos);
    if (moved !== size) throw new Error(`${kind} of ${size} bytes at ${pos}: ${moved}`);
    if (within === null) pos += size;
  }
}
