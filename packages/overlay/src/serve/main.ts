/**
 * The server process, started by spawn.ts as `node dist/serve/main.js MERGED`. Descriptor 3 is a
 * socket: one line of JSON with the configuration comes in, one line with the outcome goes out.
 * stderr is the starter's until the mount is live, so that a crash is seen; after that this process
 * holds nothing of its starter: it is a session of its own, stands in `/`, and has no descriptor
 * that it did not open itself.
 */
import fs from 'node:fs';
import { toText } from '../sys/bytes.ts';
import { openSys } from '../sys/sys-koffi.ts';
import type { ServeConfig } from './config.ts';
import { closeInherited, dropStreams } from './detach.ts';
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

async function main(): Promise<void> {
  const sys = openSys();
  closeInherited(sys, SOCKET);
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
}

main();
