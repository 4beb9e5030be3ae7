/** Several client processes at once: each has its share of the paths, and all begin together. */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { readAll, statAll } from './client.ts';

export type ParallelWork = 'stat' | 'read';

interface Job {
  work: ParallelWork;
  paths: string[];
}

/** The next message of a client; rejected when it ends first. */
function message(client: ChildProcess): Promise<unknown> {
  return new Promise((resolve, reject) => {
    client.once('message', resolve);
    client.once('exit', (status) => reject(new Error(`a client ended with status ${status}`)));
  });
}

/** @returns seconds from the common start until the last one has finished. */
export async function inParallel(count: number, work: ParallelWork, paths: readonly string[]): Promise<number> {
  const clients = Array.from({ length: count }, () => fork(fileURLToPath(import.meta.url)));
  try {
    await Promise.all(
      clients.map((client, i) => {
        client.send({ work, paths: paths.filter((_, at) => at % count === i) } satisfies Job);
        return message(client);
      }),
    );
    const start = performance.timeOrigin + performance.now();
    for (const client of clients) client.send('go');
    const ends = (await Promise.all(clients.map(message))) as number[];
    return (Math.max(...ends) - start) / 1000;
  } finally {
    for (const client of clients) client.kill();
  }
}

function serveAsClient(): void {
  let job: Job | null = null;
  process.on('message', (said: Job | 'go') => {
    if (said !== 'go') {
      job = said;
      process.send?.('ready');
      return;
    }
    (job?.work === 'stat' ? statAll : readAll)(job?.paths ?? []);
    process.send?.(performance.timeOrigin + performance.now());
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) serveAsClient();
