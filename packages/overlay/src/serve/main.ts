/**
 * The server process, started by spawn.ts as `node dist/serve/main.js MERGED`. Descriptor 3 is a
 * socket: one line of JSON with the configuration comes in, one line with the outcome goes out.
 * stderr is the starter's until the mount is live, so that a crash is seen; after that this process
 * holds nothing of its starter: it is a session of its own, stands in `/`, and has no descriptor
 * that it did not open itself.
 */
import fs from 'node:fs';
import { toText } from '../sys/bytes.ts';
import { AT_FDCWD, F_GETFD, FD_CLOEXEC, O_RDWR } from '../sys/constants.ts';
import type { Sys } from '../sys/sys.ts';
import { openSys } from '../sys/sys-koffi.ts';
import type { ServeConfig } from './config.ts';
import { type ProcessMessage, toFailure } from './messages.ts';
import { runServer } from './run-server.ts';

const SOCKET = 3;

/** Reads up to the first newline: JSON has none. */
function readLine(fd: number): string {
  const chunks: Buffer[] = [];
  const buf = Buffer.alloc(65536);
  for (;;) {
    const n = fs.readSync(fd, buf);
    if (n === 0) throw new Error('the configuration ended in the middle');
    chunks.push(Buffer.from(buf.subarray(0, n)));
    if (buf[n - 1] === 0x0a) return Buffer.concat(chunks).toString('utf8');
  }
}

function answer(message: ProcessMessage): void {
  try {
    fs.writeSync(SOCKET, `${JSON.stringify(message)}\n`);
  } catch {
    // Nobody waits any more; the mount is there all the same.
  }
}

/** Closes what came from the starter's own files (a lock, a pipe): it would stay open as long as the mount. */
function closeInherited(sys: Sys): void {
  for (const name of fs.readdirSync('/proc/self/fd')) {
    const fd = Number(name);
    if (fd <= SOCKET) continue;
    const flags = sys.fcntl(fd, F_GETFD, 0);
    // Node's and ours are close-on-exec, so nothing of that kind can have been inherited.
    if (flags >= 0 && (flags & FD_CLOEXEC) === 0) sys.close(fd);
  }
}

function dropStreams(sys: Sys, last: number): void {
  const nothing = sys.openat(AT_FDCWD, '/dev/null', O_RDWR, 0);
  if (nothing < 0) return;
  for (let fd = 0; fd <= last; fd++) sys.dup(nothing, fd);
  sys.close(nothing);
}

const sys = openSys();
closeInherited(sys);
const config = JSON.parse(readLine(SOCKET)) as ServeConfig;
process.title = `strata-overlay ${toText(config.merged)}`;
try {
  await runServer(sys, config, (mount) => {
    dropStreams(sys, config.debug ? 1 : 2);
    answer({ ready: mount });
    sys.close(SOCKET);
  });
} catch (error) {
  const failure = toFailure(error);
  answer({ failed: failure });
  process.exitCode = failure.exitStatus;
}
