/** Paths as a person gave them: made absolute, and shown again in a message of one line. */
import { type ByteString, printable } from '../sys/bytes.ts';
import { AT_FDCWD } from '../sys/constants.ts';
import type { Sys } from '../sys/sys.ts';

/** The working directory as bytes; `process.cwd()` would damage a name that is not UTF-8. */
export function workingDirectory(sys: Sys): ByteString | number {
  return sys.readlinkat(AT_FDCWD, '/proc/self/cwd');
}

/** `path` seen from `cwd`. `..` stays: what it means depends on the symlinks before it. */
export function absolutePath(cwd: ByteString, path: ByteString): ByteString {
  if (path.startsWith('/')) return path;
  const plain = path.replace(/^(?:\.\/+)+/, '');
  if (plain === '' || plain === '.') return cwd;
  return cwd.endsWith('/') ? cwd + plain : `${cwd}/${plain}`;
}

/**
 * Without symlinks, `.` and `..`: where the open descriptor `fd` stands now.
 * @returns a negative errno without /proc.
 */
export function realPath(sys: Sys, fd: number): ByteString | number {
  return sys.readlinkat(AT_FDCWD, `/proc/self/fd/${fd}`);
}

/** For a message: as `printable` gives it, in quotes. */
export function show(path: ByteString): string {
  return `'${printable(path)}'`;
}
