/**
 * What changes the calling process as a whole: execve(2), chroot(2), fchdir(2), setsid(2), and the
 * ambient capabilities that it would hand on. Not in the table of `Sys`: none is a call that a layer or an overlay
 * makes, and the first one does not come back.
 */
import type { ByteString } from './bytes.ts';
import { F_SETFD } from './constants.ts';
import { EINVAL } from './errno.ts';
import { openLibc } from './koffi/libc.ts';

/** SIGPIPE and SIGXFSZ: Node ignores them, and what is ignored stays ignored through an exec. */
const ignoredByNode = [13, 25];
const PR_CAP_AMBIENT = 47;
const PR_CAP_AMBIENT_CLEAR_ALL = 4;

/** An array of C strings that ends in NULL, and the memory that it points to. */
function cArray(address: (buf: Uint8Array) => number, strings: readonly ByteString[]): [BigUint64Array, Buffer] | null {
  if (strings.some((s) => s.includes('\0'))) return null;
  const memory = Buffer.from(`${strings.join('\0')}\0`, 'latin1');
  const pointers = new BigUint64Array(strings.length + 1);
  let at = address(memory);
  strings.forEach((s, i) => {
    pointers[i] = BigInt(at);
    at += s.length + 1;
  });
  return [pointers, memory];
}

/**
 * execve(2): this process becomes `path`, keeping its pid, ids, working directory and the three
 * standard descriptors. Signals that Node handled or ignored go back to their defaults.
 * @returns a negative errno; on success it does not return.
 */
export function execve(path: ByteString, argv: readonly ByteString[], env: readonly ByteString[]): number {
  const libc = openLibc();
  const args = cArray(libc.address, argv);
  const environment = cArray(libc.address, env);
  if (args === null || environment === null || path.includes('\0')) return -EINVAL;
  const signal = libc.func('signal', 'int64', ['int', 'int64']);
  for (const number of ignoredByNode) signal(number, 0);
  // Node makes all inherited descriptors close-on-exec when it starts.
  const fcntl = libc.func('fcntl', 'int', ['int', 'int', 'int64']);
  for (const fd of [0, 1, 2]) fcntl(fd, F_SETFD, 0);
  libc.func('execve', 'int', ['void *', 'void *', 'void *'])(
    Buffer.from(`${path}\0`, 'latin1'),
    new Uint8Array(args[0].buffer),
    new Uint8Array(environment[0].buffer),
  );
  return -libc.errno();
}

/** prctl(PR_CAP_AMBIENT_CLEAR_ALL): what this thread starts from now on gets no ambient capability. */
export function clearAmbientCapabilities(): number {
  const libc = openLibc();
  const prctl = libc.func('prctl', 'int', ['int', 'int64', 'int64', 'int64', 'int64']);
  return prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 ? -libc.errno() : 0;
}

/** chroot(2), for all threads. The working directory stays what it is. */
export function chroot(path: ByteString): number {
  if (path.includes('\0')) return -EINVAL;
  const libc = openLibc();
  return libc.func('chroot', 'int', ['void *'])(Buffer.from(`${path}\0`, 'latin1')) < 0 ? -libc.errno() : 0;
}

/** fchdir(2), for all threads; `process.chdir` takes no path that is not UTF-8. `process.cwd()` may not notice. */
export function fchdir(fd: number): number {
  const libc = openLibc();
  return libc.func('fchdir', 'int', ['int'])(fd) < 0 ? -libc.errno() : 0;
}

/** setsid(2): a session without a terminal. @returns 0; -EPERM for the leader of a process group, which is not changed. */
export function setsid(): number {
  const libc = openLibc();
  return libc.func('setsid', 'int', [])() < 0 ? -libc.errno() : 0;
}
